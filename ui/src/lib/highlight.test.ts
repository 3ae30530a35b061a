import { describe, expect, it } from "vitest";
import { highlight } from "./highlight.ts";

const marked = (snippet: string, query: string) =>
  highlight(snippet, query)
    .map((part) => (part.isHit ? `[${part.text}]` : part.text))
    .join("");

describe("highlighting", () => {
  it("marks every word of the query, in any case", () => {
    expect(marked("Tag v4.1.2 of Checkout moved", "checkout V4")).toBe("Tag [v4].1.2 of [Checkout] moved");
    expect(marked("aaa", "a")).toBe("[a][a][a]");
  });

  it("takes the query as text, never as a pattern", () => {
    expect(marked("a.c abc (", ".* (")).toBe("a.c abc [(]");
  });

  it("loses nothing of the snippet", () => {
    for (const query of ["", "x", "İ", "  "])
      expect(
        highlight("İstanbul x", query)
          .map((p) => p.text)
          .join(""),
      ).toBe("İstanbul x");
  });
});
