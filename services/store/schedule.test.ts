import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DueJob } from "#contracts/store.ts";
import { messageIds, resourceId } from "#contracts/subjects.ts";
import { phasesBetween, slotAt } from "./slots.ts";
import {
  committed,
  configure,
  confirmation,
  draft,
  everyMs,
  lookAt,
  refOf,
  seen,
  startTestStore,
  watch,
} from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
});
afterAll(async () => {
  await test.stop();
});

const idOf = (root: string) => resourceId(refOf(root).module, refOf(root).resource);
const phaseOf = (root: string, every: number) => Number.parseInt(idOf(root).slice(0, 8), 16) % every;

async function due(from: number, to: number, limit = 1000): Promise<DueJob[]> {
  const jobs: DueJob[] = [];
  let cursor: string | null = null;
  do {
    const page: { jobs: DueJob[]; cursor: string | null } = await test.store["read.due"]({ from, to, limit, cursor });
    jobs.push(...page.jobs);
    ({ cursor } = page);
  } while (cursor !== null);
  return jobs;
}

describe("slots", () => {
  const moments = fc.record({
    every: fc.integer({ min: 1, max: 1000 }),
    phase: fc.nat(),
    from: fc.nat({ max: 100_000 }),
    length: fc.integer({ min: -10, max: 3000 }),
  });

  it("begin within (from, to] exactly where a new slot holds at `to`", () => {
    fc.assert(
      fc.property(moments, ({ every, phase: seed, from, length }) => {
        const phase = seed % every;
        const to = from + length;
        const isFound = phasesBetween(every, from, to).some(({ after, upTo }) => phase > after && phase <= upTo);
        expect(isFound).toBe(to > from && slotAt(to, every, phase) > slotAt(from, every, phase));
      }),
    );
  });
});

describe("the schedule", () => {
  const roots = Array.from({ length: 40 }, (_, index) => `http|https://slot-${index}.example/`);
  /** Long after the first looks that confirmations wanted. */
  const start = Date.now() + 1000 * everyMs;

  async function prepare(): Promise<void> {
    await watch(test, roots);
    for (const root of roots) committed(await test.store["write.commit"](seen(root, 10, 0)));
    const jobs = roots.map((root) => ({
      id: idOf(root),
      operation: "discovery" as const,
      cause: "discovery" as const,
      isOutstanding: false,
    }));
    await test.store["write.queued"]({ jobs, dueBy: Date.now() + 1 });
  }

  it("gives each resource one slot a period, whatever the collector's steps", async () => {
    await prepare();
    const scheduled: DueJob[] = [];
    for (let at = start; at < start + everyMs; at += everyMs / 16) {
      const jobs = await due(at, at + everyMs / 16, 3);
      scheduled.push(...jobs.filter(({ cause }) => cause === "schedule"));
    }
    expect(scheduled.map(({ id }) => id).toSorted()).toEqual(roots.map(idOf).toSorted());
    for (const root of roots) {
      const slot = slotAt(start + everyMs, everyMs, phaseOf(root, everyMs));
      expect(scheduled.find(({ id }) => id === idOf(root))?.messageId).toBe(messageIds.scheduled(idOf(root), slot));
    }
  });

  it("gives only the current slot after a downtime", async () => {
    const jobs = (await due(start, start + 10 * everyMs, 7)).filter(({ cause }) => cause === "schedule");
    expect(jobs.map(({ id }) => id).toSorted()).toEqual(roots.map(idOf).toSorted());
  });

  it("tells two collectors that ask at once the same", async () => {
    const [one, other] = await Promise.all([due(start, start + everyMs), due(start, start + everyMs)]);
    expect(one).toEqual(other);
  });

  it("follows the periods of targets and modules as soon as they are in force", async () => {
    const [first = "", second = "", third = ""] = roots;
    const named = (root: string, every: number | null) => ({
      ...refOf(root),
      lane: "a.example",
      owner: "example",
      everyMs: every,
    });
    await configure(test, [], {
      roots: [named(first, 5000), named(second, null), named(third, null)],
      everyMsByModule: { http: 60_000 },
    });
    const ids = (await due(start, start + 60_000)).filter(({ cause }) => cause === "schedule").map(({ id }) => id);
    expect(ids.toSorted()).toEqual([first, second, third].map(idOf).toSorted());
    const within = (await due(start, start + 5000)).filter(({ cause }) => cause === "schedule").map(({ id }) => id);
    expect(within).toContain(idOf(first));
    await configure(test, roots);
  });

  it("refuses a cursor that it did not give out", async () => {
    const request = { from: 0, to: 1, limit: 10, cursor: "bm9uc2Vuc2U" };
    await expect(test.store["read.due"](request)).rejects.toMatchObject({ code: "bad_cursor" });
    await expect(test.store["read.overdue"]({ now: 1, limit: 10, cursor: "{" })).rejects.toMatchObject({
      code: "bad_cursor",
    });
  });
});

