import type { Json } from "#contracts/canonical.ts";
import type { Assessment } from "#contracts/module.ts";
import type { Change } from "./change.ts";
import { linkHost } from "./links.ts";
import { asRecord, asText, asTexts, compareSets } from "./values.ts";
import { isSameSite } from "../shared/web.ts";

/** Members a list gained, by how well their hosts were known before. */
interface Gained {
  added: string[];
  removed: string[];
  /** On hosts that were neither on the list before nor belong to the page's own site. */
  strange: string[];
}

function gainedBy({ resource, oldValue, newValue }: Pick<Change, "resource" | "oldValue" | "newValue">): Gained {
  const { added, removed } = compareSets(oldValue, newValue);
  const own = new URL(resource);
  const used = new Set([own.host, ...asTexts(oldValue).map(linkHost)]);
  const strange = added.filter((link) => !used.has(linkHost(link)) && !isSameSite(hostname(link), own.hostname));
  return { added, removed, strange };
}

/** Sources first: a new one explains a higher count; then the pins; then code that stands in the page itself. */
export function changeOfScripts(request: Change): Assessment {
  const first = seenFirst(request, "scripts");
  if (first !== null) return first;
  const [old, now] = [asRecord(request.oldValue), asRecord(request.newValue)];
  const sources = { resource: request.resource, oldValue: old["sources"] ?? [], newValue: now["sources"] ?? [] };
  const { added, removed, strange } = gainedBy(sources);
  if (strange.length > 0) {
    return { severity: "high", reason: `a script is now loaded from ${hosts(strange)}, which was not used before` };
  }
  if (added.length > 0) return { severity: "medium", reason: `another script is now loaded from ${hosts(added)}` };
  const pins = changeOfPins(asRecord(old["integrity"] ?? null), asRecord(now["integrity"] ?? null), removed);
  if (pins !== null) return pins;
  const gained = Number(now["count"]) - Number(old["count"]);
  const counts = `the page has ${asText(now["count"] ?? null)} script tags instead of ${asText(old["count"] ?? null)}`;
  if (gained > 0) return { severity: "medium", reason: `${counts}: one was put into it` };
  if (removed.length > 0) return { severity: "notice", reason: "a script is no longer loaded" };
  if (gained < 0) return { severity: "notice", reason: counts };
  return { severity: "none", reason: "another script is pinned by its hash" };
}

/** A pin that is lost with its script is no news; one that is gained neither. */
function changeOfPins(old: Record<string, Json>, now: Record<string, Json>, removed: string[]): Assessment | null {
  const moved = Object.keys(old).find((source) => source in now && now[source] !== old[source]);
  if (moved !== undefined)
    return { severity: "medium", reason: `the script ${brief(moved)} is pinned to other content` };
  const lost = Object.keys(old).find((source) => !(source in now) && !removed.includes(source));
  if (lost === undefined) return null;
  return { severity: "medium", reason: `the script ${brief(lost)} is no longer pinned by its hash` };
}

export function changeOfFrames(request: Change): Assessment {
  const first = seenFirst(request, "frames");
  if (first !== null) return first;
  const { added, strange } = gainedBy(request);
  if (strange.length > 0)
    return { severity: "high", reason: `a frame now shows ${hosts(strange)}, which was not used before` };
  if (added.length > 0) return { severity: "notice", reason: `another frame shows ${hosts(added)}` };
  return { severity: "notice", reason: "a frame is no longer shown" };
}

export function changeOfForms(request: Change): Assessment {
  const first = seenFirst(request, "forms");
  if (first !== null) return first;
  const { added, strange } = gainedBy(request);
  if (strange.length > 0)
    return {
      severity: "high",
      reason: `a form now sends what is typed to ${hosts(strange)}, which was not used before`,
    };
  const isLeavingHttps = request.resource.startsWith("https:") && added.some((link) => link.startsWith("http:"));
  if (isLeavingHttps) return { severity: "high", reason: "a form now sends what is typed over plain http" };
  if (added.length > 0) return { severity: "medium", reason: `a form now sends to another address of ${hosts(added)}` };
  return { severity: "notice", reason: "a form is no longer there" };
}

export function changeOfDomains(request: Change): Assessment {
  const first = seenFirst(request, "links to other sites");
  if (first !== null) return first;
  const { added } = compareSets(request.oldValue, request.newValue);
  if (added.length > 0) return { severity: "medium", reason: `the page now points to ${listed(added)}` };
  return { severity: "notice", reason: "the page no longer points to a site" };
}

export function changeOfDownloads(request: Change): Assessment {
  const first = seenFirst(request, "downloads");
  if (first !== null) return first;
  const { added, strange } = gainedBy(request);
  if (strange.length > 0)
    return { severity: "high", reason: `a download now comes from ${hosts(strange)}, which was not used before` };
  if (added.length > 0) return { severity: "notice", reason: `a download was added on ${hosts(added)}` };
  return { severity: "notice", reason: "a download is no longer offered" };
}

export function changeOfBase({ kind, newValue, resource }: Change): Assessment {
  if (kind === "disappeared") return { severity: "notice", reason: "links are relative to the page itself again" };
  return elsewhere(newValue, resource)
    ? {
        severity: "high",
        reason: `all relative links and scripts of the page now lead to ${linkHost(asText(newValue))}`,
      }
    : { severity: "medium", reason: "relative links of the page lead elsewhere" };
}

export function changeOfRefresh({ kind, newValue, resource }: Change): Assessment {
  if (kind === "disappeared") return { severity: "notice", reason: "the page no longer sends browsers on" };
  return elsewhere(newValue, resource)
    ? { severity: "high", reason: `the page now sends browsers on to ${linkHost(asText(newValue)) || "a script"}` }
    : { severity: "medium", reason: "the page now sends browsers on to another page of its site" };
}

/** Appearing, a list says only that the answer is a page now; disappearing, that it is none any more. */
function seenFirst({ kind }: Change, what: string): Assessment | null {
  if (kind === "appeared") return { severity: "none", reason: `${what} of the page were seen for the first time` };
  return kind === "disappeared" ? { severity: "notice", reason: "the answer is no page any more" } : null;
}

function elsewhere(link: Json, resource: string): boolean {
  return !isSameSite(hostname(asText(link)), new URL(resource).hostname);
}

function hostname(link: string): string {
  return URL.parse(link)?.hostname ?? "";
}

/** The hosts of links, or the scheme of one that has none. */
function hosts(links: string[]): string {
  return listed([...new Set(links.map((link) => linkHost(link) || `a ${link.split(":", 1)[0]}: address`))]);
}

function listed(names: string[]): string {
  const rest = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return names.slice(0, 3).map(brief).join(", ") + rest;
}

function brief(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
