import type { Json } from "#contracts/canonical.ts";

/** What a set gained and lost; anything that is no list of texts counts as empty. */
export function compareSets(before: Json, after: Json): { added: string[]; removed: string[] } {
  const old = new Set(asTexts(before));
  const now = new Set(asTexts(after));
  return { added: [...now.difference(old)], removed: [...old.difference(now)] };
}

export function asTexts(value: Json): string[] {
  return Array.isArray(value) ? value.filter((member) => typeof member === "string") : [];
}

export function asRecord(value: Json): Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** A value in a sentence: texts as they are, anything else as JSON. */
export function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
