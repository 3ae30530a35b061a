import { describe, expect, it } from "vitest";
import { safeLink } from "./links.ts";

describe("links to observed addresses", () => {
  it("are made for http and https", () => {
    expect(safeLink("https://example.com/a?b=c")).toBe("https://example.com/a?b=c");
    expect(safeLink("HTTP://example.com")).toBe("http://example.com/");
  });

  it("are refused for whatever could run or mislead", () => {
    const hostile = [
      "javascript:alert(1)",
      " https://example.com",
      "data:text/html,x",
      "https://user:word@evil.example/",
      "java\nscript:alert(1)",
      "//example.com",
      "https://",
      "example.com",
    ];
    expect(hostile.filter((text) => safeLink(text) !== null)).toEqual([]);
  });
});
