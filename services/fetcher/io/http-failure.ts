import { errors } from "undici";
import { LookError } from "#contracts/look-error.ts";
import type { LookErrorKind } from "#contracts/messages.ts";

/** What undici, `net`, `tls` or `zlib` threw, as the kind of look failure it is, in plain words with the host. */
export function toLookError(error: unknown, host: string, stage: "answer" | "body"): LookError {
  if (error instanceof LookError) return error;
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const cause = first ?? error;
  const code = codeOf(cause);
  const text = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof errors.HTTPParserError && code !== "HPE_HEADER_OVERFLOW") {
    return new LookError("malformed", `${host} does not speak proper HTTP: ${text}`, { cause: error });
  }
  const isBrokenOff = stage === "body" && closings.has(code);
  const failure = isBrokenOff ? truncated : (byCode[code] ?? byPrefix(code));
  if (failure !== null) return new LookError(failure[0], `${host} ${failure[1]}`, { cause: error });
  return new LookError("unreachable", `${host} could not be asked: ${text}`, { cause: error });
}

/** A DOMException's code is a number of old that tells nothing; its name does. */
function codeOf(cause: unknown): string {
  if (typeof cause !== "object" || cause === null) return "";
  if (cause instanceof DOMException) return cause.name;
  const { code } = cause as { code?: unknown };
  return typeof code === "string" ? code : "";
}

type Failure = [LookErrorKind, string];

const truncated: Failure = ["malformed", "broke off in the middle of its answer"];
const closings = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);
const badlyEncoded: Failure = ["malformed", "sent a body that does not decompress"];

const byCode: Record<string, Failure> = {
  ECONNREFUSED: ["unreachable", "refuses the connection"],
  ECONNRESET: ["unreachable", "closed the connection without an answer"],
  EPIPE: ["unreachable", "closed the connection without an answer"],
  UND_ERR_SOCKET: ["unreachable", "closed the connection without an answer"],
  EHOSTUNREACH: ["unreachable", "cannot be reached: no route to it"],
  ENETUNREACH: ["unreachable", "cannot be reached: no route to its network"],
  ETIMEDOUT: ["timeout", "did not accept the connection in time"],
  TimeoutError: ["timeout", "did not answer in time"],
  UND_ERR_CONNECT_TIMEOUT: ["timeout", "did not accept the connection in time"],
  UND_ERR_HEADERS_TIMEOUT: ["timeout", "did not answer in time"],
  UND_ERR_BODY_TIMEOUT: ["timeout", "stopped sending in the middle of its answer"],
  UND_ERR_HEADERS_OVERFLOW: ["too_large", "sent too many bytes of headers"],
  HPE_HEADER_OVERFLOW: ["too_large", "sent too many bytes of headers"],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ["malformed", "sent a body of another length than it said"],
  UND_ERR_INVALID_ARG: ["module", "cannot be asked so: the request is not a valid one"],
  UND_ERR_PRX_CONN: ["unreachable", "cannot be reached: the proxy closed the connection"],
  UND_ERR_PRX_TLS: ["unreachable", "cannot be reached: the proxy's certificate does not verify"],
  UND_ERR_ABORTED: ["unreachable", "cannot be reached: the proxy refused to connect to it"],
  CERT_HAS_EXPIRED: ["unreachable", "has a certificate that has expired"],
  CERT_NOT_YET_VALID: ["unreachable", "has a certificate that is not valid yet"],
  CERT_REVOKED: ["unreachable", "has a certificate that is revoked"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["unreachable", "has a certificate for another name"],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["unreachable", "has a self-signed certificate"],
  SELF_SIGNED_CERT_IN_CHAIN: ["unreachable", "has a certificate from an authority that is not trusted"],
  UNABLE_TO_GET_ISSUER_CERT: ["unreachable", "has a certificate from an authority that is not trusted"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["unreachable", "has a certificate from an authority that is not trusted"],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["unreachable", "has a certificate whose chain is not complete"],
};

function byPrefix(code: string): Failure | null {
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") return ["unreachable", `failed the TLS handshake (${code})`];
  if (/^(Z_|ERR__ERROR|ERR_BROTLI|ZSTD_)/.test(code)) return badlyEncoded;
  return null;
}
