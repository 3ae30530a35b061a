import { spawn } from "node:child_process";
import { constants } from "node:os";
import { projectFolder } from "./setup-error.mjs";

/** One Ctrl-C arrives twice below npm: from the terminal, and passed on by npm. */
const sameKeypressMs = 700;

/**
 * Runs a program to its end, passes signals on, and ends as it did. The program stands in a process group of its own,
 * so that a terminal's Ctrl-C reaches it once, from here; it hears of our death by the closing of its channel.
 */
export function runAndExit(program, script, args) {
  const stdio = ["inherit", "inherit", "inherit", "ipc"];
  const child = spawn(program, [`${projectFolder}/${script}`, ...args], { stdio, detached: true });
  let passedOnAt = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (performance.now() - passedOnAt < sameKeypressMs) return;
      passedOnAt = performance.now();
      child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
      resolve();
      // An open channel or signal handlers would keep this process.
      process.exit();
    });
  });
}
