import { setTimeout as sleep } from "node:timers/promises";

export interface Backoff {
  firstMs: number;
  mostMs: number;
}

/** The wait before attempt `attempt` (1 for the first repeat): doubling, with a random half taken off. */
export function backoffMs(attempt: number, { firstMs, mostMs }: Backoff): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + Math.random() * (full / 2);
}

/**
 * Repeats `action` until it succeeds, `isTemporary` says no, or the signal aborts; then the last error is thrown.
 * Without `forMs` it goes on for ever.
 */
export async function retry<Result>(
  action: () => Promise<Result>,
  options: Backoff & {
    signal?: AbortSignal | undefined;
    forMs?: number;
    isTemporary(error: unknown): boolean;
    onError?(error: unknown, attempt: number): void;
  },
): Promise<Result> {
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      const waitMs = backoffMs(attempt, options);
      const isOver = options.forMs !== undefined && performance.now() - startedAt + waitMs > options.forMs;
      if (isOver || options.signal?.aborted || !options.isTemporary(error)) throw error;
      options.onError?.(error, attempt);
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => {
        throw error;
      });
    }
  }
}
