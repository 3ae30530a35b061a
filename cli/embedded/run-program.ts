import { execFile } from "node:child_process";

export interface ProgramResult {
  /** null when it could not be started, was ended by a signal or took too long. */
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface ProgramOptions {
  timeoutMs: number;
  cwd?: string;
  environment?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
}

/** Runs a program to its end, without a shell. Never throws: what went wrong is in the result. */
export function runProgram(program: string, args: string[], options: ProgramOptions): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const settings = {
      timeout: options.timeoutMs,
      killSignal: "SIGKILL" as const,
      maxBuffer: 4 * 1024 * 1024,
      encoding: "utf8" as const,
      env: options.environment ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    };
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (!error) return resolve({ status: 0, stdout, stderr });
      const status = typeof error.code === "number" ? error.code : null;
      resolve({ status, stdout, stderr: stderr.trim() === "" ? error.message : stderr });
    });
  });
}

/** The last line a program said, for messages. */
export function lastLine(result: ProgramResult): string {
  const lines = `${result.stdout}\n${result.stderr}`.split("\n").filter((line) => line.trim() !== "");
  return lines.at(-1)?.trim() ?? "it said nothing";
}
