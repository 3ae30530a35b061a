import { readFileSync } from "node:fs";
import { execa } from "execa";
import { parseArgsStringToArgv } from "string-argv";
import type { Json } from "#contracts/canonical.ts";
import { LookError } from "#contracts/look-error.ts";

export interface CommandLimits {
  timeoutMs: number;
  outputBytes: number;
  memoryBytes: number;
}

const defaultLimits: CommandLimits = {
  timeoutMs: 600_000,
  outputBytes: 32 * 1024 * 1024,
  memoryBytes: 1024 * 1024 * 1024,
};

/** What goes to the command's standard input; the names are the prototype's. All are strings but the timestamp. */
export interface CommandRequest {
  operation: "discovery" | "observation" | "change";
  resource: string;
  module: string;
  /** Seconds since 1970. */
  timestamp: number;
  source?: string;
  attribute?: string;
  old_value?: string;
  new_value?: string;
}

interface CommandOptions {
  /** Names of the environment variables the child is given, beside PATH and what makes its output unbuffered. */
  environment: string[];
  limits: Partial<CommandLimits>;
  signal?: AbortSignal;
}

/**
 * Runs a command once: one JSON line on its standard input, then end of input; its JSON lines are returned, its other
 * lines are log output. Never by a shell. Throws `LookError` when it cannot run, fails, or passes a limit.
 */
export async function runCommand(command: string, request: CommandRequest, options: CommandOptions): Promise<Json[]> {
  const [file, ...commandArguments] = parseArgsStringToArgv(command);
  if (file === undefined) throw new LookError("module", "the command is empty");
  const limits = { ...defaultLimits, ...options.limits };
  const child = execa(file, commandArguments, {
    input: `${JSON.stringify(request)}\n`,
    env: childEnvironment(options.environment),
    extendEnv: false,
    timeout: limits.timeoutMs,
    maxBuffer: limits.outputBytes,
    stripFinalNewline: false,
    forceKillAfterDelay: 2000,
    reject: false,
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  });
  const memory = watchMemory(child.pid, limits.memoryBytes, () => child.kill("SIGKILL"));
  const result = await child;
  memory.stop();
  if (memory.isExceeded())
    throw new LookError("too_large", `the command used more than ${limits.memoryBytes} bytes of memory`);
  if (result.isMaxBuffer) throw new LookError("too_large", `the command wrote more than ${limits.outputBytes} bytes`);
  if (result.timedOut || result.isCanceled) throw new LookError("timeout", "the command did not end in time");
  if (result.failed) throw new LookError("module", `the command failed: ${failureText(result)}`);
  return answerLines(result.stdout, request.operation);
}

function childEnvironment(names: string[]): Record<string, string> {
  const environment: Record<string, string> = { PYTHONUNBUFFERED: "1", LC_ALL: "C.UTF-8" };
  for (const name of ["PATH", "HOME", ...names]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The child's resident memory, looked at twice a second where the system tells it (Linux). */
function watchMemory(pid: number | undefined, mostBytes: number, onExceeded: () => void) {
  let hasExceeded = false;
  const timer = setInterval(() => {
    if (residentBytes(pid) <= mostBytes) return;
    hasExceeded = true;
    onExceeded();
  }, 500);
  return { stop: () => clearInterval(timer), isExceeded: () => hasExceeded };
}

function residentBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0; // ended, or a system without /proc
  }
}

function failureText(result: {
  shortMessage?: string | undefined;
  stderr: string;
  exitCode?: number | undefined;
}): string {
  const lastLine = result.stderr.trim().split("\n").at(-1) ?? "";
  const code =
    result.exitCode === undefined ? (result.shortMessage ?? "it could not be started") : `exit code ${result.exitCode}`;
  return `${code}${lastLine === "" ? "" : `: ${lastLine}`}`.slice(0, 500);
}

/** The lines that answer the operation; whatever else a command prints is talk. */
function answerLines(output: string, operation: string): Json[] {
  return output.split("\n").flatMap((line) => {
    const answer = parseObject(line);
    return answer?.operation === operation ? [answer] : [];
  });
}

function parseObject(line: string): { [key: string]: Json } | null {
  try {
    const parsed = JSON.parse(line) as Json;
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
