import { existsSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { projectFolder, SetupError } from "./setup-error.mjs";

/** A Node that runs TypeScript as it stands: the one running, if it is 24 or newer, or the one of the packages. */
export function findNode() {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  const own = join(projectFolder, "node_modules", "node", "bin", "node");
  const version = existsSync(own) ? spawnSync(own, ["--version"], { encoding: "utf8" }).stdout : null;
  if (version && /^v(2[4-9]|[3-9]\d)\./.test(version)) return own;
  throw new SetupError(
    `no Node 24 could be had for ${process.platform} on ${process.arch} (this is ${process.versions.node}). ` +
      "Remove the folder node_modules and start again; if that does not help, install Node 24 from https://nodejs.org.",
  );
}
