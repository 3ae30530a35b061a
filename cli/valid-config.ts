import type { ConfigFault } from "#contracts/config.ts";
import { readConfig } from "#runtime/load-config.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import { StartError } from "#runtime/errors.ts";

/** A valid configuration; throws a `StartError` that lists all faults. */
export async function requireConfig(path: string): Promise<LoadedConfig> {
  const result = await readConfig(path);
  if (result.isValid) return result.loaded;
  const lines = result.faults.map((fault) => `  ${describeFault(fault)}`);
  throw new StartError("bad_config", `${path} cannot be used:\n${lines.join("\n")}`);
}

export function describeFault({ path, found, allowed }: ConfigFault): string {
  return `${path === "" ? "the file" : path}: found ${found}; allowed: ${allowed}`;
}
