import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * When a process began, as a text to compare; null when there is no such process. Numbers are given out again, so that
 * a number alone names nobody after a crash or a reboot.
 */
export function processIdentity(pid: number): string | null {
  return process.platform === "linux" ? readProc(pid) : readPs(pid);
}

function readProc(pid: number): string | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name stands in parentheses and may hold anything; after it come state (3rd) to start time (22nd).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : `${boot} ${fields[19]}`;
  } catch {
    return null;
  }
}

function readPs(pid: number): string | null {
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null;
  } catch {
    return null;
  }
}
