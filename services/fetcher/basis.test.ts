import { z } from "zod";
import { describe, expect, it } from "vitest";
import { fingerprint } from "#contracts/canonical.ts";
import type { Job, Report } from "#contracts/messages.ts";
import { defineModule } from "#contracts/module.ts";
import type { StoreReply } from "#contracts/store.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { createBasisCache, isOvertaken, noBasis, unchangedFingerprint } from "./basis.ts";
import type { Basis } from "./basis.ts";

const definition = defineModule<unknown>({
  name: "fake",
  version: 1,
  summary: "",
  resource: z.string(),
  options: z.unknown(),
  lane: () => "-",
  owner: () => "-",
  async *discovery() {},
  async *observation() {},
  change: () => ({ severity: "none", reason: "" }),
  examples: [],
});

const job: Job = {
  operation: "observation",
  module: "fake",
  resource: "one",
  lane: "-",
  source: "config.json",
  cause: "schedule",
  epoch: 2,
  revision: 3,
  publishedAt: "2026-01-01T00:00:00.000Z",
};

/** A store whose answer stands in `stored`, and which counts how often it was asked. */
function startStore() {
  const stored: StoreReply<"read.look"> = {
    isWatched: true,
    revision: 3,
    previous: [],
    state: null,
    known: [],
    moduleVersion: 1,
    optionsFingerprint: "",
    fence: { epoch: 2, sequence: 10 },
  };
  const counted = { asked: 0 };
  const store: StoreClient = {
    call: async () => {
      counted.asked += 1;
      return structuredClone(stored) as never;
    },
  };
  return { store, stored, counted };
}

describe("a job is overtaken", () => {
  it("by a newer one that the store has recorded, and by itself", async () => {
    const basis = await createBasisCache(startStore().store).get(job, definition, false);
    expect(isOvertaken({ epoch: 2, sequence: 11 }, basis)).toBe(false);
    expect(isOvertaken({ epoch: 3, sequence: 1 }, basis)).toBe(false);
    expect(isOvertaken({ epoch: 2, sequence: 10 }, basis)).toBe(true);
    expect(isOvertaken({ epoch: 2, sequence: 9 }, basis)).toBe(true);
    expect(isOvertaken({ epoch: 1, sequence: 99 }, basis)).toBe(true);
  });

  it("by a newer one whose outcome was published from here, recorded or not", async () => {
    const { store, counted } = startStore();
    const cache = createBasisCache(store);
    await cache.get(job, definition, false);
    cache.saveFence(job, { epoch: 2, sequence: 12 });
    cache.saveFence(job, { epoch: 2, sequence: 11 });
    expect(isOvertaken({ epoch: 2, sequence: 12 }, await cache.get(job, definition, false))).toBe(true);
    expect(counted.asked).toBe(1);
  });

  it("by one that another fetcher did: asked for when the job was delivered before", async () => {
    const { store, stored, counted } = startStore();
    const cache = createBasisCache(store);
    await cache.get(job, definition, false);
    stored.fence = { epoch: 2, sequence: 20 };
    expect(isOvertaken({ epoch: 2, sequence: 15 }, await cache.get(job, definition, false))).toBe(false);
    expect(isOvertaken({ epoch: 2, sequence: 15 }, await cache.get(job, definition, true))).toBe(true);
    expect(counted.asked).toBe(2);
  });

  it("also when the store, asked again, has not recorded yet what was published from here", async () => {
    const { store } = startStore();
    const cache = createBasisCache(store);
    await cache.get(job, definition, false);
    cache.saveFence(job, { epoch: 2, sequence: 12 });
    expect(isOvertaken({ epoch: 2, sequence: 12 }, await cache.get(job, definition, true))).toBe(true);
  });
});

