/** What came of one attempt to send. Details name causes, never addresses with secrets in them. */
export type Attempt =
  | { state: "delivered"; detail: string }
  /** To be tried again; `retryAfterMs` is what the receiver asked for. */
  | { state: "failed"; detail: string; retryAfterMs?: number }
  /** Trying again would not help. */
  | { state: "given_up"; detail: string };

const seconds = 1000;
const minutes = 60 * seconds;
const hours = 60 * minutes;

/** The waits after the first, second… failed attempt: twelve attempts, spread over a day. */
const waitsMs = [
  5 * seconds,
  30 * seconds,
  2 * minutes,
  5 * minutes,
  15 * minutes,
  30 * minutes,
  1 * hours,
  2 * hours,
  4 * hours,
  6 * hours,
  10 * hours,
] as const;

const longestWaitMs = 24 * hours;

/** How long to wait after failed attempt number `attempts`; null when it was the last. Up to a fifth is random. */
export function waitAfterMs(attempts: number, askedForMs = 0): number | null {
  const waitMs = waitsMs[Math.max(0, attempts - 1)];
  if (waitMs === undefined) return null;
  return Math.round(Math.min(longestWaitMs, Math.max(waitMs, askedForMs)) * (1 + Math.random() / 5));
}

/** The milliseconds that a `Retry-After` header asks for: seconds, or a date. 0 where there is none or it is unreadable. */
export function retryAfterMs(header: string | undefined, nowMs: number = Date.now()): number {
  if (header === undefined) return 0;
  const askedMs = /^\d{1,9}$/.test(header.trim()) ? Number(header) * seconds : Date.parse(header) - nowMs;
  return Number.isFinite(askedMs) ? Math.min(longestWaitMs, Math.max(0, askedMs)) : 0;
}
