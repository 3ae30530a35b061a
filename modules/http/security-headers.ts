import { compareText, type Json } from "#contracts/canonical.ts";
import type { Standing } from "#contracts/module.ts";

/** One header as a value: `""`, or `[]` for a policy, where a header that should be there is missing. */
export interface HeaderValue {
  attribute: string;
  value: Json;
  standing: Standing;
}

/** What the answer was to: missing headers are only held against whole pages that came over https. */
export interface HeaderPlace {
  isHttps: boolean;
  isPage: boolean;
}

type Headers = Record<string, string[]>;

export const cspAttribute = "header/content-security-policy";
export const hstsAttribute = "header/strict-transport-security";
export const typeOptionsAttribute = "header/x-content-type-options";

/** Reported where they are sent; that they are missing is the normal. */
const optionalHeaders = [
  "cross-origin-embedder-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "permissions-policy",
  "referrer-policy",
  "x-frame-options",
];

export function readSecurityHeaders(headers: Headers, place: HeaderPlace): HeaderValue[] {
  return [
    ...policyValues(headers, place),
    ...hstsValue(headers, place),
    ...contentTypeOptions(headers, place),
    ...optionalHeaders.flatMap((name) => plain(name, headers)),
    ...plain("server", headers, maskNode),
  ];
}

const halfAYearSeconds = 15_552_000;

function hstsValue(headers: Headers, { isHttps }: HeaderPlace): HeaderValue[] {
  // RFC 6797 §8.1: ignored over http, and only the first counts.
  if (!isHttps) return [];
  const value = normalised(headers["strict-transport-security"]?.[0] ?? "").toLowerCase();
  const seconds = hstsSeconds(value);
  const standing: Standing =
    seconds === 0
      ? { severity: "recommendation", reason: "browsers are not told to use https only (no Strict-Transport-Security)" }
      : seconds < halfAYearSeconds
        ? { severity: "recommendation", reason: "Strict-Transport-Security holds for less than half a year" }
        : {};
  return [{ attribute: hstsAttribute, value, standing }];
}

/** How long browsers keep to https; 0 where they do not. */
export function hstsSeconds(value: string): number {
  return Number(/(?:^|;)\s*max-age\s*=\s*"?(\d{1,12})/i.exec(value)?.[1] ?? 0);
}

function policyValues(headers: Headers, { isPage }: HeaderPlace): HeaderValue[] {
  const values: HeaderValue[] = [];
  const enforced = readPolicy(headers["content-security-policy"]);
  if (enforced.directives.length > 0 || isPage)
    values.push({
      attribute: cspAttribute,
      value: [...enforced.hashes, ...enforced.directives],
      standing: cspStanding(enforced.directives),
    });
  const reportOnly = readPolicy(headers["content-security-policy-report-only"]);
  if (reportOnly.directives.length > 0)
    values.push({ attribute: `${cspAttribute}-report-only`, value: reportOnly.directives, standing: {} });
  return values;
}

function cspStanding(directives: string[]): Standing {
  if (directives.length > 0) return {};
  return { severity: "recommendation", reason: "nothing limits what the page may load (no Content-Security-Policy)" };
}

/**
 * A policy as a sorted list, one directive a line: nonces masked, hashes apart from them since they rotate with the scripts
 * they stand for. Several policies hold all together; a second one's lines follow the first's under `2:`.
 */
export function readPolicy(lines: string[] = []): { directives: string[]; hashes: string[] } {
  const hashes = new Set<string>();
  const directives = lines
    .flatMap((line) => line.split(","))
    .filter((policy) => policy.trim() !== "")
    .flatMap((policy, index) =>
      readDirectives(policy, hashes).map((line) => (index === 0 ? line : `${index + 1}: ${line}`)),
    );
  return { directives: directives.toSorted(compareText), hashes: [...hashes].toSorted(compareText) };
}

function readDirectives(policy: string, hashes: Set<string>): string[] {
  const byName = new Map<string, string>();
  for (const text of policy.split(";")) {
    const [name = "", ...words] = text.trim().split(/\s+/);
    // CSP 3 §2.2.1: a directive given twice counts once, the first.
    if (name === "" || byName.has(name.toLowerCase())) continue;
    const sources = words.flatMap((word) => stableSource(word, hashes));
    byName.set(name.toLowerCase(), [name.toLowerCase(), ...[...new Set(sources)].toSorted(compareText)].join(" "));
  }
  return [...byName.values()];
}

function stableSource(word: string, hashes: Set<string>): string[] {
  if (/^'nonce-/i.test(word)) return ["'nonce-*'"];
  if (/^'sha(256|384|512)-/i.test(word)) {
    hashes.add(word);
    return [];
  }
  // Report addresses often carry an id of the request.
  return [/^(https?:\/)?\//i.test(word) ? word.replace(/\?.*/, "?*") : word];
}

function contentTypeOptions(headers: Headers, { isPage }: HeaderPlace): HeaderValue[] {
  const value = normalised(headers["x-content-type-options"]?.join(", ") ?? "").toLowerCase();
  if (value === "" && !isPage) return [];
  const standing: Standing =
    value === "nosniff"
      ? {}
      : {
          severity: "recommendation",
          reason: "browsers may guess what files are (no X-Content-Type-Options: nosniff)",
        };
  return [{ attribute: typeOptionsAttribute, value, standing }];
}

function plain(name: string, headers: Headers, mask = (value: string): string => value): HeaderValue[] {
  const lines = headers[name];
  if (lines === undefined) return [];
  return [{ attribute: `header/${name}`, value: mask(normalised(lines.join(", "))), standing: {} }];
}

function normalised(value: string): string {
  return value.replace(/\s+/g, " ").trim().slice(0, 8192);
}

/** `ECS (nyb/1D2A)`: which of a network's nodes answered is not what stands. */
function maskNode(value: string): string {
  return value.replace(/\([a-z]{2,4}\/[0-9A-F]{3,4}\)/g, "(*)");
}
