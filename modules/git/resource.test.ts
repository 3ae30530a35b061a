import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSameRepository, laneOf, ownerOf, RepositoryUrl } from "./resource.ts";

describe("a repository's URL", () => {
  it.each([
    ["https://github.com/Owner/Name", "https://github.com/Owner/Name"],
    ["http://GITHUB.com:80/Owner/Name.git/", "https://github.com/Owner/Name"],
    [" https://gitlab.com/group/sub/name ", "https://gitlab.com/group/sub/name.git"],
    ["https://git.example.org:443/name.git", "https://git.example.org/name.git"],
    ["http://127.0.0.1:8080/a/b.git", "http://127.0.0.1:8080/a/b.git"],
    ["https://Git.Example.org./x/../y", "https://git.example.org/y"],
    ["https://kernel.org/pub/scm/linux.git///", "https://kernel.org/pub/scm/linux.git"],
  ])("%s is normalised", (text, expected) => {
    expect(RepositoryUrl.parse(text)).toBe(expected);
  });

  it.each([
    ["git@github.com:owner/name.git", /ssh addresses/],
    ["ssh://git@github.com/owner/name", /ssh addresses are not watched/],
    ["file:///srv/git/x", /file addresses/],
    ["git://example.org/x", /git addresses/],
    ["ext::sh -c id", /not a URL/],
    ["/srv/git/x", /not a URL/],
    ["github.com/owner/name", /did you mean https:\/\/github\.com\/owner\/name/],
    ["https://user:secret@example.org/x", /credentials/],
    ["https://example.org/x?y", /query/],
    ["https://example.org/x#y", /fragment/],
    ["https://example.org/", /the path of the repository is missing/],
    ["https://example.org/a//b", /empty name/],
    ["https://example.org/a%0ab", /control character/],
    ["https://github.com/owner", /the name of the repository is missing/],
    ["https://github.com/owner/name/tree/main", /a page of the forge/],
    ["https://gitlab.com/group/name/-/tags", /a page of the forge/],
    ["https://", /not a URL/],
    [`https://example.org/${"x".repeat(2100)}`, /longer than/],
  ])("%s is refused", (text, why) => {
    const parsed = RepositoryUrl.safeParse(text);
    expect(parsed.error?.issues.map(({ message }) => message)).toEqual([expect.stringMatching(why)]);
  });

  it("never shows a secret in a refusal", () => {
    expect(JSON.stringify(RepositoryUrl.safeParse("https://u:hunter2@example.org/x"))).not.toContain("hunter2");
  });

  it("stays as it is when normalised again, and always has a lane and an owner", () => {
    const accepted = fc
      .oneof(
        fc.webUrl(),
        fc.webPath().map((path) => `https://github.com${path}`),
        fc.string(),
      )
      .map((text) => RepositoryUrl.safeParse(text))
      .filter((parsed) => parsed.success);
    fc.assert(
      fc.property(accepted, ({ data }) => {
        expect(RepositoryUrl.parse(data)).toBe(data);
        expect(laneOf(data ?? "")).toMatch(/^[^/~]+~git$/);
        expect(ownerOf(data ?? "")).not.toBe("");
      }),
    );
  });

  it("has its host as lane, and belongs to an owner", () => {
    expect(laneOf("https://github.com/Owner/name")).toBe("github.com~git");
    expect(laneOf("http://127.0.0.1:8080/a.git")).toBe("127.0.0.1:8080~git");
    expect(ownerOf("https://github.com/Owner/name")).toBe("owner");
    expect(ownerOf("https://git.example.co.uk/x.git")).toBe("example.co.uk");
    expect(ownerOf("http://127.0.0.1:8080/a.git")).toBe("-");
  });

  it.each([
    ["https://x.example/a", "https://x.example/a.git", true],
    ["http://x.example/a", "https://x.example/a/", true],
    ["https://x.example/a", "http://x.example/a", false],
    ["https://x.example/a", "https://x.example/b", false],
    ["https://x.example/a", "https://y.example/a", false],
    ["http://x.example:8080/a", "https://x.example/a", false],
  ])("%s and %s: the same is %s", (from, to, expected) => {
    expect(isSameRepository(from, to)).toBe(expected);
  });
});
