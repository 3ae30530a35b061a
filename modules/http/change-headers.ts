import type { Json } from "#contracts/canonical.ts";
import type { Assessment } from "#contracts/module.ts";
import type { Change } from "./change.ts";
import { asTexts, compareSets } from "./values.ts";
import { cspAttribute, hstsAttribute, hstsSeconds } from "./security-headers.ts";

/** Headers that protect: losing one is worse than an ordinary header's change. */
const protective = new Set([
  "x-frame-options",
  "x-content-type-options",
  "permissions-policy",
  "cross-origin-opener-policy",
  "cross-origin-embedder-policy",
  "cross-origin-resource-policy",
]);

export function changeOfHeader(request: Change): Assessment {
  const { attribute, kind, newValue } = request;
  const name = attribute.slice("header/".length);
  if (attribute === cspAttribute) return changeOfPolicy(request);
  if (attribute === hstsAttribute) return changeOfHsts(request);
  const isLost = kind === "disappeared" || newValue === "";
  if (isLost && protective.has(name))
    return { severity: "medium", reason: `the header ${name}, which protects the page, is no longer sent` };
  if (isLost) return { severity: "notice", reason: `the header ${name} is no longer sent` };
  if (isMissing(request.oldValue)) return { severity: "none", reason: `the header ${name} is sent now` };
  return { severity: "notice", reason: `the header ${name} says something else` };
}

function changeOfHsts({ oldValue, newValue }: Change): Assessment {
  const before = textOf(oldValue);
  const now = textOf(newValue);
  if (hstsSeconds(before) > 0 && hstsSeconds(now) === 0) {
    return {
      severity: "high",
      reason: "browsers are no longer told to use https only (Strict-Transport-Security is gone)",
    };
  }
  const isNarrower = before.includes("includesubdomains") && !now.includes("includesubdomains");
  if (isNarrower) return { severity: "medium", reason: "Strict-Transport-Security no longer covers subdomains" };
  if (hstsSeconds(now) < hstsSeconds(before))
    return { severity: "medium", reason: "Strict-Transport-Security holds for a shorter time" };
  return { severity: "none", reason: "Strict-Transport-Security is as strong as before, or stronger" };
}

/** Where scripts may come from is what a policy is mostly for. */
const ofScripts = /^(?:\d+: )?(script-src|script-src-elem|script-src-attr|default-src|base-uri|object-src)\b/;
const permissive = new Set(["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:", "data:", "blob:"]);

function changeOfPolicy({ oldValue, newValue }: Change): Assessment {
  if (isMissing(oldValue))
    return { severity: "none", reason: "a Content-Security-Policy limits what the page may load" };
  if (isMissing(newValue)) {
    return {
      severity: "high",
      reason: "nothing limits what the page may load any more (Content-Security-Policy is gone)",
    };
  }
  const before = sourcesByDirective(oldValue);
  const now = sourcesByDirective(newValue);
  for (const [directive, sources] of now) {
    const added = sources.filter((source) => !(before.get(directive) ?? ["*"]).includes(source));
    if (!ofScripts.test(directive) || added.length === 0) continue;
    const isOpen = added.some((source) => permissive.has(source));
    if (before.has(directive))
      return {
        severity: isOpen ? "high" : "medium",
        reason: `the policy now also allows ${added.slice(0, 3).join(" ").slice(0, 200)} in ${directive}`,
      };
  }
  const lost = [...before.keys()].find((directive) => !now.has(directive));
  if (lost !== undefined)
    return {
      severity: ofScripts.test(lost) ? "high" : "medium",
      reason: `the policy no longer has ${lost.slice(0, 100)}`,
    };
  const { added, removed } = compareSets(oldValue, newValue);
  if ([...added, ...removed].every(isHash))
    return { severity: "notice", reason: "the policy allows other inline scripts or styles, by their hashes" };
  return {
    severity: "notice",
    reason: `the policy says something else${added[0] === undefined ? "" : `: ${added[0].slice(0, 200)}`}`,
  };
}

function isHash(line: string): boolean {
  return line.startsWith("'");
}

/** `script-src 'self' a.example` → `script-src`: its sources. */
function sourcesByDirective(value: Json): Map<string, string[]> {
  const lines = asTexts(value).filter((line) => !isHash(line));
  return new Map(
    lines.map((line): [string, string[]] => {
      const [, name = "", sources = ""] = /^((?:\d+: )?\S+) ?(.*)$/.exec(line) ?? [];
      return [name, sources.split(" ").filter((source) => source !== "")];
    }),
  );
}

export function changeOfCookie({ attribute, kind, oldValue, newValue }: Change): Assessment {
  const name = attribute.slice("cookie/".length);
  if (kind === "appeared") return { severity: "notice", reason: `the cookie ${name} is set, which was not before` };
  if (kind === "disappeared") return { severity: "notice", reason: `the cookie ${name} is no longer set` };
  if (hasLost("secure", oldValue, newValue))
    return { severity: "medium", reason: `the cookie ${name} is now also sent over plain http (Secure is gone)` };
  if (hasLost("http_only", oldValue, newValue))
    return { severity: "medium", reason: `scripts can now read the cookie ${name} (HttpOnly is gone)` };
  const before = flag(oldValue, "same_site");
  const now = flag(newValue, "same_site");
  if (now === "none" && before !== "none")
    return {
      severity: "medium",
      reason: `the cookie ${name} now goes along with other sites' requests (SameSite=None)`,
    };
  if (flag(oldValue, "domain") !== flag(newValue, "domain"))
    return { severity: "notice", reason: `the cookie ${name} goes to other hosts` };
  return { severity: "none", reason: `the flags of the cookie ${name} are as strict as before, or stricter` };
}

function hasLost(name: string, before: Json, now: Json): boolean {
  return flag(before, name) === true && flag(now, name) !== true;
}

function flag(value: Json, name: string): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value[name] ?? null) : null;
}

function isMissing(value: Json): boolean {
  return value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

function textOf(value: Json): string {
  return typeof value === "string" ? value : "";
}
