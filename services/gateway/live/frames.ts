import { isAtLeast } from "#contracts/severity.ts";
import type { Severity } from "#contracts/severity.ts";
import type { FeedEvent, Ring } from "./ring.ts";

export interface LiveFilter {
  module?: string | undefined;
  least?: Severity | undefined;
}

/** A frame's text, and the position a reader has when it was sent. */
export interface Frame {
  text: Buffer;
  position: number;
}

export interface Frames {
  /** Empty when the filter lets nothing through. */
  frames: Frame[];
  /** All events up to here are in the frames, or were left out by the filter. */
  reached: number;
}

const maxEventsPerFrame = 500;
const maxFrameLength = 1024 * 1024;
/** What one reader is handed at once; what is left follows when that is under way. */
const maxFrames = 4;

/** The text of a frame: the events' texts are put together as they are. */
export function eventsFrame(events: readonly FeedEvent[], position: number): Frame {
  const texts = events.map(({ text }) => text).join(",");
  return { text: Buffer.from(`{"type":"events","events":[${texts}],"position":${position}}`), position };
}

/** Frames for what a filter lets through of `events`, which are all there are up to `position`. */
export function eventsFrames(events: readonly FeedEvent[], filter: LiveFilter, position: number): Frames {
  const matching = events.filter((event) => matchesFilter(event, filter));
  const groups = splitBySize(matching);
  const isCutShort = groups.length > maxFrames;
  const sent = groups.slice(0, maxFrames);
  const frames = sent.map((group, index) => {
    const isLast = index === sent.length - 1 && !isCutShort;
    return eventsFrame(group, isLast ? position : (group.at(-1)?.position ?? position));
  });
  return { frames, reached: frames.at(-1)?.position ?? position };
}

function matchesFilter(event: FeedEvent, { module, least }: LiveFilter): boolean {
  if (module !== undefined && event.module !== module) return false;
  return least === undefined || isAtLeast(event.severity, least);
}

function splitBySize(events: readonly FeedEvent[]): FeedEvent[][] {
  const groups: FeedEvent[][] = [];
  let length = 0;
  for (const event of events) {
    const group = groups.at(-1);
    if (!group || group.length >= maxEventsPerFrame || length + event.text.length > maxFrameLength) {
      if (groups.length > maxFrames) break;
      groups.push([event]);
      length = event.text.length;
    } else {
      group.push(event);
      length += event.text.length;
    }
  }
  return groups;
}

/** One tick's frames: those who stand at the same position with the same filter share them. */
export interface FrameCache {
  /** Null where the ring no longer reaches back to `sent`. */
  after(sent: number, filter: LiveFilter): Frames | null;
}

export function createFrameCache(ring: Ring): FrameCache {
  const cached = new Map<string, Frames | null>();
  return {
    after(sent, filter) {
      const key = `${sent} ${filter.module ?? ""} ${filter.least ?? ""}`;
      let frames = cached.get(key);
      if (frames === undefined) {
        const events = ring.after(sent);
        frames = events && eventsFrames(events, filter, ring.head());
        cached.set(key, frames);
      }
      return frames;
    },
  };
}
