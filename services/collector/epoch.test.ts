import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { streams } from "#contracts/subjects.ts";
import { startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { followEpoch } from "./epoch.ts";

let bus: StoreOnBus;
beforeAll(async () => {
  bus = await startStoreOnBus();
});
afterAll(async () => {
  await bus?.stop();
});

describe("the epoch of JOBS", () => {
  it("is the same for every collector, and a later one once the stream is made anew", async () => {
    const [one, other] = [followEpoch(bus), followEpoch(bus)];
    const first = await one();
    expect(first).toBeGreaterThan(0);
    expect([await one(), await other()]).toEqual([first, first]);
    await bus.remakeJobs();
    expect(await one()).toBeGreaterThan(first ?? 0);
    expect(await other()).toBe(await one());
  });

  it("is unknown while there is no stream", async () => {
    const epoch = followEpoch(bus);
    await bus.broker.jsm.streams.delete(streams.jobs);
    expect(await epoch()).toBeNull();
  });
});
