import { z } from "zod";

export const HttpOptions = z.strictObject({
  knownPaths: z
    .boolean()
    .default(true)
    .describe("For a site's root, also watch files that should be there (security.txt) or must not (Dockerfile …)."),
  bodyHash: z.boolean().default(false).describe("Also watch the SHA-256 of the body: for pages that never change."),
});
export type HttpOptions = z.infer<typeof HttpOptions>;
