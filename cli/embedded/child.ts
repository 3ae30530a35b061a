import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface ChildCommand {
  program: string;
  args: string[];
  /** Only this: nothing of the parent's own environment goes along. */
  environment: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
  onLine?: (line: string) => void;
}

export interface ChildEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child {
  pid: number;
  ended: Promise<ChildEnd>;
  hasEnded(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** Asks it to end, and ends it after `graceMs`. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<ChildEnd>;
}

/**
 * Starts a program in a process group of its own, so that Ctrl-C in a terminal reaches the parent alone, which stops
 * its children in order.
 */
export async function startChild(command: ChildCommand): Promise<Child> {
  const started = spawn(command.program, command.args, {
    env: command.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
  });
  for (const output of [started.stdout, started.stderr]) {
    createInterface({ input: output }).on("line", (line) => command.onLine?.(line));
  }
  const state: { end: ChildEnd | null } = { end: null };
  const ended = new Promise<ChildEnd>((resolve) => {
    started.once("exit", (code, signal) => {
      state.end = { code, signal };
      resolve(state.end);
    });
  });
  await new Promise<void>((resolve, reject) => {
    started.once("spawn", resolve);
    started.once("error", reject);
  });
  const signal = (name: NodeJS.Signals) => {
    if (state.end === null) started.kill(name);
  };
  return {
    pid: started.pid as number,
    ended,
    hasEnded: () => state.end !== null,
    signal,
    stop: async (name, graceMs) => {
      signal(name);
      const timer = setTimeout(() => signal("SIGKILL"), graceMs);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
  };
}

/** What every program needs to be found and to speak plainly; nothing that could hold a secret. */
export function plainEnvironment(): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];
  const environment: Record<string, string> = {};
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
