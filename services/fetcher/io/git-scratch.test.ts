import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { makeScratch } from "./git-scratch.ts";

describe("the folder of a clone", () => {
  const folder = mkdtempSync(join(tmpdir(), "paintdry-scratch-"));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is new, and takes away only what a process left that runs no more", async () => {
    const ended = spawnSync(process.execPath, ["--version"]).pid;
    for (const name of [`git-${ended}-abc`, `git-${process.pid}-def`, "http-cache.sqlite"]) {
      mkdirSync(join(folder, name, "objects"), { recursive: true });
    }
    const made = await makeScratch(folder);
    expect(
      readdirSync(folder)
        .map((name) => join(folder, name))
        .toSorted(),
    ).toEqual([made, join(folder, `git-${process.pid}-def`), join(folder, "http-cache.sqlite")].toSorted());
  });
});
