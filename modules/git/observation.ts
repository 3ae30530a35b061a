import { z } from "zod";
import type { GitRef, Io } from "#contracts/io.ts";
import { gone, observe, save, unseen } from "#contracts/module.ts";
import type { ObservationAnswer, ObservationRequest, PreviousValue, Standing } from "#contracts/module.ts";
import { followMoves } from "./follow-moves.ts";
import { locate } from "./locate.ts";
import { isWatched, type Options } from "./options.ts";
import { type TagContext, type Tags, TagValue, tagValue } from "./tag.ts";

/** Kept between looks: what deleted tags were, so that one made again elsewhere is known to have moved. */
const State = z.object({ deleted: z.array(z.tuple([z.string(), TagValue])) }).catch({ deleted: [] });
const maxDeleted = 500;

/** One look: one request, and one clone where a tag is not where it was. */
export async function* observeRepository(
  { resource, options, previous, state }: ObservationRequest<Options>,
  io: Io,
): AsyncIterable<ObservationAnswer> {
  const { url, movedTo, answer } = await locate(io.git, resource, prefixesOf(options));
  if (answer.outcome === "gone") {
    yield gone(answer.reason);
    return;
  }
  if (movedTo !== null) yield observe("moved_to", movedTo, movedStanding);
  if (answer.outcome === "moved") {
    yield* unseenRefs(`the address leads to ${answer.location.slice(0, 300)}, which was not followed`);
    yield save(state);
    return;
  }
  yield* observeBranches(answer.refs, options);
  const tags = watchedTags(answer.refs, options);
  const before = tagsBefore(previous, options);
  const deleted = new Map(State.parse(state).deleted);
  const contexts = await followMoves(io.git, url, tags, before, deleted);
  for (const [name, value] of tags) yield observe(`tag/${name}`, value, contextOf(contexts.get(name)));
  const missing = [...deleted, ...before].filter(([name]) => !tags.has(name));
  yield save(missing.length === 0 ? null : { deleted: missing.slice(-maxDeleted) });
}

const movedStanding = {
  severity: "medium",
  reason: "the repository has another address now: whoever gets the old name can answer in its place",
} as const;

/** What the server is asked for: as little as the patterns allow. */
function prefixesOf({ tags, branches }: Options): string[] {
  const literal = (pattern: string) => pattern.split("*")[0] ?? "";
  const names = [
    ...tags.map((tag) => `refs/tags/${literal(tag)}`),
    ...branches.map((name) => `refs/heads/${literal(name)}`),
  ];
  return ["HEAD", ...new Set(names)];
}

function* unseenRefs(reason: string): Iterable<ObservationAnswer> {
  for (const attribute of ["tag/", "branch/", "default_branch"]) yield unseen(attribute, reason);
}

function* observeBranches(refs: GitRef[], options: Options): Iterable<ObservationAnswer> {
  for (const { name, objectId, target } of refs) {
    if (name === "HEAD") yield defaultBranch(target);
    const branch = nameUnder("refs/heads/", name);
    if (branch !== null && isWatched(branch, options.branches)) yield observe(`branch/${branch}`, objectId);
  }
}

function defaultBranch(target: string | null): ObservationAnswer {
  if (target === null) return unseen("default_branch", "the server does not say which branch HEAD is");
  return observe("default_branch", nameUnder("refs/heads/", target) ?? target);
}

function watchedTags(refs: GitRef[], options: Options): Tags {
  const tags: Tags = new Map();
  for (const ref of refs) {
    const name = nameUnder("refs/tags/", ref.name);
    if (name !== null && isWatched(name, options.tags)) tags.set(name, tagValue(ref));
  }
  return tags;
}

function nameUnder(prefix: string, name: string): string | null {
  return name.startsWith(prefix) ? name.slice(prefix.length) : null;
}

/** The watched tags as the last good look saw them. */
function tagsBefore(previous: ReadonlyMap<string, PreviousValue>, options: Options): Tags {
  const tags: Tags = new Map();
  for (const { attribute, value } of previous.values()) {
    const name = nameUnder("tag/", attribute);
    const parsed = TagValue.safeParse(value);
    if (name !== null && parsed.success && isWatched(name, options.tags)) tags.set(name, parsed.data);
  }
  return tags;
}

function contextOf(context: TagContext | undefined): Standing {
  return context === undefined ? {} : { context };
}
