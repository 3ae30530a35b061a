import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { laneLimit } from "#contracts/config.ts";
import type { Config } from "#contracts/config.ts";
import { lanesBucket, laneDurable, streams, subjects } from "#contracts/subjects.ts";
import { silent, startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { keepLanes } from "./lanes.ts";
import type { Lanes } from "./lanes.ts";

let bus: StoreOnBus;
let lanes: Lanes;
let limits: Config["limits"];

beforeAll(async () => {
  bus = await startStoreOnBus();
});
afterEach(() => lanes?.stop());
afterAll(async () => {
  await bus?.stop();
});

function keep(): Lanes {
  limits = { default: { perSecond: 1, concurrency: 1 }, hosts: {} };
  lanes = keepLanes({ broker: bus.broker, store: bus.store, log: silent, limits: () => limits });
  return lanes;
}

async function needLanes(...needed: string[]): Promise<void> {
  await bus.watch(needed.map((lane) => ({ module: "http", resource: `https://${lane}/`, lane })));
}

async function standing(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of bus.broker.jsm.consumers.list(streams.jobs)) names.push(name);
  return names.toSorted((a, b) => a.localeCompare(b));
}

async function consumerOf(lane: string, jobClass: "due" | "now") {
  return (await bus.broker.jsm.consumers.info(streams.jobs, laneDurable(lane, jobClass))).config;
}

async function writtenLimit(lane: string): Promise<unknown> {
  const query = { last_by_subj: `$KV.${lanesBucket}.${subjects.limitKey(lane)}` };
  return (await bus.broker.jsm.streams.getMessage(`KV_${lanesBucket}`, query))?.json();
}

describe("a lane's limit", () => {
  it("is its own, or its host's, or the default", () => {
    const [own, host, fallback] = [1, 2, 3].map((concurrency) => ({ perSecond: 1, concurrency }));
    if (!own || !host || !fallback) throw new Error("three limits");
    const all = { default: fallback, hosts: { "a.example~git": own, "a.example": host } };
    expect(["a.example~git", "a.example~tls", "a.example", "b.example"].map((lane) => laneLimit(lane, all))).toEqual([
      own,
      host,
      host,
      fallback,
    ]);
    // Nothing that every object has is a host's.
    expect(laneLimit("constructor", all)).toBe(fallback);
  });
});

describe("lanes", () => {
  it("stand once they are ensured, with their limit, which the fetchers are told last", async () => {
    keep();
    limits.hosts["a.example"] = { perSecond: 5, concurrency: 3 };
    await Promise.all([lanes.ensure("a.example"), lanes.ensure("a.example"), lanes.ensure("b.example~git")]);
    expect(await consumerOf("a.example", "due")).toMatchObject({ max_ack_pending: 3, max_deliver: -1 });
    expect(await consumerOf("a.example", "now")).toMatchObject({ max_ack_pending: 1 });
    expect(await consumerOf("b.example~git", "due")).toMatchObject({ max_ack_pending: 1 });
    expect(await writtenLimit("a.example")).toEqual({ perSecond: 5, concurrency: 3 });
    expect(lanes.count()).toBe(2);
  });

  it("take a new limit, also one that comes while they are made", async () => {
    keep();
    const making = lanes.ensure("c.example");
    limits = { default: { perSecond: 9, concurrency: 7 }, hosts: {} };
    await making;
    await lanes.ensure("c.example");
    expect(await consumerOf("c.example", "due")).toMatchObject({ max_ack_pending: 7 });
    expect(await writtenLimit("c.example")).toEqual({ perSecond: 9, concurrency: 7 });
  });

  it("are made for what is watched, and removed when they are needed no more and idle", async () => {
    keep();
    await needLanes("d.example", "e.example");
    await lanes.reconcile();
    const both = (lane: string) => [laneDurable(lane, "due"), laneDurable(lane, "now")];
    expect(await standing()).toEqual(
      [...both("d.example"), ...both("e.example")].toSorted((a, b) => a.localeCompare(b)),
    );
    // e.example still has a job.
    await bus.broker.js.publish(subjects.job("e.example", "due", "http", "https://e.example/"), "{}");
    await needLanes("d.example");
    await lanes.reconcile();
    expect(await standing()).toContain(laneDurable("e.example", "due"));
    await bus.broker.jsm.streams.purge(streams.jobs);
    await lanes.reconcile();
    expect(await standing()).toEqual(both("d.example"));
    expect(lanes.count()).toBe(1);
  });

  it("come back when somebody removed one of the two, or the whole stream", async () => {
    keep();
    await needLanes("f.example");
    await lanes.reconcile();
    await bus.broker.jsm.consumers.delete(streams.jobs, laneDurable("f.example", "now"));
    await lanes.reconcile();
    expect(await standing()).toHaveLength(2);
    await bus.remakeJobs();
    expect(await standing()).toEqual([]);
    await lanes.reconcile();
    expect(await standing()).toHaveLength(2);
  });
});
