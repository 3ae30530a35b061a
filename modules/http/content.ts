import { compareText } from "#contracts/canonical.ts";
import { LookError } from "#contracts/look-error.ts";
import { type PagePlace, stableLink } from "./links.ts";
import { readTags, type Tag } from "./page.ts";
import { isSameSite } from "../shared/web.ts";

/**
 * What a page loads, sends to and points at. Lists are sorted sets. Each link is told in one place only, so that one thing
 * put into a page is one change.
 */
export interface PageContent {
  scripts: Scripts;
  frameSources: string[];
  formActions: string[];
  /** Where relative links lead; when that is another site, the lists hold them as if they led to the page's own. */
  baseHref: string | null;
  metaRefresh: string | null;
  /** Hosts other than the page's own in whatever else is loaded or linked. */
  externalDomains: string[];
  downloadLinks: string[];
}

export interface Scripts {
  /** Of script tags, those with their code inside among them. */
  count: number;
  sources: string[];
  /** By source: of scripts from other sites, those that are pinned by `integrity`. */
  integrity: Record<string, string>;
}

const maxMembers = 5000;

const downloadName =
  /\.(zip|7z|rar|tar|tgz|gz|bz2|xz|zst|exe|msi|msix|dmg|pkg|deb|rpm|apk|appimage|iso|img|jar|war|whl|gem|bin|sh|ps1|asc|sig|sha256|sha512)$/i;

/** Attributes that hold one URL each, whatever the element. */
const urlAttributes = new Set([
  "src",
  "href",
  "xlink:href",
  "action",
  "formaction",
  "data",
  "poster",
  "background",
  "cite",
  "ping",
  "manifest",
]);

export function readContent(html: string, url: URL): PageContent {
  const tags = readTags(html);
  const baseHref = tags
    .find(({ name, attributes }) => name === "base" && attributes.has("href"))
    ?.attributes.get("href");
  const place: PagePlace = { url, base: ownBase(baseHref, url) };
  const links = (select: (tag: Tag) => (string | undefined)[]): string[] => linkSet(tags.flatMap(select), place);
  return {
    scripts: {
      count: tags.filter(({ name }) => name === "script").length,
      sources: links(scriptSources),
      integrity: scriptIntegrity(tags, place),
    },
    frameSources: links(frameSources),
    formActions: links((tag) => formActions(tag, url)),
    baseHref: baseHref === undefined ? null : stableLink(baseHref, { url, base: url }),
    metaRefresh: metaRefresh(tags, place),
    externalDomains: externalDomains(tags, place),
    downloadLinks: links(downloadLinks),
  };
}

/** A base on another site is told by itself: taken here, it would move every list. */
function ownBase(href: string | undefined, url: URL): URL {
  const base = href === undefined ? null : URL.parse(href, url.href);
  return base !== null && isOwnSite(base.href, url) ? base : url;
}

function scriptSources({ name, attributes }: Tag): (string | undefined)[] {
  if (name === "script") return [attributes.get("src"), attributes.get("href"), attributes.get("xlink:href")];
  return name === "link" && isScriptLink(attributes) ? [attributes.get("href")] : [];
}

function isScriptLink(attributes: Tag["attributes"]): boolean {
  const relations = (attributes.get("rel") ?? "").toLowerCase().split(/\s+/);
  if (relations.includes("modulepreload")) return true;
  return relations.includes("preload") && attributes.get("as")?.toLowerCase() === "script";
}

function scriptIntegrity(tags: Tag[], place: PagePlace): Record<string, string> {
  const pinned = tags
    .filter(({ name }) => name === "script")
    .flatMap(({ attributes }): [string, string][] => {
      const source = stableLink(attributes.get("src") ?? "", place);
      const integrity = attributes.get("integrity")?.trim().split(/\s+/).toSorted(compareText).join(" ");
      if (source === null || !integrity || isOwnSite(source, place.url)) return [];
      return [[source, integrity.slice(0, 512)]];
    });
  return Object.fromEntries(pinned.toSorted(([a], [b]) => compareText(a, b)));
}

function isOwnSite(link: string, page: URL): boolean {
  return isSameSite(URL.parse(link)?.hostname ?? "", page.hostname);
}

function frameSources({ name, attributes }: Tag): (string | undefined)[] {
  if (name === "iframe" || name === "frame" || name === "embed") return [attributes.get("src")];
  return name === "object" ? [attributes.get("data")] : [];
}

/** A form without an action is sent to the page itself. */
function formActions({ name, attributes }: Tag, page: URL): (string | undefined)[] {
  if (name === "form") return [attributes.get("action") || page.href];
  return name === "button" || name === "input" ? [attributes.get("formaction")] : [];
}

function downloadLinks({ name, attributes }: Tag): (string | undefined)[] {
  const href = name === "a" || name === "area" ? attributes.get("href") : undefined;
  if (href === undefined) return [];
  const [path = ""] = href.split(/[?#]/);
  return attributes.has("download") || downloadName.test(path) ? [href] : [];
}

function metaRefresh(tags: Tag[], place: PagePlace): string | null {
  const refresh = tags.find(
    ({ name, attributes }) => name === "meta" && attributes.get("http-equiv")?.toLowerCase() === "refresh",
  );
  const content = refresh?.attributes.get("content") ?? "";
  const target = /^[^;,]*[;,]\s*(?:url\s*=\s*)?['"]?([^'"]+)/i.exec(content)?.[1];
  return target === undefined ? null : stableLink(target, place);
}

function externalDomains(tags: Tag[], { url, base }: PagePlace): string[] {
  const texts = new Set(tags.flatMap((tag) => otherLinks(tag, url)));
  const from = base.href;
  const hosts = [...texts].map((text) => webHost(URL.parse(text.trim(), from)));
  return sortedSet(hosts.filter((host) => host !== "" && host !== url.host));
}

/** The links of a tag that no list of their own holds. */
function otherLinks(tag: Tag, page: URL): string[] {
  if (tag.name === "base") return [];
  const told = new Set([...scriptSources(tag), ...frameSources(tag), ...formActions(tag, page), ...downloadLinks(tag)]);
  return [...tag.attributes].flatMap(([name, text]) => {
    if (name === "srcset" || name === "imagesrcset") return sourceSet(text);
    return urlAttributes.has(name) && !told.has(text) ? [text] : [];
  });
}

function webHost(url: URL | null): string {
  return url?.protocol === "https:" || url?.protocol === "http:" ? url.host : "";
}

function sourceSet(text: string): string[] {
  return text.split(/,\s+/).flatMap((candidate) => candidate.trim().split(/\s+/).slice(0, 1));
}

function linkSet(texts: (string | undefined)[], place: PagePlace): string[] {
  return sortedSet(
    texts.flatMap((text) => {
      const link = text === undefined || text === "" ? null : stableLink(text, place);
      return link === null || link === "blob:" ? [] : [link];
    }),
  );
}

function sortedSet(members: string[]): string[] {
  const set = [...new Set(members)].toSorted(compareText);
  if (set.length > maxMembers)
    throw new LookError("too_large", `the page has more than ${maxMembers} links of one kind`);
  return set;
}
