import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { say } from "./setup-error.mjs";

/** Runs `action` while no other process does; waits for one that does, and passes over one that has died. */
export async function withLock(file, action) {
  let hasWaited = false;
  while (!take(file)) {
    if (!hasWaited) say("waiting for another set-up of this folder to end");
    hasWaited = true;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await action();
  } finally {
    process.removeListener("exit", release);
    release();
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const holder = readHolder(file);
  if (holder !== null && !isAlive(holder)) rmSync(file, { force: true });
  return false;
}

function readHolder(file) {
  try {
    return Number(readFileSync(file, "utf8")) || null;
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
