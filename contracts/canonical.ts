import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import canonicalizeJson from "canonicalize";
import { z } from "zod";

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export const Json: z.ZodType<Json> = z.json();

/** The canonical form (RFC 8785) by which values are compared. */
export function canonical(value: Json): string {
  const text = canonicalizeJson(value);
  if (text === undefined) throw new TypeError("a value that JSON cannot hold has no canonical form");
  return text;
}

/** Are the two JSON values the same value? */
export function isSameValue(a: Json, b: Json): boolean {
  return a === b || canonical(a) === canonical(b);
}

/** SHA-256 of a text's UTF-8 bytes, as 64 lower-case hex digits. */
export function sha256Hex(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}

/** One value as it enters a fingerprint. */
export interface FingerprintedValue {
  attribute: string;
  value: Json;
  severity: string | null;
  reason: string | null;
}

/** One short name for a complete set of values: equal sets, in whatever order, have equal fingerprints. */
export function fingerprint(values: Iterable<FingerprintedValue>): string {
  const rows: Json[] = [...values]
    .toSorted((a, b) => compareText(a.attribute, b.attribute))
    .map(({ attribute, value, severity, reason }) => [attribute, value, severity, reason]);
  return sha256Hex(canonical(rows)).slice(0, 32);
}

/** Code-unit order: the same on every machine, unlike a locale's. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
