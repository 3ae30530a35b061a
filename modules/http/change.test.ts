import type { Json } from "#contracts/canonical.ts";
import type { ChangeRequest } from "#contracts/module.ts";
import { describe, expect, it } from "vitest";
import { change } from "./change.ts";

const cookie = { secure: true, http_only: true, same_site: "lax", domain: null, path: "/" };
const csp = "header/content-security-policy";
const hsts = "header/strict-transport-security";

function assess(attribute: string, oldValue: Json, newValue: Json, more: Partial<ChangeRequest> = {}) {
  return change({
    resource: "https://shop.example.org/",
    attribute,
    kind: "changed",
    oldValue,
    newValue,
    oldSeverity: null,
    newSeverity: null,
    newReason: null,
    context: null,
    ...more,
    options: { knownPaths: true, bodyHash: false },
  });
}

const scripts = (sources: Json, count = 3, integrity?: Json): Json => ({
  count,
  sources,
  ...(integrity === undefined ? {} : { integrity }),
});
const own = "https://shop.example.org/a.js";
const cdn = "https://cdn.example/lib.js";

describe("how bad a change of a page is", () => {
  it.each<[string, string, Json, Json, string, string]>([
    [
      "a script from a new host",
      "scripts",
      scripts([own]),
      scripts([own, "https://evil.example/x.js"], 4),
      "high",
      "a script is now loaded from evil.example, which was not used before",
    ],
    [
      "the host of a script replaced",
      "scripts",
      scripts([cdn]),
      scripts(["https://cdn.evil.example/lib.js"], 4),
      "high",
      "cdn.evil.example",
    ],
    [
      "a page's first script",
      "scripts",
      scripts([], 0),
      scripts(["https://evil.example/x.js"], 1),
      "high",
      "evil.example",
    ],
    [
      "a script without a host",
      "scripts",
      scripts([own]),
      scripts([own, "data:sha256-1234"]),
      "high",
      "a data: address",
    ],
    [
      "another script of a used host",
      "scripts",
      scripts([cdn]),
      scripts([cdn, "https://cdn.example/b.js"], 4),
      "medium",
      "cdn.example",
    ],
    [
      "another script of the page's own site",
      "scripts",
      scripts([]),
      scripts(["https://static.example.org/b.js"], 4),
      "medium",
      "static.example.org",
    ],
    ["a script taken out", "scripts", scripts([own, cdn]), scripts([own], 2), "notice", "no longer"],
    ["a frame from a new host", "frame_sources", [], ["https://evil.example/"], "high", "evil.example"],
    [
      "a form that sends elsewhere",
      "form_actions",
      ["https://shop.example.org/pay"],
      ["https://evil.example/pay"],
      "high",
      "evil.example",
    ],
    [
      "a form that leaves https",
      "form_actions",
      ["https://shop.example.org/pay"],
      ["http://shop.example.org/pay"],
      "high",
      "plain http",
    ],
    ["a download from a new host", "download_links", [], ["https://evil.example/a.zip"], "high", "evil.example"],
    [
      "a download from its own host",
      "download_links",
      [],
      ["https://shop.example.org/a.zip"],
      "notice",
      "shop.example.org",
    ],
    ["a new link to a site", "external_domains", [], ["evil.example"], "medium", "evil.example"],
    ["a link less", "external_domains", ["evil.example"], [], "notice", "no longer"],
    ["an inline script", "scripts", scripts([own], 3), scripts([own], 4), "medium", "4 script tags instead of 3"],
    ["a script tag less", "scripts", scripts([own], 4), scripts([own], 3), "notice", "3 script tags instead of 4"],
    ["a pin gained", "scripts", scripts([cdn], 1), scripts([cdn], 1, { [cdn]: "sha256-a" }), "none", "pinned"],
    [
      "a pinned script taken out",
      "scripts",
      scripts([cdn], 1, { [cdn]: "sha256-a" }),
      scripts([], 0),
      "notice",
      "no longer",
    ],
    [
      "other pinned content",
      "scripts",
      scripts([cdn], 1, { [cdn]: "sha256-a" }),
      scripts([cdn], 1, { [cdn]: "sha256-b" }),
      "medium",
      "other content",
    ],
    [
      "a pin lost",
      "scripts",
      scripts([cdn], 1, { [cdn]: "sha256-a" }),
      scripts([cdn], 1),
      "medium",
      "no longer pinned",
    ],
    ["the policy gone", csp, ["default-src 'self'"], [], "high", "is gone"],
    ["a policy where there was none", csp, [], ["default-src 'self'"], "none", "limits"],
    [
      "unsafe scripts allowed",
      csp,
      ["script-src 'self'"],
      ["script-src 'self' 'unsafe-inline'"],
      "high",
      "'unsafe-inline'",
    ],
    ["another script host allowed", csp, ["script-src 'self'"], ["script-src 'self' b.example"], "medium", "b.example"],
    ["the script directive gone", csp, ["img-src *", "script-src 'self'"], ["img-src *"], "high", "script-src"],
    ["another directive gone", csp, ["img-src *", "script-src 'self'"], ["script-src 'self'"], "medium", "img-src"],
    ["a directive more", csp, ["script-src 'self'"], ["img-src 'self'", "script-src 'self'"], "notice", "img-src"],
    [
      "other hashes",
      csp,
      ["'sha256-a'", "script-src 'self'"],
      ["'sha256-b'", "script-src 'self'"],
      "notice",
      "by their hashes",
    ],
    ["HSTS gone", hsts, "max-age=31536000", "", "high", "is gone"],
    ["HSTS switched off", hsts, "max-age=31536000", "max-age=0", "high", "is gone"],
    ["HSTS without subdomains", hsts, "max-age=9; includesubdomains", "max-age=9", "medium", "subdomains"],
    ["HSTS for longer", hsts, "max-age=9", "max-age=99", "none", "stronger"],
    ["sniffing allowed", "header/x-content-type-options", "nosniff", "", "medium", "no longer sent"],
    ["another server", "header/server", "nginx", "Apache", "notice", "something else"],
    ["Secure lost", "cookie/sid", { ...cookie }, { ...cookie, secure: false }, "medium", "Secure is gone"],
    ["HttpOnly lost", "cookie/sid", { ...cookie }, { ...cookie, http_only: false }, "medium", "HttpOnly is gone"],
    ["SameSite given up", "cookie/sid", { ...cookie }, { ...cookie, same_site: "none" }, "medium", "SameSite=None"],
    ["flags gained", "cookie/sid", { ...cookie, secure: false }, { ...cookie }, "none", "stricter"],
    [
      "a redirect to another site",
      "redirect_location",
      "https://shop.example.org/a",
      "https://evil.example/",
      "high",
      "evil.example",
    ],
    [
      "a redirect within the site",
      "redirect_location",
      "https://shop.example.org/a",
      "https://www.example.org/b",
      "medium",
      "same site",
    ],
    ["a page that redirects now", "status_code", 200, 301, "medium", "redirects now"],
    ["a page closed", "status_code", 200, 403, "medium", "no longer open"],
    ["a page opened", "status_code", 403, 200, "medium", "answers now"],
    ["one redirect for another", "status_code", 301, 302, "notice", "302 instead of 301"],
    ["the page gone", "exists", true, false, "medium", "gone"],
    ["the page back", "exists", false, true, "notice", "again"],
    ["another base", "base_href", "https://shop.example.org/", "https://evil.example/", "high", "evil.example"],
    ["another kind of content", "content_type", "text/html", "text/plain", "notice", "another one"],
  ])("%s", (_name, attribute, oldValue, newValue, severity, reason) => {
    expect(assess(attribute, oldValue, newValue)).toEqual({ severity, reason: expect.stringContaining(reason) });
  });

  it("says where a page redirects now", () => {
    const context = { location: "https://evil.example/" };
    expect(assess("status_code", 200, 301, { context })).toEqual({
      severity: "high",
      reason: "the page now redirects to another site, evil.example",
    });
    const own = { location: "https://www.example.org/" };
    expect(assess("status_code", 200, 301, { context: own }).severity).toBe("medium");
  });

  it("is at least what the new value is by itself", () => {
    const exposed = { newSeverity: "high", newReason: "Dockerfile is served to everybody" } as const;
    const resource = "https://shop.example.org/Dockerfile";
    expect(assess("status_code", 404, 200, { ...exposed, resource })).toEqual({
      severity: "high",
      reason: exposed.newReason,
    });
    expect(assess("status_code", 404, 403, { resource }).severity).toBe("none");
    expect(assess("status_code", 200, 404, { resource, oldSeverity: "high" }).severity).toBe("none");
    const low = { kind: "appeared", newSeverity: "low", newReason: "not Secure" } as const;
    expect(assess("cookie/b", null, { ...cookie, secure: false }, low).severity).toBe("notice");
    expect(assess(csp, null, null, { kind: "rated", newSeverity: "recommendation", newReason: "why" })).toEqual({
      severity: "recommendation",
      reason: "why",
    });
    expect(assess(csp, null, null, { kind: "rated", oldSeverity: "low" }).severity).toBe("none");
  });

  it("is nothing, or little, when a page is first seen, or is none any more", () => {
    for (const attribute of ["scripts", "frame_sources", "external_domains", "status_code", "content_type"]) {
      expect(assess(attribute, null, ["x"], { kind: "appeared" }).severity).toBe("none");
    }
    for (const attribute of ["scripts", "external_domains", "header/server", "cookie/a"]) {
      expect(assess(attribute, ["x"], null, { kind: "disappeared" }).severity).toBe("notice");
    }
    expect(assess("header/x-frame-options", "DENY", null, { kind: "disappeared" }).severity).toBe("medium");
  });

  it("keeps its reason short, whatever the values", () => {
    const long = "x".repeat(5000);
    expect(assess(csp, ["a"], [`script-src-${long} ${long}`]).reason.length).toBeLessThanOrEqual(500);
    expect(
      assess("redirect_location", "https://shop.example.org/", `https://${long}/`).reason.length,
    ).toBeLessThanOrEqual(500);
  });
});
