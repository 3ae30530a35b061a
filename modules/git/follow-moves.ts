import type { GitIo, GitReachability } from "#contracts/io.ts";
import type { Reachability, TagContext, Tags, TagValue } from "./tag.ts";

/** Beyond these a burst's commits are not looked up; each tag is reported all the same. */
const maxFollowed = 1000;
/** Branches named for one commit. */
const maxBranches = 10;

/**
 * Finds out on which branches the commits are that tags have moved to: one clone for all of them, and none where no
 * tag moved. A tag that was deleted and is there again counts as moved from where it was.
 */
export async function followMoves(
  git: GitIo,
  url: string,
  tags: Tags,
  before: Tags,
  deleted: Tags,
): Promise<Map<string, TagContext>> {
  const moved = new Map<string, TagValue>();
  const contexts = new Map<string, TagContext>();
  for (const [name, value] of tags) {
    const deletedValue = before.has(name) ? null : (deleted.get(name) ?? null);
    const old = before.get(name) ?? deletedValue;
    if (old !== null && old.commit !== value.commit) moved.set(name, value);
    if (deletedValue !== null) contexts.set(name, { deletedValue, reachability: null });
  }
  if (moved.size === 0) return contexts;
  const commits = [...new Set([...moved.values()].map(({ commit }) => commit))];
  const found = await git.branchesWith(url, commits.slice(0, maxFollowed));
  for (const [name, { commit }] of moved) {
    contexts.set(name, { deletedValue: null, ...contexts.get(name), reachability: reachabilityOf(commit, found) });
  }
  return contexts;
}

function reachabilityOf(commit: string, found: GitReachability): Reachability {
  if (found.outcome === "unknown") return found;
  const branches = found.branches[commit];
  if (branches === undefined) return { outcome: "unknown", reason: "too many tags moved at once" };
  return { outcome: "known", branches: branches.slice(0, maxBranches) };
}
