import { describe, expect, it } from "vitest";
import { isFloating, Options } from "./options.ts";

const defaults = Options.parse({});

describe("floating tags", () => {
  it.each(["latest", "Nightly", "stable", "edge", "v4", "4", "v1.2", "1.2", "setup/v4", "tool@2", "channels/beta"])(
    "%s floats by convention",
    (tag) => expect(isFloating(tag, defaults)).toBe(true),
  );

  it.each([
    "v4.1.2",
    "4.1.2",
    "v1.0.0-rc1",
    "v1.2-rc1",
    "20240131",
    "build-123",
    "release",
    "prelatest",
    "v",
    "1.2.3.4",
  ])("%s must not move", (tag) => expect(isFloating(tag, defaults)).toBe(false));

  it("are those the options name, and `fixed` has the last word", () => {
    const options = Options.parse({ floating: ["release-*"], fixed: ["v6.*", "release-final"] });
    expect(isFloating("release-1", options)).toBe(true);
    expect(isFloating("release-final", options)).toBe(false);
    expect(isFloating("v6.1", options)).toBe(false);
    expect(isFloating("v7.1", options)).toBe(true);
  });
});

describe("patterns", () => {
  it.each(["", "a b", "a\nb", "a\u0000"])("refuse %j, which no ref is called and a request must not hold", (text) => {
    expect(Options.safeParse({ tags: [text] }).success).toBe(false);
  });
});
