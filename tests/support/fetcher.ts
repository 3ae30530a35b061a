import { z } from "zod";
import { Config } from "#contracts/config.ts";
import type { Io } from "#contracts/io.ts";
import { DeadLetter, Outcome } from "#contracts/messages.ts";
import type { Job } from "#contracts/messages.ts";
import { defineModule } from "#contracts/module.ts";
import type { ModuleDefinition, ObservationAnswer } from "#contracts/module.ts";
import type { StoreReply } from "#contracts/store.ts";
import { laneDurable, streams, subjects } from "#contracts/subjects.ts";
import type { JobClass } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { decode } from "#runtime/codec.ts";
import { createLog } from "#runtime/log.ts";
import { createOneAtATime } from "#runtime/one-at-a-time.ts";
import { provision } from "#runtime/provision.ts";
import { publish } from "#runtime/publish.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { startNats } from "./nats.ts";
import { createBasisCache } from "../../services/fetcher/basis.ts";
import { followLaneSettings } from "../../services/fetcher/lane-settings.ts";
import type { LaneLimit } from "../../services/fetcher/lane-settings.ts";
import { pullLanes } from "../../services/fetcher/pull-lanes.ts";
import type { FetcherParts } from "../../services/fetcher/run-job.ts";

/** Fetchers over a real broker, with a module of the test's own and a stand-in for the store. */
export interface FetcherFixture {
  broker: Broker;
  /** The lane's consumers and its limit, as a collector makes them. */
  makeLane(lane: string, limit: LaneLimit, ackWaitMs?: number): Promise<void>;
  put(lane: string, resource: string, options?: { jobClass?: JobClass; body?: unknown }): Promise<void>;
  /** A fetcher that pulls every lane. */
  startFetcher(observe: Observe, options?: FetcherOptions): Promise<TestFetcher>;
  outcomes(): Promise<Outcome[]>;
  deadLetters(): Promise<DeadLetter[]>;
  /** How many jobs are not done yet. */
  jobsLeft(): Promise<number>;
  stop(): Promise<void>;
}

export type Observe = (resource: string) => AsyncIterable<ObservationAnswer>;

export interface FetcherOptions {
  ackWaitMs?: number;
  /** What the store says that a resource was. */
  look?: Partial<StoreReply<"read.look">>;
}

export interface TestFetcher {
  /** Aborts looks in hand, as at the end of a drain. */
  abandon(): void;
  stop(): Promise<void>;
}

export const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });

export async function startFetcherFixture(): Promise<FetcherFixture> {
  const nats = await startNats();
  const connect = async (name: string) => await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, name, log);
  const broker = await connect("fixture");
  await provision(broker, log, { storeWaitMs: 0 });
  const running = new Set<TestFetcher>();
  let jobs = 0;

  async function makeLane(lane: string, limit: LaneLimit, ackWaitMs = 30_000): Promise<void> {
    for (const jobClass of ["due", "now"] as const) {
      await broker.jsm.consumers.add(streams.jobs, {
        durable_name: laneDurable(lane, jobClass),
        filter_subject: subjects.laneJobs(lane, jobClass),
        ack_policy: "explicit",
        ack_wait: ackWaitMs * 1e6,
        max_ack_pending: jobClass === "now" ? 1 : limit.concurrency,
        max_deliver: -1,
      });
    }
    await broker.js.publish(`$KV.paintdry_lanes.${subjects.limitKey(lane)}`, JSON.stringify(limit));
  }

  async function put(
    lane: string,
    resource: string,
    { jobClass = "due", body }: { jobClass?: JobClass; body?: unknown } = {},
  ): Promise<void> {
    const job: Job = {
      operation: "observation",
      module: "fake",
      resource,
      lane,
      source: "config.json",
      cause: jobClass === "due" ? "schedule" : "check",
      epoch: 1,
      revision: 0,
      publishedAt: new Date().toISOString(),
    };
    const subject = subjects.job(lane, jobClass, "fake", resource);
    await publish(broker.js, { stream: streams.jobs, subject, body: body ?? job, messageId: `test:${++jobs}` });
  }

  async function startFetcher(observe: Observe, { ackWaitMs, look = {} }: FetcherOptions = {}): Promise<TestFetcher> {
    const abandon = new AbortController();
    const own = await connect("fetcher");
    const settings = await followLaneSettings(own, log);
    const parts: FetcherParts = {
      broker: own,
      log,
      id: `fetcher-${running.size}`,
      config: () => loadedWith(moduleOf(observe)),
      basis: createBasisCache(storeThatSays(look)),
      settings,
      openIo: (_job, { signal }) => ({ io: { signal } as Io, cost: () => ({ requests: 1, bodyBytes: 0 }) }),
      oneAtATime: createOneAtATime(),
      withinCap: async (action) => await action(),
      onLook: () => {},
      abandon: abandon.signal,
    };
    const everyLane = { isMine: () => true, count: () => 1, stop: () => {} };
    const lanes = pullLanes(parts, everyLane, ackWaitMs === undefined ? {} : { ackWaitMs });
    const fetcher: TestFetcher = {
      abandon: () => abandon.abort(),
      stop: async () => {
        if (!running.delete(fetcher)) return;
        await lanes.stop();
        settings.stop();
        await own.close();
      },
    };
    running.add(fetcher);
    return fetcher;
  }

  async function messagesOf<Schema extends z.ZodType>(stream: string, schema: Schema): Promise<z.infer<Schema>[]> {
    const { first_seq: first, last_seq: last } = (await broker.jsm.streams.info(stream)).state;
    const found: z.infer<Schema>[] = [];
    for (let seq = Math.max(1, first); seq <= last; seq++) {
      const message = await broker.jsm.streams.getMessage(stream, { seq });
      if (message) found.push(decode({ data: message.data, headers: message.header }, schema));
    }
    return found;
  }

  return {
    broker,
    makeLane,
    put,
    startFetcher,
    outcomes: async () => await messagesOf(streams.observations, Outcome),
    deadLetters: async () => await messagesOf(streams.dead, DeadLetter),
    jobsLeft: async () => (await broker.jsm.streams.info(streams.jobs)).state.messages,
    stop: async () => {
      for (const fetcher of running) {
        fetcher.abandon();
        await fetcher.stop();
      }
      await broker.close();
      await nats.stop();
    },
  };
}

export function moduleOf(observe: Observe): ModuleDefinition {
  return defineModule<unknown>({
    name: "fake",
    version: 1,
    summary: "",
    resource: z.string(),
    options: z.unknown(),
    lane: () => "-",
    owner: () => "-",
    discovery: async function* () {},
    observation: ({ resource }) => observe(resource),
    change: () => ({ severity: "none", reason: "" }),
    examples: [],
  });
}

function loadedWith(definition: ModuleDefinition) {
  return {
    config: Config.parse({}),
    modules: new Map([["fake", { definition, isCommand: false }]]),
    options: new Map([["fake", {}]]),
    document: {},
    hash: "",
    modifiedAt: new Date().toISOString(),
  };
}

export const nothingKnown: StoreReply<"read.look"> = {
  isWatched: true,
  revision: 0,
  previous: [],
  state: null,
  known: [],
  moduleVersion: null,
  optionsFingerprint: null,
  fence: { epoch: 0, sequence: 0 },
};

/** Answers `read.look` alone; counts how often it was asked. */
export function storeThatSays(look: Partial<StoreReply<"read.look">>): StoreClient & { calls: number } {
  const store = {
    calls: 0,
    call: async () => {
      store.calls += 1;
      return structuredClone({ ...nothingKnown, ...look }) as never;
    },
  };
  return store;
}