describe("looks out of turn", () => {
  it("has what became watched looked at within seconds, in its current slot", async () => {
    const root = "http|https://just-confirmed.example/";
    await watch(test, [root]);
    const now = Date.now();
    const jobs = (await due(now - 1000, now + 3000)).filter(({ cause }) => cause === "schedule");
    const slot = slotAt(now + 3000, everyMs, phaseOf(root, everyMs));
    expect(jobs.map(({ messageId }) => messageId)).toContain(messageIds.scheduled(idOf(root), slot));
  });

  it("looks again sooner after a change, urgently, until that was queued", async () => {
    const root = "http|https://sooner.example/";
    await watch(test, [root]);
    committed(await test.store["write.commit"](seen(root, 1, 0)));
    committed(await test.store["write.commit"](seen(root, 2, 1, { changes: [draft("a", 1, 2)] })));
    const soon = Date.now() + 60_000;
    const sooner = async () => (await due(soon, soon + 2000)).filter(({ cause }) => cause === "after_change");
    expect(await sooner()).toMatchObject([
      { id: idOf(root), jobClass: "now", messageId: expect.stringMatching(`^${idOf(root)}@after:1:\\d+$`) },
    ]);
    expect((await due(0, soon - 5000)).filter(({ cause }) => cause === "after_change")).toEqual([]);
    const queued = { id: idOf(root), operation: "observation" as const, cause: "after_change" as const };
    // Not due yet: somebody tells late of an earlier one.
    await test.store["write.queued"]({ jobs: [{ ...queued, isOutstanding: false }], dueBy: Date.now() + 1 });
    expect(await sooner()).toHaveLength(1);
    // However soon the next one was planned.
    const dueBy = Date.now() + 1;
    await test.database.run("UPDATE early_look SET due_at = now() + interval '1 second'");
    await test.store["write.queued"]({ jobs: [{ ...queued, isOutstanding: false }], dueBy });
    expect(await sooner()).toHaveLength(1);
    await test.database.run("UPDATE early_look SET due_at = now()");
    await test.store["write.queued"]({ jobs: [{ ...queued, isOutstanding: true }], dueBy: Date.now() + 1 });
    expect(await sooner()).toHaveLength(1);
    await test.database.run("UPDATE early_look SET due_at = now()");
    await test.store["write.queued"]({ jobs: [{ ...queued, isOutstanding: false }], dueBy: Date.now() + 1 });
    expect(await sooner()).toEqual([]);
  });

  it("looks at once at what is watched again, also within the slot of its last look", async () => {
    const root = "http|https://again.example/";
    await watch(test, [root]);
    const firstLook = async () => {
      const now = Date.now() + 2000;
      const [job] = (await due(now - 10_000, now)).filter(({ id, cause }) => id === idOf(root) && cause === "schedule");
      return job;
    };
    const before = await firstLook();
    committed(await test.store["write.commit"](seen(root, 1, 0)));
    await configure(test, []);
    await configure(test, [root]);
    const after = await firstLook();
    expect(before?.messageId).toBeDefined();
    // The stream would take the same id for a repeat.
    expect(after?.messageId).not.toBe(before?.messageId);
  });

  it("finds what no look has reached since its slot began, by pages", async () => {
    const roots = ["a", "b", "c"].map((name) => `http|https://overdue-${name}.example/`);
    const [a = "", b = "", c = ""] = roots;
    await watch(test, roots);
    const now = Date.now();
    const at = (root: string, ms: number) => ({
      ...seen(root, 1, 0),
      look: { ...lookAt(root, 1), observedAt: new Date(ms).toISOString() },
    });
    const slotStart = (root: string) => slotAt(now, everyMs, phaseOf(root, everyMs)) * everyMs + phaseOf(root, everyMs);
    committed(await test.store["write.commit"](at(a, slotStart(a) - 1)));
    committed(await test.store["write.commit"](at(b, slotStart(b))));
    const found: DueJob[] = [];
    let cursor: string | null = null;
    do {
      const page: { jobs: DueJob[]; cursor: string | null } = await test.store["read.overdue"]({
        now,
        limit: 1,
        cursor,
      });
      found.push(...page.jobs);
      ({ cursor } = page);
    } while (cursor !== null);
    expect(found.map(({ id }) => id)).toEqual([idOf(a), idOf(c)]);
    expect(found[1]?.messageId).toBe(messageIds.scheduled(idOf(c), slotAt(now, everyMs, phaseOf(c, everyMs))));
  });
});

describe("discoveries", () => {
  const root = "http|https://discovered.example/";
  const queued = (isOutstanding: boolean) => ({
    jobs: [{ id: idOf(root), operation: "discovery" as const, cause: "discovery" as const, isOutstanding }],
    dueBy: Date.now() + 1,
  });
  const waiting = async (withinMs: number) =>
    (await due(0, Date.now() + withinMs)).filter(({ operation }) => operation === "discovery");

  it("come at once, and again ever later under another id until something comes of them", async () => {
    await configure(test, [root]);
    const [first] = await waiting(0);
    expect(first).toMatchObject({ id: idOf(root), operation: "discovery", revision: 0 });
    await test.store["write.queued"](queued(false));
    // A second collector that tells the same moves nothing.
    await test.store["write.queued"](queued(false));
    expect(await waiting(28_000)).toEqual([]);
    const [second] = await waiting(31_000);
    expect(second?.messageId).not.toBe(first?.messageId);
    await test.database.run("UPDATE resource SET discover_at = now() WHERE id = $1", [idOf(root)]);
    await test.store["write.queued"](queued(false));
    expect(await waiting(58_000)).toEqual([]);
    expect(await waiting(61_000)).toHaveLength(1);
    await test.database.run("UPDATE resource SET discover_at = now() WHERE id = $1", [idOf(root)]);
    await test.store["write.queued"](queued(true));
    expect(await waiting(6000)).toHaveLength(1);
  });

  it("come again when rediscovery is due", async () => {
    await test.store["write.confirmation"](confirmation(root, root, 5));
    await test.store["write.discovered"]({
      ...refOf(root),
      job: { epoch: 1, sequence: 5 },
      result: { status: "discovered", confirmed: [refOf(root)], suggested: [] },
    });
    expect(await waiting(86_000_000)).toEqual([]);
    expect(await waiting(86_500_000)).toMatchObject([{ id: idOf(root), operation: "discovery", jobClass: "due" }]);
  });
});
