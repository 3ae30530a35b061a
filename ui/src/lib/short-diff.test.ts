import { describe, expect, it } from "vitest";
import { shortDiff, type ShortLine } from "./short-diff.ts";

const commits = ["08c0eae3c0eae47b8c2c5428c15f72ffe2b21f73", "287bb87831e8f5982300b152d5d5c075849251c2"] as const;
const objects = ["d114672ce3304d51e0006419ad2bf20884c8e650", "c31d70f26b6d98857015ca8bfef504f4b8b8b3e4"] as const;

describe("a change in a few short lines", () => {
  it("tells of a tag what moved, by the heads of the ids", () => {
    const was = { commit: commits[0], object: objects[0] };
    expect(shortDiff("changed", was, { commit: commits[1], object: objects[1] }).map(asText)).toEqual([
      "commit 08c0eae3… → 287bb878…",
      "object d114672c… → c31d70f2…",
    ]);
    expect(shortDiff("changed", was, { ...was, object: null }).map(asText)).toEqual(["object d114672c… → nothing"]);
  });

  it("tells of a set inside an object only what came and went", () => {
    const was = { count: 1, sources: ["https://shop.example/cart.js"] };
    const now = { count: 2, sources: ["https://shop.example/cart.js", "https://evil.example/skimmer.js"] };
    expect(shortDiff("changed", was, now).map(asText)).toEqual([
      "count 1 → 2",
      "sources + https://evil.example/skimmer.js",
    ]);
    expect(shortDiff("changed", now, { ...now, sources: [] }).map(asText)).toEqual([
      "sources − https://shop.example/cart.js and 1 more",
    ]);
  });

  it("names what finds no room, in at most three lines", () => {
    const was = {
      key: commits[0],
      issuer: "CN=Honest Trust Root, O=Honest Trust",
      names: ["a"],
      serial: "1",
      verifies: "ok",
    };
    const now = {
      key: commits[1],
      issuer: "CN=Rogue Root, O=Rogue Certificates",
      names: ["a"],
      serial: "2",
      verifies: "NO",
    };
    expect(shortDiff("changed", was, now).map(asText)).toEqual([
      "key 08c0eae3… → 287bb878…",
      expect.stringMatching(/^issuer CN=Hon.* → CN=Rog.*$/),
      "· also serial, verifies",
    ]);
  });

  it("gives a single long pair a line for each side", () => {
    const issuer = (name: string) => ({ issuer: `C=US, O=Some Authority, CN=${name}`, serial: 1 });
    expect(shortDiff("changed", issuer("Honest Root"), issuer("Rogue Root")).map(asText)).toEqual([
      expect.stringMatching(/^issuer − .*Honest Root$/),
      expect.stringMatching(/^issuer \+ .*Rogue Root$/),
    ]);
  });

  it("shows the difference of ids whose heads are the same", () => {
    const commit = (end: string) => ({ commit: `${"0".repeat(39)}${end}` });
    expect(shortDiff("changed", commit("1"), commit("2")).map(asText)).toEqual([
      expect.stringMatching(/^commit − .*01$/),
      expect.stringMatching(/^commit \+ .*02$/),
    ]);
  });

  it("tells by leaf what appeared, disappeared, stands or happened", () => {
    const tag = { commit: commits[0], object: null };
    expect(shortDiff("appeared", null, tag).map(asText)).toEqual(["commit + 08c0eae3…", "object + nothing"]);
    expect(shortDiff("disappeared", tag, null).map(asText)).toEqual(["commit − 08c0eae3…", "object − nothing"]);
    expect(shortDiff("rated", tag, tag).map(asText)).toEqual(["commit · 08c0eae3…", "object · nothing"]);
    expect(shortDiff("happened", null, { commit: commits[0] }).map(asText)).toEqual(["commit · 08c0eae3…"]);
    expect(shortDiff("happened", null, null)).toEqual([]);
    expect(shortDiff("appeared", null, {}).map(asText)).toEqual(["+ {}"]);
  });

  it("tells values without parts whole, and sets by member", () => {
    expect(shortDiff("changed", 200, 404).map(asText)).toEqual(["− 200", "+ 404"]);
    expect(shortDiff("changed", null, { a: 1 }).map(asText)).toEqual(["− nothing", '+ {"a":1}']);
    expect(shortDiff("changed", ["a", "b"], ["b", "c"]).map(asText)).toEqual(["− a", "+ c"]);
    expect(shortDiff("changed", ["a", "b"], ["b", "a"]).map(asText)).toEqual(["· the same in another order"]);
    expect(shortDiff("changed", { names: ["a", "b"] }, { names: ["b", "a"] }).map(asText)).toEqual([
      "names · the same in another order",
    ]);
  });

  it("stays short and safe whatever the names and values are", () => {
    const hostile = (seed: string) =>
      Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${n}\u202E${"k".repeat(300)}`, seed.repeat(300)]));
    const lines = shortDiff("changed", hostile("a"), hostile("b")).map(asText);
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line.length).toBeLessThan(70);
      expect(line).not.toContain("\u202E");
    }
  });
});

function asText(line: ShortLine): string {
  const path = line.path === null ? "" : `${line.path} `;
  if (line.side === "changed") return `${path}${line.before} → ${line.after}`;
  return `${path}${{ added: "+", removed: "−", kept: "·" }[line.side]} ${line.text}`;
}
