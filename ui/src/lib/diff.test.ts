import { describe, expect, it } from "vitest";
import { diffValues, foldLines } from "./diff.ts";

describe("how two values differ", () => {
  it("is told by member for sets", () => {
    expect(diffValues(["a", "b"], ["b", "c"])).toEqual({
      kind: "members",
      added: ["c"],
      removed: ["a"],
      kept: ["b"],
      isReordered: false,
    });
    expect(diffValues(["a", "b"], ["b", "a"])).toMatchObject({ kind: "members", isReordered: true });
  });

  it("is told by path for JSON", () => {
    const before = { name: "x", rules: [{ id: 1, on: true }], gone: 1 };
    const after = { name: "x", rules: [{ id: 1, on: false }, { id: 2 }], fresh: null };
    expect(diffValues(before, after)).toEqual({
      kind: "paths",
      changes: [
        { path: "rules[0].on", side: "changed", oldValue: true, newValue: false },
        { path: "rules[1]", side: "added", oldValue: null, newValue: { id: 2 } },
        { path: "gone", side: "removed", oldValue: 1, newValue: null },
        { path: "fresh", side: "added", oldValue: null, newValue: null },
      ],
    });
  });

  it("is told by member for a set inside JSON", () => {
    const before = { sources: ["b", "c"], names: ["x", "y"] };
    const after = { sources: ["a", "b"], names: ["y", "x"] };
    expect(diffValues(before, after)).toEqual({
      kind: "paths",
      changes: [
        { path: "sources", side: "removed", oldValue: "c", newValue: null },
        { path: "sources", side: "added", oldValue: null, newValue: "a" },
        { path: "names", side: "changed", oldValue: ["x", "y"], newValue: ["y", "x"] },
      ],
    });
  });

  it("is told by line for text of lines", () => {
    const diff = diffValues("one\ntwo\nthree\n", "one\n2\nthree\n");
    expect(diff).toEqual({
      kind: "lines",
      lines: [
        { side: "kept", text: "one" },
        { side: "removed", text: "two" },
        { side: "added", text: "2" },
        { side: "kept", text: "three" },
      ],
    });
  });

  it("is told by word for a header", () => {
    const diff = diffValues("script-src 'self'; img-src *", "script-src 'self' evil.example; img-src *");
    expect(diff.kind).toBe("words");
    const runs = diff.kind === "words" ? diff.runs : [];
    const text = (side: string) => runs.filter((run) => run.side !== side).map((run) => run.text);
    expect(text("added").join("")).toBe("script-src 'self'; img-src *");
    expect(text("removed").join("")).toBe("script-src 'self' evil.example; img-src *");
  });

  it("is told whole where parts tell nothing", () => {
    expect(diffValues("0a1b", "9f8e").kind).toBe("whole");
    expect(diffValues(200, 404).kind).toBe("whole");
    expect(diffValues(null, ["a"]).kind).toBe("whole");
    expect(diffValues({ a: 1 }, { a: 1 })).toEqual({ kind: "same", value: { a: 1 } });
  });

  it("has a bound for values made to be slow", () => {
    const noise = (seed: number) => Array.from({ length: 40_000 }, (_, n) => `${(n * seed) % 7919}`).join("\n");
    expect(diffValues(noise(31), noise(37)).kind).toBe("whole");
  });
});

describe("folding", () => {
  it("keeps the neighbourhood of changes and counts the rest", () => {
    const kept = (count: number) => Array.from({ length: count }, () => ({ side: "kept" as const, text: "k" }));
    const folded = foldLines([...kept(10), { side: "added", text: "+" }, ...kept(10)], 2);
    expect(folded.map((line) => ("count" in line ? line.count : line.side))).toEqual([
      8,
      "kept",
      "kept",
      "added",
      "kept",
      "kept",
      8,
    ]);
  });
});
