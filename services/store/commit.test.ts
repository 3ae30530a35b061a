import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { resourceId } from "#contracts/subjects.ts";
import { commit } from "./commit.ts";
import {
  committed,
  configure,
  draft,
  lookAt,
  present,
  readHistoryOf,
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

/** A watched resource of its own for one test, with `a` = 1 as its baseline at revision 1, seen by job 10. */
async function watched(name: string): Promise<string> {
  const root = `http|https://${name}.example/`;
  await watch(test, [root]);
  committed(await test.store["write.commit"](seen(root, 10, 0, { writes: [present("a", 1)] })));
  return root;
}

async function valuesOf(root: string) {
  const values = await test.store["read.values"](refOf(root));
  if (values === null) throw new Error("there is no such resource");
  return values;
}

async function changesOf(root: string) {
  const { module, resource } = refOf(root);
  const page = await test.store["read.changes"]({
    limit: 1000,
    cursor: null,
    resourceId: resourceId(module, resource),
  });
  return page.items.toReversed();
}

describe("a good look", () => {
  it("makes revision 1 of the first report, even of an empty one", async () => {
    const root = "http|https://empty.example/";
    await watch(test, [root]);
    const reply = await test.store["write.commit"](seen(root, 1, 0));
    expect(reply).toEqual({ outcome: "committed", revision: 1, changes: [], health: [] });
    expect(await valuesOf(root)).toMatchObject({ revision: 1, exists: true, values: [] });
  });

  it("writes values, history and changes under a new revision", async () => {
    const root = await watched("writes");
    const { revision, changes } = committed(
      await test.store["write.commit"](
        seen(root, 11, 1, {
          writes: [present("a", { b: [1, "ü"] }, { severity: "low", reason: "odd" })],
          changes: [draft("a", 1, { b: [1, "ü"] })],
          fingerprint: "f2",
        }),
      ),
    );
    expect(revision).toBe(2);
    expect(changes).toEqual([
      expect.objectContaining({
        attribute: "a",
        oldValue: 1,
        newValue: { b: [1, "ü"] },
        isLate: false,
        host: "a.example",
      }),
    ]);
    expect(await valuesOf(root)).toMatchObject({
      revision: 2,
      fingerprint: "f2",
      values: [{ attribute: "a", value: { b: [1, "ü"] }, isPresent: true, severity: "low", reason: "odd" }],
    });
    expect(await readHistoryOf(test, root)).toMatchObject([
      { revision: 1, oldValue: null, newValue: 1, wasPresent: false, isPresent: true, changeId: null },
      {
        revision: 2,
        oldValue: 1,
        newValue: { b: [1, "ü"] },
        wasPresent: true,
        isPresent: true,
        changeId: changes[0]?.id,
      },
    ]);
  });

  it("records every flip of A → X → A", async () => {
    const root = await watched("flips");
    for (const [index, [from, to]] of (
      [
        [1, 2],
        [2, 1],
        [1, 2],
      ] as const
    ).entries()) {
      committed(
        await test.store["write.commit"](
          seen(root, 11 + index, 1 + index, { writes: [present("a", to)], changes: [draft("a", from, to)] }),
        ),
      );
    }
    const changes = await changesOf(root);
    expect(changes.map(({ oldValue, newValue }) => [oldValue, newValue])).toEqual([
      [1, 2],
      [2, 1],
      [1, 2],
    ]);
    expect(new Set(changes.map(({ id }) => id)).size).toBe(3);
    expect((await valuesOf(root)).values).toMatchObject([{ value: 2 }]);
  });

  it("keeps the revision when nothing is written", async () => {
    const root = await watched("quiet");
    expect(await test.store["write.commit"](seen(root, 11, 1))).toMatchObject({ outcome: "committed", revision: 1 });
    expect(await readHistoryOf(test, root)).toHaveLength(1);
  });

  it("makes a new revision of what the module saved, and none of the same again", async () => {
    const root = await watched("saves");
    const look = { ...refOf(root), needs: [] };
    expect(await test.store["write.commit"](seen(root, 11, 1, { state: { b: 1, a: 2 } }))).toMatchObject({
      revision: 2,
    });
    expect(await test.store["write.commit"](seen(root, 12, 2, { state: { a: 2, b: 1 } }))).toMatchObject({
      revision: 2,
    });
    expect((await test.store["read.look"](look)).state).toEqual({ a: 2, b: 1 });
    expect(await test.store["write.commit"](seen(root, 13, 2))).toMatchObject({ revision: 2 });
    expect((await test.store["read.look"](look)).state).toEqual({ a: 2, b: 1 });
    expect(await test.store["write.commit"](seen(root, 14, 2, { state: null }))).toMatchObject({ revision: 3 });
    expect((await test.store["read.look"](look)).state).toBeNull();
  });

  it("keeps the row of a value that disappeared, and hands it to no look", async () => {
    const root = await watched("disappears");
    const writes = [present("a", 1, { isPresent: false })];
    const changes = [draft("a", 1, null, { kind: "disappeared" })];
    committed(await test.store["write.commit"](seen(root, 11, 1, { writes, changes })));
    expect((await valuesOf(root)).values).toMatchObject([{ attribute: "a", isPresent: false }]);
    expect((await test.store["read.look"]({ ...refOf(root), needs: [] })).previous).toEqual([]);
    expect((await readHistoryOf(test, root)).at(-1)).toMatchObject({ wasPresent: true, isPresent: false });
  });

  it("records each of several things that happened under one name", async () => {
    const root = await watched("happenings");
    const changes = ["x", "y"].map((value) => draft("suspicious_commit", null, value, { kind: "happened" }));
    const commit = seen(root, 11, 1, { changes });
    committed(await test.store["write.commit"](commit));
    committed(await test.store["write.commit"](commit));
    expect((await changesOf(root)).map(({ newValue }) => newValue)).toEqual(["x", "y"]);
    expect(await readHistoryOf(test, root)).toHaveLength(1);
  });

  it("keeps whatever a hostile site sends, as it was", async () => {
    const root = await watched("hostile");
    const value = { "\0": "\0\u202E", lone: "\uD800", quote: `'";--\\`, array: ["{}", "null", null], tiny: -1e-300 };
    const reason = "it holds \0 and \uD800";
    const writes = [present("a", value, { severity: "low", reason })];
    committed(
      await test.store["write.commit"](
        seen(root, 11, 1, {
          writes,
          fingerprint: "f",
          changes: [draft("a", 1, value, { reason, evidence: { mediaType: "text/plain", text: "\0" } })],
        }),
      ),
    );
    expect((await valuesOf(root)).values[0]?.value).toEqual(value);
    const [change] = await changesOf(root);
    expect(change?.newValue).toEqual(value);
    expect(change?.reason).toBe("it holds \uFFFD and \uFFFD");
  });

  it("says which value it cannot hold instead of failing for ever", async () => {
    const root = await watched("nul");
    // The contract refuses such a name before; this is the last line behind it.
    await expect(commit(test.database, seen(root, 11, 1, { writes: [present("with\0nul", 1)] }))).rejects.toMatchObject(
      { code: "bad_request", isTemporary: false },
    );
  });

  it("keeps equal evidence once", async () => {
    const root = await watched("evidence");
    const evidence = { mediaType: "text/plain", text: "the very same body" };
    const changes = [draft("a", 1, 2, { evidence }), draft("b", null, 2, { kind: "appeared", evidence })];
    const reply = committed(await test.store["write.commit"](seen(root, 11, 1, { changes })));
    for (const { id } of reply.changes) {
      expect(await test.store["read.change"]({ id })).toMatchObject({
        evidence: [evidence],
        triage: "open",
        publishedAt: null,
        look: { job: { epoch: 1, sequence: 11 }, fetcher: "fetcher-1" },
      });
    }
    const rows = await test.database.rows(z.object({}), "SELECT FROM evidence WHERE text = $1", [evidence.text]);
    expect(rows).toHaveLength(1);
  });
});

describe("a repeated, old or foreign outcome", () => {
  it("answers a repeat with what is still to be published, and adds nothing", async () => {
    const root = await watched("repeats");
    const commit = seen(root, 11, 1, { writes: [present("a", 2)], changes: [draft("a", 1, 2), draft("b", null, 1)] });
    const first = committed(await test.store["write.commit"](commit));
    expect(await test.store["write.commit"](commit)).toEqual({ ...first, outcome: "committed" });
    const [published, left] = first.changes;
    await test.store["write.published"]({ changes: [published?.id ?? ""], health: [] });
    expect(committed(await test.store["write.commit"](commit)).changes).toEqual([left]);
    expect(await changesOf(root)).toHaveLength(2);
    expect((await valuesOf(root)).revision).toBe(2);
  });

  it("knows a repeat even after later looks were committed", async () => {
    const root = await watched("repeats-later");
    const commit = seen(root, 11, 1, { writes: [present("a", 2)], changes: [draft("a", 1, 2)] });
    const first = committed(await test.store["write.commit"](commit));
    committed(
      await test.store["write.commit"](seen(root, 12, 2, { writes: [present("a", 3)], changes: [draft("a", 2, 3)] })),
    );
    expect(committed(await test.store["write.commit"](commit)).changes).toEqual(first.changes);
    const baseline = seen(root, 10, 0, { writes: [present("a", 1)] });
    expect(await test.store["write.commit"](baseline)).toMatchObject({ outcome: "committed", changes: [] });
    expect(await changesOf(root)).toHaveLength(2);
  });

  it("answers conflict when the revision moved, whether or not the look changed anything", async () => {
    const root = await watched("conflicts");
    expect(await test.store["write.commit"](seen(root, 11, 0))).toEqual({ outcome: "conflict", revision: 1 });
    expect(await test.store["write.commit"](seen(root, 11, 2, { writes: [present("a", 9)] }))).toEqual({
      outcome: "conflict",
      revision: 1,
    });
    const gone = { look: lookAt(root, 11), expectedRevision: 0, result: { status: "gone" as const, changes: [] } };
    expect(await test.store["write.commit"](gone)).toEqual({ outcome: "conflict", revision: 1 });
  });

  it("refuses an outcome that is older than the fence, by epoch first", async () => {
    const root = await watched("stale");
    expect(await test.store["write.commit"](seen(root, 9, 1))).toEqual({ outcome: "stale" });
    committed(await test.store["write.commit"](seen(root, { epoch: 2, sequence: 1 }, 1)));
    expect(await test.store["write.commit"](seen(root, { epoch: 1, sequence: 999 }, 1))).toEqual({ outcome: "stale" });
  });

  it("drops outcomes of what is unknown or no longer watched", async () => {
    expect(await test.store["write.commit"](seen("http|https://never.example/", 1, 0))).toEqual({
      outcome: "dropped",
      reason: "unknown",
    });
    const root = await watched("dropped");
    await configure(test, []);
    const commit = seen(root, 11, 1, { writes: [present("a", 2)] });
    expect(await test.store["write.commit"](commit)).toEqual({ outcome: "dropped", reason: "retired" });
    expect((await valuesOf(root)).values).toMatchObject([{ value: 1 }]);
  });
});

describe("a late look", () => {
  async function lateSetting(name: string) {
    const root = await watched(name);
    committed(
      await test.store["write.commit"](seen(root, 20, 1, { writes: [present("a", 3)], changes: [draft("a", 1, 3)] })),
    );
    const late = {
      look: lookAt(root, 15),
      expectedRevision: 2,
      result: { status: "late" as const, changes: [draft("a", 1, 2)] },
    };
    return { root, late };
  }

  it("is compared with what was just before its job, and with what followed", async () => {
    const { root } = await lateSetting("late-reads");
    const values = await test.store["read.values"]({ ...refOf(root), before: { epoch: 1, sequence: 15 } });
    expect(values).toMatchObject({
      revision: 2,
      values: [{ attribute: "a", value: 1, isPresent: true }],
      following: [{ attribute: "a", value: 3, isPresent: true }],
    });
  });

  it("adds a late change once, and touches neither values nor revision nor fence", async () => {
    const { root, late } = await lateSetting("late-once");
    const before = await valuesOf(root);
    const first = committed(await test.store["write.commit"](late));
    expect(first.changes).toMatchObject([{ attribute: "a", oldValue: 1, newValue: 2, isLate: true }]);
    expect(committed(await test.store["write.commit"](late)).changes).toEqual(first.changes);
    expect(await valuesOf(root)).toEqual(before);
    expect((await readHistoryOf(test, root)).filter(({ isLate }) => isLate)).toHaveLength(1);
    expect(await test.store["write.commit"](seen(root, 19, 2))).toEqual({ outcome: "stale" });
    committed(await test.store["write.commit"](seen(root, 21, 2)));
  });

  it("leaves no mark on what later looks are compared with", async () => {
    const { root, late } = await lateSetting("late-marks");
    committed(await test.store["write.commit"](late));
    const values = await test.store["read.values"]({ ...refOf(root), before: { epoch: 1, sequence: 16 } });
    expect(values).toMatchObject({ values: [{ attribute: "a", value: 1 }] });
  });

  it("is told once when another late look saw the same between the same two", async () => {
    const { root, late } = await lateSetting("late-twice");
    committed(await test.store["write.commit"](late));
    for (const sequence of [14, 16]) {
      const again = { ...late, look: lookAt(root, sequence) };
      expect(committed(await test.store["write.commit"](again)).changes).toEqual([]);
    }
    const other = { ...late, look: lookAt(root, 17), result: { ...late.result, changes: [draft("a", 1, 9)] } };
    expect(committed(await test.store["write.commit"](other)).changes).toHaveLength(1);
  });

  it("is no way past the fence: a newer job is a conflict", async () => {
    const { root, late } = await lateSetting("late-newer");
    const reply = await test.store["write.commit"]({ ...late, look: lookAt(root, 99) });
    expect(reply).toEqual({ outcome: "conflict", revision: 2 });
  });
});

describe("a resource that is gone", () => {
  const gone = (
    root: string,
    sequence: number,
    expectedRevision: number,
    changes = [draft("exists", true, false)],
  ) => ({
    look: lookAt(root, sequence),
    expectedRevision,
    result: { status: "gone" as const, changes },
  });

  it("keeps its values, and comes back with one change", async () => {
    const root = await watched("goes");
    expect(await test.store["write.commit"](gone(root, 11, 1))).toMatchObject({ outcome: "committed", revision: 2 });
    expect(await valuesOf(root)).toMatchObject({
      exists: false,
      fingerprint: null,
      values: [{ attribute: "a", value: 1, isPresent: true }],
    });
    expect(await test.store["write.commit"](gone(root, 12, 2, []))).toMatchObject({ revision: 2 });
    const back = seen(root, 13, 2, { changes: [draft("exists", false, true)] });
    expect(await test.store["write.commit"](back)).toMatchObject({ revision: 3 });
    expect(await changesOf(root)).toMatchObject([
      { attribute: "exists", newValue: false },
      { attribute: "exists", newValue: true },
    ]);
    expect(await readHistoryOf(test, root)).toMatchObject([
      { attribute: "a" },
      { attribute: "exists", oldValue: true, newValue: false, revision: 2 },
      { attribute: "exists", oldValue: false, newValue: true, revision: 3 },
    ]);
  });

  it("tells whether it existed at a revision or before a job", async () => {
    const root = await watched("existed");
    committed(await test.store["write.commit"](gone(root, 11, 1)));
    committed(await test.store["write.commit"](seen(root, 13, 2)));
    const existed = async (moment: object) => (await test.store["read.values"]({ ...refOf(root), ...moment }))?.exists;
    expect(await existed({ atRevision: 1 })).toBe(true);
    expect(await existed({ atRevision: 2 })).toBe(false);
    expect(await existed({ atRevision: 3 })).toBe(true);
    expect(await existed({ before: { epoch: 1, sequence: 11 } })).toBe(true);
    expect(await existed({ before: { epoch: 1, sequence: 12 } })).toBe(false);
  });

  it("may be gone at its first look", async () => {
    const root = "http|https://never-there.example/";
    await watch(test, [root]);
    expect(await test.store["write.commit"](gone(root, 1, 0, []))).toMatchObject({ outcome: "committed", revision: 1 });
    expect(await valuesOf(root)).toMatchObject({ exists: false, revision: 1 });
  });
});
