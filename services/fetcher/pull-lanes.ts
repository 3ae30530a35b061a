import { setTimeout as sleep } from "node:timers/promises";
import type { Consumer, JsMsg } from "@nats-io/jetstream";
import Bottleneck from "bottleneck";
import { streams } from "#contracts/subjects.ts";
import type { JobClass } from "#contracts/subjects.ts";
import { errorMessage } from "#runtime/errors.ts";
import type { Members } from "./members.ts";
import { runJob } from "./run-job.ts";
import type { FetcherParts } from "./run-job.ts";

/** The lanes' consumers' ack wait; a message in hand is kept in progress at every third of it. */
const usualAckWaitMs = 30_000;
/** At a stop, how long a message may still be on its way here. */
const onTheWayMs = 100;
const listEveryMs = 15_000;
const reassignEveryMs = 1000;
/** Urgent jobs come before the schedule's; Bottleneck's 0 is first. */
const priorities: Record<JobClass, number> = { now: 1, due: 5 };

/**
 * Pulls the lanes that are this fetcher's, each with its own limits. Lanes come and go with the collector's consumers;
 * a lane's limit being written tells of a new one at once, the list of consumers tells of all of them now and then.
 */
export function pullLanes(
  parts: FetcherParts,
  members: Members,
  { ackWaitMs = usualAckWaitMs }: { ackWaitMs?: number } = {},
): { lanes(): number; stop(): Promise<void> } {
  const known = new Set<string>();
  const pulled = new Map<string, PulledLane>();
  const clock = watchClock(ackWaitMs);
  let isStopping = false;

  const reassign = () => {
    for (const lane of known) {
      const isMine = !isStopping && members.isMine(lane);
      const running = pulled.get(lane);
      if (isMine && !running) pulled.set(lane, pullLane(lane, parts, clock));
      else if (!isMine && running) {
        pulled.delete(lane);
        void running.stop();
      } else running?.adjust();
    }
  };
  const list = async () => {
    // A lane that is made while the list is on its way is not in it.
    const before = [...known];
    try {
      const found = await listLanes(parts);
      for (const lane of before) if (!found.has(lane)) forget(lane);
      for (const lane of found) known.add(lane);
      reassign();
    } catch (error) {
      parts.log.warn({ err: error }, "lanes could not be listed");
    }
  };
  const forget = (lane: string) => {
    known.delete(lane);
    void pulled.get(lane)?.stop();
    pulled.delete(lane);
  };
  parts.settings.onLimit((lane) => {
    known.add(lane);
    reassign();
  });
  const timers = [setInterval(() => void list(), listEveryMs), setInterval(reassign, reassignEveryMs)];
  void list();
  return {
    lanes: () => pulled.size,
    stop: async () => {
      isStopping = true;
      for (const timer of timers) clearInterval(timer);
      await Promise.all([...pulled.values()].map((lane) => lane.stop()));
      clock.stop();
    },
  };
}

async function listLanes({ broker }: FetcherParts): Promise<Set<string>> {
  const lanes = new Set<string>();
  for await (const { name } of broker.jsm.consumers.list(streams.jobs)) {
    if (name.startsWith("due-")) lanes.add(name.slice("due-".length));
  }
  return lanes;
}

interface Clock {
  ackWaitMs: number;
  /** Was the process stopped or blocked for long since then? What it held may be another's now. */
  hasStoppedSince(at: number): boolean;
  stop(): void;
}

/**
 * A process that was stopped or blocked may have lost its leases without knowing: its clock's ticks tell. After it goes
 * on a tick may come before anything else, so that a gap is remembered.
 */
function watchClock(ackWaitMs: number): Clock {
  let tickAt = performance.now();
  let goneOnAt = Number.NEGATIVE_INFINITY;
  const tick = () => {
    const now = performance.now();
    if (now - tickAt > ackWaitMs / 2) {
      goneOnAt = now;
      // What is read next has waited in the socket all the while.
      setImmediate(() => (goneOnAt = performance.now()));
    }
    tickAt = now;
  };
  const timer = setInterval(tick, Math.min(250, ackWaitMs / 8));
  return {
    ackWaitMs,
    hasStoppedSince: (at) => {
      tick();
      return goneOnAt >= at;
    },
    stop: () => clearInterval(timer),
  };
}

