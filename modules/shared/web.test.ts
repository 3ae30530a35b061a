import { assert, constantFrom, oneof, property, string, webUrl } from "fast-check";
import { describe, expect, it } from "vitest";
import { hostOwner, isAddress, isSameSite, WebUrl, webLane } from "./web.ts";

describe("a web URL", () => {
  it.each([
    ["https://Example.ORG", "https://example.org/"],
    ["https://example.org.:443/a/./b/../c?q=1#part", "https://example.org/a/c?q=1"],
    ["http://example.org:80", "http://example.org/"],
    ["http://example.org:8080", "http://example.org:8080/"],
    [" https://bücher.example/ä ", "https://xn--bcher-kva.example/%C3%A4"],
    ["http://0x7f.1/", "http://127.0.0.1/"],
    ["http://[::FFFF:1.2.3.4]/", "http://[::ffff:102:304]/"],
    ["example.org", "https://example.org/"],
    ["example.org:8443/path", "https://example.org:8443/path"],
  ])("%s becomes %s", (text, url) => {
    expect(WebUrl.parse(text)).toBe(url);
  });

  it.each([
    ["ftp://example.org/", "only http and https"],
    ["javascript:alert(1)", "only http and https"],
    ["https://user@example.org/", "user name or password"],
    ["https://:secret@example.org/", "user name or password"],
    ["not a url", "not a URL"],
    ["", "not a URL"],
    ["https://", "not a URL"],
    [`https://example.org/${"a".repeat(2048)}`, "longer than 2048 bytes"],
  ])("%s is refused and says why", (text, why) => {
    const issues = WebUrl.safeParse(text).error?.issues.map(({ message }) => message);
    expect(issues).toEqual([expect.stringContaining(why)]);
    expect(JSON.stringify(issues)).not.toContain("secret");
  });

  it("is normal once normalised, whatever was given", () => {
    const text = oneof(
      webUrl({ withFragments: true, withQueryParameters: true }),
      string({ unit: "binary" }),
      constantFrom("a.b", "http://a:b@c"),
    );
    assert(
      property(text, (given) => {
        const first = WebUrl.safeParse(given);
        if (!first.success) return;
        const url = new URL(first.data);
        expect(WebUrl.parse(first.data)).toBe(first.data);
        expect([url.hash, url.username, url.password, url.hostname === ""]).toEqual(["", "", "", false]);
      }),
    );
  });
});

describe("hosts", () => {
  it("have a lane and an owner", () => {
    expect([webLane("https://example.org/a"), webLane("https://example.org:8443/")]).toEqual([
      "example.org",
      "example.org:8443",
    ]);
    const owners = ["www.shop.example.co.uk", "someone.github.io", "127.0.0.1", "[::1]", "localhost"].map(hostOwner);
    expect(owners).toEqual(["example.co.uk", "someone.github.io", "-", "-", "-"]);
  });

  it("are the same site when they have the same owner", () => {
    expect(isSameSite("a.example.org", "b.example.org")).toBe(true);
    expect(isSameSite("one.github.io", "two.github.io")).toBe(false);
    expect(isSameSite("127.0.0.1", "127.0.0.1")).toBe(true);
    expect(isSameSite("127.0.0.1", "127.0.0.2")).toBe(false);
  });

  it("are addresses or names", () => {
    expect(["127.0.0.1", "[::1]", "example.org"].map(isAddress)).toEqual([true, true, false]);
  });
});
