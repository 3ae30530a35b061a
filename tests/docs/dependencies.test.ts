import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compareText } from "#contracts/canonical.ts";
import { projectFolder } from "../../cli/embedded/folders.ts";

describe("docs/dependencies.md", () => {
  it("says of every package why, and of no other", () => {
    const page = readFileSync(join(projectFolder, "docs/dependencies.md"), "utf8");
    const manifest = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8"));
    const packages = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
    const rows = page.split("\n").filter((line) => line.startsWith("| `"));
    const named = rows.flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
    );
    expect(named.toSorted(compareText)).toEqual(packages.toSorted(compareText));
  });
});
