import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { committed, draft, lookAt, seen, startTestStore, watch } from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
});
afterAll(async () => {
  await test.stop();
});

const channel = "webhook" as const;
const claim = (eventId: string, claimant: string, leaseMs = 60_000) =>
  test.store["notify.claim"]({ eventId, route: "ops", channel, claimant, leaseMs });
const record = (eventId: string, state: "delivered" | "failed" | "given_up", retryAfterMs: number | null = null) =>
  test.store["notify.record"]({ eventId, route: "ops", channel, state, detail: "why\0", retryAfterMs });
const due = (route = "ops", leaseMs = 60_000, limit = 100) =>
  test.store["notify.due"]({ route, channel, leaseMs, limit });

describe("a delivery", () => {
  it("is one notifier's at a time, however many claim it at once", async () => {
    const eventId = randomUUID();
    const replies = await Promise.all(["a", "b", "c", "d"].map((claimant) => claim(eventId, claimant)));
    const free = replies.filter(({ heldForMs }) => heldForMs === 0);
    expect(free).toEqual([{ state: "sending", attempts: 1, heldForMs: 0 }]);
    for (const { heldForMs } of replies.filter((reply) => reply.heldForMs > 0)) {
      expect(heldForMs).toBeLessThanOrEqual(60_000);
    }
  });

  it("is anybody's once its claimant let the lease run out, and its claimant's at any time", async () => {
    const eventId = randomUUID();
    await claim(eventId, "a", 0);
    expect(await claim(eventId, "b")).toEqual({ state: "sending", attempts: 2, heldForMs: 0 });
    expect(await claim(eventId, "b")).toEqual({ state: "sending", attempts: 3, heldForMs: 0 });
    expect((await claim(eventId, "a")).heldForMs).toBeGreaterThan(0);
  });

  it("is final once delivered or given up, whatever is recorded after", async () => {
    for (const state of ["delivered", "given_up"] as const) {
      const eventId = randomUUID();
      await claim(eventId, "a");
      await record(eventId, state);
      await record(eventId, "failed", 0);
      expect(await claim(eventId, "a")).toEqual({ state, attempts: 1, heldForMs: 0 });
      const handedOut = (await due()).deliveries.map((delivery) => delivery.eventId);
      expect(handedOut).not.toContain(eventId);
    }
  });

  it("that failed is handed out when its time has come, to one caller, with its event", async () => {
    const root = "http|https://notify.example/";
    await watch(test, [root]);
    committed(await test.store["write.commit"](seen(root, 1, 0)));
    const { changes } = committed(await test.store["write.commit"](seen(root, 2, 1, { changes: [draft("a", 1, 2)] })));
    const eventId = changes[0]?.id ?? "";
    await claim(eventId, "a");
    await record(eventId, "failed", 60_000);
    expect(await claim(eventId, "a")).toEqual({ state: "failed", attempts: 1, heldForMs: 0 });
    expect((await due()).deliveries).toEqual([]);
    await record(eventId, "failed", 0);
    expect((await due("ops", 0, 0)).deliveries).toEqual([]);
    const answers = await Promise.all([due(), due(), due()]);
    expect(answers.flatMap(({ deliveries }) => deliveries)).toEqual([
      { eventId, attempts: 2, change: changes[0], health: null },
    ]);
    await record(eventId, "delivered");
  });

  it("that was handed out and not recorded within the lease is handed out again", async () => {
    const eventId = randomUUID();
    await claim(eventId, "a");
    await record(eventId, "failed", 0);
    const [first, second] = [await due("ops", 0), await due("ops", 0)];
    expect([...first.deliveries, ...second.deliveries]).toEqual([
      { eventId, attempts: 2, change: null, health: null },
      { eventId, attempts: 3, change: null, health: null },
    ]);
    expect(first.oldestAt).not.toBeNull();
    await record(eventId, "given_up");
  });

  it("of a health event comes with that event", async () => {
    const root = "http|https://notify-health.example/";
    await watch(test, [root]);
    const health = [];
    for (let sequence = 1; sequence < 4; sequence++) {
      const reply = await test.store["write.commit"]({
        look: lookAt(root, sequence),
        expectedRevision: 0,
        result: { status: "failed", error: { kind: "timeout", message: "no answer" } },
      });
      if (reply.outcome === "committed") health.push(...reply.health);
    }
    const eventId = health[0]?.id ?? "";
    await record(eventId, "failed", 0);
    expect((await due()).deliveries).toMatchObject([{ eventId, change: null, health: { kind: "failing" } }]);
    await record(eventId, "delivered");
    expect((await due()).oldestAt).not.toBe("");
  });

  it("stands in the log, newest first", async () => {
    const eventId = randomUUID();
    await claim(eventId, "a");
    await record(eventId, "delivered");
    const { items, next } = await test.store["read.deliveries"]({ limit: 1, cursor: null });
    expect(items).toMatchObject([{ eventId, state: "delivered", detail: "why\uFFFD", attempts: 1 }]);
    const rest = await test.store["read.deliveries"]({ limit: 1000, cursor: next });
    expect(rest.items.map((item) => item.eventId)).not.toContain(eventId);
    expect(rest.next).toBeNull();
  });
});
