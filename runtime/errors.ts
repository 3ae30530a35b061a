import { LookError } from "#contracts/look-error.ts";
import type { StartErrorCode } from "./error-codes.ts";

/** A start that cannot succeed: the message says what was wrong, where, and what to do. Ends the process. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly code: StartErrorCode;

  constructor(code: StartErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** A request another service answered with an error, or could not answer. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: string;
  /** Would the same request do better later? */
  readonly isTemporary: boolean;

  constructor(code: string, message: string, options: { cause?: unknown; isTemporary: boolean }) {
    super(message, options);
    this.code = code;
    this.isTemporary = options.isTemporary;
  }
}

/** A message from the bus that is not what its subject promises: never retried. */
export class MalformedMessageError extends Error {
  override readonly name = "MalformedMessageError";
  readonly code = "malformed_message";
}

/** A one-line text of anything that was thrown. */
export function errorMessage(error: unknown): string {
  if (error instanceof LookError) return `${error.kind}: ${error.message}`;
  if (error instanceof AggregateError && error.message === "") return error.errors.map(errorMessage).join("; ");
  return error instanceof Error ? error.message : String(error);
}
