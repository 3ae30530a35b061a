import { createHash } from "node:crypto";
import type { HttpAnswer, Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import {
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
import { whatFollows } from "./follows.ts";
import { isHtml, mediaType } from "./html.ts";
import { findKnownPath, observeKnownPath } from "./known-paths.ts";
import { stableLink } from "./links.ts";
import type { HttpOptions } from "./options.ts";
import { readSecurityHeaders } from "./security-headers.ts";

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
    yield* withoutPage([statusCode(url, answer)], previous, `the server answers ${answer.status}`);
  else if (answer.status >= 300)
    yield* withoutPage(redirect(url, answer), previous, "the server answers with a redirect");
  else yield* whole(url, answer, options, previous);
}

/** A server in trouble says nothing about its page. */
function refuseOutage(url: URL, status: number): void {
  if (status === 408 || status >= 500) throw new LookError("unreachable", `${url.host} answers ${status}`);
}

function statusCode(url: URL, { status }: HttpAnswer): ObservationAnswer {
  const isOpen = url.protocol === "http:" && url.pathname === "/" && status < 300;
  const standing: Standing = isOpen
    ? { severity: "medium", reason: "the site answers over plain http and does not redirect to https" }
    : {};
  return observe("status_code", status, standing);
}

function redirect(url: URL, answer: HttpAnswer): ObservationAnswer[] {
  const location = answer.headers["location"]?.[0];
  const headers = readSecurityHeaders(answer.headers, { isHttps: url.protocol === "https:", isPage: false });
  return [
    statusCode(url, answer),
    ...(location === undefined ? [] : [redirectLocation(url, location)]),
    ...headers.map(({ attribute, value, standing }) => observe(attribute, value, standing)),
  ];
}

function redirectLocation(url: URL, location: string): ObservationAnswer {
  const target = stableLink(location, { url, base: url }) ?? `not a URL: ${location.slice(0, 200)}`;
  return observe("redirect_location", target, redirectStanding(url, target));
}

function redirectStanding(url: URL, target: string): Standing {
  if (target.startsWith("https:")) return {};
  if (url.protocol === "https:") return { severity: "medium", reason: "the redirect leaves https" };
  if (url.pathname !== "/") return {};
  return { severity: "medium", reason: "the site's plain http address redirects, but not to https" };
}

/** What an answer that is no page says nothing about is not gone. */
function* withoutPage(
  seen: ObservationAnswer[],
  previous: ReadonlyMap<string, PreviousValue>,
  reason: string,
): Generator<ObservationAnswer> {
  yield* seen;
  const names = new Set(seen.map((answer) => (answer.type === "observe" ? answer.attribute : "")));
  for (const attribute of previous.keys()) {
    if (!names.has(attribute) && attribute !== "exists" && attribute !== "redirect_location")
      yield unseen(attribute, reason);
  }
}

function* whole(
  url: URL,
  answer: HttpAnswer,
  options: HttpOptions,
  previous: ReadonlyMap<string, PreviousValue>,
): Generator<ObservationAnswer> {
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
  if (isPage) yield* page(readContent(answer.text, url), previous);
}

/** Sets are reported even when empty, so that a page's first script is a change of what was known. */
function* page(content: PageContent, previous: ReadonlyMap<string, PreviousValue>): Generator<ObservationAnswer> {
  const follows = whatFollows(content, previous);
  yield observe("script_count", content.scriptCount, { context: { follows: follows.scriptCount } });
  yield observe("script_sources", content.scriptSources);
  yield observe("frame_sources", content.frameSources);
  yield observe("form_actions", content.formActions);
  yield observe("external_domains", content.externalDomains, { context: { follows: follows.externalDomains } });
  yield observe("download_links", content.downloadLinks);
  if (Object.keys(content.scriptIntegrity).length > 0) yield observe("script_integrity", content.scriptIntegrity);
  if (content.baseHref !== null) yield observe("base_href", content.baseHref);
  if (content.metaRefresh !== null) yield observe("meta_refresh", content.metaRefresh);
}
