import { chmodSync, renameSync, writeFileSync } from "node:fs";

/** Written whole or not at all, and for our own eyes. */
export function writePrivately(file: string, text: string): void {
  const writing = `${file}.${process.pid}`;
  writeFileSync(writing, text, { mode: 0o600 });
  chmodSync(writing, 0o600);
  renameSync(writing, file);
}
