import type { Change } from "#contracts/messages.ts";
import type { Page } from "../../lib/api.ts";
import type { ConnectionState } from "../../lib/connection.ts";
import { mergeChanges } from "./merge.ts";

/** The feed as it is shown, newest first; each step below makes the next from the one before. */
export interface FeedView {
  changes: Change[];
  /** Arrived while the reader was further down: shown on demand, so that nothing jumps. */
  held: Change[];
  /** Where older changes are read on from; null when there are none, or when the oldest shown were let go. */
  next: string | null;
  /** False until the first page has come: only then is an empty feed truly empty. */
  isLoaded: boolean;
  isLoading: boolean;
  problem: string | null;
  connection: ConnectionState;
  retryAtMs: number | null;
}

export const emptyView: FeedView = {
  changes: [],
  held: [],
  next: null,
  isLoaded: false,
  isLoading: false,
  problem: null,
  connection: "connecting",
  retryAtMs: null,
};

/** No page stays open for weeks without letting go of its oldest rows. */
export const keptChanges = 5000;

/** Changes that came live: shown at once to a reader at the top, else held back. */
export function withArrivals(view: FeedView, newestFirst: Change[], isFollowing: boolean): FeedView {
  if (newestFirst.length === 0) return view;
  if (!isFollowing) return { ...view, held: mergeChanges(newestFirst, view.held).slice(0, keptChanges) };
  const all = mergeChanges(newestFirst, view.changes);
  // The cursor leads on from what is let go here: reading on from it would leave a gap.
  const next = all.length > keptChanges ? null : view.next;
  return { ...view, changes: all.slice(0, keptChanges), next };
}

export function withHeldShown(view: FeedView): FeedView {
  return withArrivals({ ...view, held: [] }, view.held, true);
}

/** The newest page, read anew, with what came live while it was under way. */
export function withFirstPage(view: FeedView, page: Page<Change>, meanwhile: Change[]): FeedView {
  const changes = mergeChanges(meanwhile, page.items);
  return { ...view, changes, held: [], next: page.next, isLoaded: true, isLoading: false, problem: null };
}

export function withOlderPage(view: FeedView, page: Page<Change>): FeedView {
  const changes = mergeChanges(view.changes, page.items);
  return { ...view, changes, next: page.next, isLoading: false, problem: null };
}
