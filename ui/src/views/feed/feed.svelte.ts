import type { Change } from "#contracts/messages.ts";
import { isAbort, whyNot, type Page, type Query } from "../../lib/api.ts";
import { openConnection, type Connection, type ConnectionState, type LiveFilter } from "../../lib/connection.ts";
import { inSteps } from "../../lib/in-steps.ts";
import { emptyView, withArrivals, withFirstPage, withHeldShown, withOlderPage, type FeedView } from "./feed-view.ts";

const pageSize = 100;
/** In a burst the screen moves this often, not with every frame. */
const drawEveryMs = 250;
/** A filtered feed is told its position every few seconds too. */
const lagAllowedMs = 15_000;

/** The change feed, live as long as the page is open. */
export interface Feed {
  readonly view: FeedView;
  /** Did this change arrive live, rather than with a page of older ones? */
  isFresh(id: string): boolean;
  /** Is the reader at the top, where new changes may simply appear? */
  follow(isAtTop: boolean): void;
  showHeld(): void;
  setFilter(filter: LiveFilter): void;
  more(): void;
  reload(): void;
  reconnect(): void;
  /**
   * The newest change there is, as heard by other means: a connection that looks open and still lags behind it is
   * dead, and is made anew.
   */
  expect(position: number): void;
}

export interface FeedSource {
  liveUrl: string;
  changes(query: Query, signal: AbortSignal): Promise<Page<Change>>;
}

/** Joins pages of older changes with the live feed: the first page is read once the live position is known. */
export function createFeed(source: FeedSource, firstFilter: LiveFilter): Feed {
  let view = $state.raw<FeedView>(emptyView);
  let filter = firstFilter;
  let isFollowing = true;
  let live: Connection | null = null;
  let reading: AbortController | null = null;
  /** What arrives while the first page is under way, oldest first, to be merged with it. */
  let meanwhile: Change[] | null = null;
  const fresh = new Set<string>();
  const arrivals = inSteps<Change>(drawEveryMs, (found) => {
    view = withArrivals(view, found.toReversed(), isFollowing);
  });

  function start(): void {
    live?.close();
    arrivals.clear();
    fresh.clear();
    view = emptyView;
    live = openConnection({
      url: source.liveUrl,
      filter,
      onState: connected,
      onReady: (_position, isResumed) => {
        if (!isResumed) void readFirst();
      },
      onChanges: receive,
    });
  }

  function connected(connection: ConnectionState, retryAtMs: number | null): void {
    view = { ...view, connection, retryAtMs };
    const isDown = connection !== "connecting" && connection !== "live";
    // Without a live feed the page still shows what there is.
    if (isDown && !view.isLoaded && !view.isLoading) void readFirst();
  }

  function receive(found: Change[]): void {
    if (meanwhile) {
      meanwhile.push(...found);
      return;
    }
    for (const { id } of found) fresh.add(id);
    arrivals.add(found);
  }

  async function readFirst(): Promise<void> {
    meanwhile ??= [];
    const page = await read(null);
    if (page === "overtaken") return;
    const arrived = meanwhile.toReversed();
    meanwhile = null;
    view = page ? withFirstPage(view, page, arrived) : withArrivals(view, arrived, true);
  }

  async function readMore(): Promise<void> {
    if (view.next === null || view.isLoading) return;
    const page = await read(view.next);
    if (page && page !== "overtaken") view = withOlderPage(view, page);
  }

  /** A page, null when it could not be read, `overtaken` when another was asked for meanwhile. */
  async function read(cursor: string | null): Promise<Page<Change> | null | "overtaken"> {
    reading?.abort();
    const own = new AbortController();
    reading = own;
    view = { ...view, isLoading: true };
    try {
      const page = await source.changes({ ...filter, limit: pageSize, cursor }, own.signal);
      return reading === own ? page : "overtaken";
    } catch (error) {
      if (isAbort(error) || reading !== own) return "overtaken";
      view = { ...view, isLoading: false, problem: whyNot(error) };
      return null;
    }
  }

  function expect(position: number): void {
    const suspect = live;
    const isBehind = () => view.connection === "live" && (live?.position() ?? 0) < position;
    if (!isBehind()) return;
    setTimeout(() => {
      if (live === suspect && isBehind()) live?.reconnect();
    }, lagAllowedMs);
  }

  start();

  return {
    get view() {
      return view;
    },
    isFresh: (id) => fresh.has(id),
    follow: (isAtTop) => (isFollowing = isAtTop),
    showHeld() {
      isFollowing = true;
      view = withHeldShown(view);
    },
    setFilter(wanted) {
      if (wanted.module === filter.module && wanted.least === filter.least) return;
      filter = wanted;
      start();
    },
    more: () => void readMore(),
    reload: () => void readFirst(),
    reconnect: () => live?.reconnect(),
    expect,
  };
}