describe("a basis", () => {
  it("is asked for once, until a job knows of a newer revision", async () => {
    const { store, stored, counted } = startStore();
    const cache = createBasisCache(store);
    await cache.get(job, definition, false);
    await cache.get(job, definition, false);
    await cache.get({ ...job, revision: 2 }, definition, false);
    expect(counted.asked).toBe(1);
    stored.revision = 4;
    expect((await cache.get({ ...job, revision: 4 }, definition, false)).revision).toBe(4);
    expect(counted.asked).toBe(2);
    await cache.get({ ...job, resource: "another" }, definition, false);
    expect(counted.asked).toBe(3);
  });

  it("is asked for again now and then, so that no disagreement lasts", async () => {
    const { store, counted } = startStore();
    const cache = createBasisCache(store);
    for (let look = 0; look < 60; look++) await cache.get(job, definition, false);
    expect(counted.asked).toBeGreaterThan(1);
    expect(counted.asked).toBeLessThan(10);
  });

  it("is asked for at every look while the resource is not watched, or where values of others are needed", async () => {
    const { store, stored, counted } = startStore();
    const cache = createBasisCache(store);
    stored.isWatched = false;
    await cache.get(job, definition, false);
    stored.isWatched = true;
    expect((await cache.get(job, definition, false)).isWatched).toBe(true);
    expect(counted.asked).toBe(2);
    const needy = { ...definition, needs: () => [{ module: "other", resource: "x", attribute: "a" }] };
    await cache.get(job, needy, false);
    await cache.get(job, needy, false);
    expect(counted.asked).toBe(4);
  });

  it("holds what a look saved, until it is another basis", async () => {
    const { store } = startStore();
    const cache = createBasisCache(store);
    const basis = await cache.get(job, definition, false);
    cache.saveState(job, basis, { commit: "x" });
    expect((await cache.get(job, definition, false)).state).toEqual({ commit: "x" });
    await cache.get({ ...job, revision: 4 }, definition, true);
    cache.saveState(job, basis, { commit: "old" });
    expect((await cache.get(job, definition, false)).state).toBeNull();
  });
});

describe("a report that changes nothing", () => {
  const value = (attribute: string, is: string | number = 1) => ({
    attribute,
    value: is,
    severity: null,
    reason: null,
  });
  const previous = [value("a"), value("tag/v1"), value("tag/v2")];
  const basis: Basis = { ...noBasis, revision: 1, previous, fingerprint: fingerprint(previous) };
  const report = (more: Partial<Report>): Report => ({ observations: previous, happenings: [], unseen: [], ...more });

  it("is told by its fingerprint, whatever its order, context and evidence", () => {
    expect(unchangedFingerprint(basis, report({}))).toBe(basis.fingerprint);
    const observations = previous.toReversed().map((one) => ({ ...one, context: { seenAt: "now" } }));
    expect(unchangedFingerprint(basis, report({ observations }))).toBe(basis.fingerprint);
  });

  it("keeps what it could not see", () => {
    const unseen = [{ attribute: "tag/", reason: "no right" }];
    expect(unchangedFingerprint(basis, report({ observations: [value("a")], unseen }))).toBe(basis.fingerprint);
    const one = [{ attribute: "tag/v1", reason: "no right" }];
    const observations = [value("a"), value("tag/v2")];
    expect(unchangedFingerprint(basis, report({ observations, unseen: one }))).toBe(basis.fingerprint);
    expect(unchangedFingerprint(basis, report({ observations: [value("a")], unseen: one }))).toBeNull();
    const seen = [value("a"), value("tag/v1", 2), value("tag/v2")];
    expect(unchangedFingerprint(basis, report({ observations: seen, unseen }))).toBeNull();
  });

  it.each<[string, Partial<Report>]>([
    ["a value that moved", { observations: [value("a", 2), ...previous.slice(1)] }],
    ["a value more", { observations: [...previous, value("b")] }],
    ["a value less", { observations: previous.slice(1) }],
    ["another severity", { observations: [{ ...value("a"), severity: "low" }, ...previous.slice(1)] }],
    ["something that happened", { happenings: [{ name: "h", detail: 1, severity: "low", reason: "it did" }] }],
  ])("is not one with %s", (_name, more) => {
    expect(unchangedFingerprint(basis, report(more))).toBeNull();
  });

  it("is never the first", () => {
    expect(unchangedFingerprint(noBasis, report({ observations: [] }))).toBeNull();
  });
});
