import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { generatedDocuments } from "../../cli/dev/generate-docs.ts";
import { projectFolder } from "../../cli/embedded/folders.ts";

describe("documents made from the code", () => {
  for (const [path, make] of Object.entries(generatedDocuments)) {
    it(`${path} is as the code makes it; npm run docs writes it anew`, async () => {
      expect(readFileSync(join(projectFolder, path), "utf8")).toBe(await make());
    });
  }
});
