import { describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import type { Observation, Report } from "#contracts/messages.ts";
import type { StoredValue } from "#contracts/store.ts";
import { compare, compareGone, compareLate } from "./compare.ts";
import type { Baseline } from "./compare.ts";

function stored(attribute: string, value: Json, more: Partial<StoredValue> = {}): StoredValue {
  return { attribute, value, isPresent: true, severity: null, reason: null, ...more };
}
function observed(attribute: string, value: Json, more: Partial<Observation> = {}): Observation {
  return { attribute, value, severity: null, reason: null, ...more };
}
function report(observations: Observation[], more: Partial<Report> = {}): Report {
  return { observations, happenings: [], unseen: [], ...more };
}
function baseline(values: StoredValue[], more: Partial<Baseline> = {}): Baseline {
  return { values, isFirst: false, isReshaped: false, exists: true, ...more };
}
function kinds(differences: { attribute: string; kind: string }[]): string[] {
  return differences.map(({ attribute, kind }) => `${kind} ${attribute}`);
}

describe("compare", () => {
  it("finds what appeared, changed and disappeared, and writes only that", () => {
    const result = compare(
      baseline([stored("same", [1]), stored("moved", "old"), stored("lost", true)]),
      report([observed("same", [1]), observed("moved", "new"), observed("fresh", 1)]),
    );
    expect(kinds(result.differences)).toEqual(["changed moved", "appeared fresh", "disappeared lost"]);
    expect(result.writes.map(({ attribute, isPresent }) => [attribute, isPresent])).toEqual([
      ["moved", true],
      ["fresh", true],
      ["lost", false],
    ]);
    expect(result.differences[0]).toMatchObject({ oldValue: "old", newValue: "new" });
  });

  it("takes the first report as a baseline: all written, nothing a change", () => {
    const result = compare(baseline([], { isFirst: true, exists: null }), report([observed("a", 1), observed("b", 2)]));
    expect(result.differences).toEqual([]);
    expect(result.writes).toHaveLength(2);
  });

  it("takes what appears or disappears under other options as baseline, but a changed value as a change", () => {
    const result = compare(
      baseline([stored("lost", 1), stored("moved", 1)], { isReshaped: true }),
      report([observed("moved", 2), observed("fresh", 3)]),
    );
    expect(kinds(result.differences)).toEqual(["changed moved"]);
    expect(result.writes).toHaveLength(3);
  });

  it("keeps what a look could not see, by name or by prefix", () => {
    const result = compare(
      baseline([stored("tag/v1", "a"), stored("tag/v2", "b"), stored("rules", {}), stored("tagline", "x")]),
      report([], {
        unseen: [
          { attribute: "tag/", reason: "no right" },
          { attribute: "rules", reason: "no right" },
        ],
      }),
    );
    expect(kinds(result.differences)).toEqual(["disappeared tagline"]);
    expect(result.present.map(({ attribute }) => attribute)).toEqual(["tag/v1", "tag/v2", "rules"]);
  });

  it("stores what is baseline in this look, and tells only its values that move", () => {
    const result = compare(
      baseline([stored("gone", 1), stored("kept", 1), stored("header/b", 1)]),
      report([observed("header/a", 1), observed("header/b", 2), observed("new", 1), observed("kept", 1)], {
        baseline: ["header/", "gone"],
      }),
    );
    expect(kinds(result.differences)).toEqual(["changed header/b", "appeared new"]);
    expect(result.writes.map(({ attribute, isPresent }) => [attribute, isPresent])).toEqual([
      ["header/a", true],
      ["header/b", true],
      ["new", true],
      ["gone", false],
    ]);
  });

  it("tells a moved standing severity as rated, and writes a reworded reason without a change", () => {
    const values = [stored("not_after", "x", { severity: "notice", reason: "a" })];
    const rated = compare(baseline(values), report([observed("not_after", "x", { severity: "high", reason: "b" })]));
    expect(kinds(rated.differences)).toEqual(["rated not_after"]);
    const worded = compare(baseline(values), report([observed("not_after", "x", { severity: "notice", reason: "b" })]));
    expect(worded.differences).toEqual([]);
    expect(worded.writes).toEqual([stored("not_after", "x", { severity: "notice", reason: "b" })]);
  });

  it("tells a value that had disappeared and is back as appeared", () => {
    const result = compare(baseline([stored("a", 1, { isPresent: false })]), report([observed("a", 1)]));
    expect(kinds(result.differences)).toEqual(["appeared a"]);
  });

  it("tells a resource's return once, and compares with the values that were kept", () => {
    const result = compare(
      baseline([stored("a", 1), stored("b", 1)], { exists: false }),
      report([observed("a", 1), observed("b", 2)]),
    );
    expect(kinds(result.differences)).toEqual(["appeared exists", "changed b"]);
  });

  it("takes the first report of what was gone from the start as its baseline, besides its return", () => {
    const result = compare(baseline([], { exists: false }), report([observed("a", 1), observed("b", 2)]));
    expect(kinds(result.differences)).toEqual(["appeared exists"]);
    expect(result.writes).toHaveLength(2);
  });

  it("passes on what happened, without comparing it", () => {
    const happenings = [{ name: "commit", detail: { id: "x" }, severity: "high" as const, reason: "unsigned" }];
    const result = compare(baseline([]), report([], { happenings }));
    expect(kinds(result.differences)).toEqual(["happened commit"]);
    expect(result.writes).toEqual([]);
  });
});

describe("compareGone", () => {
  it("is one difference, once", () => {
    expect(kinds(compareGone(baseline([stored("a", 1)]), "404"))).toEqual(["disappeared exists"]);
    expect(compareGone(baseline([], { exists: false }), "404")).toEqual([]);
    expect(compareGone(baseline([], { isFirst: true, exists: null }), "404")).toEqual([]);
  });
});

describe("compareLate", () => {
  const before = baseline([stored("a", "A")]);

  it("tells a value between two recorded ones", () => {
    expect(kinds(compareLate(before, [], report([observed("a", "X")])))).toEqual(["changed a"]);
    expect(kinds(compareLate(before, [stored("a", "Y")], report([observed("a", "X")])))).toEqual(["changed a"]);
  });

  it("leaves out what a newer look has told already", () => {
    expect(compareLate(before, [stored("a", "X")], report([observed("a", "X")]))).toEqual([]);
    expect(compareLate(before, [stored("a", "A", { isPresent: false })], report([]))).toEqual([]);
  });

  it("leaves out what was so before", () => {
    expect(compareLate(before, [stored("a", "X")], report([observed("a", "A")]))).toEqual([]);
  });
});
