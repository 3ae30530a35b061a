import { readFileSync } from "node:fs";
import type { SecretRef } from "#contracts/config.ts";
import { StartError } from "./errors.ts";

/** Reads a secret from where the configuration says it is. The error names the place, never a content. */
export function readSecret(ref: SecretRef, environment: NodeJS.ProcessEnv = process.env): string {
  if ("env" in ref) {
    const secret = environment[ref.env];
    if (secret) return secret;
    throw new StartError("missing_secret", `the environment variable ${ref.env} is not set, but config.json names it`);
  }
  try {
    return readFileSync(ref.file, "utf8").trim();
  } catch (error) {
    throw new StartError("missing_secret", `the secret file ${ref.file} named in config.json cannot be read`, {
      cause: error,
    });
  }
}
