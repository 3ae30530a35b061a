import { describe, expect, it } from "vitest";
import { age, dayOf, interval, plural, relativeTime, shorten, shortPair, shortValue } from "./format.ts";

const now = Date.parse("2026-11-22T12:00:00Z");
const before = (seconds: number) => new Date(now - seconds * 1000).toISOString();

describe("times", () => {
  it("are told relative to now", () => {
    expect(relativeTime(before(5), now)).toBe("just now");
    expect(relativeTime(before(90), now)).toBe("1 min. ago");
    expect(relativeTime(before(7200), now)).toBe("2 hr. ago");
    expect(relativeTime(before(-7200), now)).toBe("in 2 hr.");
    expect(relativeTime(before(86_400 * 3), now)).toBe("3 days ago");
  });

  it("are told as ages", () => {
    expect(age(59_000)).toBe("less than a minute");
    expect(age(3_600_000)).toBe("1 hour");
    expect(age(-5)).toBe("less than a minute");
  });

  it("are told as intervals, exactly", () => {
    expect(interval(3000)).toBe("3 seconds");
    expect(interval(90_000)).toBe("90 seconds");
    expect(interval(3_600_000)).toBe("hour");
    expect(interval(5_400_000)).toBe("90 minutes");
    expect(interval(7 * 86_400_000)).toBe("7 days");
  });

  it("are grouped by day", () => {
    expect(dayOf(before(0), now)).toBe("Today");
    expect(dayOf(before(86_400), now)).toBe("Yesterday");
    expect(dayOf(before(86_400 * 40), now)).toContain("2026");
  });
});

describe("values in one line", () => {
  it("say what is not there", () => {
    expect(shortValue(null)).toBe("nothing");
    expect(shortValue("")).toBe("empty text");
    expect(shortValue([])).toBe("empty list");
  });

  it("stay short however long the value is", () => {
    expect(shortValue("x".repeat(1_000_000), 40)).toHaveLength(40);
    expect(shortValue({ a: "y".repeat(500) }, 40).length).toBeLessThanOrEqual(40);
    expect(shortValue(["a", "b"])).toBe("a, b");
    expect(
      shortValue(
        Array.from({ length: 500 }, (_, n) => `host-${n}.example`),
        40,
      ),
    ).toBe("host-0.example, host-1.example and 498 more");
  });

  it("keep both ends of what is cut", () => {
    expect(shorten("abcdefghijklmnop", 9)).toBe("abcdef…op");
    expect(shortValue(`start${"-".repeat(500)}end`, 20)).toBe("start---------…--end");
  });

  it("show the first difference of two long texts", () => {
    const [before, after] = shortPair(`${"a ".repeat(100)}old end`, `${"a ".repeat(100)}new end`, 30);
    expect(before).toBe("… a a a old end");
    expect(after).toBe("… a a a new end");
    expect(shortPair("left", "right", 30)).toEqual(["left", "right"]);
    expect(shortPair(200, 404, 30)).toEqual(["200", "404"]);
  });

  it("show hidden characters", () => {
    expect(shortValue("a\u202Eb")).toBe("a‹U+202E›b");
  });

  it("count in words", () => {
    expect(plural(1, "change")).toBe("1 change");
    expect(plural(1204, "change")).toBe("1,204 changes");
  });
});
