import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsMsg } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { LookError } from "#contracts/look-error.ts";
import { observe } from "#contracts/module.ts";
import { laneDurable, streams } from "#contracts/subjects.ts";
import { optionsFingerprint } from "#runtime/load-modules.ts";
import { startFetcherFixture } from "../../tests/support/fetcher.ts";
import type { FetcherFixture, Observe, TestFetcher } from "../../tests/support/fetcher.ts";

let fixture: FetcherFixture;
const fetchers: TestFetcher[] = [];
beforeAll(async () => {
  fixture = await startFetcherFixture();
});
afterAll(async () => await fixture?.stop());
afterEach(async () => {
  for (const fetcher of fetchers.splice(0)) await fetcher.stop();
});

async function start(look: Observe, options?: Parameters<FetcherFixture["startFetcher"]>[1]): Promise<TestFetcher> {
  const fetcher = await fixture.startFetcher(look, options);
  fetchers.push(fetcher);
  return fetcher;
}

async function untilDone(): Promise<void> {
  await vi.waitFor(async () => expect(await fixture.jobsLeft()).toBe(0), { timeout: 25_000, interval: 20 });
}

/** What a host sees: when each look began and was answered, in order, and how many were under way at once. */
function host(answer: (resource: string) => Promise<void> = async () => await sleep(20)) {
  const starts: { resource: string; at: number }[] = [];
  const ends: number[] = [];
  let underWay = 0;
  let most = 0;
  const look: Observe = async function* (resource) {
    starts.push({ resource, at: performance.now() });
    most = Math.max(most, ++underWay);
    try {
      await answer(resource);
    } finally {
      underWay -= 1;
      ends.push(performance.now());
    }
    yield observe("a", resource);
  };
  return { look, starts, ends, most: () => most, resources: () => starts.map(({ resource }) => resource) };
}

/** Node's timers fire up to a millisecond early. */
const earlyMs = 2;

describe("a lane", () => {
  it("never has more looks under way than its concurrency, nor a faster pace than its rate, whoever pulls", async () => {
    const lane = "polite.example";
    const watched = host();
    await fixture.makeLane(lane, { perSecond: 20, concurrency: 2 });
    for (let index = 0; index < 12; index++) await fixture.put(lane, `polite-${index}`);
    await start(watched.look);
    await start(watched.look);
    await untilDone();
    expect(watched.resources().toSorted()).toEqual(Array.from({ length: 12 }, (_, i) => `polite-${i}`).toSorted());
    expect(watched.most()).toBeLessThanOrEqual(2);
    const ends = watched.ends.toSorted((a, b) => a - b);
    const pauses = watched.starts.slice(2).map(({ at }, index) => at - (ends[index] ?? 0));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(100 - earlyMs);
  });

  it("takes an urgent job before all that wait", async () => {
    const lane = "busy.example";
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const watched = host(async (resource) => await (resource === "busy-0" ? released : sleep(1)));
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    for (let index = 0; index < 50; index++) await fixture.put(lane, `busy-${index}`);
    await start(watched.look);
    await vi.waitFor(() => expect(watched.resources()).toEqual(["busy-0"]), { timeout: 10_000 });
    await fixture.put(lane, "urgent", { jobClass: "now" });
    await vi.waitFor(
      async () => {
        const { num_ack_pending: taken } = await fixture.broker.jsm.consumers.info(
          streams.jobs,
          laneDurable(lane, "now"),
        );
        expect(taken).toBe(1);
      },
      { timeout: 10_000 },
    );
    release();
    await untilDone();
    expect(watched.resources()[1]).toBe("urgent");
    expect(watched.starts).toHaveLength(51);
  });

  it("rests when its host asks for it, for every fetcher, and other lanes go on", async () => {
    const lane = "resting.example";
    const restMs = 1500;
    const watched = host(async () => {
      if (watched.starts.length === 1) throw new LookError("limited", "slow down", { retryAfterMs: restMs });
      await sleep(1);
    });
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    await fixture.makeLane("other.example", { perSecond: 1000, concurrency: 1 });
    for (let index = 0; index < 4; index++) await fixture.put(lane, `resting-${index}`);
    await start(watched.look);
    await start(watched.look);
    await vi.waitFor(() => expect(watched.ends).toHaveLength(1), { timeout: 10_000 });
    await fixture.put(lane, "resting-urgent", { jobClass: "now" });
    await fixture.put("other.example", "elsewhere");
    await untilDone();
    const [first, ...rest] = watched.starts.filter(({ resource }) => resource !== "elsewhere");
    expect(rest).toHaveLength(4);
    expect(Math.min(...rest.map(({ at }) => at)) - (first?.at ?? 0)).toBeGreaterThanOrEqual(restMs - earlyMs);
    const elsewhere = watched.starts.find(({ resource }) => resource === "elsewhere");
    expect(elsewhere?.at).toBeLessThan(Math.min(...rest.map(({ at }) => at)));
    const failed = (await fixture.outcomes()).filter((outcome) => outcome.resource === first?.resource);
    expect(failed).toMatchObject([{ status: "failed", error: { kind: "limited", retryAfterMs: restMs } }]);
  });

  it("follows a changed limit at once", async () => {
    const lane = "widened.example";
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const watched = host(async () => await released);
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    for (let index = 0; index < 4; index++) await fixture.put(lane, `widened-${index}`);
    await start(watched.look);
    await vi.waitFor(() => expect(watched.starts).toHaveLength(1), { timeout: 10_000 });
    const durable = laneDurable(lane, "due");
    await fixture.broker.jsm.consumers.update(streams.jobs, durable, { max_ack_pending: 3 });
    await fixture.broker.js.publish("$KV.paintdry_lanes.limit.widened_example", '{"perSecond":1000,"concurrency":3}');
    await vi.waitFor(() => expect(watched.starts).toHaveLength(3), { timeout: 10_000 });
    release();
    await untilDone();
    expect(watched.most()).toBe(3);
  });
});

