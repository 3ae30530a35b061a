import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectFolder } from "./embedded/folders.ts";

/**
 * Where the configuration is: as told, else `PAINTDRY_CONFIG`, else the prototype's override, else `config.json`, both in
 * the project's folder.
 */
export function configPath(told: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  const named = told ?? (environment.PAINTDRY_CONFIG || undefined);
  if (named !== undefined) return resolve(named);
  const override = join(projectFolder, "config", "config-override.json");
  return existsSync(override) ? override : join(projectFolder, "config.json");
}

export function dataFolderPath(told: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return resolve(told ?? (environment.PAINTDRY_DATA_DIR || join(projectFolder, ".paintdry")));
}
