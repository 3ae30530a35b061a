import { LookError } from "#contracts/look-error.ts";
import type { LookErrorKind } from "#contracts/messages.ts";

/** One call as the metrics and the look's own count see it. */
export interface RequestRecord {
  host: string;
  /** Of HTTP; `DNS` for a question, `TLS` for a handshake. */
  method: string;
  /** Of HTTP; null where no answer came. */
  status: number | null;
  errorKind: LookErrorKind | null;
  /** Of an HTTP body, as they came over the wire. */
  bodyBytes: number;
  durationMs: number;
}

/** Makes a call that is not HTTP, and records it however it ends. */
export async function recordCall<Result>(
  facts: Pick<RequestRecord, "host" | "method">,
  call: () => Promise<Result>,
  onRequest: (record: RequestRecord) => void,
): Promise<Result> {
  const startedAt = performance.now();
  let errorKind: LookErrorKind | null = null;
  try {
    return await call();
  } catch (error) {
    errorKind = error instanceof LookError ? error.kind : "module";
    throw error;
  } finally {
    onRequest({ ...facts, status: null, errorKind, bodyBytes: 0, durationMs: performance.now() - startedAt });
  }
}
