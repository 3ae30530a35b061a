import { describe, expect, it } from "vitest";
import { retryAfterMs, waitAfterMs } from "./attempt.ts";

describe("waits between attempts", () => {
  it("grow, spread twelve attempts over about a day, and then end", () => {
    const waits = Array.from({ length: 11 }, (_, index) => waitAfterMs(index + 1) ?? 0);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    const hours = waits.reduce((sum, wait) => sum + wait, 0) / 3_600_000;
    expect(hours).toBeGreaterThan(20);
    expect(hours).toBeLessThan(30);
    expect(waitAfterMs(12)).toBeNull();
  });

  it("are never shorter than the receiver asks", () => {
    expect(waitAfterMs(1, 600_000)).toBeGreaterThanOrEqual(600_000);
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  it.each([
    ["120", 120_000],
    ["Sun, 22 Nov 2026 10:05:00 GMT", 300_000],
    ["Sun, 22 Nov 2026 09:00:00 GMT", 0],
    ["soon", 0],
    ["-5", 0],
    ["999999999", 24 * 3_600_000],
    [undefined, 0],
  ])("%s is %d ms", (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });
});
