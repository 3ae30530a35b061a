import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LookFailure } from "#contracts/messages.ts";
import type { Commit } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import {
  committed,
  configure,
  confirmation,
  lookAt,
  present,
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

const timeout: LookFailure = { kind: "timeout", message: "no answer within 10 s" };

function failed(root: string, sequence: number, error = timeout, observedAt?: string): Commit {
  const look = lookAt(root, sequence);
  return {
    look: { ...look, observedAt: observedAt ?? look.observedAt },
    expectedRevision: 0,
    result: { status: "failed", error },
  };
}

async function watched(name: string): Promise<string> {
  const root = `http|https://${name}.example/`;
  await watch(test, [root]);
  committed(await test.store["write.commit"](seen(root, 10, 0, { writes: [present("a", 1)], fingerprint: "f" })));
  return root;
}

async function detailOf(root: string) {
  const { module, resource } = refOf(root);
  const detail = await test.store["read.resource"]({ id: resourceId(module, resource) });
  if (detail === null) throw new Error("there is no such resource");
  return detail;
}

describe("a look that fails", () => {
  it("touches no value and no revision, and is shown with its age", async () => {
    const root = await watched("shown");
    const before = await test.store["read.values"](refOf(root));
    const commit = failed(root, 11);
    expect(await test.store["write.commit"](commit)).toMatchObject({ outcome: "committed", revision: 1 });
    expect(await test.store["read.values"](refOf(root))).toEqual(before);
    const detail = await detailOf(root);
    expect(detail).toMatchObject({ failures: 1, error: timeout, failingSince: commit.look.observedAt });
    expect(detail.lastLookAt).toBe(commit.look.observedAt);
    expect(Date.parse(detail.lastSeenAt ?? "")).toBeLessThan(Date.parse(commit.look.observedAt));
  });

  it("is counted once however often its job is repeated", async () => {
    const root = await watched("repeated");
    const commit = failed(root, 11);
    for (let times = 0; times < 3; times++) committed(await test.store["write.commit"](commit));
    expect(await detailOf(root)).toMatchObject({ failures: 1 });
    expect(await test.store["write.commit"](failed(root, 9))).toEqual({ outcome: "stale" });
  });

  it("is announced once when it persists, and once when it recovers", async () => {
    const root = await watched("announced");
    const events = [];
    for (let sequence = 11; sequence < 16; sequence++) {
      const reply = await test.store["write.commit"](failed(root, sequence));
      if (reply.outcome === "committed") events.push(...reply.health);
    }
    expect(events).toMatchObject([
      {
        kind: "failing",
        failures: 3,
        error: timeout,
        reason: "3 looks in a row failed: timeout: no answer within 10 s",
      },
    ]);
    const recovery = seen(root, 16, 1);
    const reply = await test.store["write.commit"](recovery);
    expect(reply).toMatchObject({ health: [{ kind: "recovered", failures: 5, error: null }] });
    expect(await test.store["write.commit"](recovery)).toEqual(reply);
    expect(await test.store["write.commit"](seen(root, 17, 1))).toMatchObject({ health: [] });
    expect(await detailOf(root)).toMatchObject({ failures: 0, failingSince: null, error: null });
  });

  it("ends silently when it had not been announced", async () => {
    const root = await watched("silent");
    committed(await test.store["write.commit"](failed(root, 11)));
    expect(await test.store["write.commit"](seen(root, 12, 1))).toMatchObject({ health: [] });
  });

  it("ends with an unchanged look too, whose event is left to the sweeper", async () => {
    const root = await watched("unchanged");
    const { lastSeenAt } = await detailOf(root);
    for (let sequence = 11; sequence < 14; sequence++)
      committed(await test.store["write.commit"](failed(root, sequence)));
    const looks = [{ look: lookAt(root, 14), basis: 1, fingerprint: "f" }];
    expect(await test.store["write.unchanged"]({ looks })).toEqual({ outcomes: ["committed"] });
    expect(await test.store["write.unchanged"]({ looks })).toEqual({ outcomes: ["repeated"] });
    expect(await detailOf(root)).toMatchObject({ failures: 0 });
    const { health } = await test.store["read.unpublished"]({ olderThanMs: 0, limit: 1000 });
    const { module, resource } = refOf(root);
    const own = health.filter((event) => event.resourceId === resourceId(module, resource));
    expect(own.map(({ kind }) => kind)).toEqual(["failing", "recovered"]);
    expect(own.map((event) => event.lastSeenAt)).toEqual([lastSeenAt, lastSeenAt]);
    await test.store["write.published"]({ changes: [], health: own.map(({ id }) => id) });
    const left = await test.store["read.unpublished"]({ olderThanMs: 0, limit: 1000 });
    expect(left.health.filter((event) => event.resourceId === resourceId(module, resource))).toEqual([]);
  });

  it("is no longer counted against what is retired", async () => {
    const root = await watched("retired");
    committed(await test.store["write.commit"](failed(root, 11)));
    await configure(test, []);
    expect(await detailOf(root)).toMatchObject({ state: "retired", failures: 0 });
  });
});

describe("trying again", () => {
  const observedAt = "2026-02-01T00:00:00.000Z";
  const at = Date.parse(observedAt);

  async function retriesAfter(root: string): Promise<number | null> {
    const { jobs } = await test.store["read.due"]({
      from: at - 1,
      to: at + 10 * 86_400_000,
      limit: 1000,
      cursor: null,
    });
    const { module, resource } = refOf(root);
    if (!jobs.some((job) => job.id === resourceId(module, resource) && job.cause === "retry")) return null;
    const row = await dueAt(root);
    return row - at;
  }

  async function dueAt(root: string): Promise<number> {
    for (let ms = 0; ; ms += 60_000) {
      const { jobs } = await test.store["read.due"]({ from: at, to: at + ms, limit: 1000, cursor: null });
      if (jobs.some(({ resource, cause }) => cause === "retry" && resource === refOf(root).resource)) return at + ms;
    }
  }

  it("waits twice as long each time, and leaves it to the schedule from a period on", async () => {
    const root = await watched("doubles");
    const waits = [];
    for (let sequence = 11; sequence < 18; sequence++) {
      committed(await test.store["write.commit"](failed(root, sequence, timeout, observedAt)));
      waits.push(await retriesAfter(root));
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, null].map((minutes) => minutes && minutes * 60_000));
  });

  it("waits as long as the other side asked for", async () => {
    const root = await watched("limited");
    const limited: LookFailure = { kind: "limited", message: "429", retryAfterMs: 3_600_000 };
    committed(await test.store["write.commit"](failed(root, 11, limited, observedAt)));
    expect(await retriesAfter(root)).toBe(3_600_000);
  });

  it("is over with the next good look", async () => {
    const root = await watched("over");
    committed(await test.store["write.commit"](failed(root, 11, timeout, observedAt)));
    committed(await test.store["write.commit"](seen(root, 12, 1)));
    expect(await retriesAfter(root)).toBeNull();
  });
});

describe("a discovery that fails", () => {
  const root = "http|https://undiscovered.example/";
  const discovered = (sequence: number) =>
    test.store["write.discovered"]({
      ...refOf(root),
      job: { epoch: 1, sequence },
      result: { status: "failed", error: timeout },
    });

  it("shows on the candidate, is announced once, and is over once the module confirms it", async () => {
    await configure(test, [root]);
    const events = [];
    for (let sequence = 1; sequence < 6; sequence++) events.push(...(await discovered(sequence)).health);
    expect(events).toMatchObject([{ kind: "failing", failures: 3 }]);
    // A repeat counts nothing, and hands out what is not published yet.
    expect((await discovered(5)).health).toEqual([]);
    expect(await detailOf(root)).toMatchObject({ state: "candidate", failures: 5, error: timeout });
    await test.store["write.confirmation"](confirmation(root, root, 6));
    expect(await detailOf(root)).toMatchObject({ state: "confirmed", failures: 0, error: null });
    const { health } = await test.store["read.unpublished"]({ olderThanMs: 0, limit: 1000 });
    expect(health.filter(({ resource }) => resource === refOf(root).resource).map(({ kind }) => kind)).toEqual([
      "failing",
      "recovered",
    ]);
  });
});
