import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { ResourceState, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import {
  committed,
  configure,
  confirmation,
  draft,
  placeOf,
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
// Every test begins with nothing watched.
afterEach(async () => {
  await configure(test, []);
});

const idOf = (name: string) => resourceId(refOf(name).module, refOf(name).resource);

async function stateOf(name: string): Promise<ResourceState | null> {
  return (await test.store["read.resource"]({ id: idOf(name) }))?.state ?? null;
}

function suggestion(
  found: string,
  more: Partial<StoreRequest<"write.suggestion">> = {},
): StoreRequest<"write.suggestion"> {
  return {
    ...refOf(found),
    ...placeOf(found),
    source: "inventory",
    configRevision: 1_000_000,
    isInScope: true,
    perSource: 1000,
    ...more,
  };
}

/** A module's suggestion, made while `parent` was discovered. */
function suggestedBy(parent: string, found: string, sequence: number) {
  return suggestion(found, { parent: refOf(parent), source: refOf(parent).module, job: { epoch: 1, sequence } });
}

async function discovered(parent: string, sequence: number, confirmed: string[], suggested: string[] = []) {
  return await test.store["write.discovered"]({
    ...refOf(parent),
    job: { epoch: 1, sequence },
    result: { status: "discovered", confirmed: confirmed.map(refOf), suggested: suggested.map(refOf) },
  });
}

describe("a configuration", () => {
  it("makes candidates of what it names, which their module must confirm", async () => {
    expect(await configure(test, ["git|candidate"])).toMatchObject({ outcome: "applied", retired: 0 });
    expect(await stateOf("git|candidate")).toBe("candidate");
    const reply = await test.store["write.confirmation"](confirmation("git|candidate", "git|candidate", 1));
    expect(reply).toEqual({ outcome: "recorded", state: "confirmed" });
    const detail = await test.store["read.resource"]({ id: idOf("git|candidate") });
    expect(detail?.provenance).toMatchObject([{ source: "config.json", parent: null }]);
    expect(detail?.source).toBe("config.json");
  });

  it("is put in force once, and stays when an older file comes again", async () => {
    const apply = (hash: string, second: number) =>
      configure(test, [], { hash, modifiedAt: new Date(1_900_000_000_000 + second * 1000).toISOString() });
    const first = await apply("first", 1);
    expect(await apply("first", 1)).toEqual({ ...first, outcome: "same", retired: 0 });
    const second = await apply("second", 2);
    expect(second.revision).toBe(first.revision + 1);
    expect(await apply("first", 1)).toEqual({ outcome: "older", revision: second.revision, retired: 0 });
    // Written again later: a person went back to it.
    expect(await apply("first", 3)).toMatchObject({ outcome: "applied", revision: second.revision + 1 });
  });

  it("is put in force once by two collectors at once", async () => {
    const request = { hash: "both", modifiedAt: "2030-01-01T00:00:00.000Z" };
    const replies = await Promise.all(Array.from({ length: 8 }, () => configure(test, ["git|both"], request)));
    expect(replies.map(({ outcome }) => outcome).toSorted()).toEqual(["applied", ...Array(7).fill("same")]);
    expect(new Set(replies.map(({ revision }) => revision)).size).toBe(1);
  });

  it("shows the faults of a refused file until a file is accepted", async () => {
    const faults = [{ path: "targets[0]", found: "1", allowed: "a target" }];
    await test.store["write.refused_config"]({ faults });
    await test.store["write.refused_config"]({ faults });
    expect((await test.store["read.config"]({})).refused).toMatchObject({ faults });
    await configure(test, [], { hash: "accepted" });
    expect((await test.store["read.config"]({})).refused).toBeNull();
    await test.store["write.refused_config"]({ faults });
    expect(await configure(test, [], { hash: "accepted" })).toMatchObject({ outcome: "same" });
    expect((await test.store["read.config"]({})).refused).toBeNull();
  });

  it("retires what it no longer names, and watches it again with its values kept", async () => {
    await watch(test, ["git|kept"]);
    committed(await test.store["write.commit"](seen("git|kept", 1, 0, { writes: [present("a", 1)] })));
    expect(await configure(test, [])).toMatchObject({ retired: 1 });
    expect(await stateOf("git|kept")).toBe("retired");
    await configure(test, ["git|kept"]);
    expect(await stateOf("git|kept")).toBe("confirmed");
    expect(await test.store["read.values"](refOf("git|kept"))).toMatchObject({ revision: 1, values: [{ value: 1 }] });
    const next = seen("git|kept", 2, 1, { writes: [present("a", 2)], changes: [draft("a", 1, 2)] });
    expect(committed(await test.store["write.commit"](next)).revision).toBe(2);
  });

  it("keeps a collector with an older one from bringing anything back", async () => {
    await watch(test, ["git|root", "git|old"]);
    const { revision } = await configure(test, ["git|root"]);
    const stale = { outcome: "stale", state: null };
    const older = { configRevision: revision - 1 };
    expect(await test.store["write.confirmation"]({ ...confirmation("git|root", "git|old", 1), ...older })).toEqual(
      stale,
    );
    expect(await test.store["write.suggestion"](suggestion("git|old", older))).toEqual(stale);
    expect(await stateOf("git|old")).toBe("retired");
  });
});

describe("what discovery finds", () => {
  it("is watched when its own module confirms it in scope, with the edge that tells why", async () => {
    await watch(test, ["git|org"]);
    await test.store["write.confirmation"](confirmation("git|org", "git|org/one", 1));
    expect(await stateOf("git|org/one")).toBe("confirmed");
    const detail = await test.store["read.resource"]({ id: idOf("git|org/one") });
    expect(detail?.provenance).toMatchObject([{ source: "git", parent: { id: idOf("git|org"), resource: "org" } }]);
  });

  it("is retired once its parent no longer leads to it, and what hangs on it too", async () => {
    await watch(test, ["git|org2"]);
    for (const [parent, child] of [
      ["git|org2", "git|a"],
      ["git|org2", "git|b"],
      ["git|b", "git|c"],
    ] as const) {
      await test.store["write.confirmation"](confirmation(parent, child, 1));
    }
    expect(await discovered("git|org2", 2, ["git|org2", "git|a", "git|b"])).toEqual({ retired: 0, health: [] });
    expect(await discovered("git|org2", 3, ["git|org2", "git|a"])).toEqual({ retired: 2, health: [] });
    expect(await Promise.all(["git|a", "git|b", "git|c"].map(stateOf))).toEqual(["confirmed", "retired", "retired"]);
  });

  it("counts once: repeats and older discoveries change nothing", async () => {
    await watch(test, ["git|org3"]);
    await test.store["write.confirmation"](confirmation("git|org3", "git|d", 5));
    expect(await discovered("git|org3", 5, ["git|org3", "git|d"])).toMatchObject({ retired: 0 });
    expect(await discovered("git|org3", 5, ["git|org3"])).toMatchObject({ retired: 0 });
    expect(await discovered("git|org3", 4, ["git|org3"])).toMatchObject({ retired: 0 });
    expect(await stateOf("git|d")).toBe("confirmed");
    const old = await test.store["write.confirmation"](confirmation("git|org3", "git|e", 4));
    expect(old.outcome).toBe("stale");
    expect(await stateOf("git|e")).toBeNull();
    expect((await test.store["write.suggestion"](suggestedBy("git|org3", "http|e", 4))).outcome).toBe("stale");
    // The same discovery's own confirmations may come after its end.
    expect((await test.store["write.confirmation"](confirmation("git|org3", "git|e", 5))).outcome).toBe("recorded");
  });

  it("does not keep itself alive: two that suggest each other are retired with the root", async () => {
    await watch(test, ["git|root2"]);
    await test.store["write.suggestion"](suggestedBy("git|root2", "http|x", 1));
    await test.store["write.confirmation"](confirmation("http|x", "http|x", 1));
    await test.store["write.suggestion"](suggestedBy("http|x", "dns|y", 2));
    await test.store["write.confirmation"](confirmation("dns|y", "dns|y", 1));
    await test.store["write.suggestion"](suggestedBy("dns|y", "http|x", 2));
    expect(await Promise.all(["http|x", "dns|y"].map(stateOf))).toEqual(["confirmed", "confirmed"]);
    expect(await discovered("git|root2", 3, ["git|root2"])).toMatchObject({ retired: 2 });
    expect(await Promise.all(["git|root2", "http|x", "dns|y"].map(stateOf))).toEqual([
      "confirmed",
      "retired",
      "retired",
    ]);
  });

  it("stays while another way leads to it, and comes back with the way", async () => {
    await watch(test, ["git|left", "git|right"]);
    await test.store["write.confirmation"](confirmation("git|left", "git|shared", 1));
    await test.store["write.confirmation"](confirmation("git|right", "git|shared", 1));
    expect(await configure(test, ["git|right"])).toMatchObject({ retired: 1 });
    expect(await stateOf("git|shared")).toBe("confirmed");
    expect(await configure(test, [])).toMatchObject({ retired: 2 });
    await configure(test, ["git|left"]);
    expect(await Promise.all(["git|left", "git|right", "git|shared"].map(stateOf))).toEqual([
      "confirmed",
      "retired",
      "confirmed",
    ]);
  });

  it("may say that a resource goes by another name: an alias leads on, and is not looked at", async () => {
    await configure(test, ["git|Alias"]);
    await test.store["write.confirmation"](confirmation("git|Alias", "git|alias", 1));
    expect(await discovered("git|Alias", 1, ["git|alias"])).toMatchObject({ retired: 0 });
    expect(await Promise.all(["git|Alias", "git|alias"].map(stateOf))).toEqual(["alias", "confirmed"]);
    await configure(test, []);
    await configure(test, ["git|Alias"]);
    expect(await Promise.all(["git|Alias", "git|alias"].map(stateOf))).toEqual(["alias", "confirmed"]);
  });

  it("may say that a resource is not the module's: refused, with the reason, and what it led to retired", async () => {
    await watch(test, ["git|wrong"]);
    await test.store["write.confirmation"](confirmation("git|wrong", "git|behind", 1));
    const result = { status: "not_mine" as const, reason: "there is no repository" };
    const reply = await test.store["write.discovered"]({
      ...refOf("git|wrong"),
      job: { epoch: 1, sequence: 2 },
      result,
    });
    expect(reply).toEqual({ retired: 1, health: [] });
    expect(await test.store["read.resource"]({ id: idOf("git|wrong") })).toMatchObject({
      state: "refused",
      refusal: "there is no repository",
      nextLookAt: null,
    });
    // Its module may say otherwise later.
    await test.store["write.confirmation"](confirmation("git|wrong", "git|wrong", 3));
    expect(await stateOf("git|wrong")).toBe("confirmed");
  });

  it("asks again, ever later, about what was refused", async () => {
    await configure(test, ["git|not-yet"], { retryAfterMs: 10_000, rediscoverEveryMs: 35_000 });
    const waits: number[] = [];
    for (const sequence of [1, 2, 3, 4]) {
      const dueBy = Date.now() + 1;
      const job = { id: idOf("git|not-yet"), operation: "discovery" as const, cause: "discovery" as const };
      await test.store["write.queued"]({ jobs: [{ ...job, isOutstanding: false }], dueBy });
      await test.store["write.discovered"]({
        ...refOf("git|not-yet"),
        job: { epoch: 1, sequence },
        result: { status: "not_mine", reason: "there is no repository" },
      });
      const [row] = await test.database.rows(
        z.object({ wait: z.number() }),
        "SELECT extract(epoch FROM discover_at - now())::float8 AS wait FROM resource WHERE id = $1",
        [idOf("git|not-yet")],
      );
      waits.push(Math.round((row?.wait ?? 0) / 5) * 5);
      await test.database.run("UPDATE resource SET discover_at = now() WHERE id = $1", [idOf("git|not-yet")]);
    }
    expect(waits).toEqual([10, 20, 35, 35]);
    expect(await stateOf("git|not-yet")).toBe("refused");
  });

  it("does not end the watch of what was seen there: its looks tell that it is gone", async () => {
    await watch(test, ["git|seen"]);
    await test.store["write.confirmation"](confirmation("git|seen", "git|seen/child", 1));
    committed(await test.store["write.commit"](seen("git|seen", 1, 0, { writes: [present("a", 1)] })));
    const result = { status: "not_mine" as const, reason: "there is no repository" };
    const reply = await test.store["write.discovered"]({
      ...refOf("git|seen"),
      job: { epoch: 1, sequence: 2 },
      result,
    });
    expect(reply).toEqual({ retired: 0, health: [] });
    expect(await Promise.all(["git|seen", "git|seen/child"].map(stateOf))).toEqual(["confirmed", "confirmed"]);
  });

  it("inherits the period of the target that led to it", async () => {
    await configure(test, [], { roots: [{ ...refOf("git|often"), ...placeOf(""), everyMs: 5000 }] });
    await test.store["write.confirmation"](confirmation("git|often", "git|often", 1));
    await test.store["write.confirmation"](confirmation("git|often", "git|often/child", 1));
    const everyOf = async (name: string) => (await test.store["read.resource"]({ id: idOf(name) }))?.everyMs;
    expect(await everyOf("git|often/child")).toBe(5000);
    await configure(test, ["git|often"], { everyMsByModule: { git: 7000 } });
    expect([await everyOf("git|often"), await everyOf("git|often/child")]).toEqual([7000, 7000]);
    await configure(test, [], { roots: [{ ...refOf("git|often"), ...placeOf(""), everyMs: 9000 }] });
    expect([await everyOf("git|often"), await everyOf("git|often/child")]).toEqual([9000, 9000]);
  });
});

describe("a suggestion", () => {
  it("becomes a candidate of the module it is for, which must confirm it", async () => {
    expect(await test.store["write.suggestion"](suggestion("http|suggested"))).toEqual({
      outcome: "recorded",
      state: "candidate",
    });
    const { jobs } = await test.store["read.due"]({ from: 0, to: Date.now() + 1000, limit: 1000, cursor: null });
    expect(jobs.filter(({ id }) => id === idOf("http|suggested"))).toMatchObject([
      { operation: "discovery", source: "inventory" },
    ]);
    expect((await test.store["read.resource"]({ id: idOf("http|suggested") }))?.provenance).toMatchObject([
      { source: "inventory", parent: null },
    ]);
  });

  it("waits for a person when it is out of scope, and is watched once accepted", async () => {
    const outside = suggestion("http|outside", { isInScope: false });
    expect(await test.store["write.suggestion"](outside)).toEqual({ outcome: "recorded", state: "waiting" });
    const waiting = await test.store["read.resource"]({ id: idOf("http|outside") });
    expect(waiting).toMatchObject({ state: "waiting", refusal: expect.stringContaining("scope") as string });
    const accepted = await Promise.all([1, 2].map(() => test.store["triage.accept"]({ id: idOf("http|outside") })));
    expect(accepted.map(({ outcome }) => outcome).toSorted()).toEqual(["accepted", "not_waiting"]);
    expect(await stateOf("http|outside")).toBe("candidate");
    await test.store["write.confirmation"]({ ...confirmation("http|outside", "http|outside", 1), isInScope: false });
    expect(await stateOf("http|outside")).toBe("confirmed");
    // Suggested again, still out of scope: the person's word counts, also under the next configuration.
    await test.store["write.suggestion"](outside);
    await configure(test, []);
    expect(await stateOf("http|outside")).toBe("confirmed");
  });

  it("stays refused once a person refused it, whoever suggests or confirms it again", async () => {
    await watch(test, ["git|leads"]);
    await test.store["write.suggestion"](suggestion("git|unwanted", { isInScope: false }));
    expect(await test.store["triage.refuse"]({ id: idOf("git|unwanted") })).toEqual({ outcome: "refused" });
    expect(await test.store["triage.refuse"]({ id: idOf("git|unwanted") })).toEqual({ outcome: "not_waiting" });
    expect(await test.store["triage.accept"]({ id: resourceId("git", "nowhere") })).toEqual({ outcome: "unknown" });
    await test.store["write.suggestion"](suggestion("git|unwanted"));
    await test.store["write.confirmation"](confirmation("git|leads", "git|unwanted", 1));
    await configure(test, []);
    expect(await stateOf("git|unwanted")).toBe("refused");
    const rows = await test.database.rows(
      z.object({ action: z.string() }),
      "SELECT action FROM audit ORDER BY audit_key",
    );
    expect(rows.at(-1)).toEqual({ action: "refuse" });
    await expect(test.database.run("UPDATE audit SET who = 'nobody'")).rejects.toThrow("append-only");
  });

  it("waits too when its module confirms it out of scope, and is watched at once when accepted", async () => {
    await watch(test, ["git|parent"]);
    const child = { ...confirmation("git|parent", "git|far", 1), isInScope: false };
    expect(await test.store["write.confirmation"](child)).toEqual({ outcome: "recorded", state: "waiting" });
    await test.store["triage.accept"]({ id: idOf("git|far") });
    expect(await stateOf("git|far")).toBe("confirmed");
  });

  it("leaves scope when the scope is narrowed, and returns when it is widened", async () => {
    await watch(test, ["git|scoped"]);
    await test.store["write.confirmation"](confirmation("git|scoped", "git|near", 1));
    await test.store["write.confirmation"](confirmation("git|near", "git|nearer", 1));
    await test.store["write.confirmation"]({ ...confirmation("git|scoped", "git|near", 2), isInScope: false });
    expect(await Promise.all(["git|near", "git|nearer"].map(stateOf))).toEqual(["waiting", "retired"]);
    await test.store["write.confirmation"](confirmation("git|scoped", "git|near", 3));
    expect(await stateOf("git|near")).toBe("confirmed");
  });

  it("waits once its source has brought as many as it may, however many come at once", async () => {
    // All connections stand, so that the suggestions really meet.
    await Promise.all(Array.from({ length: 20 }, () => test.database.run("SELECT pg_sleep(0.1)")));
    const requests = Array.from({ length: 12 }, (_, index) =>
      test.store["write.suggestion"](suggestion(`http|many-${index}`, { source: "greedy", perSource: 5 })),
    );
    const states = (await Promise.all(requests)).map(({ state }) => state);
    expect(states.filter((state) => state === "candidate")).toHaveLength(5);
    expect(states.filter((state) => state === "waiting")).toHaveLength(7);
    const waiting = await test.store["read.resources"]({ limit: 1, cursor: null, state: "waiting", text: "many-" });
    const detail = await test.store["read.resource"]({ id: waiting.items[0]?.id ?? "" });
    expect(detail?.refusal).toBe('"greedy" has brought 5 resources already, which is scope.perSource');
    // Those that are there stay, and other sources are not touched.
    const again = await test.store["write.suggestion"](suggestion("http|more", { source: "modest", perSource: 5 }));
    expect(again.state).toBe("candidate");
  });
});
