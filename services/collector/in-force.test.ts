import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import { checkConfig } from "#runtime/load-config.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import { silent, startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { followInForce } from "./in-force.ts";
import type { FollowedConfig } from "./in-force.ts";

let bus: StoreOnBus;
const followed: FollowedConfig[] = [];
beforeAll(async () => {
  bus = await startStoreOnBus();
});
afterAll(async () => {
  for (const one of followed) one.stop();
  await bus?.stop();
});

function follow(everyMs = 60_000): FollowedConfig {
  const one = followInForce({ store: bus.store, log: silent, everyMs });
  followed.push(one);
  return one;
}

/** A file as written in that year. */
async function file(hash: string, year: number, document: { [key: string]: Json }): Promise<LoadedConfig> {
  const checked = await checkConfig(document, { hash, modifiedAt: `${year}-01-01T00:00:00.000Z` });
  if (!checked.isValid) throw new Error(JSON.stringify(checked.faults));
  return checked.loaded;
}

const old = { scope: { hosts: ["old.example"] } };
const recent = { scope: { hosts: ["new.example"] } };
const at = (lane: string) => ({ lane, owner: "-" });

describe("the configuration in force", () => {
  it("is the newest file's, also for a collector whose own is older", async () => {
    const [one, other] = [follow(), follow()];
    expect(() => one.current()).toThrow("no configuration is in force yet");
    await one.offer(await file("old", 2020, old));
    expect(one.current()).toMatchObject({ revision: 1 });
    expect(one.current().isInScope(at("old.example"))).toBe(true);
    await one.offer(await file("new", 2021, recent));
    await other.offer(await file("old", 2020, old));
    for (const { revision, isInScope } of [one.current(), other.current()]) {
      expect(revision).toBe(2);
      expect([isInScope(at("old.example")), isInScope(at("new.example"))]).toEqual([false, true]);
    }
  });

  it("is taken over from another collector, and told to whoever follows it", async () => {
    const [one, other] = [follow(), follow(50)];
    const told: number[] = [];
    other.onChange(() => told.push(other.current().revision));
    await other.first();
    await one.offer(await file("third", 2022, { limits: { default: { perSecond: 7 } } }));
    await expect.poll(() => other.current().loaded.config.limits.default.perSecond).toBe(7);
    expect(told.at(-1)).toBe(one.current().revision);
    expect(told).toEqual([...new Set(told)]);
  });

  it("is put in force again where an older database was restored", async () => {
    const restored = await startStoreOnBus();
    const store = { call: (name: never, request: never) => (isRestored ? restored : bus).store.call(name, request) };
    let isRestored = false;
    const one = followInForce({ store: store as never, log: silent, everyMs: 60_000 });
    followed.push(one);
    await one.offer(await file("lost", 2022, recent));
    expect(one.current().revision).toBeGreaterThan(1);
    isRestored = true;
    await one.refresh();
    expect(one.current().revision).toBe(1);
    expect(await restored.store.call("read.config", {})).toMatchObject({ revision: 1, document: recent });
    await restored.stop();
  });

  it("that this release does not understand is left to others: nothing is brought under it", async () => {
    const one = follow();
    const mine = await file("mine", 2023, {});
    await one.offer(mine);
    const { revision } = one.current();
    const request = { everyMsByModule: {}, retryAfterMs: 1, soonerAfterChangeMs: 1, announceAfter: 1, everyMs: 1000 };
    await bus.store.call("write.config", {
      ...request,
      rediscoverEveryMs: 1000,
      hash: "from the future",
      modifiedAt: "2030-01-01T00:00:00.000Z",
      document: { unheardOf: true },
      roots: [],
    });
    await one.refresh();
    expect(one.current().revision).toBe(revision);
    const older = follow();
    await older.offer(mine);
    expect(older.current().revision).toBe(0);
  });
});
