import type { LookErrorKind, LookFailure } from "./messages.ts";

/** A look that could not be made. Modules and `io` throw it; the fetcher turns it into a failed outcome. */
export class LookError extends Error {
  override readonly name = "LookError";
  readonly kind: LookErrorKind;
  /** For `limited`: how long the lane is to rest, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: LookErrorKind, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }

  toFailure(): LookFailure {
    return {
      kind: this.kind,
      message: this.message.slice(0, 2000),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(this.retryAfterMs) }),
    };
  }
}
