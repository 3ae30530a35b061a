import { describe, expect, it } from "vitest";
import { readCookies } from "./cookies.ts";
import { readPolicy, readSecurityHeaders } from "./security-headers.ts";

const page = { isHttps: true, isPage: true };

function values(headers: Record<string, string[]>, place = page) {
  return Object.fromEntries(
    readSecurityHeaders(headers, place).map(({ attribute, value, standing }) => [
      attribute,
      [value, standing.severity ?? null],
    ]),
  );
}

describe("security headers", () => {
  it("that a page should have are findings where they are missing", () => {
    expect(values({})).toEqual({
      "header/content-security-policy": [[], "recommendation"],
      "header/strict-transport-security": ["", "recommendation"],
      "header/x-content-type-options": ["", "recommendation"],
    });
  });

  it("are not held against plain http, or against what is no page", () => {
    expect(values({}, { isHttps: false, isPage: false })).toEqual({});
    expect(values({ "strict-transport-security": ["max-age=1"] }, { isHttps: false, isPage: false })).toEqual({});
  });

  it("are values without findings where they are as they should be", () => {
    const headers = {
      "content-security-policy": ["default-src 'self'"],
      "strict-transport-security": ["max-age=31536000;  includeSubDomains"],
      "x-content-type-options": ["nosniff"],
      "referrer-policy": ["no-referrer"],
      server: ["ECS (nyb/1D2A)"],
    };
    expect(values(headers)).toEqual({
      "header/content-security-policy": [["default-src 'self'"], null],
      "header/strict-transport-security": ["max-age=31536000; includesubdomains", null],
      "header/x-content-type-options": ["nosniff", null],
      "header/referrer-policy": ["no-referrer", null],
      "header/server": ["ECS (*)", null],
    });
    const short = values({ ...headers, "strict-transport-security": ["max-age=60"] });
    expect(short["header/strict-transport-security"]).toEqual(["max-age=60", "recommendation"]);
  });

  it("a policy is its directives, nonces masked and hashes apart", () => {
    const policy =
      "Script-Src 'nonce-r4nd0m' https://b.example 'self' 'sha256-abc='; IMG-SRC *; script-src 'none'; report-uri /csp?id=123";
    expect(readPolicy([policy])).toEqual({
      directives: ["img-src *", "report-uri /csp?*", "script-src 'nonce-*' 'self' https://b.example"],
      hashes: ["'sha256-abc='"],
    });
    expect(readPolicy([policy.replace("r4nd0m", "0ther").replace("123", "456")])).toEqual(readPolicy([policy]));
    expect(readPolicy(["default-src 'self', img-src *", "font-src *"]).directives).toEqual([
      "2: img-src *",
      "3: font-src *",
      "default-src 'self'",
    ]);
  });
});

describe("cookies", () => {
  it("are names and flags, never values", () => {
    const cookies = readCookies(
      ["sid=topsecret; Path=/; Secure; HttpOnly; SameSite=Lax", "b=1", "nonsense", "=x"],
      true,
    );
    expect(cookies.map(({ name, flags }) => [name, flags])).toEqual([
      ["b", { secure: false, http_only: false, same_site: null, domain: null, path: null }],
      ["sid", { secure: true, http_only: true, same_site: "lax", domain: null, path: "/" }],
    ]);
    expect(JSON.stringify(cookies)).not.toContain("topsecret");
  });

  it("are findings where others can read them", () => {
    const severities = (line: string, isHttps: boolean) => readCookies([line], isHttps).map(({ standing }) => standing);
    expect(severities("theme=dark", true)).toEqual([
      { severity: "low", reason: expect.stringContaining("not Secure") },
    ]);
    expect(severities("theme=dark", false)).toEqual([{}]);
    expect(severities("session=1; secure", true)).toEqual([
      { severity: "low", reason: expect.stringContaining("not HttpOnly") },
    ]);
    expect(severities("csrf_token=1; secure", true)).toEqual([{}]);
  });

  it("keep their names when a part of them is random", () => {
    const names = ["ASPSESSIONIDQQBRCSTD=1", "visid_incap_123456=1", "s_0123456789abcdef0123=1"].flatMap((line) =>
      readCookies([line], true).map(({ name }) => name),
    );
    expect(names).toEqual(["ASPSESSIONID*", "visid_incap_*", "s_*"]);
  });
});
