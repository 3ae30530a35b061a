import { RpcError, errorMessage } from "#runtime/errors.ts";

/** SQLSTATE classes and codes after which the same request may do better: PostgreSQL is away, full, starting or busy. */
const temporaryStates = /^(?:08|53|57|40|58|25006|55P03)/;
const temporarySystemErrors = /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENOENT)/;
/** What the driver says of connections, without a code. */
const temporaryMessages =
  /connection terminated|timeout exceeded when trying to connect|connection timeout|not queryable/i;

/**
 * A failed statement as an `RpcError`: `unavailable`, or `bad_request` for a value that PostgreSQL cannot hold. Anything
 * else is a fault of ours and stays as it is.
 */
export function describeStatementError(error: unknown): unknown {
  if (error instanceof RpcError) return error;
  const message = errorMessage(error);
  if (isTemporary(error)) {
    return new RpcError("unavailable", `PostgreSQL is not available: ${message}`, { cause: error, isTemporary: true });
  }
  if (codeOf(error).startsWith("22")) {
    return new RpcError("bad_request", `a value cannot be stored: ${message}`, { cause: error, isTemporary: false });
  }
  return error;
}

/** Deadlocks and serialization failures: the transaction can be run again at once. */
export function isLostRace(error: unknown): boolean {
  return ["40001", "40P01"].includes(codeOf(error));
}

/** Was PostgreSQL gone, so that what answers next may be another database? Waiting in the own queue is no outage. */
export function isOutage(error: unknown): boolean {
  if (error instanceof RpcError) return isOutage(error.cause);
  if (error instanceof AggregateError) return error.errors.some(isOutage);
  const code = codeOf(error);
  return /^(?:08|57P)/.test(code) || temporarySystemErrors.test(code) || /terminated/i.test(errorMessage(error));
}

function isTemporary(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTemporary);
  const code = codeOf(error);
  return temporaryStates.test(code) || temporarySystemErrors.test(code) || temporaryMessages.test(errorMessage(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
