import type { Broker } from "#runtime/broker.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { announce } from "./announce.ts";

const batchSize = 200;

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
    const unpublished = await services.store.call("read.unpublished", { olderThanMs, limit: batchSize });
    const found = unpublished.changes.length + unpublished.health.length;
    if (found === 0) return;
    await announce(services, unpublished);
    services.log.info({ events: found }, "unpublished events published");
    if (found < batchSize) return;
  }
}
