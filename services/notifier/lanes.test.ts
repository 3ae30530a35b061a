import { describe, expect, it } from "vitest";
import { createLanes } from "./lanes.ts";
import type { Destination } from "./route.ts";

function destination(name: string): Destination {
  return { route: { name, least: "medium", health: false }, channel: "webhook" };
}

describe("lanes", () => {
  it("run no more at once than they have slots, and the next when one is free", async () => {
    const lane = createLanes({ slotsEach: 2, patienceMs: 10_000 }).of(destination("a"));
    const most = { now: 0, ever: 0 };
    const attempt = async () => {
      most.now += 1;
      most.ever = Math.max(most.ever, most.now);
      await new Promise((resolve) => setImmediate(resolve));
      most.now -= 1;
      return "ran";
    };
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => lane.run(attempt)));
    expect(new Set(outcomes)).toEqual(new Set(["ran"]));
    expect(most.ever).toBe(2);
    expect(lane.freeSlots()).toBe(2);
  });

  it("turn away what finds a destination stuck, and another destination is not concerned", async () => {
    const lanes = createLanes({ slotsEach: 1, patienceMs: 50 });
    const lane = lanes.of(destination("stuck"));
    const gate = Promise.withResolvers<string>();
    const first = lane.run(() => gate.promise);
    const ran: string[] = [];
    expect(await lane.run(async () => ran.push("second"))).toBeNull();
    expect(await lane.run(async () => ran.push("third"))).toBeNull();
    expect(await lanes.of(destination("other")).run(async () => "other ran")).toBe("other ran");
    gate.resolve("first ran");
    expect(await first).toBe("first ran");
    expect(ran).toEqual([]);
    expect(await lane.run(async () => "fourth ran")).toBe("fourth ran");
  });

  it("keep a slot's count when an attempt throws", async () => {
    const lane = createLanes({ slotsEach: 1, patienceMs: 50 }).of(destination("a"));
    await expect(lane.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(lane.freeSlots()).toBe(1);
  });
});
