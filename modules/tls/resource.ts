import { isIP } from "node:net";
import { z } from "zod";

/** Where a TLS server listens. */
export interface Endpoint {
  /** A name in lower case and punycode, or an address without brackets. */
  host: string;
  port: number;
}

const defaultPort = 443;

/** `host:port`, the host in lower case and punycode or an address (IPv6 in brackets); from that form or an https URL. */
export const EndpointName = z.string().transform((text, context) => {
  const read = readEndpoint(text);
  if ("name" in read) return read.name;
  context.addIssue({ code: "custom", message: read.refusal });
  return z.NEVER;
});

/** The parts of a normalised resource. */
export function endpointOf(resource: string): Endpoint {
  const at = resource.lastIndexOf(":");
  return { host: resource.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(resource.slice(at + 1)) };
}

type ReadEndpoint = { name: string } | { refusal: string };

function readEndpoint(text: string): ReadEndpoint {
  const shown = JSON.stringify(text.replace(/\/\/.*@/, "//").slice(0, 100));
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text.trim()) ?? [];
  if (scheme !== undefined && !/^(https|wss)$/i.test(scheme))
    return { refusal: `${shown} does not say that it speaks TLS: give host:port or an https URL` };
  const url = urlOf(text.trim(), scheme);
  if (url === null) return { refusal: `${shown} is neither host:port nor an https URL` };
  const host = url.hostname.replace(/\.$/, "");
  if (!host.startsWith("[") && isIP(host) === 0 && !isHostName(host))
    return { refusal: `${shown} does not name a host` };
  if (url.port === "0") return { refusal: `${shown} names port 0, where nothing can listen` };
  return { name: `${host}:${url.port === "" ? defaultPort : url.port}` };
}

/** The URL standard's reading, which brings names to lower case and punycode and addresses to one form. */
function urlOf(text: string, scheme: string | undefined): URL | null {
  if (scheme === undefined && /[/\\?#@%\s]/.test(text)) return null;
  const url = scheme === undefined ? `https://${text}` : text;
  return URL.canParse(url) ? new URL(url) : null;
}

function isHostName(name: string): boolean {
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
  return name.length <= 253 && name.split(".").every((part) => label.test(part));
}
