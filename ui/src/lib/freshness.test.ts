import { describe, expect, it } from "vitest";
import type { Status } from "#contracts/gateway.ts";
import { freshness } from "./freshness.ts";

const now = Date.parse("2026-11-22T12:00:00Z");
const calm: Status = {
  resources: { candidate: 0, waiting: 0, confirmed: 12, alias: 0, refused: 0, retired: 0 },
  failing: 0,
  findings: { critical: 0, high: 0, medium: 0, low: 0, recommendation: 0, notice: 0, unknown: 0, none: 0 },
  changesLastDay: 0,
  feedPosition: 0,
  unpublished: 0,
  oldestSeenAt: "2026-11-22T10:00:00Z",
  neverSeen: 0,
  schemaVersion: 1,
  version: "0.1.0",
  live: { clients: 1 },
};

describe("freshness in words", () => {
  it("is calm when all was seen well", () => {
    expect(freshness(calm, now)).toEqual({
      isWell: true,
      sentences: ["Every resource seen so far was last seen well within the last 2 hours.", "No look is failing."],
    });
  });

  it.each([
    ["2026-11-22T11:59:50Z", "minute"],
    ["2026-11-22T11:58:30Z", "2 minutes"],
    ["2026-11-22T10:58:00Z", "62 minutes"],
    ["2026-11-21T11:00:00Z", "25 hours"],
    ["2026-11-19T11:00:00Z", "4 days"],
    // The server's clock may be ahead of the reader's.
    ["2026-11-22T12:00:05Z", "minute"],
  ])("says what is true of a look at %s", (oldestSeenAt, words) => {
    const [first] = freshness({ ...calm, oldestSeenAt }, now).sentences;
    expect(first).toBe(`Every resource seen so far was last seen well within the last ${words}.`);
  });

  it("counts one as one", () => {
    const { sentences } = freshness({ ...calm, failing: 1, neverSeen: 2, unpublished: 1 }, now);
    expect(sentences.slice(1)).toEqual([
      "2 resources have not been seen well yet.",
      "1 resource cannot be looked at right now: whether anything changed there is not known.",
      "1 change waits to be announced to subscribers.",
    ]);
  });

  it("never calls a failing look unchanged", () => {
    const { isWell, sentences } = freshness({ ...calm, failing: 2, neverSeen: 1, unpublished: 3 }, now);
    expect(isWell).toBe(false);
    expect(sentences.slice(1)).toEqual([
      "1 resource has not been seen well yet.",
      "2 resources cannot be looked at right now: whether anything changed there is not known.",
      "3 changes wait to be announced to subscribers.",
    ]);
  });
});
