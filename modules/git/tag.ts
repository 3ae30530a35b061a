import { z } from "zod";
import type { GitRef } from "#contracts/io.ts";

/**
 * The value of `tag/<name>`. The commit and the tag object stand apart in one value, so that a moved tag is one change
 * and a tag that was only signed anew can be told from it.
 */
export const TagValue = z.object({
  /** What the tag leads to, whether directly or through a tag object. */
  commit: z.string(),
  /** The tag object of an annotated tag. */
  object: z.string().nullable(),
});
export type TagValue = z.infer<typeof TagValue>;
/** By name, without `refs/tags/`. */
export type Tags = Map<string, TagValue>;

/** What the look found out about a tag that is not where it was. */
export const TagContext = z.object({
  /** What the tag was before it was deleted, where it has been made again since. */
  deletedValue: TagValue.nullable(),
  /** Null where the commit is the same. */
  reachability: z
    .discriminatedUnion("outcome", [
      z.object({ outcome: z.literal("known"), branches: z.array(z.string()) }),
      z.object({ outcome: z.literal("unknown"), reason: z.string() }),
    ])
    .nullable(),
});
export type TagContext = z.infer<typeof TagContext>;
export type Reachability = NonNullable<TagContext["reachability"]>;

export function tagValue({ objectId, peeledId }: GitRef): TagValue {
  return { commit: peeledId ?? objectId, object: peeledId === null ? null : objectId };
}
