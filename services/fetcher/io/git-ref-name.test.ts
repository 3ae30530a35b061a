import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMissing } from "../../../tests/support/peers.ts";
import { isRefName } from "./git-ref-name.ts";

describe("ref names", () => {
  it.each(["HEAD", "refs/tags/v1.0", "refs/tags/a/b@c", "refs/heads/日本", "refs/tags/x.y-z_+=,!#$%&'();<>|\"{}"])(
    "accepts %s",
    (name) => expect(isRefName(name)).toBe(true),
  );

  it.each([
    "",
    "v1",
    "refs/",
    "refs//tags/x",
    "refs/tags/",
    "refs/tags/.x",
    "refs/tags/x.",
    "refs/tags/x.lock",
    "refs/tags/a..b",
    "refs/tags/a b",
    "refs/tags/a~1",
    "refs/tags/a^{}",
    "refs/tags/a:b",
    "refs/tags/a?",
    "refs/tags/a*",
    "refs/tags/a[b",
    "refs/tags/a\\b",
    "refs/tags/a@{b",
    "refs/tags/a\u0000",
    "refs/tags/a\u001b[2J",
    "refs/tags/a\u007f",
    "refs/tags/a\u009b31m",
    "refs/tags/a.lock/b",
  ])("refuses %j", (name) => expect(isRefName(name)).toBe(false));

  describe.skipIf(isMissing("git"))("beside git's own check", () => {
    it("is of the same mind for any printable name", () => {
      const piece = fc.constantFrom(
        "a",
        "B",
        "1",
        ".",
        "..",
        "/",
        "-",
        "@",
        "@{",
        "{",
        "~",
        "^",
        ":",
        " ",
        ".lock",
        "é",
        "*",
      );
      const name = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => `refs/${pieces.join("")}`);
      fc.assert(
        fc.property(name, (candidate) => {
          expect(isRefName(candidate)).toBe(spawnSync("git", ["check-ref-format", candidate]).status === 0);
        }),
        { numRuns: 200 },
      );
    });
  });
});
