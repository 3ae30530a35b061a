import { z } from "zod";
import { describe, expect, it } from "vitest";
import type { Job } from "#contracts/messages.ts";
import { defineModule } from "#contracts/module.ts";
import type { StoreReply } from "#contracts/store.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { createBasisCache, isOvertaken } from "./basis.ts";

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
