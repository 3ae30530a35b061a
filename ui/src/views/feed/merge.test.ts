import { describe, expect, it } from "vitest";
import type { Change } from "#contracts/messages.ts";
import { mergeChanges } from "./merge.ts";

const changes = (...positions: number[]) =>
  positions.map((position) => ({ id: `change-${position}`, position }) as unknown as Change);
const merged = (a: Change[], b: Change[]) => mergeChanges(a, b).map((change) => change.position);

describe("merging into the feed", () => {
  it("puts the newest first, whichever list they come from", () => {
    expect(merged(changes(9, 8), changes(5, 4))).toEqual([9, 8, 5, 4]);
    expect(merged(changes(5, 4), changes(9, 8))).toEqual([9, 8, 5, 4]);
    expect(merged(changes(9, 4), changes(8, 5))).toEqual([9, 8, 5, 4]);
    expect(merged([], changes(2, 1))).toEqual([2, 1]);
    expect(merged(changes(2, 1), [])).toEqual([2, 1]);
  });

  it("shows each change once where the lists overlap", () => {
    expect(merged(changes(9, 8, 7), changes(8, 7, 6))).toEqual([9, 8, 7, 6]);
    expect(merged(changes(9), changes(9))).toEqual([9]);
  });
});
