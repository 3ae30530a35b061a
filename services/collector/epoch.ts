import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { streams } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import type { StoreClient } from "#runtime/rpc.ts";

/** Asks which epoch the JOBS stream is of; null while there is no stream. */
export function followEpoch({ broker, store }: { broker: Broker; store: StoreClient }): () => Promise<number | null> {
  let known: { createdAt: string; epoch: number } | null = null;
  return async () => {
    const created = await readCreated(broker);
    if (created === null) return null;
    const createdAt = new Date(created).toISOString();
    if (known?.createdAt !== createdAt) {
      const { epoch } = await store.call("write.stream", { stream: "JOBS", createdAt });
      known = { createdAt, epoch };
    }
    return known.epoch;
  };
}

async function readCreated({ jsm }: Broker): Promise<string | null> {
  try {
    return (await jsm.streams.info(streams.jobs)).created;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}
