import { describe, expect, it } from "vitest";
import { createLimits, type HostLimit } from "./limits.ts";

function lookOf(limit: HostLimit, options: { live?: number; maxConcurrent?: number } = {}) {
  const limits = createLimits({
    limitOf: () => limit,
    liveFetchers: () => options.live ?? 1,
    maxConcurrent: options.maxConcurrent ?? 100,
  });
  const deadline = new AbortController();
  return { limits, deadline, look: limits.forLook({ lane: "own.example~git", signal: deadline.signal }) };
}

/** Records when the last call began, counted from here, and how many ran at once. */
function recorder() {
  const fromMs = performance.now();
  let lastMs = 0;
  let running = 0;
  let most = 0;
  const call = async () => {
    lastMs = performance.now() - fromMs;
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
  };
  return { call, lastMs: () => lastMs, most: () => most };
}

/** Three intervals of 50 ms; Node's timers fire up to a millisecond early. */
const threeIntervalsMs = 3 * 50 - 5;

describe("limits within a look", () => {
  it("send further calls to the look's own host one at a time, at a tenth of the lane's interval", async () => {
    const { look } = lookOf({ perSecond: 2, concurrency: 3 });
    const { call, lastMs, most } = recorder();
    await Promise.all([1, 2, 3, 4].map(() => look.run("own.example", call)));
    expect(lastMs()).toBeGreaterThanOrEqual(threeIntervalsMs);
    expect(most()).toBe(1);
  });

  it("share the rate of another host among the looks here and the other fetchers", async () => {
    const { limits, deadline, look } = lookOf({ perSecond: 100, concurrency: 1 }, { live: 5 });
    const other = limits.forLook({ lane: "third.example", signal: deadline.signal });
    const { call, lastMs, most } = recorder();
    await Promise.all([look, other, look, other].map((from) => from.run("cdn.example", call)));
    expect(lastMs()).toBeGreaterThanOrEqual(threeIntervalsMs);
    expect(most()).toBe(1);
  });

  it("cap the calls of the process", async () => {
    const { limits, deadline } = lookOf({ perSecond: 1000, concurrency: 100 }, { maxConcurrent: 2 });
    const { call, most } = recorder();
    const lanes = Array.from({ length: 8 }, (_, index) => `host-${index}.example`);
    await Promise.all(lanes.map((lane) => limits.forLook({ lane, signal: deadline.signal }).run(lane, call)));
    expect(most()).toBe(2);
  });

  it("give up waiting at the look's deadline, and never make the call", async () => {
    const { deadline, look } = lookOf({ perSecond: 0.001, concurrency: 1 });
    let calls = 0;
    const call = async () => void calls++;
    await look.run("cdn.example", call);
    const waiting = look.run("cdn.example", call);
    deadline.abort();
    await expect(waiting).rejects.toMatchObject({
      kind: "timeout",
      message: expect.stringContaining("while it waited for the limit of cdn.example"),
    });
    await expect(look.run("own.example", call)).rejects.toMatchObject({ kind: "timeout" });
    await expect(look.runUnpaced("192.0.2.53", call)).rejects.toMatchObject({ kind: "timeout" });
    expect(calls).toBe(1);
  });

  it("tell a slow answer from a long wait", async () => {
    const { deadline, look } = lookOf({ perSecond: 1, concurrency: 1 });
    const silent = look.run("own.example", () => new Promise<never>(() => {}));
    const behind = look.run("own.example", async () => {});
    deadline.abort();
    await expect(silent).rejects.toMatchObject({ kind: "timeout", message: /before own\.example answered/ });
    await expect(behind).rejects.toMatchObject({ kind: "timeout", message: /its turn among the look's calls/ });
  });

  it("refuse at once what could not begin before the deadline, so that nobody queues in vain", async () => {
    const { limits, deadline } = lookOf({ perSecond: 0.1, concurrency: 1 }, { live: 2 });
    const deadlineAt = performance.now() + 60_000;
    const look = limits.forLook({ lane: "own.example", signal: deadline.signal, deadlineAt });
    const calls = Array.from({ length: 8 }, () => look.run("cdn.example", () => new Promise<never>(() => {})));
    const refused = await Promise.race(calls.map(async (call) => await call.catch((error: Error) => error.message)));
    expect(refused).toMatch(/no time for the limit of cdn\.example, a call every 20000 ms/);
    deadline.abort();
    const kinds = await Promise.allSettled(calls);
    expect(kinds.every(({ status }) => status === "rejected")).toBe(true);
  });

  it("leave what touches no watched host to the cap alone", async () => {
    const { look } = lookOf({ perSecond: 0.001, concurrency: 1 });
    await expect(
      Promise.all([1, 2, 3].map(() => look.runUnpaced("192.0.2.53", async () => "answer"))),
    ).resolves.toEqual(["answer", "answer", "answer"]);
  });
});
