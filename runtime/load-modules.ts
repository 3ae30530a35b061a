import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { fingerprint } from "#contracts/canonical.ts";
import type { Json } from "#contracts/canonical.ts";
import type { Config, ModuleSection } from "#contracts/config.ts";
import type { ModuleDefinition } from "#contracts/module.ts";
import { commandModule } from "./command-module.ts";
import { StartError } from "./errors.ts";

/** A module as this process uses it. */
export interface LoadedModule {
  definition: ModuleDefinition;
  /** It runs as a command that speaks JSON lines. */
  isCommand: boolean;
}

export type Modules = ReadonlyMap<string, LoadedModule>;

const modulesFolder = fileURLToPath(new URL("../modules/", import.meta.url));
/** Code that modules share; not a module. */
const sharedFolder = "shared";

/** The native modules, and the commands that `sections` names; a command overrides a native module of its name. */
export async function loadModules(sections: Config["modules"] = {}, folder: string = modulesFolder): Promise<Modules> {
  const modules = new Map<string, LoadedModule>();
  for (const definition of await loadNativeModules(folder)) {
    modules.set(definition.name, { definition, isCommand: false });
  }
  for (const [name, section] of Object.entries(sections)) {
    if (section.command === undefined) continue;
    modules.set(name, { definition: commandModule(name, section), isCommand: true });
  }
  return modules;
}

async function loadNativeModules(folder: string): Promise<ModuleDefinition[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.flatMap((entry) => {
    if (entry.isDirectory()) {
      const index = join(folder, entry.name, "index.ts");
      return entry.name !== sharedFolder && existsSync(index) ? [{ name: entry.name, path: index }] : [];
    }
    const isModule = entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts");
    return isModule ? [{ name: entry.name.slice(0, -3), path: join(folder, entry.name) }] : [];
  });
  return await Promise.all(files.map(importModule));
}

async function importModule({ name, path }: { name: string; path: string }): Promise<ModuleDefinition> {
  const exports = (await import(pathToFileURL(path).href)) as { default?: ModuleDefinition };
  const definition = exports.default;
  if (typeof definition?.observation !== "function") {
    throw new StartError("bad_module", `${path} has no default export made by defineModule({...})`);
  }
  if (definition.name !== name) {
    throw new StartError("bad_module", `${path} calls itself "${definition.name}"; its name must be "${name}"`);
  }
  return definition;
}

/** The keys of a module's section that are not its own options. */
const commonKeys = new Set(["command", "environment", "slow", "deadline", "schedule"]);

/** The options part of a module's section of `config.json`, before the module has checked it. */
export function optionsOf(section: ModuleSection | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(section ?? {}).filter(([key]) => !commonKeys.has(key)));
}

/** A short name for parsed options; a look whose options differ from the last one's makes a new baseline. */
export function optionsFingerprint(options: unknown): string {
  const value = JSON.parse(JSON.stringify(options ?? null)) as Json;
  return fingerprint([{ attribute: "options", value, severity: null, reason: null }]);
}
