import type { Json } from "#contracts/canonical.ts";
import type { PreviousValue } from "#contracts/module.ts";
import type { PageContent } from "./content.ts";
import { linkHost } from "./links.ts";

/** Which totals moved only because a list that is judged by itself did. */
export interface Follows {
  scriptCount: boolean;
  externalDomains: boolean;
}

type Previous = ReadonlyMap<string, PreviousValue>;

export function whatFollows(content: PageContent, previous: Previous): Follows {
  const scripts = difference(previous, "script_sources", content.scriptSources);
  const hosts = difference(previous, "external_domains", content.externalDomains);
  const linked = new Set(
    [
      scripts,
      difference(previous, "frame_sources", content.frameSources),
      difference(previous, "form_actions", content.formActions),
      difference(previous, "download_links", content.downloadLinks),
    ].flatMap(({ added, removed }) => [...added, ...removed].map(linkHost)),
  );
  const count = previous.get("script_count")?.value;
  const moved = [...hosts.added, ...hosts.removed];
  return {
    scriptCount:
      typeof count === "number" && content.scriptCount - count === scripts.added.length - scripts.removed.length,
    externalDomains: moved.length > 0 && moved.every((host) => linked.has(host)),
  };
}

function difference(previous: Previous, attribute: string, members: string[]): { added: string[]; removed: string[] } {
  return compareSets(previous.get(attribute)?.value ?? [], members);
}

/** What a set gained and lost; anything that is no list of texts counts as empty. */
export function compareSets(before: Json, after: Json): { added: string[]; removed: string[] } {
  const old = new Set(asTexts(before));
  const now = new Set(asTexts(after));
  return { added: [...now.difference(old)], removed: [...old.difference(now)] };
}

export function asTexts(value: Json): string[] {
  return Array.isArray(value) ? value.filter((member) => typeof member === "string") : [];
}

/** A value in a sentence: texts as they are, anything else as JSON. */
export function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
