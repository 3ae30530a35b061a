import { setTimeout as sleep } from "node:timers/promises";
import type Bottleneck from "bottleneck";
import type { StoreClient } from "#runtime/rpc.ts";
import { readFeedPage } from "./feed-page.ts";
import { eventsFrames } from "./frames.ts";
import type { Reader } from "./reader.ts";
import type { Tail } from "./tail.ts";

/** A reader far behind is sent the next page once this little of the last is still unsent. */
const drainedBytes = 256 * 1024;

/** Sends a reader what lies before the ring, page by page as fast as it reads, until the ring reaches back to it. */
export async function catchUp(
  reader: Reader,
  { tail, store, pages }: { tail: Tail; store: StoreClient; pages: Bottleneck },
): Promise<void> {
  while (reader.isOpen() && reader.sent() < tail.ring.base()) {
    const base = tail.ring.base();
    const { events, isEnd } = await pages.schedule(() => readFeedPage(store, reader.sent()));
    const last = events.at(-1)?.position ?? reader.sent();
    // Where the feed ends, there is nothing before the ring that was not among what was read.
    const { frames, reached } = eventsFrames(events, reader.filter, isEnd ? Math.max(last, base) : last);
    for (const frame of frames) reader.send(frame);
    reader.passOver(reached);
    await drained(reader);
  }
}

async function drained(reader: Reader): Promise<void> {
  while (reader.isOpen() && reader.bufferedBytes() > drainedBytes) await sleep(20);
}
