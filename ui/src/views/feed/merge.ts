import type { Change } from "#contracts/messages.ts";

/** Both lists as one, newest first, each change once. */
export function mergeChanges(a: Change[], b: Change[]): Change[] {
  const [first, second] = [a.at(-1), b[0]];
  // What arrives live is nearly always newer than all that is there.
  if (first && second && first.position > second.position) return [...a, ...b];
  const byId = new Map<string, Change>();
  for (const change of [...a, ...b]) byId.set(change.id, change);
  return [...byId.values()].toSorted((x, y) => y.position - x.position);
}
