import type { NatsConnection } from "@nats-io/nats-core";
import { subjects } from "#contracts/subjects.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { readFeedPage } from "./feed-page.ts";
import { createRing } from "./ring.ts";
import type { Ring } from "./ring.ts";

export interface TailOptions {
  nc: NatsConnection;
  store: StoreClient;
  log: Logger;
  maxEvents: number;
  maxBytes: number;
  pollMs: number;
  onMove(): void;
  /** The feed was set back: positions after its head mean something else now. */
  onReset(): void;
}

/** The end of the feed, as this process knows it. */
export interface Tail {
  ring: Ring;
  /** Has it read the feed at least once? */
  isReady(): boolean;
  /** Reads what is new; settles after a read that began no earlier than this call. Could it read? Never throws. */
  refresh(): Promise<boolean>;
  stop(): void;
}

/** Wake-ups closer together than this share a read. */
const leastBetweenReadsMs = 20;

/**
 * Follows the feed. Messages on the change subjects come in any order, twice or not at all: they only say that it is
 * worth reading, and a poll reads when none came. What is read, in feed order, is what happened.
 */
export function followFeed(options: TailOptions): Tail {
  const ring = createRing(options);
  const state = { isReady: false, isFailing: false, isStopped: false };
  const refresh = coalesce(() => readOn(ring, state, options));
  let wake: NodeJS.Timeout | undefined;
  const wakeUp = () => {
    wake ??= setTimeout(() => {
      wake = undefined;
      void refresh();
    }, leastBetweenReadsMs);
  };
  const subscription = options.nc.subscribe(subjects.allChanges, { callback: wakeUp });
  const poll = setInterval(() => void refresh(), options.pollMs);
  void refresh();
  return {
    ring,
    isReady: () => state.isReady,
    refresh,
    stop: () => {
      state.isStopped = true;
      clearInterval(poll);
      clearTimeout(wake);
      if (!options.nc.isClosed()) subscription.unsubscribe();
    },
  };
}

interface TailState {
  isReady: boolean;
  isFailing: boolean;
  isStopped: boolean;
}

async function readOn(ring: Ring, state: TailState, options: TailOptions): Promise<boolean> {
  try {
    if (!state.isReady) await startNearEnd(ring, options);
    let isEnd = false;
    while (!state.isStopped && !isEnd) isEnd = await readPage(ring, options);
    state.isReady = true;
    if (state.isFailing) options.log.info({ position: ring.head() }, "feed read again");
    state.isFailing = false;
    return true;
  } catch (error) {
    if (!state.isFailing && !state.isStopped) options.log.warn({ err: error }, "feed cannot be read");
    state.isFailing = true;
    return false;
  }
}

/** Clients that return after this process was restarted mostly ask for what is little older than its start. */
async function startNearEnd(ring: Ring, { store, maxEvents }: TailOptions): Promise<void> {
  const { position } = await store.call("read.feed", { after: 0, limit: 1 });
  ring.reset(Math.max(0, position - Math.min(maxEvents, 1000)));
}

/** Is the end reached? */
async function readPage(ring: Ring, { store, onMove, onReset }: TailOptions): Promise<boolean> {
  const { events, isEnd, position } = await readFeedPage(store, ring.head());
  if (position < ring.head()) {
    // A database restored from a backup: its next changes come under positions that were given out before.
    ring.reset(position);
    onReset();
    return false;
  }
  ring.push(events);
  if (events.length > 0) onMove();
  return isEnd;
}

/** At most one run at a time and one waiting: callers meanwhile share the waiting one. */
function coalesce<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let current: Promise<Result> | null = null;
  let waiting: Promise<Result> | null = null;
  return function start(): Promise<Result> {
    if (current === null) {
      current = run().finally(() => (current = null));
      return current;
    }
    waiting ??= current.then(() => {
      waiting = null;
      return start();
    });
    return waiting;
  };
}
