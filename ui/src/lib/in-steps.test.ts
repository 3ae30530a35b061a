import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inSteps } from "./in-steps.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("steps", () => {
  it("hand on the first piece at once and a burst together, in order", async () => {
    const taken: number[][] = [];
    const steps = inSteps<number>(250, (pieces) => taken.push(pieces));
    steps.add([1]);
    await vi.advanceTimersByTimeAsync(0);
    expect(taken).toEqual([[1]]);
    steps.add([2]);
    await vi.advanceTimersByTimeAsync(100);
    steps.add([3, 4]);
    await vi.advanceTimersByTimeAsync(149);
    expect(taken).toEqual([[1]]);
    await vi.advanceTimersByTimeAsync(1);
    expect(taken).toEqual([[1], [2, 3, 4]]);
  });

  it("forget what was cleared", async () => {
    const taken: number[][] = [];
    const steps = inSteps<number>(250, (pieces) => taken.push(pieces));
    steps.add([1]);
    steps.clear();
    await vi.advanceTimersByTimeAsync(1000);
    expect(taken).toEqual([]);
  });
});
