import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { changeEvent } from "#contracts/messages.ts";
import type { Change } from "#contracts/messages.ts";
import { messageIds, streams, subjects } from "#contracts/subjects.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { gateDatabase } from "./gate.ts";
import { reconcile } from "./reconcile.ts";
import {
  committed,
  configure,
  confirmation,
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

const log = pino({ level: "silent" });
const root = "http|https://restored.example/";

let nats: TestNats;
let nc: NatsConnection;
let js: JetStreamClient;
let jsm: JetStreamManager;
beforeAll(async () => {
  nats = await startNats();
  nc = await connect({ servers: `127.0.0.1:${nats.port}` });
  js = jetstream(nc);
  jsm = await jetstreamManager(nc);
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});
beforeEach(async () => {
  await jsm.streams.delete(streams.changes).catch(() => undefined);
  await jsm.streams.add({ name: streams.changes, subjects: [subjects.allChanges], allow_direct: true });
});

async function publish(changes: Change[]): Promise<void> {
  for (const change of changes) {
    await js.publish(subjects.change(change), JSON.stringify(changeEvent(change)), {
      msgID: messageIds.change(change.id),
    });
  }
}

async function feedOf({ store }: TestStore): Promise<Change[]> {
  return (await store["read.feed"]({ after: 0, limit: 1000 })).changes;
}

/** A store with the resource's baseline: what every backup holds. */
async function backup(): Promise<TestStore> {
  const test = await startTestStore();
  await watch(test, [root]);
  const writes = [present("a", 0), present("b", "x", { severity: "low", reason: "standing" })];
  committed(await test.store["write.commit"](seen(root, 1, 0, { writes })));
  return test;
}

describe("a database older than the published changes", () => {
  let lost: TestStore;
  let restored: TestStore;
  beforeEach(async () => {
    [lost, restored] = await Promise.all([backup(), backup()]);
    return async () => {
      await lost.stop();
      await restored.stop();
    };
  });

  /** A → X → A, one that appeared, one that disappeared, one that happened, and one that came late. */
  async function live(): Promise<Change[]> {
    const flip = (from: number, to: number) => ({ writes: [present("a", to)], changes: [draft("a", from, to)] });
    const commits = [
      seen(root, 2, 1, flip(0, 1)),
      seen(root, 3, 2, flip(1, 0)),
      seen(root, 4, 3, flip(0, 7)),
      seen(root, 5, 4, {
        writes: [present("new", [1], { severity: "high", reason: "bad" }), present("b", "x", { isPresent: false })],
        changes: [
          draft("new", null, [1], { kind: "appeared" }),
          draft("b", "x", null, { kind: "disappeared" }),
          draft("commit", null, "c", { kind: "happened" }),
        ],
      }),
      {
        look: lookAt(root, { epoch: 1, sequence: 3 }),
        expectedRevision: 5,
        result: { status: "late" as const, changes: [] },
      },
    ];
    for (const commit of commits) committed(await lost.store["write.commit"](commit));
    const late = {
      look: lookAt(root, { epoch: 0, sequence: 9 }),
      expectedRevision: 5,
      result: { status: "late" as const, changes: [draft("a", null, 5)] },
    };
    committed(await lost.store["write.commit"](late));
    return await feedOf(lost);
  }

  it("takes them over under their ids and positions, and goes on after them", async () => {
    const changes = await live();
    await publish(changes);
    expect(await reconcile(restored.database, jsm, log)).toBe(changes.length);
    expect(await feedOf(restored)).toEqual(changes);
    expect(await reconcile(restored.database, jsm, log)).toBe(0);
    expect((await restored.store["read.unpublished"]({ olderThanMs: 0, limit: 10 })).changes).toEqual([]);
    const values = await restored.store["read.values"](refOf(root));
    expect(values?.values).toMatchObject([
      { attribute: "a", value: 7, isPresent: true },
      { attribute: "b", value: "x", isPresent: false },
      { attribute: "new", value: [1], isPresent: true },
    ]);
    expect((await readHistoryOf(restored, root)).map(({ attribute, newValue }) => [attribute, newValue])).toEqual([
      ["a", 0],
      ["b", "x"],
      ["a", 1],
      ["a", 0],
      ["a", 7],
      ["new", [1]],
      ["b", "x"],
      ["a", 5],
    ]);
  });

  it("tells nothing twice at the next look, and everything new", async () => {
    await publish(await live());
    await reconcile(restored.database, jsm, log);
    const revision = (await restored.store["read.values"](refOf(root)))?.revision ?? 0;
    const next = seen(root, 6, revision, {
      writes: [present("new", [1], { severity: "high", reason: "bad" }), present("a", 8)],
      changes: [draft("new", [1], [1], { kind: "rated" }), draft("a", 7, 8)],
    });
    const { changes } = committed(await restored.store["write.commit"](next));
    expect(changes.map(({ attribute, position }) => [attribute, position])).toEqual([["a", 8]]);
    // From then on severities are known again.
    const rated = seen(root, 7, revision + 1, {
      writes: [present("new", [1], { severity: "low", reason: "bad" })],
      changes: [draft("new", [1], [1], { kind: "rated" })],
    });
    expect(committed(await restored.store["write.commit"](rated)).changes).toHaveLength(1);
  });

  it("takes over what was published in another order than the feed's", async () => {
    const changes = await live();
    await publish(changes.toReversed());
    await reconcile(restored.database, jsm, log);
    expect(await feedOf(restored)).toEqual(changes);
    expect((await restored.store["read.values"](refOf(root)))?.values[0]).toMatchObject({ attribute: "a", value: 7 });
  });

  it("does so once when two stores start at once", async () => {
    const changes = await live();
    await publish(changes);
    const counts = await Promise.all([1, 2, 3].map(() => reconcile(restored.database, jsm, log)));
    expect(counts.reduce((sum, imported) => sum + imported, 0)).toBe(changes.length);
    expect(await feedOf(restored)).toEqual(changes);
  });

  it("keeps what it learns of resources it never heard of until something leads to them", async () => {
    const stranger = "http|https://stranger.example/";
    await configure(lost, [root, stranger]);
    await lost.store["write.confirmation"](confirmation(stranger, stranger, 0));
    committed(await lost.store["write.commit"](seen(stranger, 1, 0, { writes: [present("a", 1), present("b", 1)] })));
    committed(
      await lost.store["write.commit"](
        seen(stranger, 2, 1, { writes: [present("a", 2)], changes: [draft("a", 1, 2)] }),
      ),
    );
    await publish(await feedOf(lost));
    await reconcile(restored.database, jsm, log);
    await configure(restored, [root, stranger]);
    const values = await restored.store["read.values"](refOf(stranger));
    expect(values).toMatchObject({ state: "confirmed", values: [{ attribute: "a", value: 2 }] });
    // What never changed was in no event: it is the baseline again.
    const next = seen(stranger, 3, values?.revision ?? 0, {
      writes: [present("a", 3), present("b", 1)],
      changes: [draft("a", 2, 3), draft("b", null, 1, { kind: "appeared" })],
    });
    expect(committed(await restored.store["write.commit"](next)).changes.map(({ attribute }) => attribute)).toEqual([
      "a",
    ]);
  });

  it("gives the next position where one is taken, and leaves out what cannot be stored", async () => {
    const changes = await live();
    const [first] = changes as [Change];
    const own = seen(root, 2, 1, { writes: [present("a", 3)], changes: [draft("a", 0, 3)] });
    committed(await restored.store["write.commit"](own));
    const unstorable = { ...first, id: "01900000-0000-7000-8000-000000000000", attribute: "nul\0", position: 99 };
    await publish([...changes, unstorable]);
    expect(await reconcile(restored.database, jsm, log)).toBe(changes.length);
    const feed = await feedOf(restored);
    expect(feed.map(({ position }) => position)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].slice(0, changes.length + 1));
    expect(feed.map(({ id }) => id)).toContain(first.id);
  });

  it("knows again whether a resource exists", async () => {
    const gone = { status: "gone" as const, changes: [draft("exists", true, false, { kind: "disappeared" })] };
    committed(await lost.store["write.commit"]({ look: lookAt(root, 2), expectedRevision: 1, result: gone }));
    await publish(await feedOf(lost));
    await reconcile(restored.database, jsm, log);
    expect(await restored.store["read.values"](refOf(root))).toMatchObject({ exists: false, fingerprint: null });
  });

  it("finds those that stand before many known ones", async () => {
    const changes = await live();
    await publish(changes);
    const known = changes.map(({ id }) => id);
    await reconcile(restored.database, jsm, log);
    // Three hundred later events that both know, published over and over as replays.
    for (let step = 0; step < 300; step++) {
      await js.publish(
        "paintdry.change.none.x.x.x.x.x",
        JSON.stringify(changeEvent(changes[step % known.length] as Change, true)),
      );
    }
    const [first] = known;
    await restored.database.transaction(async (tx) => {
      await tx.run("ALTER TABLE history DISABLE TRIGGER history_is_append_only");
      await tx.run("DELETE FROM history WHERE change_id = $1", [first]);
      await tx.run("ALTER TABLE history ENABLE TRIGGER history_is_append_only");
      await tx.run("DELETE FROM change WHERE id = $1", [first]);
    });
    expect(await reconcile(restored.database, jsm, log)).toBe(1);
    expect(await feedOf(restored)).toEqual(changes);
    // The value of later changes stays.
    expect((await restored.store["read.values"](refOf(root)))?.values[0]).toMatchObject({ value: 7 });
  });
});

