import { createHash } from "node:crypto";
import { isSameSite } from "../shared/web.ts";

/** Where a page is: the URL that was asked, and the base that its links are relative to. */
export interface PagePlace {
  url: URL;
  base: URL;
}

const maxLinkLength = 1024;

/** Parameters whose values only tell caches apart. */
const versionNames =
  /^(v|ver|version|rev|t|ts|time|timestamp|_|cb|cachebuster|bust|hash|nonce|build|sid|session|sessionid)$/i;
/** A clock, a counter, a hash or a random id. */
const movingValue = /^(\d{8,}|[0-9a-f]{8,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\w-]{20,}=*)$/i;

/**
 * A link as a value that moves only when what it points to does: absolute, no fragment, `*` for cache-busting
 * parameters and, on the page's own site, for the hashes that builds put into file names. null for what is no URL.
 */
export function stableLink(text: string, place: PagePlace): string | null {
  const url = URL.parse(text.trim(), place.base.href);
  if (url === null) return null;
  if (url.protocol !== "http:" && url.protocol !== "https:") return opaqueLink(url);
  url.hash = "";
  url.username = "";
  url.password = "";
  url.pathname = url.pathname.replace(/;jsessionid=[^/;]*/gi, "");
  if (isSameSite(url.hostname, place.url.hostname)) url.pathname = url.pathname.replace(/[^/]+$/, maskBuildHash);
  const query = [...url.searchParams].map(
    ([name, value]) => `${encodeURIComponent(name)}=${stableParameter(name, value)}`,
  );
  url.search = "";
  return shortened(query.length === 0 ? url.href : `${url.href}?${query.join("&")}`);
}

/** The host of such a link; "" where it has none. */
export function linkHost(link: string): string {
  return URL.parse(link)?.host ?? "";
}

function stableParameter(name: string, value: string): string {
  return versionNames.test(name) || movingValue.test(value) ? "*" : encodeURIComponent(value);
}

/** `main.8f3c2a1b.js`, `index-BQx3_zL9.js`: 8 or more characters, some digit or capital among them. */
function maskBuildHash(file: string): string {
  return file.replace(/([.-])([\w-]{8,})(?=(?:\.chunk|\.min)?\.m?js$)/, (whole: string, mark: string, hash: string) =>
    /[0-9A-Z]/.test(hash) && !hash.includes("--") ? `${mark}*` : whole,
  );
}

/** `data:`, `javascript:` and the like: their scheme, and what tells two of them apart. */
function opaqueLink(url: URL): string {
  if (url.protocol === "mailto:" || url.protocol === "tel:" || url.protocol === "blob:") return url.protocol;
  return `${url.protocol}sha256-${sha256(url.href)}`;
}

function shortened(link: string): string {
  return link.length <= maxLinkLength ? link : `${link.slice(0, maxLinkLength)}…sha256-${sha256(link)}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