interface PulledLane {
  /** Pulls as many jobs at once as the lane's limit now allows. */
  adjust(): void;
  stop(): Promise<void>;
}

function pullLane(lane: string, parts: FetcherParts, clock: Clock): PulledLane {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pull = { lane, parts, clock, limiter: new Bottleneck({ maxConcurrent: 1 }), signal };
  const pullers = new Map<string, Promise<void>>();
  const keepPulling = (jobClass: JobClass, place: number, isWanted: () => boolean) => {
    const name = `${jobClass}-${place}`;
    if (signal.aborted || pullers.has(name)) return;
    const puller = pullClass(jobClass, pull, isWanted).finally(() => pullers.delete(name));
    pullers.set(name, puller);
  };
  let isLoaded = false;
  const adjust = () => {
    if (!isLoaded) return;
    keepPulling("now", 0, () => true);
    for (let place = 0; place < parts.settings.limit(lane).concurrency; place++) {
      keepPulling("due", place, () => place < parts.settings.limit(lane).concurrency);
    }
  };
  const load = async () => {
    await parts.settings.load(lane).catch((error: unknown) => parts.log.warn({ err: error, lane }, "lane not loaded"));
    isLoaded = true;
    adjust();
  };
  const loaded = load();
  return {
    adjust,
    stop: async () => {
      stopping.abort();
      await loaded;
      await Promise.all(pullers.values());
    },
  };
}

interface Pull {
  lane: string;
  parts: FetcherParts;
  clock: Clock;
  limiter: Bottleneck;
  signal: AbortSignal;
}

async function pullClass(jobClass: JobClass, pull: Pull, isWanted: () => boolean): Promise<void> {
  const { lane, parts, signal } = pull;
  let consumer: Consumer | undefined;
  while (!signal.aborted && isWanted()) {
    try {
      await sleep(parts.settings.restMs(lane), undefined, { signal });
      consumer ??= await parts.broker.js.consumers.get(streams.jobs, `${jobClass}-${lane}`);
      await takeOne(consumer, jobClass, pull);
    } catch (error) {
      if (signal.aborted) return;
      consumer = undefined;
      // Idle lanes miss heartbeats when the broker restarts; lanes go when they have had no work for a while.
      parts.log.debug({ lane, jobClass, reason: errorMessage(error) }, "lane pull interrupted");
      await sleep(500, undefined, { signal }).catch(() => {});
    }
  }
}

/** Waits a while for one message. At a stop the wait ends, and a message that came just then is given back. */
async function takeOne(consumer: Consumer, jobClass: JobClass, pull: Pull): Promise<void> {
  const { signal } = pull;
  const batch = await consumer.fetch({ max_messages: 1, expires: 10_000 });
  // What the server has sent already would be nobody's until its ack wait is over.
  const stop = () => setTimeout(() => void batch.close(), onTheWayMs);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const message of batch) {
      if (signal.aborted) await giveBack(message);
      else await handle(message, jobClass, pull);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Once no pull of this lane is open any more: it would come back to one. */
async function giveBack(message: JsMsg): Promise<void> {
  await sleep(2 * onTheWayMs);
  message.nak();
}

/** `now` jobs are taken first; both classes count against the lane's one limit. */
async function handle(message: JsMsg, jobClass: JobClass, pull: Pull): Promise<void> {
  const { lane, parts, limiter, clock, signal } = pull;
  const takenAt = performance.now();
  const inProgress = setInterval(() => {
    if (!clock.hasStoppedSince(takenAt)) message.working();
  }, clock.ackWaitMs / 3);
  try {
    const limit = parts.settings.limit(lane);
    limiter.updateSettings({ maxConcurrent: limit.concurrency });
    await limiter.schedule({ priority: priorities[jobClass] }, async () => {
      await sleep(parts.settings.restMs(lane), undefined, { signal });
      if (clock.hasStoppedSince(takenAt))
        return parts.log.warn({ lane }, "process was stopped; job left to be delivered again");
      await runJob(message, limit, parts);
    });
  } catch (error) {
    // Given back at a stop; else not acknowledged: the server delivers it again after the ack wait.
    if (signal.aborted) await giveBack(message);
    else parts.log.error({ err: error, lane, sequence: message.seq }, "job not finished");
  } finally {
    clearInterval(inProgress);
  }
}
