import type Bottleneck from "bottleneck";
import { liveCloseCodes } from "#contracts/gateway.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { catchUp } from "./catch-up.ts";
import { createFrameCache, eventsFrame } from "./frames.ts";
import type { FrameCache } from "./frames.ts";
import type { Reader } from "./reader.ts";
import type { Tail } from "./tail.ts";

export interface LiveLimits {
  maxClients: number;
  /** A reader with more than this unsent gets nothing more, and after `maxSlowMs` of that it is closed. */
  maxBufferedBytes: number;
  maxSlowMs: number;
  /** What the ring of recent events may hold. */
  maxEvents: number;
  maxBytes: number;
  tickMs: number;
  pollMs: number;
  heartbeatMs: number;
  /** How often a reader whose filter lets nothing through is told the position. */
  positionEveryMs: number;
}

/** What all live connections share. */
export interface Hub {
  tail: Tail;
  store: StoreClient;
  log: Logger;
  limits: LiveLimits;
  readers: Set<Reader>;
  /** However many readers are far behind, the store is asked for few pages at a time. */
  pages: Bottleneck;
  sendSoon(): void;
}

export function sendToAll(hub: Hub): void {
  const cache = createFrameCache(hub.tail.ring);
  for (const reader of hub.readers) sendNew(hub, reader, cache);
}

/** Sends a reader what it has not got yet, as far as it reads fast enough. */
export function sendNew(hub: Hub, reader: Reader, cache: FrameCache): void {
  const head = hub.tail.ring.head();
  if (!reader.isReading() || head <= reader.sent()) return;
  if (isClogged(hub, reader)) return;
  const batch = cache.after(reader.sent(), reader.filter);
  if (batch === null) return void readFromStore(hub, reader);
  for (const frame of batch.frames) {
    if (isClogged(hub, reader)) return;
    reader.send(frame);
  }
  if (batch.reached > reader.sent()) reader.passOver(batch.reached);
  if (batch.reached < head) hub.sendSoon();
}

/** Has it so much unsent that it gets nothing for now? Kept up for too long that ends the connection. */
function isClogged({ limits, log, sendSoon }: Hub, reader: Reader): boolean {
  const slowSince = reader.slowSince(limits.maxBufferedBytes);
  if (slowSince === null) return false;
  if (performance.now() - slowSince > limits.maxSlowMs) {
    log.info({ bufferedBytes: reader.bufferedBytes() }, "live reader too slow");
    reader.close(liveCloseCodes.tooSlow, "too slow: resume from the last position");
  } else sendSoon();
  return true;
}

/** A reader from before the ring is brought into it; what came meanwhile then follows from there. */
async function readFromStore(hub: Hub, reader: Reader): Promise<void> {
  try {
    await reader.alone(async () => await catchUp(reader, hub));
  } catch (error) {
    hub.log.warn({ err: error }, "live reader could not be caught up");
    reader.close(liveCloseCodes.tooSlow, "the store does not answer: resume later");
  }
  sendNew(hub, reader, createFrameCache(hub.tail.ring));
}

/** A reader whose filter lets nothing through learns of the position all the same, to resume from. */
export function tellPosition(reader: Reader): void {
  if (reader.isReading() && reader.told() < reader.sent()) reader.send(eventsFrame([], reader.sent()));
}

export function closeAll(readers: ReadonlySet<Reader>, reason: string): void {
  for (const reader of readers) reader.close(liveCloseCodes.goingAway, reason);
}
