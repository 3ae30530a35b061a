import { changeEvent } from "#contracts/messages.ts";
import type { Change } from "#contracts/messages.ts";
import type { Severity } from "#contracts/severity.ts";

/** A change as it is sent: turned to text once, however many read it. */
export interface FeedEvent {
  position: number;
  module: string;
  severity: Severity | null;
  /** The CloudEvent's JSON. */
  text: string;
}

export function feedEvent(change: Change): FeedEvent {
  const { position, module, severity } = change;
  return { position, module, severity, text: JSON.stringify(changeEvent(change)) };
}

/** The newest part of the feed, without a gap: all events after `base()`, up to `head()`. */
export interface Ring {
  head(): number;
  base(): number;
  /** Forgets everything; the next event is the first after `position`. */
  reset(position: number): void;
  /** In feed order. */
  push(events: readonly FeedEvent[]): void;
  /** All events after a position, oldest first, or null where some of them are no longer held. */
  after(position: number): FeedEvent[] | null;
}

export function createRing({ maxEvents, maxBytes }: { maxEvents: number; maxBytes: number }): Ring {
  let events: FeedEvent[] = [];
  let bytes = 0;
  let base = 0;
  let head = 0;

  function dropOldest(): void {
    let dropped = 0;
    while (events.length - dropped > maxEvents || (bytes > maxBytes && dropped < events.length)) {
      const event = events[dropped++];
      if (!event) break;
      bytes -= event.text.length;
      base = event.position;
    }
    if (dropped > 0) events = events.slice(dropped);
  }

  return {
    head: () => head,
    base: () => base,
    reset(position) {
      events = [];
      bytes = 0;
      base = position;
      head = position;
    },
    push(added) {
      for (const event of added) {
        events.push(event);
        bytes += event.text.length;
        head = event.position;
      }
      dropOldest();
    },
    after: (position) => (position < base ? null : events.slice(firstAfter(events, position))),
  };
}

/** Where the first event after a position stands: readers are mostly near the end of a long, sorted array. */
function firstAfter(events: readonly FeedEvent[], position: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.position ?? 0) > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
