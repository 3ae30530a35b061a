import type { Change } from "#contracts/messages.ts";
import { isAbort, whyNot, type Page, type Query } from "../../lib/api.ts";
import { openConnection, type Connection, type ConnectionState, type LiveFilter } from "../../lib/connection.ts";
import { mergeChanges } from "./merge.ts";

const pageSize = 100;
const keptChanges = 5000;
/** In a burst the screen moves this often, not with every frame. */
const drawEveryMs = 250;
/** A filtered feed is told its position every few seconds too. */
const lagAllowedMs = 15_000;

/** The change feed as one screen shows it, newest first. */
export interface Feed {
  readonly changes: Change[];
  /** Arrived while the reader was further down: shown on demand, so that nothing jumps. */
  readonly waiting: number;
  readonly connection: ConnectionState;
  readonly retryAtMs: number | null;
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  readonly problem: string | null;
  /** Did this change arrive live, rather than with a page of older ones? */
  isFresh(id: string): boolean;
  /**
   * The newest change there is, as heard by other means: a connection that looks open and still lags behind it is
   * dead, and is made anew.
   */
  expect(position: number): void;
  /** Is the reader at the top, where new changes may simply appear? */
  follow(isFollowing: boolean): void;
  setFilter(filter: LiveFilter): void;
  showWaiting(): void;
  more(): void;
  reload(): void;
  reconnect(): void;
}

export interface FeedSource {
  liveUrl: string;
  changes(query: Query, signal: AbortSignal): Promise<Page<Change>>;
}

/** Joins pages of older changes with the live feed: the first page is read once the live position is known. */
export function createFeed(source: FeedSource, firstFilter: LiveFilter): Feed {
  let changes = $state.raw<Change[]>([]);
  let held = $state.raw<Change[]>([]);
  let connection = $state<ConnectionState>("connecting");
  let retryAtMs = $state<number | null>(null);
  let isLoaded = $state(false);
  let isLoading = $state(false);
  let next = $state<string | null>(null);
  let problem = $state<string | null>(null);
  let filter = firstFilter;
  let isFollowing = true;
  let fresh = new Set<string>();
  let live: Connection | null = null;
  let reading: AbortController | null = null;
  /** What arrives while the first page is under way, to be merged with it. */
  let meanwhile: Change[] | null = null;
  /** What arrived since the screen was last moved, newest first. */
  let undrawn: Change[] = [];
  let drawnAtMs = 0;
  let drawing: ReturnType<typeof setTimeout> | undefined;

  function start(): void {
    live?.close();
    isLoaded = false;
    changes = [];
    held = [];
    undrawn = [];
    fresh = new Set();
    live = openConnection({
      url: source.liveUrl,
      filter,
      onState(state, retryAt) {
        connection = state;
        retryAtMs = retryAt;
        // Without a live feed the page still shows what there is.
        if (state !== "connecting" && state !== "live" && !isLoaded && !isLoading) void readFirst();
      },
      onReady(_position, isResumed) {
        if (!isResumed) void readFirst();
      },
      onChanges: receive,
    });
  }

  function receive(found: Change[]): void {
    const newestFirst = found.toReversed();
    if (meanwhile) {
      meanwhile = mergeChanges(newestFirst, meanwhile);
      return;
    }
    for (const { id } of found) fresh.add(id);
    undrawn = mergeChanges(newestFirst, undrawn);
    clearTimeout(drawing);
    drawing = setTimeout(draw, Math.max(0, drawnAtMs + drawEveryMs - Date.now()));
  }

  function draw(): void {
    drawnAtMs = Date.now();
    const newestFirst = undrawn;
    undrawn = [];
    if (isFollowing) show(newestFirst);
    else held = mergeChanges(newestFirst, held);
  }

  function show(newestFirst: Change[]): void {
    const all = mergeChanges(newestFirst, changes);
    changes = all.slice(0, keptChanges);
    // The cursor leads on from what was let go: older pages are then read again from the top.
    if (all.length > keptChanges) next = null;
  }

  async function readFirst(): Promise<void> {
    meanwhile ??= [];
    const page = await read(null);
    if (!page) return;
    changes = mergeChanges(meanwhile ?? [], page.items);
    held = [];
    meanwhile = null;
    next = page.next;
    isLoaded = true;
  }

  async function readMore(): Promise<void> {
    if (next === null || isLoading) return;
    const page = await read(next);
    if (!page) return;
    changes = mergeChanges(changes, page.items);
    next = page.next;
  }

  async function read(cursor: string | null): Promise<Page<Change> | null> {
    reading?.abort();
    const own = new AbortController();
    reading = own;
    isLoading = true;
    try {
      const page = await source.changes({ ...filter, limit: pageSize, cursor }, own.signal);
      problem = null;
      return page;
    } catch (error) {
      if (!isAbort(error) && reading === own) {
        problem = whyNot(error);
        show(meanwhile ?? []);
        meanwhile = null;
      }
      return null;
    } finally {
      if (reading === own) isLoading = false;
    }
  }

  function expect(position: number): void {
    const suspect = live;
    if (connection !== "live" || (suspect?.position() ?? 0) >= position) return;
    setTimeout(() => {
      if (live === suspect && connection === "live" && (live?.position() ?? 0) < position) live?.reconnect();
    }, lagAllowedMs);
  }

  start();

  return {
    get changes() {
      return changes;
    },
    get waiting() {
      return held.length;
    },
    get connection() {
      return connection;
    },
    get retryAtMs() {
      return retryAtMs;
    },
    get isLoaded() {
      return isLoaded;
    },
    get isLoading() {
      return isLoading;
    },
    get hasMore() {
      return next !== null;
    },
    get problem() {
      return problem;
    },
    expect,
    isFresh: (id) => fresh.has(id),
    follow(isAtTop) {
      isFollowing = isAtTop;
    },
    setFilter(wanted) {
      if (wanted.module === filter.module && wanted.least === filter.least) return;
      filter = wanted;
      start();
    },
    showWaiting() {
      const waiting = held;
      held = [];
      isFollowing = true;
      show(waiting);
    },
    more: () => void readMore(),
    reload: () => void readFirst(),
    reconnect: () => live?.reconnect(),
  };
}
