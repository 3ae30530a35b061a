import { AckPolicy } from "@nats-io/jetstream";
import type { ConsumerInfo } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { laneLimit } from "#contracts/config.ts";
import type { Config, Limit } from "#contracts/config.ts";
import { hostToken, laneDurable, lanesBucket, streams, subjects } from "#contracts/subjects.ts";
import type { JobClass } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";

const ackWaitNs = 30_000_000_000;
const defaultReconcileEveryMs = 15_000;

/**
 * A lane is two durable consumers of JOBS, `due` and `now`, whose `max_ack_pending` is the lane's concurrency: the
 * server enforces it whoever pulls. Lanes are made when a host has work and removed when they are idle and no resource
 * needs them.
 */
export interface Lanes {
  /** The lane stands when this returns; cheap when it is known to. */
  ensure(lane: string): Promise<void>;
  reconcile(): Promise<void>;
  /** For when limits or needs may have changed. */
  reconcileSoon(): void;
  count(): number;
  stop(): void;
}

interface LaneParts {
  broker: Broker;
  store: StoreClient;
  log: Logger;
  limits(): Config["limits"];
  reconcileEveryMs?: number;
}

export function keepLanes(parts: LaneParts): Lanes {
  /** Lanes that stand, with the limit they were made with. */
  const standing = new Map<string, string>();
  const making = new Map<string, Promise<void>>();

  const make = async (lane: string, limit: Limit) => {
    await makeLane(lane, limit, parts);
    standing.set(lane, JSON.stringify(limit));
  };
  const ensure = async (lane: string): Promise<void> => {
    // One at a time: what is being made may have been given a limit that no longer holds.
    await making.get(lane);
    const limit = laneLimit(lane, parts.limits());
    if (standing.get(lane) === JSON.stringify(limit)) return;
    if (making.has(lane)) return await ensure(lane);
    const made = make(lane, limit).finally(() => making.delete(lane));
    making.set(lane, made);
    await made;
  };
  const reconcile = async () => {
    // In this order: a lane made meanwhile is not among those that may be removed.
    const consumers = await listConsumers(parts.broker);
    const needed = await readNeededLanes(parts.store);
    for (const lane of standing.keys()) if (!hasBoth(consumers, lane)) standing.delete(lane);
    for (const lane of needed) await ensure(lane);
    const neededTokens = new Set([...needed].map(hostToken));
    for (const info of consumers.values()) await removeIfIdle(info, neededTokens, parts);
    for (const lane of standing.keys()) if (!needed.has(lane)) standing.delete(lane);
  };
  const repeated = repeat(reconcile, parts);
  return {
    ensure,
    reconcile,
    reconcileSoon: repeated.soon,
    count: () => standing.size,
    stop: repeated.stop,
  };
}

/** Now and then, and soon when asked, but never twice at the same time. */
function repeat(
  reconcile: () => Promise<void>,
  { log, reconcileEveryMs = defaultReconcileEveryMs }: LaneParts,
): { soon(): void; stop(): void } {
  const state = { isRunning: false, isWantedAgain: false };
  const soon = () => {
    state.isWantedAgain = true;
    if (!state.isRunning) void run();
  };
  const run = async () => {
    state.isRunning = true;
    while (state.isWantedAgain) {
      state.isWantedAgain = false;
      await reconcile().catch((error: unknown) => log.warn({ err: error }, "lanes not reconciled"));
    }
    state.isRunning = false;
  };
  const timer = setInterval(soon, reconcileEveryMs);
  return { soon, stop: () => clearInterval(timer) };
}

async function makeLane(lane: string, limit: Limit, { broker }: LaneParts): Promise<void> {
  for (const [jobClass, maxAckPending] of [
    ["due", limit.concurrency],
    ["now", 1],
  ] as [JobClass, number][]) {
    await putConsumer(broker, {
      durable_name: laneDurable(lane, jobClass),
      filter_subject: subjects.laneJobs(lane, jobClass),
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWaitNs,
      max_ack_pending: maxAckPending,
      max_deliver: -1,
    });
  }
  // Written last: it tells the fetchers that the lane stands.
  const bucket = await new Kvm(broker.js).open(lanesBucket, { allow_direct: true });
  await bucket.put(subjects.limitKey(lane), JSON.stringify(limit));
}

type LaneConsumer = Parameters<Broker["jsm"]["consumers"]["add"]>[1] & { durable_name: string };

/** Makes a consumer, or gives a standing one its new limit. */
async function putConsumer({ jsm }: Broker, config: LaneConsumer): Promise<void> {
  try {
    await jsm.consumers.add(streams.jobs, config);
  } catch (error) {
    if (!(error instanceof Error) || !/already exists/i.test(error.message)) throw error;
    await jsm.consumers.update(streams.jobs, config.durable_name, config);
  }
}

async function readNeededLanes(store: StoreClient): Promise<Set<string>> {
  const lanes = new Set<string>();
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof store.call<"read.lanes">>> = await store.call("read.lanes", {
      cursor,
      limit: 1000,
    });
    for (const { lane } of page.items) lanes.add(lane);
    cursor = page.next;
  } while (cursor !== null);
  return lanes;
}

async function listConsumers({ jsm }: Broker): Promise<Map<string, ConsumerInfo>> {
  const consumers = new Map<string, ConsumerInfo>();
  for await (const info of jsm.consumers.list(streams.jobs)) consumers.set(info.name, info);
  return consumers;
}

function hasBoth(consumers: Map<string, ConsumerInfo>, lane: string): boolean {
  return consumers.has(laneDurable(lane, "due")) && consumers.has(laneDurable(lane, "now"));
}

async function removeIfIdle(info: ConsumerInfo, needed: Set<string>, { broker, log }: LaneParts): Promise<void> {
  const laneToken = info.name.replace(/^(?:due|now)-/, "");
  if (needed.has(laneToken) || info.num_pending > 0 || info.num_ack_pending > 0) return;
  await broker.jsm.consumers.delete(streams.jobs, info.name);
  log.info({ durable: info.name }, "idle lane removed");
}
