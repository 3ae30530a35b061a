import { changeEvent, healthEvent } from "#contracts/messages.ts";
import type { StoreReply } from "#contracts/store.ts";
import { deliverAgain, leaseMs, record } from "./deliver.ts";
import type { DeliverOptions } from "./deliver.ts";
import { laneKey } from "./lanes.ts";
import type { AlertEvent, Destination } from "./route.ts";

type DueDelivery = StoreReply<"notify.due">["deliveries"][number];

export interface Retrying {
  stop(): Promise<void>;
}

/**
 * Takes failed deliveries from the store when their time has come, each destination by itself, so that one that is
 * slow or gone holds up no other.
 */
export function startRetrying(
  destinations: () => readonly Destination[],
  options: DeliverOptions,
  everyMs = 3000,
): Retrying {
  const running = new Map<string, Promise<void>>();
  const tick = () => {
    for (const destination of destinations()) {
      const key = laneKey(destination);
      if (running.has(key)) continue;
      const run = retryDestination(destination, options)
        .catch((error: unknown) => {
          if (!options.signal.aborted) options.log.warn({ err: error, route: destination.route.name }, "retry later");
        })
        .finally(() => running.delete(key));
      running.set(key, run);
    }
  };
  const timer = setInterval(tick, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(running.values());
    },
  };
}

/** Attempts what is due at one destination until nothing is. */
async function retryDestination(destination: Destination, options: DeliverOptions): Promise<void> {
  const lane = options.lanes.of(destination);
  for (;;) {
    const limit = lane.restsForMs() > 0 ? 0 : lane.freeSlots();
    const request = { route: destination.route.name, channel: destination.channel, leaseMs, limit };
    const { deliveries, oldestAt } = await options.store.call("notify.due", request);
    options.metrics.waitingSince(destination, oldestAt);
    const outcomes = await Promise.allSettled(deliveries.map((due) => retryDelivery(due, destination, options)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    if (deliveries.length === 0 || options.signal.aborted) return;
  }
}

async function retryDelivery(due: DueDelivery, destination: Destination, options: DeliverOptions): Promise<void> {
  const event = eventOf(due);
  if (event === null) {
    const attempt = { state: "given_up" as const, detail: "the event is no longer kept" };
    await record({ id: due.eventId }, destination, attempt, null, options);
    options.metrics.count(destination, "given_up");
    return;
  }
  await deliverAgain({ event, attempts: due.attempts }, destination, options);
}

function eventOf({ change, health }: DueDelivery): AlertEvent | null {
  if (change !== null) return changeEvent(change);
  return health === null ? null : healthEvent(health);
}
