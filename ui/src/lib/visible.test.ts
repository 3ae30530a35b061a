import { describe, expect, it } from "vitest";
import { visibleParts, visibleText } from "./visible.ts";

describe("visible text", () => {
  it("leaves ordinary text of any script alone", () => {
    for (const text of ["v4.1.2", "Zürich 東京 مرحبا", "naïve 🙂", ""]) expect(visibleText(text)).toBe(text);
  });

  it("shows what would reorder or hide its neighbours", () => {
    expect(visibleText("user\u202Egnp.exe")).toBe("user‹U+202E›gnp.exe");
    expect(visibleText("a\u200Bb\uFEFFc\u00ADd")).toBe("a‹U+200B›b‹U+FEFF›c‹U+00AD›d");
    expect(visibleText("\u001b[31m\u0000")).toBe("‹ESC›[31m‹NUL›");
    expect(visibleText("hidden\u{E0141}tag\u{E0020}")).toBe("hidden‹U+E0141›tag‹U+E0020›");
    expect(visibleText("lone\uD800")).toBe("lone‹U+D800›");
  });

  it("names the marks and keeps the text between them", () => {
    expect(visibleParts("a\u202Eb")).toEqual([
      { kind: "text", text: "a" },
      { kind: "mark", mark: "‹U+202E›", name: "U+202E right-to-left override" },
      { kind: "text", text: "b" },
    ]);
  });

  it("keeps line feeds only where lines are shown", () => {
    expect(visibleText("a\nb")).toBe("a↵b");
    expect(visibleParts("a\r\nb\tc\r", true)).toEqual([
      { kind: "text", text: "a\r\nb\tc" },
      { kind: "mark", mark: "‹CR›", name: "U+000D carriage return" },
    ]);
  });
});
