import { isIP } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ProblemError } from "./problems.ts";

/** Who may talk to the gateway from a browser. */
export interface GuardSettings {
  /** The address it listens on. */
  host: string;
  /** `PAINTDRY_HOSTS`: further names it goes by. */
  allowedHosts: readonly string[];
  /** `PAINTDRY_ORIGINS`: origins other than its own whose pages may use it, such as `https://status.example`. */
  allowedOrigins: readonly string[];
}

/** Values that watched sites send are shown in the page: nothing but the gateway's own files may run in it. */
const securityHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

export function setSecurityHeaders(reply: FastifyReply): void {
  reply.headers(securityHeaders);
}

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Refuses host names that are not ours, which is how a page elsewhere reaches a service on loopback (DNS rebinding).
 * A name can be bound anew, an address cannot. Bound to the network without `PAINTDRY_HOSTS`, any name will do.
 */
export function checkHost(request: FastifyRequest, settings: GuardSettings): void {
  const hostname = hostnameOf(request.headers.host);
  if (hostname !== null && isHostAllowed(hostname, settings)) return;
  const found = hostname === null ? "no host" : `the host ${JSON.stringify(hostname.slice(0, 100))}`;
  throw new ProblemError(
    "host_not_allowed",
    `The request is for ${found}, which this gateway does not go by. Add the name to PAINTDRY_HOSTS to allow it.`,
  );
}

function isHostAllowed(hostname: string, { host, allowedHosts }: GuardSettings): boolean {
  if (loopbackNames.has(hostname) || allowedHosts.includes(hostname)) return true;
  if (isLoopback(host)) return false;
  return allowedHosts.length === 0 || isIP(hostname.replace(/^\[|\]$/g, "")) > 0;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** The name in a `Host` header, lower-cased, without the port; null where it is no host. */
function hostnameOf(host: string | undefined): string | null {
  if (host === undefined || /[^A-Za-z0-9.:[\]_-]/.test(host)) return null;
  return URL.parse(`http://${host}/`)?.hostname ?? null;
}

/** Refuses requests that another site's page makes. Programs send neither header and pass. */
export function checkOrigin(request: FastifyRequest, settings: GuardSettings): void {
  const { origin, host } = request.headers;
  const site = request.headers["sec-fetch-site"];
  if (origin !== undefined && settings.allowedOrigins.includes(origin)) return;
  const isSameHost = origin === undefined || URL.parse(origin)?.host === host?.toLowerCase();
  const isSameSite = site === undefined || site === "same-origin" || site === "none";
  if (isSameHost && isSameSite) return;
  throw new ProblemError(
    "origin_not_allowed",
    `The request comes from a page of ${JSON.stringify((origin ?? "another site").slice(0, 100))}. ` +
      "Add that origin to PAINTDRY_ORIGINS to allow it.",
  );
}

/** Forms of other sites cannot send this type without asking first, and nobody answers when they ask. */
export function checkJsonType(request: FastifyRequest): void {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/json") throw new ProblemError("json_required");
}
