import { changeEvent, healthEvent } from "#contracts/messages.ts";
import type { Change, Health } from "#contracts/messages.ts";
import { messageIds, streams, subjects } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { publish } from "#runtime/publish.ts";
import type { StoreClient } from "#runtime/rpc.ts";

export interface Announcement {
  change: Change;
  isReplay: boolean;
}

/** Publishes what the store has committed and tells it so. Repeating it is harmless: each event has its id. */
export async function announce(
  { broker, store }: { broker: Broker; store: StoreClient },
  { changes, health }: { changes: Announcement[]; health: Health[] },
): Promise<void> {
  if (changes.length === 0 && health.length === 0) return;
  await Promise.all([
    ...changes.map(({ change, isReplay }) =>
      publish(broker.js, {
        stream: streams.changes,
        subject: subjects.change(change),
        body: changeEvent(change, isReplay),
        messageId: messageIds.change(change.id),
        isPlain: true,
      }),
    ),
    ...health.map((event) =>
      publish(broker.js, {
        stream: streams.health,
        subject: subjects.health(event.kind, event.module, event.host, event.resource),
        body: healthEvent(event),
        messageId: messageIds.health(event.id),
        isPlain: true,
      }),
    ),
  ]);
  await store.call("write.published", {
    changes: changes.map(({ change }) => change.id),
    health: health.map(({ id }) => id),
  });
}
