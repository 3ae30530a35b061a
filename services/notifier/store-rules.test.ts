import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createStoreClient } from "#runtime/rpc.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import type { StoreRequest } from "#contracts/store.ts";
import { startNats } from "../../tests/support/nats.ts";
import { startPostgres } from "../../tests/support/postgres.ts";
import { serveStandInStore } from "./testing/stand-in-store.ts";

const log = pino({ level: "silent" });
const storeProgram = fileURLToPath(new URL("../store/main.ts", import.meta.url));

/** Each answers on the broker at `url` and returns how to stop it. */
const stores: Record<string, (nc: NatsConnection, url: string) => Promise<() => Promise<void>>> = {
  "the stand-in of these tests": async (nc) => serveStandInStore(nc, log).stop,
  "the store": async (_nc, url) => {
    const postgres = await startPostgres();
    const child = spawn(process.execPath, [storeProgram], {
      env: { PAINTDRY_NATS_URL: url, PAINTDRY_DATABASE_URL: await postgres.createDatabase() },
      stdio: "ignore",
    });
    return async () => {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
      await postgres.stop();
    };
  },
};

describe.each(Object.entries(stores))("%s", (_name, serve) => {
  const stops: (() => Promise<unknown>)[] = [];
  let store: StoreClient;

  beforeAll(async () => {
    const nats = await startNats();
    const nc = await connect({ servers: `127.0.0.1:${nats.port}` });
    stops.push(await serve(nc, nats.url()), () => nc.close(), nats.stop);
    store = createStoreClient(nc, { retryForMs: 60_000 });
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
  });

  /** One delivery of a route of its own, and the requests about it. */
  function someDelivery() {
    const about = { eventId: randomUUID(), route: randomUUID(), channel: "webhook" as const };
    const { eventId: _eventId, ...destination } = about;
    return {
      eventId: about.eventId,
      claim: (claimant: string, leaseMs = 60_000) => store.call("notify.claim", { ...about, claimant, leaseMs }),
      record: (state: StoreRequest<"notify.record">["state"], retryAfterMs: number | null = null) =>
        store.call("notify.record", { ...about, state, detail: "why", retryAfterMs }),
      due: async (leaseMs = 60_000, limit = 10) =>
        (await store.call("notify.due", { ...destination, leaseMs, limit })).deliveries,
    };
  }

  it("gives a delivery to one claimant, who may repeat itself, until its lease is over", async () => {
    const delivery = someDelivery();
    expect(await delivery.claim("one")).toEqual({ state: "sending", attempts: 1, heldForMs: 0 });
    expect(await delivery.claim("one", 300)).toEqual({ state: "sending", attempts: 2, heldForMs: 0 });
    const refused = await delivery.claim("other");
    expect(refused).toMatchObject({ state: "sending", attempts: 2 });
    expect(refused.heldForMs).toBeGreaterThan(0);
    expect(refused.heldForMs).toBeLessThanOrEqual(300);
    await vi.waitFor(async () => expect(await delivery.claim("other")).toMatchObject({ attempts: 3, heldForMs: 0 }));
    expect(await delivery.due()).toEqual([]);
  });

  it.each(["delivered", "given_up"] as const)("keeps what is %s, whatever comes later", async (state) => {
    const delivery = someDelivery();
    await delivery.claim("one");
    await delivery.record(state);
    await delivery.record("failed", 0);
    expect(await delivery.claim("other")).toEqual({ state, attempts: 1, heldForMs: 0 });
    expect(await delivery.due()).toEqual([]);
  });

  it("hands out what failed when its time has come, to one caller, and to nobody else by a claim", async () => {
    const delivery = someDelivery();
    await delivery.claim("one");
    await delivery.record("failed", 3_600_000);
    expect(await delivery.due()).toEqual([]);
    expect(await delivery.claim("one")).toMatchObject({ state: "failed", heldForMs: 0 });
    await delivery.record("failed", 0);
    expect(await delivery.due(60_000, 0)).toEqual([]);
    const handedOut = await Promise.all([delivery.due(), delivery.due()]);
    expect(handedOut.flat()).toEqual([{ eventId: delivery.eventId, attempts: 2, change: null, health: null }]);
    expect(await delivery.claim("one")).toMatchObject({ state: "failed", attempts: 2 });
    await delivery.record("delivered");
    expect(await delivery.claim("one")).toMatchObject({ state: "delivered", attempts: 2 });
  });

  it("hands out again what its taker did not record within the lease", async () => {
    const delivery = someDelivery();
    await delivery.claim("one");
    await delivery.record("failed", 0);
    expect(await delivery.due(200)).toMatchObject([{ attempts: 2 }]);
    await vi.waitFor(async () => expect(await delivery.due()).toMatchObject([{ attempts: 3 }]));
  });
});
