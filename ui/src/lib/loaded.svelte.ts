import { isAbort, whyNot } from "./api.ts";

/** One answer, with its state while it is under way. The last good one stays while a newer is read. */
export interface Loaded<Value> {
  readonly value: Value | null;
  readonly problem: string | null;
  reload(): Promise<void>;
}

/** Reads whenever what `load` depends on changes, and every `everyMs` while the page is looked at. */
export function createLoaded<Value>(load: (signal: AbortSignal) => Promise<Value>, everyMs?: number): Loaded<Value> {
  let value = $state.raw<Value | null>(null);
  let problem = $state<string | null>(null);
  let running: AbortController | null = null;

  $effect(() => {
    void read();
    const timer = everyMs ? setInterval(() => !document.hidden && void read(), everyMs) : undefined;
    return () => {
      clearInterval(timer);
      running?.abort();
    };
  });

  async function read(): Promise<void> {
    running?.abort();
    const own = new AbortController();
    running = own;
    try {
      value = await load(own.signal);
      problem = null;
    } catch (error) {
      if (!isAbort(error) && !own.signal.aborted) problem = whyNot(error);
    }
  }

  return {
    get value() {
      return value;
    },
    get problem() {
      return problem;
    },
    reload: read,
  };
}
