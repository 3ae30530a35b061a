import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
import { projectFolder, say, SetupError } from "./setup-error.mjs";

const built = join(projectFolder, "ui", "dist", "index.html");

/** Builds the web page when its sources are newer than what was built. */
export async function buildUi(node) {
  if (!existsSync(join(projectFolder, "ui", "index.html")) || isFresh()) return;
  await withLock(join(projectFolder, ".setup.lock"), () => {
    if (isFresh()) return;
    say("building the web page");
    const args = [join(projectFolder, "node_modules", "vite", "bin", "vite.js"), "build", "--logLevel", "warn"];
    const result = spawnSync(node, args, { cwd: projectFolder, encoding: "utf8" });
    if (result.status !== 0) throw new SetupError(`the web page could not be built:\n${result.stdout}${result.stderr}`);
  });
}

function isFresh() {
  if (!existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  return ["ui", "contracts", "vite.config.ts", "package-lock.json"].every(
    (path) => newest(join(projectFolder, path)) <= builtAt,
  );
}

function newest(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const times = readdirSync(path)
    .filter((name) => name !== "dist")
    .map((name) => newest(join(path, name)));
  return Math.max(0, ...times);
}
