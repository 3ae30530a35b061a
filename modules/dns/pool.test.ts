import { describe, expect, it } from "vitest";
import { forgetAfterLooks, learningLooks, learnPool, type LearnedPool } from "./pool.ts";

/** The pool after the answers, one a look. */
function learn(answers: string[][], start?: LearnedPool): LearnedPool {
  let learned = start;
  for (const answer of answers) learned = learnPool(learned?.pool, answer);
  if (learned === undefined) throw new Error("no answer to learn from");
  return learned;
}

function times(count: number, answer: string[]): string[][] {
  return Array.from({ length: count }, () => answer);
}

describe("a learned pool", () => {
  it("gathers the members of all answers", () => {
    expect(learn([["b"], ["a"], ["c", "b"]]).members).toEqual(["a", "b", "c"]);
  });

  it("is learned for some looks, and then known", () => {
    const last = learn(times(learningLooks, ["a"]));
    expect(last.look.isLearning).toBe(true);
    expect(learn([["a"]], last).look.isLearning).toBe(false);
  });

  it("tells an answer of strangers from one with a stranger among members", () => {
    const known = learn([["a"], ["b"]]);
    expect(learn([["x", "y"]], known).look.isAllNew).toBe(true);
    expect(learn([["x", "a"]], known).look.isAllNew).toBe(false);
    expect(learn([["a"]]).look.isAllNew).toBe(false);
  });

  it("lets a member go that was missing for long, not one that comes back", () => {
    const known = learn([["a", "b"]]);
    const almost = learn(times(forgetAfterLooks - 1, ["b"]), known);
    expect(almost.members).toEqual(["a", "b"]);
    expect(learn([["b"]], almost).members).toEqual(["b"]);
    expect(learn([["a"], ["b"]], almost).members).toEqual(["a", "b"]);
  });

  it("stays bounded, whatever is answered", () => {
    const many = Array.from({ length: 2000 }, (_, index) => `member ${index}`);
    expect(learn([many]).members).toHaveLength(500);
  });
});
