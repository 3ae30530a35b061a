import { Kvm } from "@nats-io/kv";
import type { KV } from "@nats-io/kv";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { lanesBucket } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { createLog } from "#runtime/log.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { followLaneSettings } from "./lane-settings.ts";
import type { LaneSettings } from "./lane-settings.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
const patience = { timeout: 10_000, interval: 10 };
const hourMs = 3_600_000;
let nats: TestNats;
let broker: Broker;
let bucket: KV;
const followed: LaneSettings[] = [];

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  bucket = await new Kvm(broker.js).create(lanesBucket, { history: 1, allow_direct: true });
});
afterEach(() => {
  for (const settings of followed.splice(0)) settings.stop();
});
afterAll(async () => {
  await broker?.close();
  await nats?.stop();
});

async function follow(): Promise<LaneSettings> {
  const settings = await followLaneSettings(broker, log);
  followed.push(settings);
  return settings;
}

describe("a lane's limit", () => {
  it("is the politest until it is read, and then what the bucket says", async () => {
    await bucket.put("limit.a_example", JSON.stringify({ perSecond: 5, concurrency: 2 }));
    const settings = await follow();
    expect(settings.limit("a_example")).toEqual({ perSecond: 1, concurrency: 1 });
    await settings.load("a_example");
    expect(settings.limit("a_example")).toEqual({ perSecond: 5, concurrency: 2 });
  });

  it("is followed, and tells of new lanes", async () => {
    const settings = await follow();
    const told: string[] = [];
    settings.onLimit((lane) => void told.push(lane));
    await bucket.put("limit.b_example=7Egit", JSON.stringify({ perSecond: 5, concurrency: 2 }));
    await vi.waitFor(() => expect(told).toEqual(["b_example=7Egit"]), patience);
    await bucket.put("limit.b_example=7Egit", JSON.stringify({ perSecond: 0.5, concurrency: 1 }));
    await vi.waitFor(
      () => expect(settings.limit("b_example=7Egit")).toEqual({ perSecond: 0.5, concurrency: 1 }),
      patience,
    );
  });

  it("stays what it was when something else is written, and when it is removed", async () => {
    const settings = await follow();
    await bucket.put("limit.c_example", JSON.stringify({ perSecond: 5, concurrency: 2 }));
    for (const text of ["", "{", '{"perSecond":0,"concurrency":1}', '{"perSecond":"many"}'])
      await bucket.put("limit.c_example", text);
    await bucket.put("limit", "{}");
    await bucket.delete("limit.c_example");
    await bucket.put("limit.d_example", JSON.stringify({ perSecond: 2, concurrency: 1 }));
    await vi.waitFor(() => expect(settings.limit("d_example").perSecond).toBe(2), patience);
    expect(settings.limit("c_example")).toEqual({ perSecond: 5, concurrency: 2 });
    await settings.load("c_example");
    expect(settings.limit("c_example")).toEqual({ perSecond: 5, concurrency: 2 });
  });
});

describe("a lane's rest", () => {
  it("is heard of by every fetcher, and read by one that comes later", async () => {
    const [one, other] = [await follow(), await follow()];
    expect(one.restMs("e_example")).toBe(0);
    await one.rest("e_example", hourMs);
    expect(one.restMs("e_example")).toBeGreaterThan(hourMs - 60_000);
    await vi.waitFor(() => expect(other.restMs("e_example")).toBeGreaterThan(hourMs - 60_000), patience);
    expect(other.restingLanes()).toBe(1);
    const late = await follow();
    expect(late.restMs("e_example")).toBe(0);
    await late.load("e_example");
    expect(late.restMs("e_example")).toBeGreaterThan(hourMs - 60_000);
    expect(late.restMs("f_example")).toBe(0);
  });

  it("is not cut short by an answer that asks for less", async () => {
    const [one, other] = [await follow(), await follow()];
    await one.rest("g_example", hourMs);
    await one.rest("g_example", 1000);
    expect(one.restMs("g_example")).toBeGreaterThan(hourMs - 60_000);
    await other.load("g_example");
    expect(other.restMs("g_example")).toBeGreaterThan(hourMs - 60_000);
  });

  it("ends", async () => {
    const settings = await follow();
    await settings.rest("h_example", 1);
    await vi.waitFor(() => expect(settings.restMs("h_example")).toBe(0), patience);
    expect(settings.restingLanes()).toBe(0);
  });
});
