import type { Broker } from "#runtime/broker.ts";
import { RpcError } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { announce } from "./announce.ts";

/** Values can be large: where so many events do not fit into one answer, fewer are asked for. */
const batchSizes = [200, 10, 1];

/**
 * Publishes what was committed and stayed unpublished, so that the outbox never depends on a redelivery. It leaves
 * rows younger than `olderThanMs` to the handler that committed them.
 */
export function startSweeper(
  services: { broker: Broker; store: StoreClient; log: Logger },
  { everyMs = 5000, olderThanMs = 10_000 } = {},
): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    running = sweep(services, olderThanMs)
      .catch((error: unknown) => services.log.warn({ err: error }, "unpublished changes not swept"))
      .finally(() => (isRunning = false));
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

async function sweep(
  services: { broker: Broker; store: StoreClient; log: Logger },
  olderThanMs: number,
): Promise<void> {
  for (;;) {
    const { changes, health, limit } = await readBatch(services.store, olderThanMs);
    const found = changes.length + health.length;
    if (found === 0) return;
    await announce(services, { changes, health });
    services.log.info({ events: found }, "unpublished events published");
    if (found < limit) return;
  }
}

async function readBatch(store: StoreClient, olderThanMs: number) {
  for (const limit of batchSizes) {
    try {
      return { ...(await store.call("read.unpublished", { olderThanMs, limit })), limit };
    } catch (error) {
      if (!(error instanceof RpcError && error.code === "too_large") || limit === 1) throw error;
    }
  }
  throw new TypeError("no batch size is left");
}
