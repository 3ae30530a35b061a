import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { JobPosition } from "#contracts/messages.ts";
import type { Commit } from "#contracts/store.ts";
import { compareJobs } from "./job-order.ts";
import { draft, lookAt, present, refOf, seen, startTestStore, watch } from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
});
afterAll(async () => {
  await test.stop();
});

/** One look at the resource: its job, and what it saw. */
interface Look {
  job: JobPosition;
  value: number;
}

/** A recorded change, by the job that saw it. */
type Recorded = [epoch: number, sequence: number, from: number, to: number, isLate: boolean];

/** What the store is to do, in memory: the newest look counts, and an older one adds only what is not known. */
function createModel() {
  const log: Look[] = [];
  const late: Look[] = [];
  const done = new Set<string>();
  const recorded: Recorded[] = [];
  const state = { fence: { epoch: 0, sequence: 0 }, current: null as number | null };
  function deliver({ job, value }: Look): void {
    const name = `${job.epoch}:${job.sequence}`;
    const order = compareJobs(job, state.fence);
    if (done.has(name) || order === 0) return;
    if (order > 0) {
      if (state.current !== value) log.push({ job, value });
      if (state.current !== value) done.add(name);
      if (state.current !== null && state.current !== value) {
        recorded.push([job.epoch, job.sequence, state.current, value, false]);
      }
      Object.assign(state, { fence: job, current: value });
      return;
    }
    const before = log.findLast((entry) => compareJobs(entry.job, job) < 0)?.value;
    const after = log.find((entry) => compareJobs(entry.job, job) > 0)?.value;
    if (before === undefined || value === before || value === after) return;
    const known = [...log, ...late].toSorted((a, b) => compareJobs(a.job, b.job));
    const neighbours = [
      known.findLast((entry) => compareJobs(entry.job, job) < 0),
      known.find((entry) => compareJobs(entry.job, job) > 0),
    ];
    if (neighbours.some((entry) => entry?.value === value)) return;
    done.add(name);
    late.push({ job, value });
    recorded.push([job.epoch, job.sequence, before, value, true]);
  }
  return { deliver, recorded, state };
}

/** What the assessor does with an outcome, at its shortest. */
async function assess(root: string, { job, value }: Look): Promise<void> {
  for (;;) {
    const standing = await test.store["read.values"](refOf(root));
    const current = standing?.values[0]?.value as number | undefined;
    const isNew = current !== value;
    const commit: Commit = seen(root, job, standing?.revision ?? 0, {
      writes: isNew ? [present("a", value)] : [],
      changes: isNew && current !== undefined ? [draft("a", current, value)] : [],
      fingerprint: String(value),
    });
    const { outcome } = await test.store["write.commit"](commit);
    if (outcome === "stale") await assessLate(root, { job, value });
    if (outcome !== "conflict") return;
  }
}

async function assessLate(root: string, { job, value }: Look): Promise<void> {
  const past = await test.store["read.values"]({ ...refOf(root), before: job });
  const before = past?.values[0]?.value as number | undefined;
  const isUnknown = before !== undefined && value !== before && value !== past?.following[0]?.value;
  await test.store["write.commit"]({
    look: lookAt(root, job),
    expectedRevision: past?.revision ?? 0,
    result: { status: "late", changes: isUnknown ? [draft("a", before, value)] : [] },
  });
}

async function readRecorded(root: string): Promise<Recorded[]> {
  const rows = await test.database.rows(
    z.object({ epoch: z.number(), sequence: z.number(), from: z.number(), to: z.number(), isLate: z.boolean() }),
    `SELECT c.job_epoch AS epoch, c.job_sequence AS sequence, c.old_value AS "from", c.new_value AS "to",
        c.is_late AS "isLate"
      FROM change c JOIN resource r USING (resource_key) WHERE r.resource = $1 ORDER BY c.position`,
    [refOf(root).resource],
  );
  return rows.map(({ epoch, sequence, from, to, isLate }) => [epoch, sequence, from, to, isLate]);
}

/** Looks in the order of their jobs, and an order of delivery in which they may come late, and again. */
const deliveries = fc
  .array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 10 })
  .chain((values) => fc.tuple(fc.constant(values), fc.array(fc.nat({ max: values.length - 1 }), { maxLength: 25 })))
  .map(([values, order]) => {
    const looks = values.map((value, index): Look => ({
      job: { epoch: 1 + Math.floor(index / 5), sequence: 1 + (index % 5) },
      value,
    }));
    return order.map((index) => looks[index] as Look);
  });

describe("whatever order outcomes come in, and however often", () => {
  it("the store holds what a simple model holds", { timeout: 120_000 }, async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(deliveries, async (looks) => {
        const root = `http|https://model-${(runs += 1)}.example/`;
        await watch(test, [root]);
        const model = createModel();
        for (const look of looks) {
          model.deliver(look);
          await assess(root, look);
        }
        expect(await readRecorded(root)).toEqual(model.recorded);
        const standing = await test.store["read.values"](refOf(root));
        expect(standing?.values[0]?.value ?? null).toBe(model.state.current);
      }),
      { numRuns: 60 },
    );
  });

  it("two assessors at once lose and double nothing that one would not", { timeout: 120_000 }, async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(deliveries, async (looks) => {
        const root = `http|https://parallel-${(runs += 1)}.example/`;
        await watch(test, [root]);
        await Promise.all(
          [0, 1].map(async (worker) => {
            for (const look of looks.filter((_, index) => index % 2 === worker)) await assess(root, look);
          }),
        );
        const recorded = await readRecorded(root);
        const jobs = recorded.map(([epoch, sequence]) => `${epoch}:${sequence}`);
        expect(new Set(jobs).size).toBe(jobs.length);
        const newest = looks.toSorted((a, b) => compareJobs(a.job, b.job)).at(-1);
        const standing = await test.store["read.values"](refOf(root));
        expect(standing?.values[0]?.value).toBe(newest?.value);
      }),
      { numRuns: 25 },
    );
  });
});
