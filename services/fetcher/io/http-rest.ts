const maxRestMs = 86_400_000;
const minRestMs = 1000;

/** Does the answer ask for a rest (429, or 503 with Retry-After), and for how long? null for any other answer. */
export function restOf(
  status: number,
  headers: Record<string, string[]>,
  nowMs: number,
): { retryAfterMs?: number } | null {
  const [retryAfter] = headers["retry-after"] ?? [];
  if (status !== 429 && (status !== 503 || retryAfter === undefined)) return null;
  const restMs = readRetryAfter(retryAfter ?? "", nowMs);
  return restMs === null ? {} : { retryAfterMs: Math.min(Math.max(restMs, minRestMs), maxRestMs) };
}

/** Seconds, or an HTTP date (RFC 9110 §10.2.3). */
function readRetryAfter(text: string, nowMs: number): number | null {
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1000;
  const until = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(until) ? null : until - nowMs;
}
