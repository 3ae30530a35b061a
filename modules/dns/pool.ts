import { z } from "zod";

/** How many looks it takes until a member of a rotating pool that was never seen before is news. */
export const learningLooks = 10;
/** How many looks a member of the pool may be missing from the answers before it has left. */
export const forgetAfterLooks = 30;
const maxMembers = 500;

/** The addresses that a rotating name has answered with: member → the look that last saw it. */
export const Pool = z.object({ looks: z.int().nonnegative(), lastSeen: z.record(z.string(), z.int()) });
export type Pool = z.infer<typeof Pool>;

/** What one answer said about a pool; a change of the pool is rated by it. */
export const PoolLook = z.object({
  isLearning: z.boolean(),
  /** Was no address of the answer in the pool before? */
  isAllNew: z.boolean(),
});
export type PoolLook = z.infer<typeof PoolLook>;

export interface LearnedPool {
  pool: Pool;
  /** The pool's members, sorted. */
  members: string[];
  look: PoolLook;
}

/** Adds one answer to what is known of a pool, and lets go of members that have long been missing. */
export function learnPool(known: Pool | undefined, answer: string[]): LearnedPool {
  const before = known ?? { looks: 0, lastSeen: {} };
  const looks = before.looks + 1;
  const seen = { ...before.lastSeen, ...Object.fromEntries(answer.map((member) => [member, looks])) };
  const kept = Object.entries(seen)
    .filter(([, lastSeen]) => looks - lastSeen < forgetAfterLooks)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, maxMembers);
  const isAllNew = known !== undefined && !answer.some((member) => Object.hasOwn(before.lastSeen, member));
  return {
    pool: { looks, lastSeen: Object.fromEntries(kept) },
    members: kept.map(([member]) => member).toSorted(),
    look: { isLearning: looks <= learningLooks, isAllNew },
  };
}
