import { mkdir, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type SimpleGit, simpleGit } from "simple-git";

export interface GitChildOptions {
  /** A bare repository made by `makeRepository`; also the child's home and working directory. */
  folder: string;
  signal: AbortSignal;
  /** Called when the child writes more than a healthy one ever would. */
  onRunaway: () => void;
  /** What the child reads from standard input. */
  input?: string;
}

/** Server texts are passed on by git, so they too count. */
const maxOutputBytes = 8 * 1024 * 1024;

/** Git in an empty world: no configuration but the repository's own, no prompts, no inherited variables. */
export function gitChild({ folder, signal, onRunaway, input }: GitChildOptions): SimpleGit {
  const environment = emptyEnvironment(folder);
  const git = simpleGit({
    baseDir: folder,
    abort: signal,
    allowEnvironment: Object.keys(environment).filter((name) => name.startsWith("GIT_")),
    // GIT_CONFIG_GLOBAL is ours and leads nowhere.
    unsafe: { allowUnsafeConfigPaths: true },
    maxConcurrentProcesses: 1,
    // By itself simple-git takes a failure without words for a success.
    errors: (error, { exitCode }) => error ?? (exitCode === 0 ? undefined : new Error(`git ended with ${exitCode}`)),
    completion: { onClose: true, onExit: 5000 },
    ...(input === undefined ? {} : { input: () => input }),
  });
  return git.env(environment).outputHandler((_command, stdout, stderr) => {
    let outputBytes = 0;
    for (const stream of [stdout, stderr] as Readable[]) {
      stream.on("data", (chunk: Buffer) => {
        outputBytes += chunk.length;
        if (outputBytes > maxOutputBytes) onRunaway();
      });
    }
  });
}

function emptyEnvironment(folder: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    LC_ALL: "C",
    HOME: folder,
    GIT_DIR: folder,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_NO_LAZY_FETCH: "1",
    // The most that git takes at once for one object: a small pack can hold a huge one.
    GIT_ALLOC_LIMIT: "256m",
  };
}

/** An empty bare repository for ids of the given length. */
export async function makeRepository(folder: string, idLength: number): Promise<void> {
  await mkdir(join(folder, "objects"));
  await mkdir(join(folder, "refs"));
  await writeFile(join(folder, "HEAD"), "ref: refs/heads/main\n");
  await configureRepository(folder, idLength, []);
}

/** Writes the whole configuration of the repository, which is all that the child has. */
export async function configureRepository(folder: string, idLength: number, lines: string[]): Promise<void> {
  const format = idLength === 64 ? "sha256" : "sha1";
  const text = [...baseConfiguration, "[extensions]", `objectFormat = ${format}`, ...lines].join("\n");
  await writeFile(join(folder, "config"), `${text}\n`, { mode: 0o600 });
}

// Nothing is checked for what only a checkout could suffer from (fsckObjects): old histories would fail for nothing.
const baseConfiguration = [
  "[core]",
  "repositoryFormatVersion = 1",
  "bare = true",
  "hooksPath = /dev/null",
  "bigFileThreshold = 1m",
  "[fetch]",
  "unpackLimit = 1",
  "[gc]",
  "auto = 0",
  "[maintenance]",
  "auto = false",
  "[pack]",
  "threads = 1",
  "[protocol]",
  "allow = never",
];

/**
 * Ends, at once, whatever still works in the folder: simple-git's own abort interrupts the first process only, not
 * those which that has started. Where there is no /proc they end by themselves, when the proxy is closed.
 */
export async function killProcessesIn(folder: string): Promise<void> {
  const entries = await readdir("/proc").catch(() => []);
  for (const pid of entries.filter((entry) => /^\d+$/.test(entry))) {
    if ((await readlink(`/proc/${pid}/cwd`).catch(() => "")) === folder) killQuietly(Number(pid));
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
