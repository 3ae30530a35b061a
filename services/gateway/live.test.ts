import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import type { Logger } from "#runtime/log.ts";
import type { Gateway } from "./gateway.ts";
import type { LiveLimits } from "./live/send.ts";
import { announce, connectNats, openLive, serveGateway, serveStore, someChange } from "./test-gateway.ts";
import type { LiveClient, StoreStandIn } from "./test-gateway.ts";

let nats: TestNats;
/** The gateway with its own rights alone, the others with theirs. */
let gatewayNc: NatsConnection;
let storeNc: NatsConnection;
let assessorNc: NatsConnection;
let store: StoreStandIn;
const gateways: Gateway[] = [];
const clients: LiveClient[] = [];

beforeAll(async () => {
  nats = await startNats({ permissions: true });
  gatewayNc = await connectNats(nats.url("gateway"));
  storeNc = await connectNats(nats.url("store"));
  assessorNc = await connectNats(nats.url("assessor"));
});
afterAll(async () => {
  for (const nc of [gatewayNc, storeNc, assessorNc]) await nc?.close();
  await nats?.stop();
});
beforeEach(() => {
  store = serveStore(storeNc);
});
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate();
  for (const gateway of gateways.splice(0)) await gateway.stop();
  await store.stop();
});

/** No poll within a test unless it asks for one, so that only wake-ups move the feed. */
async function gatewayWith(limits: Partial<LiveLimits> = {}, log?: Logger): Promise<Gateway> {
  const options = { limits: { pollMs: 600_000, ...limits }, ...(log ? { log } : {}) };
  const gateway = await serveGateway(gatewayNc, options);
  gateways.push(gateway);
  return gateway;
}

async function live(gateway: Gateway, query = ""): Promise<LiveClient> {
  const client = await openLive(gateway, query);
  clients.push(client);
  await vi.waitFor(() => expect(client.frames[0]).toMatchObject({ type: "ready" }));
  return client;
}

