import type { DueJob, StoreReply } from "#contracts/store.ts";
import type { Broker } from "#runtime/broker.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { publishJob } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";

const tickMs = 1000;
const pageSize = 500;
const publishAtOnce = 64;
/** How often resources that no look has reached are searched for besides. */
const catchUpEveryMs = 600_000;
/** Jobs that could not be published are found by the same search. */
const catchUpFailedMs = 30_000;
/** After the stream was made anew jobs of the old epoch may have slipped in: searched for once more. */
const catchUpAgainMs = 60_000;

export interface ScheduleParts {
  broker: Broker;
  store: StoreClient;
  lanes: Lanes;
  log: Logger;
  epoch(): Promise<number | null>;
  onPublished(cause: string, outcome: "published" | "duplicate" | "outstanding"): void;
}

/**
 * Publishes what comes due. Every collector does the same at the same time: a slot's message id lets one job of each
 * through, so nobody leads. After downtime only the current slots are published.
 */
export function startSchedule(parts: ScheduleParts): { stop(): Promise<void> } {
  const state: TickState = { from: Date.now(), epoch: null, catchUpAt: 0 };
  let running: Promise<void> = Promise.resolve();
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    running = tick(state, parts)
      .catch((error: unknown) => parts.log.warn({ err: error }, "schedule interrupted"))
      .finally(() => (isRunning = false));
  }, tickMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

interface TickState {
  /** Slots that begin up to here have been published. */
  from: number;
  epoch: number | null;
  catchUpAt: number;
}

async function tick(state: TickState, parts: ScheduleParts): Promise<void> {
  const epoch = await parts.epoch();
  if (epoch === null) return;
  const now = Date.now();
  if (epoch !== state.epoch || now >= state.catchUpAt) {
    const isNew = epoch !== state.epoch;
    // A stream made anew has lost its lanes.
    if (isNew) await parts.lanes.reconcile();
    const readPage: ReadPage = (cursor) => parts.store.call("read.overdue", { now, cursor, limit: pageSize });
    const failed = await publishAll(readPage, { epoch, dueBy: now }, parts);
    const usualMs = isNew ? catchUpAgainMs : catchUpEveryMs;
    state.catchUpAt = now + (failed > 0 ? catchUpFailedMs : usualMs);
    state.epoch = epoch;
  }
  // A clock set back must not stop the schedule: what lies between was published before.
  const from = Math.min(state.from, now);
  const readPage: ReadPage = (cursor) => parts.store.call("read.due", { from, to: now, cursor, limit: pageSize });
  const failed = await publishAll(readPage, { epoch, dueBy: now }, parts);
  if (failed > 0) state.catchUpAt = Math.min(state.catchUpAt, now + catchUpFailedMs);
  state.from = now;
}

type ReadPage = (cursor: string | null) => Promise<StoreReply<"read.due">>;

interface Round {
  epoch: number;
  /** Jobs due up to here are published. */
  dueBy: number;
}

/** Answers how many could not be published. */
async function publishAll(readPage: ReadPage, round: Round, parts: ScheduleParts): Promise<number> {
  let failed = 0;
  let cursor: string | null = null;
  do {
    const page: StoreReply<"read.due"> = await readPage(cursor);
    for (let start = 0; start < page.jobs.length; start += publishAtOnce) {
      failed += await publishSome(page.jobs.slice(start, start + publishAtOnce), round, parts);
    }
    cursor = page.cursor;
  } while (cursor !== null);
  return failed;
}

async function publishSome(jobs: DueJob[], { epoch, dueBy }: Round, parts: ScheduleParts): Promise<number> {
  const settled = await Promise.allSettled(
    jobs.map(async (job) => {
      await parts.lanes.ensure(job.lane);
      // A job published for a stream that was lost must not stand in the way of its successor's.
      const published = await publishJob(parts.broker, { ...job, messageId: `${job.messageId}#${epoch}` }, epoch);
      const outcome =
        published.outcome === "outstanding" ? "outstanding" : published.isDuplicate ? "duplicate" : "published";
      parts.onPublished(job.cause, outcome);
      return { job, isOutstanding: outcome === "outstanding" };
    }),
  );
  // One lane that cannot be made must not stop the others' schedule.
  const failed = settled.filter((one) => one.status === "rejected");
  for (const { reason } of failed.slice(0, 1)) {
    parts.log.error({ err: reason, jobs: failed.length }, "jobs not published; they will be offered again");
  }
  const marked = settled
    .flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
    .filter(({ job }) => job.cause !== "schedule")
    .map(({ job: { id, operation, cause }, isOutstanding }) => ({ id, operation, cause, isOutstanding }));
  if (marked.length > 0) await parts.store.call("write.queued", { jobs: marked, dueBy });
  return failed.length;
}
