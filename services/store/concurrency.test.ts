import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Change } from "#contracts/messages.ts";
import type { Commit, StoreReply } from "#contracts/store.ts";
import { RpcError } from "#runtime/errors.ts";
import {
  committed,
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

function change(root: string, sequence: number, revision: number, from: number, to: number): Commit {
  return seen(root, sequence, revision, {
    writes: [present("a", to)],
    changes: [draft("a", from, to)],
    fingerprint: `f${to}`,
  });
}

async function baseline(root: string): Promise<void> {
  committed(await test.store["write.commit"](seen(root, 1, 0, { writes: [present("a", 0)], fingerprint: "f0" })));
}

async function readWholeFeed(): Promise<Change[]> {
  return (await test.store["read.feed"]({ after: 0, limit: 1000 })).changes;
}

describe("outcomes of one resource that come at once", () => {
  it("are committed one after the other: of 20 against one revision one wins", async () => {
    const root = "http|https://race.example/";
    await watch(test, [root]);
    await baseline(root);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => test.store["write.commit"](change(root, 100 + index, 1, 0, index + 1))),
    );
    const outcomes = replies.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(1);
    // Which of the others came before and which after the winner's place in the order of jobs is chance.
    expect(outcomes.filter((outcome) => outcome === "conflict" || outcome === "stale")).toHaveLength(19);
    expect(await readHistoryOf(test, root)).toHaveLength(2);
  });

  it("are all recorded when each conflict is tried again", async () => {
    const root = "http|https://retry.example/";
    await watch(test, [root]);
    await baseline(root);
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => commitUntilSettled(root, 100 + index)));
    const history = await readHistoryOf(test, root);
    expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(history.length - 1);
    const values = history.map(({ oldValue, newValue }) => [oldValue, newValue]);
    // Each took up where the one before it ended.
    for (const [index, [oldValue]] of values.entries()) expect(oldValue).toEqual(values[index - 1]?.[1] ?? null);
  });

  it("add one set of changes when all are the same job", async () => {
    const root = "http|https://same-job.example/";
    await watch(test, [root]);
    await baseline(root);
    const commit = change(root, 2, 1, 0, 1);
    const replies = await Promise.all(Array.from({ length: 20 }, () => test.store["write.commit"](commit)));
    const ids = replies.map((reply) => committed(reply).changes.map(({ id }) => id));
    expect(new Set(ids.map((each) => each.join())).size).toBe(1);
    expect(ids[0]).toHaveLength(1);
  });

  it("never take an unchanged look for one of the revision that a commit just replaced", async () => {
    for (let round = 0; round < 25; round++) {
      const root = `http|https://unchanged-race-${round}.example/`;
      await watch(test, [root]);
      await baseline(root);
      const [reply, unchanged] = await Promise.all([
        test.store["write.commit"](change(root, 2, 1, 0, 1)),
        test.store["write.unchanged"]({ looks: [{ look: lookAt(root, 3), basis: 1, fingerprint: "f0" }] }),
      ]);
      // Whichever came first: the later job's look is never recorded as equal to what the earlier job replaced.
      expect([
        ["committed", "conflict"],
        ["stale", "committed"],
      ]).toContainEqual([reply.outcome, ...unchanged.outcomes]);
    }
  });

  it("settle in large batches of unchanged looks that overlap", async () => {
    const roots = Array.from({ length: 100 }, (_, index) => `http|https://batch-${index}.example/`);
    await watch(test, roots);
    await Promise.all(roots.map(baseline));
    const batches = Array.from({ length: 8 }, (_, batch) =>
      (batch % 2 === 0 ? roots : roots.toReversed()).map((root, index) => ({
        look: lookAt(root, 10 + batch * 200 + index),
        basis: 1,
        fingerprint: "f0",
      })),
    );
    const replies = await Promise.all(batches.map((looks) => test.store["write.unchanged"]({ looks })));
    const outcomes = replies.flatMap((reply) => reply.outcomes);
    expect(outcomes).toHaveLength(800);
    expect(outcomes.every((outcome) => outcome === "committed" || outcome === "stale")).toBe(true);
    expect(replies[7]?.outcomes.every((outcome) => outcome === "committed")).toBe(true);
  });
});

async function commitUntilSettled(root: string, sequence: number): Promise<StoreReply<"write.commit">["outcome"]> {
  for (;;) {
    const standing = await test.store["read.values"](refOf(root));
    const from = Number(standing?.values[0]?.value);
    const reply = await test.store["write.commit"](change(root, sequence, standing?.revision ?? 0, from, sequence));
    if (reply.outcome !== "conflict") return reply.outcome;
  }
}

describe("the feed", () => {
  it("shows positions in their order: a reader that resumes misses none of those committed meanwhile", async () => {
    const roots = Array.from({ length: 12 }, (_, index) => `http|https://feed-${index}.example/`);
    await watch(test, roots);
    await Promise.all(roots.map(baseline));
    const state = { isDone: false };
    const read: number[] = [];
    const reader = (async () => {
      let after = (await test.store["read.feed"]({ after: 0, limit: 1 })).position;
      for (;;) {
        const isLast = state.isDone;
        const { changes } = await test.store["read.feed"]({ after, limit: 5 });
        read.push(...changes.map(({ position }) => position));
        after = changes.at(-1)?.position ?? after;
        if (changes.length === 0 && isLast) return;
      }
    })();
    const positions = await Promise.all(
      roots.map(async (root) => {
        const own: number[] = [];
        for (let step = 1; step <= 10; step++) {
          const reply = committed(await test.store["write.commit"](change(root, 1 + step, step, step - 1, step)));
          own.push(...reply.changes.map(({ position }) => position));
        }
        return own;
      }),
    );
    state.isDone = true;
    await reader;
    expect(read).toEqual(positions.flat().toSorted((a, b) => a - b));
    expect(new Set(read).size).toBe(120);
  });
});

describe("when connections are killed in the middle", () => {
  it("commits each outcome exactly once if callers repeat what was unavailable", async () => {
    const roots = Array.from({ length: 10 }, (_, index) => `http|https://killed-${index}.example/`);
    await watch(test, roots);
    await Promise.all(roots.map(baseline));
    const state = { isDone: false, kills: 0 };
    const killer = (async () => {
      while (!state.isDone) {
        state.kills += await killAll().catch(() => 0);
        await sleep(7);
      }
    })();
    await Promise.all(
      roots.map(async (root) => {
        for (let step = 1; step <= 12; step++)
          await repeat(() => test.store["write.commit"](change(root, 1 + step, step, step - 1, step)));
      }),
    );
    state.isDone = true;
    await killer;
    expect(state.kills).toBeGreaterThan(0);
    for (const root of roots) {
      const history = await readHistoryOf(test, root);
      expect(history.map(({ newValue }) => newValue)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
    const own = (await readWholeFeed()).filter(({ resource }) => resource.startsWith("https://killed-"));
    expect(own).toHaveLength(120);
  });
});

/** Ends every other connection to this database. */
async function killAll(): Promise<number> {
  const rows = await test.database.rows(
    z.object({}),
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.3`,
  );
  return rows.length;
}

async function repeat<Result>(action: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof RpcError) || !error.isTemporary) throw error;
    }
  }
}
