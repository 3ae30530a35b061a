import { createHash } from "node:crypto";
import type { Json } from "#contracts/canonical.ts";
import type { HttpAnswer, Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import {
  baseline,
  gone,
  type ObservationAnswer,
  type ObservationRequest,
  observe,
  type PreviousValue,
  type Standing,
  unseen,
} from "#contracts/module.ts";
import { type PageContent, readContent } from "./content.ts";
import { readCookies } from "./cookies.ts";
import { isHtml, mediaType } from "./html.ts";
import { findKnownPath, observeKnownPath } from "./known-paths.ts";
import { stableLink } from "./links.ts";
import type { HttpOptions } from "./options.ts";
import { cspAttribute, readSecurityHeaders, typeOptionsAttribute } from "./security-headers.ts";

type Previous = ReadonlyMap<string, PreviousValue>;

const maxPageBytes = 5 * 1024 * 1024;

/** One look at one URL: one request, and what its answer says. */
export async function* observation(
  { resource, options, previous }: ObservationRequest<HttpOptions>,
  io: Io,
): AsyncGenerator<ObservationAnswer> {
  const url = new URL(resource);
  const answer = await io.http.request({
    url: resource,
    headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" },
    maxBytes: maxPageBytes,
  });
  refuseOutage(url, answer.status);
  const known = options.knownPaths ? findKnownPath(url) : null;
  if (known !== null) yield observeKnownPath(known, answer);
  else if (answer.status === 404 || answer.status === 410)
    yield gone(`${url.host} answers ${answer.status} for this page`);
  else if (answer.status >= 400)
    yield* unseenBeyond([statusCode(url, answer)], previous.keys(), `the server answers ${answer.status}`);
  else if (answer.status >= 300) yield* redirect(url, answer, previous);
  else yield* whole(url, answer, options, previous);
}

/** A server in trouble says nothing about its page. */
function refuseOutage(url: URL, status: number): void {
  if (status === 408 || status >= 500) throw new LookError("unreachable", `${url.host} answers ${status}`);
}

function statusCode(url: URL, { status }: HttpAnswer, context: Json = null): ObservationAnswer {
  const isOpen = url.protocol === "http:" && url.pathname === "/" && status < 300;
  const standing: Standing = isOpen
    ? { severity: "medium", reason: "the site answers over plain http and does not redirect to https" }
    : {};
  return observe("status_code", status, context === null ? standing : { ...standing, context });
}

/** That a redirect appeared is told by the status, which is therefore handed where to. */
function* redirect(url: URL, answer: HttpAnswer, previous: Previous): Generator<ObservationAnswer> {
  const target = redirectTarget(url, answer);
  const isNew = target !== null && !previous.has("redirect_location") && isAnotherStatus(previous, 300);
  const headers = readSecurityHeaders(answer.headers, { isHttps: url.protocol === "https:", isPage: false });
  const seen = [
    statusCode(url, answer, isNew ? { location: target } : null),
    ...(target === null ? [] : [observe("redirect_location", target, redirectStanding(url, target))]),
    ...headers.map(({ attribute, value, standing }) => observe(attribute, value, standing)),
  ];
  const ofPage = previous.keys().filter((attribute) => attribute !== "redirect_location");
  yield* unseenBeyond(seen, ofPage, "the server answers with a redirect");
  if (isNew) yield baseline("redirect_location");
}

function redirectTarget(url: URL, { headers }: HttpAnswer): string | null {
  const location = headers["location"]?.[0];
  if (location === undefined) return null;
  return stableLink(location, { url, base: url }) ?? `not a URL: ${location.slice(0, 200)}`;
}

/** Did the last look see a status outside these hundred? */
function isAnotherStatus(previous: Previous, from: number): boolean {
  const before = previous.get("status_code")?.value;
  return typeof before === "number" && (before < from || before >= from + 100);
}

function redirectStanding(url: URL, target: string): Standing {
  if (target.startsWith("https:")) return {};
  if (url.protocol === "https:") return { severity: "medium", reason: "the redirect leaves https" };
  if (url.pathname !== "/") return {};
  return { severity: "medium", reason: "the site's plain http address redirects, but not to https" };
}

/** What an answer says nothing about is not gone. */
function* unseenBeyond(
  seen: ObservationAnswer[],
  attributes: Iterable<string>,
  reason: string,
): Generator<ObservationAnswer> {
  yield* seen;
  const names = new Set(seen.map((answer) => (answer.type === "observe" ? answer.attribute : "")));
  for (const attribute of attributes) if (!names.has(attribute)) yield unseen(attribute, reason);
}

function* whole(url: URL, answer: HttpAnswer, options: HttpOptions, previous: Previous): Generator<ObservationAnswer> {
  const isHttps = url.protocol === "https:";
  const isPage = isHtml(answer);
  yield statusCode(url, answer);
  yield observe("content_type", mediaType(answer));
  for (const { attribute, value, standing } of readSecurityHeaders(answer.headers, { isHttps, isPage })) {
    yield observe(attribute, value, standing);
  }
  for (const { name, flags, standing } of readCookies(answer.headers["set-cookie"] ?? [], isHttps)) {
    yield observe(`cookie/${name}`, { ...flags }, standing);
  }
  if (options.bodyHash) yield observe("body_sha256", createHash("sha256").update(answer.body).digest("hex"));
  if (isPage) yield* page(readContent(answer.text, url));
  yield* explained(isPage, previous);
}

/** Sets are reported even when empty, so that a page's first script is a change of what was known. */
function* page(content: PageContent): Generator<ObservationAnswer> {
  const { count, sources, integrity } = content.scripts;
  yield observe("scripts", { count, sources, ...(Object.keys(integrity).length > 0 ? { integrity } : {}) });
  yield observe("frame_sources", content.frameSources);
  yield observe("form_actions", content.formActions);
  yield observe("external_domains", content.externalDomains);
  yield observe("download_links", content.downloadLinks);
  if (content.baseHref !== null) yield observe("base_href", content.baseHref);
  if (content.metaRefresh !== null) yield observe("meta_refresh", content.metaRefresh);
}

/** Values that only a page has, or that are only missed on one. */
const ofPages = [
  "scripts",
  "frame_sources",
  "form_actions",
  "external_domains",
  "download_links",
  cspAttribute,
  typeOptionsAttribute,
];

/**
 * An answer that becomes another kind of answer is one change, of `status_code` or `content_type`: what comes with it for
 * the first time is baseline. What was on a page before is kept, and compared when the page is back.
 */
function* explained(isPage: boolean, previous: Previous): Generator<ObservationAnswer> {
  if (isAnotherStatus(previous, 200)) yield baseline("redirect_location");
  const isFirstWhole = previous.size > 0 && !previous.has("content_type");
  if (isFirstWhole) for (const name of ["content_type", "body_sha256", "header/", "cookie/"]) yield baseline(name);
  const hasBeenPage = previous.has("scripts");
  if (isPage && !hasBeenPage) for (const name of ofPages) yield baseline(name);
  if (isPage || !hasBeenPage) return;
  for (const name of [...ofPages, "base_href", "meta_refresh"]) {
    if (previous.has(name)) yield unseen(name, "the answer is no page");
  }
}
