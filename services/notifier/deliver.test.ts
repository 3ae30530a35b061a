import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createMetrics } from "#runtime/metrics.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import type { CallOptions } from "#runtime/rpc.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { deliverEvent } from "./deliver.ts";
import type { DeliverOptions } from "./deliver.ts";
import { createDeliveryMetrics } from "./delivery-metrics.ts";
import { createLanes } from "./lanes.ts";
import { startRetrying } from "./retry-due.ts";
import type { Retrying } from "./retry-due.ts";
import { channelsOf, destinationsOf } from "./route.ts";
import type { AlertEvent } from "./route.ts";
import { sendTo } from "./send.ts";
import type { NotifySettings } from "./send.ts";
import { someChange, someChangeEvent, someHealthEvent } from "./testing/events.ts";
import { startMailbox } from "../../cli/demo/servers/mailbox.ts";
import { startReceiver } from "./testing/receiver.ts";
import { notifySettings } from "./testing/settings.ts";
import { serveStandInStore } from "./testing/stand-in-store.ts";
import type { StandInStore } from "./testing/stand-in-store.ts";
import { webhookAgent } from "./webhook.ts";

const log = pino({ level: "silent" });
const agent = webhookAgent();
let nats: TestNats;
let nc: NatsConnection;
let store: StandInStore;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  nats = await startNats();
  nc = await connect({ servers: `127.0.0.1:${nats.port}` });
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});
beforeEach(() => {
  store = serveStandInStore(nc, log);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await store.stop();
});

function running<Server extends { stop(): Promise<unknown> }>(server: Server): Server {
  stops.unshift(() => server.stop());
  return server;
}

interface Notifier {
  deliver(event: AlertEvent): Promise<void>;
  startRetrying(): Retrying;
  metrics(): Promise<string>;
}

function createNotifier(notify: NotifySettings, claimant = "this", storeOptions: CallOptions = {}): Notifier {
  const registry = createMetrics("notifier");
  const options: DeliverOptions = {
    store: createStoreClient(nc, storeOptions),
    claimant,
    send: (event, destination) => sendTo(event, destination, { notify, readSecret: () => "", agent }),
    lanes: createLanes({ slotsEach: 2, patienceMs: 50 }),
    metrics: createDeliveryMetrics(registry),
    log,
    signal: new AbortController().signal,
  };
  return {
    deliver: (event) => deliverEvent(event, destinationsOf(event, notify.routes), options),
    startRetrying: () => running(startRetrying(() => notify.routes.flatMap(channelsOf), options, 20)),
    metrics: () => registry.metrics(),
  };
}

const rowOf = (event: AlertEvent) => [...store.rows.values()].find((row) => row.eventId === event.id);

/** As if the wait until the next attempt were over. */
function makeDue(event: AlertEvent): void {
  const row = rowOf(event);
  if (!row || row.dueAtMs === null) throw new Error("the delivery does not wait");
  row.dueAtMs = Date.now();
}

