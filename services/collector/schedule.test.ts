import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { laneDurable, resourceId, streams } from "#contracts/subjects.ts";
import { silent, startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { until } from "../../tests/support/world.ts";
import { followEpoch } from "./epoch.ts";
import { keepLanes } from "./lanes.ts";
import { startSchedule } from "./schedule.ts";

let bus: StoreOnBus;
beforeAll(async () => {
  bus = await startStoreOnBus();
});
afterAll(async () => {
  await bus?.stop();
});

interface Offered {
  cause: string;
  outcome: string;
}

/** A collector's schedule, with what it offered to the stream. */
function start(): { offered: Offered[]; stop(): Promise<void> } {
  const offered: Offered[] = [];
  const limits = { default: { perSecond: 1, concurrency: 1 }, hosts: {} };
  const lanes = keepLanes({ ...bus, log: silent, limits: () => limits });
  const schedule = startSchedule({
    ...bus,
    lanes,
    log: silent,
    epoch: followEpoch(bus),
    onPublished: (cause, outcome) => offered.push({ cause, outcome }),
  });
  return {
    offered,
    stop: async () => {
      lanes.stop();
      await schedule.stop();
    },
  };
}

const watched = { module: "http", resource: "https://a.example/", lane: "a.example" };
const id = resourceId(watched.module, watched.resource);

/** Takes every job of the lane away, as fetchers do, and remembers their message ids. */
function takeJobs(): { ids: string[]; stop(): Promise<void> } {
  const ids: string[] = [];
  const state = { isStopping: false };
  const running = (async () => {
    while (!state.isStopping) {
      const info = await bus.broker.jsm.streams.info(streams.jobs).catch(() => null);
      for (
        let sequence = info?.state.first_seq ?? 0;
        sequence > 0 && sequence <= (info?.state.last_seq ?? 0);
        sequence++
      ) {
        const message = await bus.broker.jsm.streams.getMessage(streams.jobs, { seq: sequence });
        if (message === null) continue;
        ids.push(message.header.get("Nats-Msg-Id"));
        await bus.broker.jsm.streams.deleteMessage(streams.jobs, sequence);
      }
      await sleep(20);
    }
  })();
  return {
    ids,
    stop: async () => {
      state.isStopping = true;
      await running;
    },
  };
}

function slotsOf(ids: string[]): number[] {
  return ids.flatMap((messageId) => {
    const slot = new RegExp(`^${id}@(\\d+)#\\d+$`).exec(messageId)?.[1];
    return slot === undefined ? [] : [Number(slot)];
  });
}

describe("the schedule", () => {
  it("publishes each slot once from two collectors, and after downtime only the slot that holds", async () => {
    await bus.watch([watched], { everyMs: 1000 });
    const taken = takeJobs();
    const [one, other] = [start(), start()];
    await until("three slots", async () => slotsOf(taken.ids).length >= 3);
    await Promise.all([one.stop(), other.stop()]);
    const before = slotsOf(taken.ids);
    expect(new Set(before).size).toBe(before.length);
    const outcomes = [...one.offered, ...other.offered].map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "published")).toHaveLength(before.length);
    expect(outcomes).toContain("duplicate");
    // Longer than three slots.
    await sleep(3500);
    const later = start();
    await until("a slot after the downtime", async () => slotsOf(taken.ids).length > before.length);
    await later.stop();
    await taken.stop();
    const [last = 0, next = 0] = slotsOf(taken.ids).slice(before.length - 1);
    expect(next - last).toBeGreaterThan(3);
  });

  it("catches up on what no look has reached, and makes lanes and jobs anew with the stream", async () => {
    // Its slot began long ago, and nothing has been published in it yet.
    await bus.watch([{ ...watched, resource: "https://a.example/overdue" }], { everyMs: 86_400_000 });
    const schedule = start();
    const jobs = async () => (await bus.broker.jsm.streams.info(streams.jobs)).state.messages;
    const lane = async () => await bus.broker.jsm.consumers.info(streams.jobs, laneDurable("a.example", "due"));
    await until("the overdue job", async () => (await jobs()) > 0);
    expect(schedule.offered).toContainEqual({ cause: "schedule", outcome: "published" });
    await bus.remakeJobs();
    await until("the job, in the new stream", async () => (await jobs()) > 0);
    await until("its lane", async () => (await lane()).num_pending > 0);
    await schedule.stop();
  });
});
