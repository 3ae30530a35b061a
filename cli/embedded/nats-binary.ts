import { accessSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { errorMessage, StartError } from "#runtime/errors.ts";
import { cacheFolder } from "./folders.ts";
import { unpackFromDebian } from "./nats-debian.ts";
import { downloadRelease } from "./nats-release.ts";
import { lastLine, runProgram } from "./run-program.ts";

/** 2.9 leaves undeliverable ghosts in a work queue after `kill -9`. */
const leastVersion = [2, 10] as const;

export interface NatsServerProgram {
  path: string;
  version: string;
}

export interface FindOptions {
  onProgress?: (text: string) => void;
  environment?: NodeJS.ProcessEnv;
  /** Where one that was fetched is kept. */
  cacheFolder?: string;
}

/** Puts the program at `target`, in an own empty `folder`; throws with the reason when it cannot. */
export type Fetch = (folder: string, onProgress: (text: string) => void) => Promise<string>;

const sources: { name: string; fetch: Fetch }[] = [
  { name: "the official release", fetch: downloadRelease },
  { name: "Debian's package", fetch: unpackFromDebian },
];

/**
 * A usable nats-server: on PATH, kept from before, the official release, or Debian's signed package unpacked without
 * root. Any number of processes may ask at once. Throws a `StartError` that lists what was tried.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<NatsServerProgram> {
  const kept = join(options.cacheFolder ?? cacheFolder, "nats-server");
  const tried: string[] = [];
  for (const path of [...onPath(options.environment ?? process.env, tried), kept]) {
    const found = await usable(path, tried);
    if (found) return found;
  }
  for (const { name, fetch } of sources) {
    try {
      return await install(fetch, kept, options.onProgress ?? (() => {}));
    } catch (error) {
      tried.push(`${name}: ${errorMessage(error)}`);
    }
  }
  throw new StartError(
    "no_nats_server",
    `no nats-server ${leastVersion.join(".")} or newer can be had. Install one on PATH ` +
      `(https://nats.io/download), or give this machine a way to GitHub or to a Debian mirror.\n` +
      tried.map((attempt) => `  tried ${attempt}`).join("\n"),
  );
}

/** The programs of that name on PATH and in the system's own folders, which an ordinary user's PATH may leave out. */
function onPath(environment: NodeJS.ProcessEnv, tried: string[]): string[] {
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  if (!environment.PATH) tried.push("PATH: it is empty");
  const found = [...new Set([...folders, "/usr/sbin", "/usr/local/sbin"])]
    .map((folder) => join(folder, "nats-server"))
    .filter(isExecutable);
  if (found.length === 0) tried.push("PATH: no nats-server there");
  return found;
}

async function usable(path: string, tried: string[]): Promise<NatsServerProgram | null> {
  if (!isExecutable(path)) return null;
  const result = await runProgram(path, ["--version"], { timeoutMs: 10_000 });
  const version = /nats-server: v(\d+)\.(\d+)\.(\d+)/.exec(result.stdout);
  if (!version) {
    tried.push(`${path}: it does not run (${lastLine(result)})`);
    return null;
  }
  const [major, minor] = [Number(version[1]), Number(version[2])];
  const isNewEnough = major > leastVersion[0] || (major === leastVersion[0] && minor >= leastVersion[1]);
  if (!isNewEnough) tried.push(`${path}: ${version[0]} is too old`);
  return isNewEnough ? { path, version: version.slice(1).join(".") } : null;
}

/** Fetched into a folder of its own and then renamed, so that nobody sees half a program. */
async function install(fetch: Fetch, target: string, onProgress: (text: string) => void): Promise<NatsServerProgram> {
  const parent = join(target, "..");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, "nats-server-"));
  try {
    const fetched = await fetch(folder, onProgress);
    const faults: string[] = [];
    const program = await usable(fetched, faults);
    if (!program) throw new Error(faults.join("; ") || "it brought no program");
    renameSync(fetched, target);
    onProgress(`nats-server ${program.version} is ready`);
    return { ...program, path: target };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