describe("delivery", () => {
  it("sends an event once to each destination, however often it comes", async () => {
    const receiver = running(await startReceiver());
    const mailbox = running(await startMailbox());
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url, smtpPort: mailbox.port }));
    const event = someChangeEvent();
    await notifier.deliver(event);
    await notifier.deliver(event);
    expect(receiver.calls).toHaveLength(1);
    expect(mailbox.mails).toHaveLength(1);
    expect(await notifier.metrics()).toMatch(
      /alert_deliveries_total\{route="mail",channel="email",outcome="delivered"[^}]*\} 1\n/,
    );
  });

  it("that fails waits in the store and is sent again, under the same id, when its time has come", async () => {
    const receiver = running(
      await startReceiver((response, _call, count) => void response.writeHead(count === 1 ? 503 : 200).end()),
    );
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }));
    const change = someChange();
    const event = someChangeEvent(change);
    store.events.set(event.id, { change, health: null });
    notifier.startRetrying();
    await notifier.deliver(event);
    expect(rowOf(event)).toMatchObject({ state: "failed", detail: "HTTP 503" });
    // The stream delivers it again: it is the store's to hand out now.
    await notifier.deliver(event);
    expect(receiver.calls).toHaveLength(1);
    makeDue(event);
    await vi.waitFor(() => expect(rowOf(event)).toMatchObject({ state: "delivered", attempts: 2 }));
    expect(receiver.calls.map(({ headers }) => headers["webhook-id"])).toEqual([event.id, event.id]);
    expect(receiver.calls[1]?.body).toBe(receiver.calls[0]?.body);
  });

  it("of a health event is sent again too", async () => {
    const receiver = running(
      await startReceiver((response, _call, count) => void response.writeHead(count === 1 ? 500 : 200).end()),
    );
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }));
    const event = someHealthEvent();
    store.events.set(event.id, { change: null, health: event.data });
    notifier.startRetrying();
    await notifier.deliver(event);
    makeDue(event);
    await vi.waitFor(() => expect(rowOf(event)).toMatchObject({ state: "delivered" }));
    expect(receiver.calls[1]?.body).toBe(receiver.calls[0]?.body);
  });

  it("is given up at once with 410, and after the last attempt", async () => {
    const receiver = running(
      await startReceiver(
        (response, { body }) => void response.writeHead(body.includes("gone-for-good") ? 410 : 500).end(),
      ),
    );
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }));
    const gone = someChangeEvent({ newValue: "gone-for-good" });
    await notifier.deliver(gone);
    expect(rowOf(gone)).toMatchObject({ state: "given_up", detail: "HTTP 410", attempts: 1 });
    const change = someChange();
    const event = someChangeEvent(change);
    store.events.set(event.id, { change, health: null });
    await notifier.deliver(event);
    Object.assign(rowOf(event) ?? {}, { attempts: 11 });
    makeDue(event);
    notifier.startRetrying();
    await vi.waitFor(() =>
      expect(rowOf(event)).toMatchObject({ state: "given_up", detail: "after 12 attempts: HTTP 500" }),
    );
  });

  it("leaves a receiver alone for as long as it asks", async () => {
    const receiver = running(
      await startReceiver((response) => void response.writeHead(429, { "retry-after": "3600" }).end()),
    );
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }));
    await notifier.deliver(someChangeEvent());
    const next = someChangeEvent();
    await notifier.deliver(next);
    expect(receiver.calls).toHaveLength(1);
    expect((rowOf(next)?.dueAtMs ?? 0) - Date.now()).toBeGreaterThan(3_500_000);
  });

  it("by mail goes on while a webhook hangs", async () => {
    const gate = Promise.withResolvers<void>();
    const receiver = running(await startReceiver((response) => void gate.promise.then(() => response.end())));
    const mailbox = running(await startMailbox());
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url, smtpPort: mailbox.port }));
    const changes = Array.from({ length: 30 }, () => someChange());
    for (const change of changes) store.events.set(change.id, { change, health: null });
    notifier.startRetrying();
    const delivered = Promise.all(changes.map((change) => notifier.deliver(someChangeEvent(change))));
    await vi.waitFor(() => expect(new Set(mailbox.mails.map(({ mail }) => mail.messageId)).size).toBe(30), 20_000);
    expect(mailbox.mails).toHaveLength(30);
    expect(receiver.calls.length).toBeLessThanOrEqual(2);
    gate.resolve();
    await delivered;
  });

  it("waits for another notifier's attempt, and takes over when that one has died", async () => {
    const receiver = running(await startReceiver());
    const notify = notifySettings({ webhookUrl: receiver.url });
    const event = someChangeEvent();
    const client = createStoreClient(nc);
    const claim = { eventId: event.id, route: "hook", channel: "webhook" as const, claimant: "dead", leaseMs: 300 };
    await client.call("notify.claim", claim);
    await createNotifier(notify).deliver(event);
    expect(receiver.calls).toHaveLength(1);
    const claimedAgain = await client.call("notify.claim", claim);
    expect(claimedAgain).toMatchObject({ state: "delivered", attempts: 2 });
  });

  it("by two notifiers at the same time happens once", async () => {
    const receiver = running(await startReceiver());
    const notify = notifySettings({ webhookUrl: receiver.url });
    const event = someChangeEvent();
    const [one, other] = [createNotifier(notify, "one"), createNotifier(notify, "other")];
    store.onClaim = (reply) => (reply.heldForMs > 0 ? { ...reply, heldForMs: 100 } : reply);
    await Promise.all([one.deliver(event), other.deliver(event)]);
    expect(receiver.calls).toHaveLength(1);
  });

  it("is recorded when the store is back, without being sent again", async () => {
    const receiver = running(
      await startReceiver((response) => void store.stop().then(() => response.writeHead(200).end())),
    );
    const { rows, events } = store;
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }), "this", { retryForMs: 0 });
    const event = someChangeEvent();
    const delivered = notifier.deliver(event);
    await vi.waitFor(() => expect(receiver.calls).toHaveLength(1));
    store = serveStandInStore(nc, log, { rows, events });
    await delivered;
    expect(rowOf(event)).toMatchObject({ state: "delivered", attempts: 1 });
    expect(receiver.calls).toHaveLength(1);
  });

  it("of an event that is no longer kept is given up", async () => {
    const receiver = running(await startReceiver((response) => void response.writeHead(500).end()));
    const notifier = createNotifier(notifySettings({ webhookUrl: receiver.url }));
    const event = someChangeEvent();
    await notifier.deliver(event);
    makeDue(event);
    notifier.startRetrying();
    await vi.waitFor(() =>
      expect(rowOf(event)).toMatchObject({ state: "given_up", detail: "the event is no longer kept" }),
    );
  });
});