describe("a database that is up to date", () => {
  it("asks for nothing where nothing was published yet, or all of it was purged", async () => {
    const test = await startTestStore();
    expect(await reconcile(test.database, jsm, log)).toBe(0);
    await js.publish("paintdry.change.low.http.a.-.b.c", "x");
    await jsm.streams.purge(streams.changes);
    expect(await reconcile(test.database, jsm, log)).toBe(0);
    await test.stop();
  });

  it("takes over nothing, and nothing is needed where there is no stream yet", async () => {
    const test = await backup();
    committed(
      await test.store["write.commit"](seen(root, 2, 1, { writes: [present("a", 1)], changes: [draft("a", 0, 1)] })),
    );
    await publish(await feedOf(test));
    expect(await reconcile(test.database, jsm, log)).toBe(0);
    await jsm.streams.delete(streams.changes);
    expect(await reconcile(test.database, jsm, log)).toBe(0);
    await test.stop();
  });
});

describe("the gate", () => {
  it("checks before the first use and after each outage, and lets nothing pass before", async () => {
    const test = await backup();
    const checks: string[] = [];
    const gated = gateDatabase(test.database, async () => {
      checks.push("begun");
      if (checks.length === 1) throw new Error("no answer");
      await Promise.resolve();
      checks.push("done");
    });
    await expect(gated.run("SELECT 1")).rejects.toMatchObject({ code: "unavailable", isTemporary: true });
    await Promise.all([gated.run("SELECT 1"), gated.run("SELECT 1"), gated.snapshot(async () => checks.push("used"))]);
    expect(checks).toEqual(["begun", "begun", "done", "used"]);
    await test.database.run("SELECT pg_terminate_backend(pg_backend_pid())").catch(() => undefined);
    await gated.run("SELECT 1");
    expect(checks.slice(4)).toEqual(["begun", "done"]);
    await test.stop();
  });
});
