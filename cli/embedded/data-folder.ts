import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { errorMessage, StartError } from "#runtime/errors.ts";
import { writePrivately } from "./private-file.ts";
import { brokerUsers, generatePassword } from "./permission-file.ts";
import type { BrokerUser } from "./permission-file.ts";
import { freePort } from "./ports.ts";
import { processIdentity } from "./process-identity.ts";

const Process = z.object({ pid: z.number(), identity: z.string() });
const Running = z.record(z.string(), Process);

const Secrets = z.object({ nats: z.record(z.enum(brokerUsers), z.string()), postgres: z.string() });
export type Secrets = z.infer<typeof Secrets>;

export interface DataFolder {
  path: string;
  /** Of the broker, the same at each start where it can be: outside systems keep its address. */
  natsPort: number;
  secrets: Secrets;
  usersFile: string;
  /** Kept so that the next start can end what a `kill -9` of this one leaves. */
  noteRunning(name: string, pid: number): void;
  unlock(): void;
}

/** Takes the data folder for this process, and ends what an earlier one left running in it. */
export async function openDataFolder(path: string, onProgress: (text: string) => void): Promise<DataFolder> {
  makeFolder(path);
  lock(path);
  const runningFile = join(path, "running.json");
  await endLeftOvers(runningFile, onProgress);
  const running: z.infer<typeof Running> = {};
  const natsPort = await freePort(readNatsPort(path) ?? 4222);
  writePrivately(join(path, "nats-port"), String(natsPort));
  return {
    path,
    natsPort,
    secrets: keepSecrets(join(path, "secrets.json")),
    usersFile: usersFileOf(path),
    noteRunning: (name, pid) => {
      const identity = processIdentity(pid);
      if (identity === null) return;
      running[name] = { pid, identity };
      writePrivately(runningFile, JSON.stringify(running));
    },
    unlock: () => {
      rmSync(runningFile, { force: true });
      rmSync(join(path, "lock"), { force: true });
    },
  };
}

/** Where the broker of a data folder listens, or null before the first start. */
export function readNatsPort(path: string): number | null {
  const file = join(path, "nats-port");
  return existsSync(file) ? Number(readFileSync(file, "utf8")) || null : null;
}

export function usersFileOf(path: string): string {
  return join(path, "users.json");
}

/** The generated passwords of a data folder, or null before the first start. */
export function readSecrets(path: string): Secrets | null {
  const file = join(path, "secrets.json");
  return existsSync(file) ? parseSecrets(file) : null;
}

/** The process of that name which runs in a data folder, or null. */
export function runningPid(path: string, name: string): number | null {
  const found = readRunning(join(path, "running.json"))[name];
  return found && processIdentity(found.pid) === found.identity ? found.pid : null;
}

function makeFolder(path: string): void {
  try {
    // PostgreSQL does not run as root: for root its account may pass through, and sees nothing on the way.
    const mode = process.getuid?.() === 0 ? 0o711 : 0o700;
    mkdirSync(path, { recursive: true, mode });
    chmodSync(path, mode);
  } catch (error) {
    throw new StartError(
      "data_folder",
      `the data folder ${path} cannot be made (${errorMessage(error)}): choose another with --data`,
      { cause: error },
    );
  }
}

function lock(path: string): void {
  const file = join(path, "lock");
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      writeFileSync(file, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }), {
        flag: "wx",
        mode: 0o600,
      });
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
        throw new StartError("data_folder", `the data folder ${path} cannot be written: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    }
    const holder = readHolder(file);
    if (holder && processIdentity(holder.pid) === holder.identity) {
      throw new StartError(
        "data_folder_in_use",
        `the data folder ${path} is in use by process ${holder.pid}. Stop that paintdry first (Ctrl-C where it runs, or ` +
          `kill ${holder.pid}), or start this one with another folder: npm start -- --data another-folder --port 8081`,
      );
    }
    rmSync(file, { force: true });
  }
  throw new StartError("data_folder_in_use", `the data folder ${path} is being taken by another process: try again`);
}

function readHolder(file: string): z.infer<typeof Process> | null {
  try {
    return Process.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}

async function endLeftOvers(runningFile: string, onProgress: (text: string) => void): Promise<void> {
  if (!existsSync(runningFile)) return;
  const isStill = ({ pid, identity }: z.infer<typeof Process>) => processIdentity(pid) === identity;
  const left = Object.values(readRunning(runningFile)).filter(isStill);
  if (left.length > 0) onProgress(`ending ${left.length} processes that an earlier start left running`);
  for (const { pid } of left) process.kill(pid, "SIGTERM");
  for (let waitedMs = 0; waitedMs < 10_000 && left.some(isStill); waitedMs += 100) await sleep(100);
  for (const one of left.filter(isStill)) process.kill(one.pid, "SIGKILL");
  rmSync(runningFile, { force: true });
}

function readRunning(file: string): z.infer<typeof Running> {
  try {
    return Running.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {};
  }
}

function keepSecrets(file: string): Secrets {
  if (existsSync(file)) return parseSecrets(file);
  const nats = Object.fromEntries(brokerUsers.map((user) => [user, generatePassword()])) as Record<BrokerUser, string>;
  const secrets = { nats, postgres: generatePassword() };
  writePrivately(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

function parseSecrets(file: string): Secrets {
  try {
    return Secrets.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new StartError(
      "bad_secrets_file",
      `${file}, which holds the generated passwords, cannot be read: bring it back, or move the data folder away`,
      { cause: error },
    );
  }
}
