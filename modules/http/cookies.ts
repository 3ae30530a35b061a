import { compareText } from "#contracts/canonical.ts";
import type { Standing } from "#contracts/module.ts";

/** How a cookie may be used; what it holds never leaves this file. */
export interface CookieFlags {
  secure: boolean;
  http_only: boolean;
  same_site: string | null;
  domain: string | null;
  path: string | null;
}

export interface Cookie {
  name: string;
  flags: CookieFlags;
  standing: Standing;
}

const maxCookies = 200;

export function readCookies(lines: string[], isHttps: boolean): Cookie[] {
  const byName = new Map<string, Cookie>();
  for (const line of lines.slice(0, maxCookies)) {
    const [pair = "", ...attributes] = line.split(";");
    const name = stableName(pair.slice(0, Math.max(0, pair.indexOf("="))).trim());
    if (name === "") continue;
    const flags = readFlags(attributes);
    byName.set(name, { name, flags, standing: standingOf(name, flags, isHttps) });
  }
  return [...byName.values()].toSorted((a, b) => compareText(a.name, b.name));
}

/** Some names carry a random part: a counter, a hash, or the letters after ASPSESSIONID. */
function stableName(name: string): string {
  return name
    .replace(/^(ASPSESSIONID)[A-Z]{8}$/, "$1*")
    .replace(/[0-9a-f]{16,}|\d{5,}/gi, "*")
    .replace(/[^\x21-\x7e]/g, "?")
    .slice(0, 200);
}

function readFlags(attributes: string[]): CookieFlags {
  const given = new Map(
    attributes.map((attribute): [string, string] => {
      const [name = "", value = ""] = attribute.split("=", 2);
      return [name.trim().toLowerCase(), value.trim().slice(0, 200)];
    }),
  );
  return {
    secure: given.has("secure"),
    http_only: given.has("httponly"),
    same_site: given.get("samesite")?.toLowerCase() ?? null,
    domain: given.get("domain")?.toLowerCase() ?? null,
    path: given.get("path") ?? null,
  };
}

function standingOf(name: string, flags: CookieFlags, isHttps: boolean): Standing {
  if (isHttps && !flags.secure) {
    return { severity: "low", reason: `the cookie ${name} is also sent over plain http (not Secure)` };
  }
  if (!flags.http_only && /sess|sid$|auth|token|jwt/i.test(name) && !/csrf|xsrf/i.test(name)) {
    return { severity: "low", reason: `the cookie ${name} can be read by scripts (not HttpOnly)` };
  }
  return {};
}