describe("a job", () => {
  it("that took its fetchers down five times is told, buried, and does not block its resource", async () => {
    const lane = "poison.example";
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 }, 200);
    await fixture.put(lane, "poison");
    const durable = laneDurable(lane, "due");
    const consumer = await fixture.broker.js.consumers.get(streams.jobs, durable);
    let message: JsMsg | null = null;
    for (let crash = 1; crash <= 5; crash++) {
      message = await consumer.next({ expires: 5000 });
      expect(message?.info.deliveryCount).toBe(crash);
    }
    await fixture.broker.jsm.consumers.update(streams.jobs, durable, { ack_wait: 30_000 * 1e6 });
    message?.nak();
    const watched = host();
    await start(watched.look);
    await untilDone();
    expect(watched.starts).toEqual([]);
    const outcomes = async () => (await fixture.outcomes()).filter(({ resource }) => resource === "poison");
    expect(await outcomes()).toMatchObject([
      { status: "failed", deliveryCount: 6, error: { kind: "module", message: /begun 5 times and never ended/ } },
    ]);
    expect(await fixture.deadLetters()).toContainEqual(
      expect.objectContaining({
        reason: expect.stringMatching(/begun 5 times/),
        originalSubject: expect.stringContaining("paintdry.discovery.poison_example.due.fake."),
        deliveryCount: 6,
      }),
    );
    await fixture.put(lane, "poison");
    await untilDone();
    expect(watched.resources()).toEqual(["poison"]);
    expect(await outcomes()).toMatchObject([{ status: "failed" }, { status: "seen" }]);
  });

  it("that is none is buried, and does not block its resource", async () => {
    const lane = "malformed.example";
    const watched = host();
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    await fixture.put(lane, "malformed", { body: { operation: "format the disk" } });
    await start(watched.look);
    await untilDone();
    await fixture.put(lane, "malformed");
    await untilDone();
    expect(watched.resources()).toEqual(["malformed"]);
    const letters = (await fixture.deadLetters()).filter(({ reason }) => reason === "not a job");
    expect(letters.map(({ body }) => Buffer.from(body, "base64").toString())).toEqual([
      '{"operation":"format the disk"}',
    ]);
  });

  it("whose lease may be lost is left to whoever gets it next", async () => {
    const lane = "stopped.example";
    const ackWaitMs = 800;
    const watched = host(async (resource) => {
      if (resource !== "stopping") return;
      await fixture.put(lane, "waiting", { jobClass: "now" });
      await sleep(200);
      // The process stands still for longer than a lease lasts, the waiting job in its hands.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * ackWaitMs);
    });
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 }, ackWaitMs);
    await fixture.put(lane, "stopping");
    await start(watched.look, { ackWaitMs });
    await untilDone();
    const waiting = (await fixture.outcomes()).filter(({ resource }) => resource === "waiting");
    expect(waiting).toMatchObject([{ status: "seen" }]);
    expect(waiting[0]?.deliveryCount).toBeGreaterThan(1);
    expect(watched.resources().filter((resource) => resource === "waiting")).toHaveLength(1);
  });

  it("in hand is finished at a stop, and nothing more is taken", async () => {
    const lane = "draining.example";
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const watched = host(async () => await released);
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    for (let index = 0; index < 3; index++) await fixture.put(lane, `draining-${index}`);
    const fetcher = await start(watched.look);
    await vi.waitFor(() => expect(watched.starts).toHaveLength(1), { timeout: 10_000 });
    const stopped = fetcher.stop();
    release();
    await stopped;
    expect(watched.starts).toHaveLength(1);
    expect(await fixture.jobsLeft()).toBe(2);
    await start(watched.look);
    await untilDone();
    expect(watched.resources()).toEqual(["draining-0", "draining-1", "draining-2"]);
  });

  it("given up at the end of a drain leaves no outcome, and one whose permit is held is not waited for", async () => {
    const hanging = host(async () => await new Promise<never>(() => {}));
    await fixture.makeLane("hanging.example", { perSecond: 1000, concurrency: 1 });
    await fixture.makeLane("slow.example", { perSecond: 0.001, concurrency: 1 });
    await fixture.put("hanging.example", "hanging");
    await fixture.put("slow.example", "slow");
    const look: Observe = (resource) =>
      resource === "hanging"
        ? hanging.look(resource)
        : (async function* () {
            yield observe("a", 1);
          })();
    const fetcher = await start(look);
    const outcomesOf = async (name: string) => (await fixture.outcomes()).filter(({ resource }) => resource === name);
    await vi.waitFor(
      async () => {
        expect(hanging.starts).toHaveLength(1);
        expect(await outcomesOf("slow")).toHaveLength(1);
      },
      { timeout: 10_000 },
    );
    fetcher.abandon();
    await fetcher.stop();
    expect(await outcomesOf("hanging")).toEqual([]);
    expect(await fixture.jobsLeft()).toBe(2);
    await fixture.broker.jsm.streams.purge(streams.jobs);
  });
});

