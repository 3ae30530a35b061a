import type { Problem } from "#contracts/gateway.ts";

interface ProblemKind {
  status: number;
  /** What it means and what to do, for docs/errors.md. */
  sentence: string;
}

/** Every error code the gateway answers with. The message of an answer says more: where, and what was found. */
export const problems = {
  bad_parameter: {
    status: 400,
    sentence: "A parameter or a field of the body is not what is allowed there; the message names it and what is.",
  },
  bad_cursor: {
    status: 400,
    sentence: "The `cursor` is not one this list handed out. Start again without it, with the same filters throughout.",
  },
  bad_json: { status: 400, sentence: "The body is not JSON." },
  bad_request: { status: 400, sentence: "The request is not well-formed HTTP, or asks for what cannot be." },
  answer_too_large: { status: 400, sentence: "The answer does not fit into one message. Ask for fewer with `limit`." },
  origin_not_allowed: {
    status: 403,
    sentence: "The request comes from another site's page. Add that site's origin to PAINTDRY_ORIGINS to allow it.",
  },
  unknown_route: {
    status: 404,
    sentence: "There is nothing under this path. /api/v1/openapi.json lists what there is.",
  },
  unknown_resource: { status: 404, sentence: "No resource has this id. GET /api/v1/resources lists them." },
  unknown_change: { status: 404, sentence: "No change has this id. GET /api/v1/changes lists them." },
  not_watched: { status: 404, sentence: "This resource is not watched by this module, so it cannot be looked at." },
  method_not_allowed: {
    status: 405,
    sentence: "The path exists, but not for this method; the `Allow` header lists them.",
  },
  not_waiting: {
    status: 409,
    sentence: "The resource does not wait for a decision: it was decided before, or was in scope.",
  },
  body_too_large: { status: 413, sentence: "The body of the request is larger than 16 KiB." },
  json_required: { status: 415, sentence: "A POST needs the header `content-type: application/json`." },
  host_not_allowed: {
    status: 421,
    sentence: "The `Host` header names a host the gateway does not go by. Add it to PAINTDRY_HOSTS to allow it.",
  },
  upgrade_required: { status: 426, sentence: "This path is a WebSocket; a plain request gets nothing from it." },
  headers_too_large: { status: 431, sentence: "The request's address and headers together are larger than 16 KiB." },
  internal: { status: 500, sentence: "The gateway or the store failed; its log says why." },
  store_unavailable: { status: 503, sentence: "The store does not answer now. Try again after `Retry-After` seconds." },
  collector_unavailable: {
    status: 503,
    sentence: "No collector answers now, so no look can be queued. Try again after `Retry-After` seconds.",
  },
  too_many_clients: { status: 503, sentence: "As many live connections are open as are allowed. Try again later." },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problems;

/** A request that is answered with a problem. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly code: ProblemCode;
  readonly statusCode: number;
  readonly headers: Record<string, string>;

  /** `message` defaults to the code's sentence; `status` to the code's. */
  constructor(code: ProblemCode, message?: string, options: ProblemOptions = {}) {
    super(message ?? problems[code].sentence, options);
    this.code = code;
    this.statusCode = options.status ?? problems[code].status;
    this.headers = { ...(this.statusCode === 503 ? { "retry-after": "5" } : {}), ...options.headers };
  }
}

interface ProblemOptions {
  cause?: unknown;
  status?: number;
  headers?: Record<string, string>;
}

/** The body of an answer that is not 2xx. */
export function problemBody({ code, message }: { code: ProblemCode; message: string }): Problem {
  return { error: { code, message } };
}
