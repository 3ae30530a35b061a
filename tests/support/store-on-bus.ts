import { pino } from "pino";
import { storeRpc } from "#contracts/store.ts";
import { streams, subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { provision } from "#runtime/provision.ts";
import { createStoreClient, serveRpc } from "#runtime/rpc.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { startTestStore } from "../../services/store/testing/store.ts";
import type { TestStore } from "../../services/store/testing/store.ts";
import { startNats } from "./nats.ts";

export const silent = pino({ level: "silent" });

/** A provisioned broker and a store on a real PostgreSQL that answers on it, for tests of who asks it. */
export interface StoreOnBus {
  broker: Broker;
  store: StoreClient;
  /** The store behind it. */
  behind: TestStore;
  /** Puts these in force, each in its lane, and has their module confirm them. */
  watch(roots: { module: string; resource: string; lane: string }[], more?: { everyMs?: number }): Promise<void>;
  /** Removes JOBS with all that is in it, and makes it anew. */
  remakeJobs(): Promise<void>;
  stop(): Promise<void>;
}

export async function startStoreOnBus(): Promise<StoreOnBus> {
  const [nats, behind] = await Promise.all([startNats(), startTestStore()]);
  const broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", silent);
  const subjectOf = subjects.storeRpc;
  const served = serveRpc(broker.nc, { subjectOf, queue: "store", contract: storeRpc, log: silent }, behind.store);
  await provision(broker, silent);
  const store = createStoreClient(broker.nc);
  let configs = 0;
  return {
    broker,
    store,
    behind,
    watch: async (roots, { everyMs = 3_600_000 } = {}) => {
      configs += 1;
      const owned = roots.map((root) => ({ ...root, owner: "-" }));
      const { revision } = await store.call("write.config", {
        hash: `config-${configs}`,
        modifiedAt: new Date(1_700_000_000_000 + configs * 1000).toISOString(),
        document: {},
        roots: owned.map((root) => ({ ...root, everyMs: null })),
        everyMs,
        everyMsByModule: {},
        retryAfterMs: 60_000,
        soonerAfterChangeMs: 60_000,
        announceAfter: 3,
        rediscoverEveryMs: 86_400_000,
      });
      for (const { module, resource, lane, owner } of owned) {
        const job = { epoch: 1, sequence: configs };
        const found = { module, resource, lane, owner, source: "config.json", parent: { module, resource }, job };
        await store.call("write.confirmation", { ...found, configRevision: revision, isInScope: true });
        const result = { status: "discovered" as const, confirmed: [{ module, resource }], suggested: [] };
        await store.call("write.discovered", { module, resource, job, result });
      }
    },
    remakeJobs: async () => {
      await broker.jsm.streams.delete(streams.jobs);
      await provision(broker, silent);
    },
    stop: async () => {
      await served.stop();
      await broker.close();
      await nats.stop();
      await behind.stop();
    },
  };
}