describe("an outcome", () => {
  const known = { value: "same", severity: null, reason: null };

  it("names only the fingerprint where nothing has moved, and leaves out what serves only a change", async () => {
    const lane = "unchanged.example";
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    await fixture.put(lane, "unchanged");
    await fixture.put(lane, "moved");
    const look: Observe = async function* (resource) {
      yield observe("still", "same", { context: { large: true } });
      yield observe("other", resource === "moved" ? "new" : "same", { context: { why: 1 } });
    };
    const previous = [
      { attribute: "other", ...known },
      { attribute: "still", ...known },
    ];
    const shape = { moduleVersion: 1, optionsFingerprint: optionsFingerprint({}) };
    await start(look, { look: { revision: 7, previous, ...shape } });
    await untilDone();
    const outcomes = await fixture.outcomes();
    expect(outcomes.find(({ resource }) => resource === "unchanged")).toMatchObject({
      status: "unchanged",
      basis: 7,
      fingerprint: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(outcomes.find(({ resource }) => resource === "moved")).toMatchObject({
      status: "seen",
      report: {
        observations: [
          { attribute: "other", value: "new", context: { why: 1 }, severity: null, reason: null },
          { attribute: "still", ...known },
        ],
      },
    });
  });

  it("that no message holds is a failed one", async () => {
    const lane = "large.example";
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    await fixture.put(lane, "large");
    const value = randomBytes(3_000_000).toString("base64");
    await start(async function* () {
      yield observe("large", value);
    });
    await untilDone();
    const outcomes = (await fixture.outcomes()).filter(({ resource }) => resource === "large");
    expect(outcomes).toMatchObject([{ status: "failed", error: { kind: "too_large" } }]);
  });

  it("is never made for a resource that is not watched, or by a job that a newer one has overtaken", async () => {
    const lane = "dropped.example";
    const watched = host();
    await fixture.makeLane(lane, { perSecond: 1000, concurrency: 1 });
    await fixture.put(lane, "retired");
    await start(watched.look, { look: { isWatched: false } });
    await untilDone();
    await fetchers.pop()?.stop();
    await fixture.put(lane, "overtaken");
    await start(watched.look, { look: { fence: { epoch: 1, sequence: 1_000_000 } } });
    await untilDone();
    expect(watched.starts).toEqual([]);
  });
});
