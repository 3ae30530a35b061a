import { untrack } from "svelte";
import { isAbort, whyNot, type Page } from "./api.ts";

/** A list read page by page. */
export interface Pages<Item> {
  readonly items: Item[];
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  readonly problem: string | null;
  /** False until the first page has come: only then is an empty list truly empty. */
  readonly isLoaded: boolean;
  more(): void;
  reload(): void;
}

/**
 * Reads the first page whenever what `load` depends on changes (it is called in an effect), and the next when asked.
 * An answer that was overtaken is dropped.
 */
export function createPages<Item>(
  load: (cursor: string | null, signal: AbortSignal) => Promise<Page<Item>>,
): Pages<Item> {
  let items = $state.raw<Item[]>([]);
  let next = $state<string | null>(null);
  let isLoading = $state(true);
  let isLoaded = $state(false);
  let problem = $state<string | null>(null);
  let round = $state(0);
  let running: AbortController | null = null;

  $effect(() => {
    void round;
    void read(null);
    return () => running?.abort();
  });

  async function read(cursor: string | null): Promise<void> {
    running?.abort();
    const own = new AbortController();
    running = own;
    const promise = load(cursor, own.signal);
    untrack(() => (isLoading = true));
    try {
      const page = await promise;
      items = cursor === null ? page.items : [...items, ...page.items];
      next = page.next;
      problem = null;
      isLoaded = true;
    } catch (error) {
      if (isAbort(error) || own.signal.aborted) return;
      problem = whyNot(error);
    }
    if (running === own) isLoading = false;
  }

  return {
    get items() {
      return items;
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
    get isLoaded() {
      return isLoaded;
    },
    more() {
      if (next !== null && !isLoading) void read(next);
    },
    reload() {
      round += 1;
    },
  };
}
