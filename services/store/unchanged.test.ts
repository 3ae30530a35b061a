import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Json } from "#contracts/canonical.ts";
import { only } from "./database.ts";
import type { Statements } from "./database.ts";
import { recordUnchanged } from "./unchanged.ts";
import { committed, configure, lookAt, present, refOf, seen, startTestStore, watch } from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
});
afterAll(async () => {
  await test.stop();
});

async function watched(name: string): Promise<string> {
  const root = `http|https://${name}.example/`;
  await watch(test, [root]);
  committed(await test.store["write.commit"](seen(root, 10, 0, { writes: [present("a", 1)], fingerprint: "f" })));
  return root;
}

function unchanged(root: string, sequence: number, more: { basis?: number; fingerprint?: string; state?: Json } = {}) {
  return { look: lookAt(root, sequence), basis: 1, fingerprint: "f", ...more };
}

async function record(...looks: ReturnType<typeof unchanged>[]) {
  return (await test.store["write.unchanged"]({ looks })).outcomes;
}

describe("an unchanged look", () => {
  it("moves the fence and the age, and nothing else", async () => {
    const root = await watched("moves");
    const before = await test.store["read.values"](refOf(root));
    const look = unchanged(root, 12);
    expect(await record(look)).toEqual(["committed"]);
    expect(await test.store["read.values"](refOf(root))).toEqual(before);
    const [summary] = (await test.store["read.resources"]({ limit: 1, cursor: null, text: "moves.example" })).items;
    expect(summary).toMatchObject({ lastLookAt: look.look.observedAt, lastSeenAt: look.look.observedAt });
    expect(await test.store["write.commit"](seen(root, 11, 1))).toEqual({ outcome: "stale" });
  });

  it("is told apart: repeated, stale, in conflict, or of what is not watched", async () => {
    const root = await watched("told-apart");
    const retired = await watched("retired");
    await configure(test, [root]);
    expect(
      await record(
        unchanged(root, 12),
        unchanged(root, 13, { basis: 0 }),
        unchanged(root, 14, { fingerprint: "other" }),
        unchanged(root, 11),
        unchanged(root, 12),
        unchanged(retired, 12),
        unchanged("http|https://unknown.example/", 12),
      ),
    ).toEqual(["committed", "conflict", "conflict", "committed", "repeated", "dropped", "dropped"]);
    expect(await record(unchanged(root, 11), unchanged(root, 12))).toEqual(["stale", "repeated"]);
  });

  it("of values that only a lost database held has them asked for again, soon", async () => {
    for (const [name, lost] of Object.entries({ later: { basis: 5 }, other: { fingerprint: "other" } })) {
      const root = await watched(`lost-${name}`);
      expect(await record(unchanged(root, 12, lost))).toEqual(["conflict"]);
      const { revision } = await test.store["read.look"]({ ...refOf(root), needs: [] });
      expect(revision).toBeGreaterThan("basis" in lost ? lost.basis : 1);
      const { jobs } = await test.store["read.due"]({ from: Date.now(), to: Date.now(), limit: 100, cursor: null });
      expect(jobs).toContainEqual(expect.objectContaining({ ...refOf(root), cause: "after_change", revision }));
      expect(await record(unchanged(root, 13, { basis: 0 }))).toEqual(["conflict"]);
      expect((await test.store["read.look"]({ ...refOf(root), needs: [] })).revision).toBe(revision);
    }
  });

  it("is no unchanged look of something that was gone", async () => {
    const root = await watched("gone");
    committed(
      await test.store["write.commit"]({
        look: lookAt(root, 11),
        expectedRevision: 1,
        result: { status: "gone", changes: [] },
      }),
    );
    expect(await record(unchanged(root, 12, { basis: 2 }))).toEqual(["conflict"]);
  });

  it("makes a new revision when the module saved something else, for fetchers keep both together", async () => {
    const root = await watched("saves");
    expect(await record(unchanged(root, 11, { state: { a: 1, b: 2 } }))).toEqual(["committed"]);
    expect(await test.store["read.look"]({ ...refOf(root), needs: [] })).toMatchObject({
      revision: 2,
      state: { a: 1, b: 2 },
      fence: { epoch: 1, sequence: 11 },
    });
    expect(await record(unchanged(root, 12, { basis: 2, state: { b: 2, a: 1 } }))).toEqual(["committed"]);
    expect(await record(unchanged(root, 13, { basis: 2, state: { b: 3 } }))).toEqual(["committed"]);
    expect(await record(unchanged(root, 14, { basis: 2 }))).toEqual(["conflict"]);
  });

  it("of a new version of the module or other options ends the baseline that those began", async () => {
    const root = await watched("versions");
    const look = unchanged(root, 11);
    expect(await record({ ...look, look: { ...look.look, moduleVersion: 2, optionsFingerprint: "new" } })).toEqual([
      "committed",
    ]);
    expect(await test.store["read.values"](refOf(root))).toMatchObject({ moduleVersion: 2, optionsFingerprint: "new" });
  });

  it("is written in place: no index grows and no value is touched", async () => {
    const root = await watched("in-place");
    const Counts = z.object({ updates: z.number(), hot: z.number(), values: z.number() });
    const statement = `SELECT pg_stat_get_xact_tuples_updated('look'::regclass) AS updates,
      pg_stat_get_xact_tuples_hot_updated('look'::regclass) AS hot,
      pg_stat_get_xact_tuples_updated('value'::regclass) AS values`;
    // The handler inside one transaction, whose connection counts what it wrote.
    const [before, after] = await test.database.transaction(async (tx) => {
      const inside = {
        ...test.database,
        transaction: async <R>(work: (inner: Statements) => Promise<R>) => await work(tx),
      };
      const counted = await tx.row(Counts, statement);
      await recordUnchanged(inside, { looks: [unchanged(root, 11)] });
      return [only(counted), only(await tx.row(Counts, statement))] as const;
    });
    expect(after).toEqual({ updates: before.updates + 1, hot: before.hot + 1, values: before.values });
  });
});
