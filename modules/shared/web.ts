import { isIP } from "node:net";
import { getDomain } from "tldts";
import { z } from "zod";
import { maxResourceBytes } from "#contracts/messages.ts";

/** A host name that somebody wrote without a scheme: it has a dot, and nothing before it. */
const bareHost = /^[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+\.?(:\d+)?([/?#]|$)/u;

/**
 * An `http` or `https` URL, normalised: host in lower case and ASCII, no default port, no fragment. A bare host name is
 * taken for its https root.
 */
export const WebUrl: z.ZodType<string, string> = z.string().transform((text, context) => {
  const read = readWebUrl(text.trim());
  if (typeof read !== "string") return read.href;
  context.addIssue({ code: "custom", message: read });
  return z.NEVER;
});

/** The URL, or why it is none that can be watched. */
function readWebUrl(text: string): URL | string {
  const url = URL.parse(bareHost.test(text) ? `https://${text}` : text);
  if (url === null) return "not a URL: write it as https://example.org/path";
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return `only http and https can be watched, not ${url.protocol.slice(0, 20)}`;
  }
  if (url.username !== "" || url.password !== "") {
    return "a URL must not carry a user name or password: put them under credentials in the configuration";
  }
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1);
  if (url.hostname === "") return "the URL names no host";
  url.hash = "";
  if (Buffer.byteLength(url.href) > maxResourceBytes) return `longer than ${maxResourceBytes} bytes`;
  return url;
}

/** The lane of a URL, or of any `host` or `host:port` in a URL's form: its host, with a port that is not the default. */
export function webLane(url: string): string {
  return new URL(url).host;
}

/**
 * Whom a host belongs to: the domain that somebody registered (`example.co.uk`, `someone.github.io`), or `-` for an
 * address or a name outside the public suffixes.
 */
export function hostOwner(host: string): string {
  return registrableDomain(host) ?? "-";
}

export function registrableDomain(host: string): string | null {
  return getDomain(host, { allowPrivateDomains: true });
}

/** Do both hosts belong to the same owner? Addresses and bare names only to themselves. */
export function isSameSite(host: string, other: string): boolean {
  const owner = registrableDomain(host);
  return owner === null ? host === other : owner === registrableDomain(other);
}

/** Is a URL's `hostname` an address rather than a name? */
export function isAddress(hostname: string): boolean {
  return hostname.startsWith("[") || isIP(hostname) !== 0;
}
