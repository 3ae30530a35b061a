import { CommanderError } from "commander";
import { errorMessage, StartError } from "#runtime/errors.ts";

/** What was asked for did not succeed; the message is for the user. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
}

/** 0 done, 1 it did not succeed, 2 used wrongly or cannot start. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof StartError ? 2 : 1;
}

export function reportFailure(error: unknown): void {
  // commander has said by itself what was wrong with the arguments.
  if (error instanceof CommanderError) return;
  if (error instanceof StartError || error instanceof CommandFailure) console.error(`paintdry: ${error.message}`);
  else console.error(error instanceof Error ? error.stack : errorMessage(error));
}

/** With `--json` the answer as one JSON document, else as lines for people. */
export function print(isJson: boolean, answer: unknown, lines: () => string[]): void {
  if (isJson) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else for (const line of lines()) process.stdout.write(`${plain(line)}\n`);
}

/** What watched hosts sent must not steer a terminal: control characters are shown, not obeyed. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
