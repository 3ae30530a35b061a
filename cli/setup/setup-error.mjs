import { fileURLToPath } from "node:url";

/** The root of the clone. */
export const projectFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** The set-up cannot go on; the message says what to do. */
export class SetupError extends Error {}

/** A program of this project's own packages and scripts is run in its root, whatever folder the user is in. */
export function say(text) {
  console.error(`paintdry: ${text}`);
}