function record(...positions: number[]): void {
  for (const position of positions) store.feed.push(someChange(position));
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Reads to position `last` from the start, over connections that it breaks off again and again. */
async function readWithLosses(gateway: Gateway, last: number): Promise<{ received: number[]; visits: number }> {
  const received: number[] = [];
  let position = 0;
  let visits = 0;
  for (; position < last; visits++) {
    const { socket, frames } = await openLive(gateway, `?since=${position}`);
    const mostFrames = 2 + Math.floor(Math.random() * 4);
    for (let taken = 0; taken < mostFrames && position < last;) {
      const frame = frames.shift();
      if (!frame) {
        await sleep(1);
        continue;
      }
      taken++;
      // What came after the last frame it took is lost with the connection.
      if (frame.type === "events") received.push(...frame.events.map(({ data }) => data.position));
      position = frame.position;
    }
    socket.terminate();
  }
  return { received, visits };
}

describe("the live feed", () => {
  it("starts from now and sends what follows as CloudEvents", async () => {
    record(1, 2, 3);
    const client = await live(await gatewayWith());
    expect(client.frames).toEqual([{ type: "ready", position: 3 }]);
    record(4);
    announce(assessorNc, someChange(4));
    await vi.waitFor(() => expect(client.positions()).toEqual([4]));
    expect(client.frames[1]).toMatchObject({
      type: "events",
      position: 4,
      events: [{ specversion: "1.0", type: "io.paintdry.change.v1", id: someChange(4).id, sequence: "4" }],
    });
  });

  it("keeps feed order whatever order messages arrive in, and however often", async () => {
    const client = await live(await gatewayWith());
    // What the bus announces is never what is sent: these come backwards, twice, and before all is recorded.
    for (const batch of [upTo(100), upTo(250, 101), upTo(300, 251)]) {
      record(...batch);
      for (const position of batch.toReversed()) {
        announce(assessorNc, someChange(position));
        announce(assessorNc, someChange(position));
      }
    }
    await vi.waitFor(() => expect(client.position()).toBe(300));
    expect(client.positions()).toEqual(upTo(300));
  });

  it("finds changes that nobody announced", async () => {
    const client = await live(await gatewayWith({ pollMs: 50 }));
    record(1, 2);
    await vi.waitFor(() => expect(client.positions()).toEqual([1, 2]));
  });

  it("reads the feed a few times for a burst of wake-ups", async () => {
    const gateway = await gatewayWith();
    const client = await live(gateway);
    const readsBefore = store.feedReads();
    record(...upTo(500));
    for (const position of upTo(500)) announce(assessorNc, someChange(position));
    await vi.waitFor(() => expect(client.position()).toBe(500));
    expect(store.feedReads() - readsBefore).toBeLessThan(100);
  });

  it("loses and repeats nothing over 2,000 changes and many lost connections", async () => {
    // A ring of 50 makes many resumes older than it, so both ways of catching up are taken.
    const gateway = await gatewayWith({ maxEvents: 50, tickMs: 5 });
    const readers = Array.from({ length: 4 }, () => readWithLosses(gateway, 2000));
    for (let next = 1; next <= 2000;) {
      const batch = upTo(Math.min(2000, next + Math.floor(Math.random() * 20)), next);
      next += batch.length;
      record(...batch);
      for (const each of batch.toReversed()) announce(assessorNc, someChange(each));
      await sleep(5);
    }
    for (const { received, visits } of await Promise.all(readers)) {
      expect(received).toEqual(upTo(2000));
      expect(visits).toBeGreaterThan(5);
    }
  });

  it("resumes across positions that were never given out", async () => {
    record(2, 3, 7, 11, 12, 40);
    const gateway = await gatewayWith({ maxEvents: 2 });
    for (const [since, positions] of [
      [0, [2, 3, 7, 11, 12, 40]],
      [5, [7, 11, 12, 40]],
      [11, [12, 40]],
      [20, [40]],
    ] as const) {
      const client = await live(gateway, `?since=${since}`);
      await vi.waitFor(() => expect(client.position()).toBe(40));
      expect(client.frames[0]).toEqual({ type: "ready", position: since });
      expect(client.positions()).toEqual(positions);
    }
  });

  it("sends more than fits into a frame, in several", async () => {
    for (const position of upTo(30)) store.feed.push(someChange(position, { value: "x".repeat(200_000) }));
    const client = await live(await gatewayWith(), "?since=0");
    await vi.waitFor(() => expect(client.position()).toBe(30), { timeout: 10_000 });
    expect(client.positions()).toEqual(upTo(30));
    expect(client.frames.length).toBeGreaterThan(5);
  });

  it("filters by module and least severity, and tells the position all the same", async () => {
    const gateway = await gatewayWith({ positionEveryMs: 50 });
    const [all, git, bad, none] = [
      await live(gateway),
      await live(gateway, "?module=git"),
      await live(gateway, "?least=high"),
      await live(gateway, "?module=dns&least=critical"),
    ] as const;
    store.feed.push(
      someChange(1, { severity: "notice" }),
      someChange(2, { severity: "critical" }),
      someChange(3, { module: "dns", severity: "high" }),
      someChange(4, { module: "dns", severity: "none" }),
    );
    announce(assessorNc, someChange(1));
    await vi.waitFor(() => {
      for (const client of [all, git, bad, none]) expect(client.position()).toBe(4);
    });
    expect(all.positions()).toEqual([1, 2, 3, 4]);
    expect(git.positions()).toEqual([1, 2]);
    expect(bad.positions()).toEqual([2, 3]);
    expect(none.frames).toEqual([
      { type: "ready", position: 0 },
      { type: "events", events: [], position: 4 },
    ]);
  });

  it("starts at the real head when asked to resume beyond it", async () => {
    record(1, 2, 3);
    const client = await live(await gatewayWith(), "?since=1000");
    expect(client.frames).toEqual([{ type: "ready", position: 3 }]);
    record(4);
    announce(assessorNc, someChange(4));
    await vi.waitFor(() => expect(client.positions()).toEqual([4]));
  });

  it("believes a position that another gateway has told already", async () => {
    record(1, 2, 3);
    const gateway = await gatewayWith();
    record(4, 5);
    const client = await live(gateway, "?since=5");
    expect(client.frames).toEqual([{ type: "ready", position: 5 }]);
  });

  it("starts everybody anew when the database was set back", async () => {
    record(...upTo(10));
    const gateway = await gatewayWith();
    const before = await live(gateway);
    store.feed.splice(4);
    announce(assessorNc, someChange(1));
    expect(await before.closed).toBe(1001);
    const after = await live(gateway, "?since=10");
    expect(after.frames).toEqual([{ type: "ready", position: 4 }]);
    record(5);
    announce(assessorNc, someChange(5));
    await vi.waitFor(() => expect(after.positions()).toEqual([5]));
  });

  it("goes on after the store was away", async () => {
    const gateway = await gatewayWith({ pollMs: 50 });
    const client = await live(gateway);
    await store.stop();
    // Whether this position is yet to come or never was cannot be told now.
    expect(await (await openLive(gateway, "?since=99")).closed).toBe(1013);
    store = serveStore(storeNc);
    store.feed.push(someChange(1));
    await vi.waitFor(() => expect(client.positions()).toEqual([1]), { timeout: 10_000 });
  });
});

describe("a live connection", () => {
  it("that does not read is closed, and holds nobody else up", async () => {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    // Long enough that the quick one is not taken for slow on a busy machine.
    const gateway = await gatewayWith({ maxBufferedBytes: 64 * 1024, maxSlowMs: 3000, tickMs: 5 }, log);
    const [slow, quick] = [await live(gateway), await live(gateway)];
    slow.socket.pause();
    // More than the kernel's own buffers take.
    for (const position of upTo(200)) store.feed.push(someChange(position, { value: "x".repeat(100_000) }));
    announce(assessorNc, someChange(1));
    await vi.waitFor(() => expect(quick.position()).toBe(200), { timeout: 20_000 });
    expect(quick.positions()).toEqual(upTo(200));
    await vi.waitFor(() => expect(lines.join()).toContain("live reader too slow"), { timeout: 20_000 });
    slow.socket.resume();
    expect(await slow.closed).toBe(1013);
    const resumed = await live(gateway, `?since=${slow.position()}`);
    await vi.waitFor(() => expect(resumed.position()).toBe(200), { timeout: 20_000 });
    expect([...slow.positions(), ...resumed.positions()]).toEqual(upTo(200));
  });

  it("takes no messages, small or large", async () => {
    const gateway = await gatewayWith();
    const talker = await live(gateway);
    talker.socket.send("hello");
    expect(await talker.closed).toBe(1008);
    const shouter = await live(gateway);
    shouter.socket.send("x".repeat(2000));
    expect(await shouter.closed).toBe(1009);
  });

  it("that answers no ping is cut off", async () => {
    const gateway = await gatewayWith({ heartbeatMs: 50 });
    const dead = await openLive(gateway, "", { autoPong: false });
    const alive = await live(gateway);
    expect(await dead.closed).toBe(1006);
    expect(alive.socket.readyState).toBe(alive.socket.OPEN);
  });

  it("is told when the gateway stops, and may resume elsewhere", async () => {
    const gateway = await gatewayWith();
    const client = await live(gateway);
    await gateway.stop();
    expect(await client.closed).toBe(1001);
  });

  it("is refused before the upgrade when too many are open, the query is wrong or the page is another site's", async () => {
    const gateway = await gatewayWith({ maxClients: 1 });
    await expect(openLive(gateway, "?least=worst")).rejects.toThrow("refused with 400");
    await expect(openLive(gateway, "?since=-1")).rejects.toThrow("refused with 400");
    await expect(openLive(gateway, "?severity=high")).rejects.toThrow("refused with 400");
    await expect(openLive(gateway, "", { origin: "https://evil.example" })).rejects.toThrow("refused with 403");
    await expect(openLive(gateway, "", { origin: "null" })).rejects.toThrow("refused with 403");
    await expect(openLive(gateway, "", { headers: { host: "evil.example" } })).rejects.toThrow("refused with 421");
    clients.push(await openLive(gateway, "", { origin: gateway.url }));
    await expect(openLive(gateway)).rejects.toThrow("refused with 503");
  });
});
