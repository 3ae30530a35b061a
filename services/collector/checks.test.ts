import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectorRpc } from "#contracts/store.ts";
import { laneDurable, resourceId, streams, subjects } from "#contracts/subjects.ts";
import { loadModules } from "#runtime/load-modules.ts";
import { callRpc } from "#runtime/rpc.ts";
import { silent, startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { answerChecks } from "./checks.ts";
import { followEpoch } from "./epoch.ts";
import { keepLanes } from "./lanes.ts";
import type { Lanes } from "./lanes.ts";

let bus: StoreOnBus;
let lanes: Lanes;
let checks: { stop(): Promise<void> };

beforeAll(async () => {
  bus = await startStoreOnBus();
  await bus.watch(["a", "b", "c"].map((name) => ({ module: "http", resource: page(name), lane: "a.example" })));
  const limits = { default: { perSecond: 1, concurrency: 1 }, hosts: {} };
  lanes = keepLanes({ ...bus, log: silent, limits: () => limits });
  const modules = await loadModules();
  checks = answerChecks({ ...bus, lanes, log: silent, modules: () => modules, epoch: followEpoch(bus) });
});
afterAll(async () => {
  lanes?.stop();
  await checks?.stop();
  await bus?.stop();
});

function page(name: string): string {
  return `https://a.example/${name}`;
}

async function check(resource: string) {
  return await callRpc(
    bus.broker.nc,
    subjects.collectorRpc("check"),
    { module: "http", resource },
    collectorRpc.check.reply,
  );
}

async function takeUrgent() {
  const consumer = await bus.broker.js.consumers.get(streams.jobs, laneDurable("a.example", "now"));
  const message = await consumer.next({ expires: 5000 });
  if (message === null) throw new Error("no urgent job");
  return message;
}

describe("a check", () => {
  it("becomes an urgent job of the resource, whose name it normalises", async () => {
    const answer = await check("https://A.example/a#part");
    expect(answer).toMatchObject({ outcome: "queued", resourceId: resourceId("http", page("a")) });
    const message = await takeUrgent();
    expect(message.json()).toMatchObject({ operation: "observation", cause: "check", resource: page("a") });
    expect(message.headers?.get("Nats-Msg-Id")).toBe(`check:${answer.checkId}`);
    await message.ackAck();
  });

  it("is queued once, while one waits", async () => {
    expect(await check(page("b"))).toMatchObject({ outcome: "queued" });
    expect(await check(page("b"))).toMatchObject({ outcome: "already_queued", checkId: null });
    await (await takeUrgent()).ackAck();
  });

  it("comes after the look in hand, and is never taken for it", async () => {
    await check(page("c"));
    const inHand = await takeUrgent();
    const second = check(page("c"));
    expect(await Promise.race([second, sleep(300, "not answered yet")])).toBe("not answered yet");
    await inHand.ackAck();
    expect(await second).toMatchObject({ outcome: "queued" });
    await (await takeUrgent()).ackAck();
  });

  it("of what is not watched, or cannot be, is none", async () => {
    for (const resource of [page("nowhere"), "ftp://a.example/"]) {
      expect(await check(resource)).toMatchObject({ outcome: "not_watched", checkId: null });
    }
  });
});
