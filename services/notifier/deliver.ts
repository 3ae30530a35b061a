import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "#runtime/log.ts";
import { retry } from "#runtime/retry.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { waitAfterMs } from "./attempt.ts";
import type { Attempt } from "./attempt.ts";
import type { Lanes, RouteLane } from "./lanes.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";
import type { AlertEvent, Destination } from "./route.ts";

/** Longer than an attempt can take: after a crash, another notifier takes over when it has passed. */
export const leaseMs = 45_000;

export interface DeliverOptions {
  store: StoreClient;
  /** Names this running notifier in its claims. */
  claimant: string;
  send(event: AlertEvent, destination: Destination): Promise<Attempt>;
  lanes: Lanes;
  metrics: DeliveryMetrics;
  log: Logger;
  /** Aborted when the service stops: what waits, ends; what is being sent, is sent. */
  signal: AbortSignal;
}

/**
 * Brings an event that came from the stream to each of its destinations: sent, given up, or put off in the store,
 * from which `retryDue` takes it. After that the event may be acknowledged. Throws when the store could not be asked;
 * the same call again then does only what is left.
 */
export async function deliverEvent(
  event: AlertEvent,
  destinations: readonly Destination[],
  options: DeliverOptions,
): Promise<void> {
  // All are waited for, even when one throws: a second call must not meet an attempt of the first.
  const outcomes = await Promise.allSettled(destinations.map((each) => deliverTo(event, each, options)));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function deliverTo(event: AlertEvent, destination: Destination, options: DeliverOptions): Promise<void> {
  const attempts = await claim(event.id, destination, options);
  if (attempts === null) return;
  await attemptDelivery({ event, attempts }, destination, options);
}

/** The number of this attempt, or null where there is nothing to do: final, or waiting to be handed out. */
async function claim(eventId: string, destination: Destination, options: DeliverOptions): Promise<number | null> {
  const { store, claimant, signal } = options;
  for (;;) {
    const route = destination.route.name;
    const request = { eventId, route, channel: destination.channel, claimant, leaseMs };
    const { state, attempts, heldForMs } = await store.call("notify.claim", request);
    if (state !== "sending") return null;
    if (heldForMs === 0) return attempts;
    await sleep(heldForMs, undefined, { signal });
  }
}

/** One attempt and its record, or the record that it is put off. `attempts` counts it. */
export async function attemptDelivery(
  { event, attempts }: { event: AlertEvent; attempts: number },
  destination: Destination,
  options: DeliverOptions,
): Promise<void> {
  const lane = options.lanes.of(destination);
  const attempt = lane.restsForMs() > 0 ? null : await lane.run(() => options.send(event, destination));
  if (attempt === null) {
    await record(
      event,
      destination,
      { state: "failed", detail: "put off: the route is busy" },
      putOffMs(lane),
      options,
    );
    options.metrics.count(destination, "put_off");
    return;
  }
  const { state, waitMs, detail } = settleAttempt(attempt, attempts);
  if (attempt.state === "failed" && attempt.retryAfterMs !== undefined) lane.rest(attempt.retryAfterMs);
  await record(event, destination, { state, detail }, waitMs, options);
  options.metrics.count(destination, state);
  const { route, channel } = destination;
  options.log.info({ event: event.id, route: route.name, channel, state, detail, attempts }, "alert attempted");
}

/** Until the receiver's rest is over; else soon. */
function putOffMs(lane: RouteLane): number {
  return Math.max(1000, lane.restsForMs());
}

function settleAttempt(attempt: Attempt, attempts: number) {
  if (attempt.state !== "failed") return { ...attempt, waitMs: null };
  const waitMs = waitAfterMs(attempts, attempt.retryAfterMs);
  if (waitMs !== null) return { ...attempt, waitMs };
  return { state: "given_up" as const, detail: `after ${attempts} attempts: ${attempt.detail}`, waitMs: null };
}

/** Recorded however long the store takes: to forget it would send the alert again. */
export async function record(
  { id: eventId }: { id: string },
  { route, channel }: Destination,
  { state, detail }: Pick<Attempt, "state" | "detail">,
  retryAfterMs: number | null,
  { store, log, signal }: DeliverOptions,
): Promise<void> {
  const request = { eventId, route: route.name, channel, state, detail: detail.slice(0, 500), retryAfterMs };
  await retry(() => store.call("notify.record", request), {
    firstMs: 200,
    mostMs: 5000,
    signal,
    isTemporary: () => true,
    onError: (error, attempt) => log.warn({ err: error, event: eventId, attempt }, "delivery not recorded yet"),
  });
}
