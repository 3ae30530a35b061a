import { createWriteStream, mkdirSync, renameSync, statSync } from "node:fs";
import type { WriteStream } from "node:fs";
import { dirname } from "node:path";

const maxBytes = 16 * 1024 * 1024;

export interface LogFile {
  write(line: string): void;
  close(): Promise<void>;
}

/** Appends lines; a file that is full is kept once, under `.1`. */
export function openLogFile(path: string): LogFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const open = () => createWriteStream(path, { flags: "a", mode: 0o600 }).on("error", () => {});
  const state: { stream: WriteStream | null; bytes: number } = { stream: null, bytes: sizeOf(path) };
  return {
    write: (line) => {
      if (state.bytes > maxBytes) {
        state.stream?.end();
        renameSync(path, `${path}.1`);
        Object.assign(state, { stream: null, bytes: 0 });
      }
      state.stream ??= open();
      state.bytes += Buffer.byteLength(line) + 1;
      state.stream.write(`${line}\n`);
    },
    close: async () => {
      const { stream } = state;
      if (stream) await new Promise<void>((resolve) => stream.end(resolve));
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
