import { z } from "zod";
import { matchesPattern } from "#contracts/config.ts";

const pattern = z
  .string()
  .regex(/^[^\s\p{Cc}]{1,200}$/u, "a name without blanks, or one with `*` for any run of characters");

export const Options = z.strictObject({
  tags: z
    .array(pattern)
    .default(["*"])
    .describe("Tags that are watched, by name; `*` stands for any run of characters."),
  branches: z
    .array(pattern)
    .default([])
    .describe("Branches whose heads are watched, by name; none by default, since heads move with every commit."),
  floating: z
    .array(pattern)
    .default([])
    .describe(
      "Tags that may move along branches, beyond those that do by convention (`latest`, `nightly`, `v4`, `v1.2`).",
    ),
  fixed: z
    .array(pattern)
    .default([])
    .describe("Tags that must never move, though by convention or by `floating` they would."),
});
export type Options = z.infer<typeof Options>;

export function isWatched(name: string, patterns: string[]): boolean {
  return patterns.some((candidate) => matchesPattern(candidate, name));
}

/** Names that stand for "whatever is newest", and versions without a patch part, also behind a path (`setup/v4`). */
const floatsByConvention =
  /(?:^|[/@])(?:v?\d{1,3}(?:\.\d{1,3})?|(?:latest|stable|nightly|edge|canary|next|beta|alpha|dev|main|master|lts|current|rolling|tip|head|snapshot|continuous|weekly|daily|preview|unstable|testing))$/i;

/** May the tag move along branches, or must it stay where it is? */
export function isFloating(tag: string, options: Options): boolean {
  if (isWatched(tag, options.fixed)) return false;
  return isWatched(tag, options.floating) || floatsByConvention.test(tag);
}
