import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "#runtime/retry.ts";
import { errorMessage } from "#runtime/errors.ts";
import type { Child, ChildEnd } from "./child.ts";

export interface SupervisedOptions {
  name: string;
  start(): Promise<Child>;
  /** Asks it to end cleanly; default SIGTERM. */
  stopSignal?: NodeJS.Signals;
  graceMs?: number;
  /** It ended without being asked to. */
  onCrash?(end: ChildEnd): void;
  onStartFailure?(reason: string): void;
}

export interface Supervised {
  name: string;
  pid(): number | null;
  /** Ends it with this signal, and leaves it down until `resume`. */
  halt(signal: NodeJS.Signals): Promise<void>;
  resume(): Promise<void>;
  /** Cleanly, for good. */
  stop(): Promise<void>;
  /** At once, for good. */
  killNow(): void;
}

/** After running this long a crash counts as a first one again. */
const soundAfterMs = 30_000;

/** Keeps a child running: started again after a crash, sooner at first and then less often. */
export async function supervise(options: SupervisedOptions): Promise<Supervised> {
  const state: { child: Child | null; isWanted: boolean; crashes: number } = {
    child: null,
    isWanted: true,
    crashes: 0,
  };
  let waiting = new AbortController();

  async function startOnce(): Promise<void> {
    const child = await options.start();
    if (!state.isWanted) return void (await child.stop("SIGKILL", 0));
    state.child = child;
    void watch(child);
  }

  async function watch(child: Child): Promise<void> {
    const startedAt = performance.now();
    const end = await child.ended;
    state.child = null;
    if (!state.isWanted) return;
    if (performance.now() - startedAt > soundAfterMs) state.crashes = 0;
    options.onCrash?.(end);
    await startAgain();
  }

  async function startAgain(): Promise<void> {
    while (state.isWanted) {
      state.crashes += 1;
      await sleep(backoffMs(state.crashes, { firstMs: 250, mostMs: 10_000 }), undefined, {
        signal: waiting.signal,
      }).catch(() => {});
      if (!state.isWanted) return;
      try {
        return await startOnce();
      } catch (error) {
        options.onStartFailure?.(errorMessage(error));
      }
    }
  }

  async function end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    state.isWanted = false;
    waiting.abort();
    await state.child?.stop(signal, graceMs);
  }

  await startOnce();
  return {
    name: options.name,
    pid: () => state.child?.pid ?? null,
    halt: async (signal) => await end(signal, 30_000),
    resume: async () => {
      Object.assign(state, { isWanted: true, crashes: 0 });
      waiting = new AbortController();
      await startOnce();
    },
    stop: async () => await end(options.stopSignal ?? "SIGTERM", options.graceMs ?? 25_000),
    killNow: () => {
      state.isWanted = false;
      waiting.abort();
      state.child?.signal("SIGKILL");
    },
  };
}
