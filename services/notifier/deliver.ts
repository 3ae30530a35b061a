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
  const lane = options.lanes.of(destination);
  // The claim is made in the slot, so that a crash leaves claims only on what was being sent.
  const deliver = async () => {
    const claimed = await claim(event.id, destination, options);
    if (claimed.attempts !== null) await attemptNow({ event, attempts: claimed.attempts }, destination, lane, options);
    return claimed;
  };
  const putOff = async () => {
    const claimed = await claim(event.id, destination, options);
    if (claimed.attempts !== null) await recordPutOff(event, destination, lane, options);
    return claimed;
  };
  for (;;) {
    const { heldForMs } = (await runIfFree(lane, deliver)) ?? (await putOff());
    if (heldForMs === 0) return;
    await sleep(heldForMs, undefined, { signal: options.signal });
  }
}

/** One more attempt at what the store has handed out. `attempts` counts it. */
export async function deliverAgain(
  due: { event: AlertEvent; attempts: number },
  destination: Destination,
  options: DeliverOptions,
): Promise<void> {
  const lane = options.lanes.of(destination);
  const isDone = await runIfFree(lane, async () => {
    await attemptNow(due, destination, lane, options);
    return true;
  });
  if (!isDone) await recordPutOff(due.event, destination, lane, options);
}

async function runIfFree<Result>(lane: RouteLane, attempt: () => Promise<Result>): Promise<Result | null> {
  return lane.restsForMs() > 0 ? null : await lane.run(attempt);
}

/**
 * The number of this attempt; null where there is nothing to do, since the delivery is final or the store's to hand
 * out, or, for `heldForMs`, another notifier's.
 */
async function claim(
  eventId: string,
  { route, channel }: Destination,
  { store, claimant }: DeliverOptions,
): Promise<{ attempts: number | null; heldForMs: number }> {
  const request = { eventId, route: route.name, channel, claimant, leaseMs };
  const { state, attempts, heldForMs } = await store.call("notify.claim", request);
  if (state !== "sending") return { attempts: null, heldForMs: 0 };
  return { attempts: heldForMs > 0 ? null : attempts, heldForMs };
}

async function attemptNow(
  { event, attempts }: { event: AlertEvent; attempts: number },
  destination: Destination,
  lane: RouteLane,
  options: DeliverOptions,
): Promise<void> {
  const attempt = await options.send(event, destination);
  const { state, waitMs, detail } = settleAttempt(attempt, attempts);
  if (attempt.state === "failed" && attempt.retryAfterMs !== undefined) lane.rest(attempt.retryAfterMs);
  await record(event, destination, { state, detail }, waitMs, options);
  options.metrics.count(destination, state);
  const { route, channel } = destination;
  options.log.info({ event: event.id, route: route.name, channel, state, detail, attempts }, "alert attempted");
}

/** Until the receiver's rest is over; else soon. */
async function recordPutOff(
  event: AlertEvent,
  destination: Destination,
  lane: RouteLane,
  options: DeliverOptions,
): Promise<void> {
  const waitMs = Math.max(1000, lane.restsForMs());
  await record(event, destination, { state: "failed", detail: "put off: the route is busy" }, waitMs, options);
  options.metrics.count(destination, "put_off");
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
