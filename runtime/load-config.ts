import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { z } from "zod";
import { Config } from "#contracts/config.ts";
import type { ConfigFault } from "#contracts/config.ts";
import type { Json } from "#contracts/canonical.ts";
import { configFaults } from "./config-faults.ts";
import { errorMessage, StartError } from "./errors.ts";
import { loadModules, optionsOf } from "./load-modules.ts";
import type { Modules } from "./load-modules.ts";
import type { Logger } from "./log.ts";

/** A valid configuration with the modules it names. */
export interface LoadedConfig {
  config: Config;
  modules: Modules;
  /** Each module's options, parsed, by name. */
  options: ReadonlyMap<string, unknown>;
  /** The file as written. */
  document: Json;
  hash: string;
  /** When the file was last written; decides which of two files is newer. */
  modifiedAt: string;
}

export type ConfigResult = { isValid: true; loaded: LoadedConfig } | { isValid: false; faults: ConfigFault[] };

/** Where the configuration is: as told, else the prototype's override where it exists, else `config.json`. */
export function findConfigFile(told: string | null): string {
  if (told !== null) return told;
  const override = "config/config-override.json";
  return existsSync(override) ? override : "config.json";
}

/** Reads and checks a file. All that is wrong is listed; only an unreadable file throws, a `StartError`. */
export async function readConfig(path: string): Promise<ConfigResult> {
  const { text, modifiedAt } = await readText(path);
  let document: Json;
  try {
    document = JSON.parse(text) as Json;
  } catch (error) {
    const fault = { path: "", found: errorMessage(error), allowed: "a file in JSON" };
    return { isValid: false, faults: [fault] };
  }
  const hash = createHash("sha256").update(text).digest("hex");
  return await checkConfig(document, { hash, modifiedAt });
}

/** Checks a parsed document against the schema, the modules' options and the modules' resources. */
export async function checkConfig(
  document: Json,
  { hash = "", modifiedAt = new Date(0).toISOString() } = {},
): Promise<ConfigResult> {
  const parsed = Config.safeParse(document);
  if (!parsed.success) {
    const faults = configFaults(parsed.error, document);
    return { isValid: false, faults: [...faults, ...(await faultsBeside(parsed.error, document))] };
  }
  const config = parsed.data;
  const modules = await loadModules(config.modules);
  const { options, faults } = checkOptions(config, modules, document);
  faults.push(...checkTargets(config, modules), ...checkRoutes(config));
  if (faults.length > 0) return { isValid: false, faults };
  return { isValid: true, loaded: { config, modules, options, document, hash, modifiedAt } };
}

/** What is wrong with the parts that the schema accepts, so that one reading of the faults is enough. */
async function faultsBeside({ issues }: z.ZodError, document: Json): Promise<ConfigFault[]> {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return [];
  const faulty = new Set(
    issues.flatMap((issue) => {
      const [part] = issue.path;
      if (part !== undefined) return [part];
      return issue.code === "unrecognized_keys" ? issue.keys : [];
    }),
  );
  // Its commands may be what the targets name.
  if (faulty.has("modules")) faulty.add("targets");
  const rest = Object.fromEntries(Object.entries(document).filter(([part]) => !faulty.has(part)));
  const result = await checkConfig(rest);
  return result.isValid ? [] : result.faults;
}

async function readText(path: string): Promise<{ text: string; modifiedAt: string }> {
  try {
    const [text, { mtime }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { text, modifiedAt: mtime.toISOString() };
  } catch (error) {
    throw new StartError(
      "no_config",
      `the configuration ${path} cannot be read (${errorMessage(error)}); set PAINTDRY_CONFIG to where it is`,
      { cause: error },
    );
  }
}

function checkOptions(config: Config, modules: Modules, document: Json) {
  const options = new Map<string, unknown>();
  const faults: ConfigFault[] = [];
  for (const name of Object.keys(config.modules)) {
    if (!modules.has(name)) {
      faults.push({ path: `modules.${name}`, found: JSON.stringify(name), allowed: knownNames(modules) });
    }
  }
  for (const [name, { definition }] of modules) {
    const parsed = definition.options.safeParse(optionsOf(config.modules[name]));
    if (parsed.success) options.set(name, parsed.data);
    else faults.push(...configFaults(parsed.error, document, ["modules", name]));
  }
  return { options, faults };
}

function checkTargets(config: Config, modules: Modules): ConfigFault[] {
  return config.targets.flatMap((target, t) => {
    const unknown = target.modules.flatMap((name, m) =>
      modules.has(name)
        ? []
        : [{ path: `targets[${t}].modules[${m}]`, found: JSON.stringify(name), allowed: knownNames(modules) }],
    );
    const refused = target.resources.flatMap((resource, r) =>
      target.modules.flatMap((name) => {
        const parsed = modules.get(name)?.definition.resource.safeParse(resource);
        if (!parsed || parsed.success) return [];
        const allowed = `a resource of the module ${name}: ${parsed.error.issues.map((issue) => issue.message).join("; ")}`;
        return [{ path: `targets[${t}].resources[${r}]`, found: JSON.stringify(resource), allowed }];
      }),
    );
    return [...unknown, ...refused];
  });
}

function checkRoutes(config: Config): ConfigFault[] {
  return config.notify.routes.flatMap((route, index) => {
    const path = `notify.routes[${index}]`;
    if (route.webhook === undefined && route.email === undefined) {
      return [{ path, found: "neither", allowed: '"webhook" or "email"' }];
    }
    if (route.email !== undefined && config.notify.smtp === undefined) {
      return [{ path: `${path}.email`, found: "no notify.smtp", allowed: "e-mail only with a notify.smtp section" }];
    }
    return [];
  });
}

function knownNames(modules: Modules): string {
  return `one of ${[...modules.keys()].toSorted().join(", ")}, or a module with a "command"`;
}

export interface ConfigWatch {
  /** The configuration in force in this process. */
  current(): LoadedConfig;
  stop(): void;
}

/**
 * Reads the configuration, waits for a valid one if the first is not, and then follows the file: `onConfig` gets each
 * valid one, `onFaults` each refused one while the one before stays. The file is looked at every two seconds by
 * content, since notifications do not cross every kind of mount.
 */
export async function watchConfig(
  path: string,
  listeners: {
    log: Logger;
    onConfig?(loaded: LoadedConfig): Promise<void> | void;
    onFaults?(faults: ConfigFault[]): Promise<void> | void;
    everyMs?: number;
  },
): Promise<ConfigWatch> {
  const { log, everyMs = 2000 } = listeners;
  let current: LoadedConfig | undefined;
  let lastText = "";
  const look = async () => {
    const { text } = await readText(path);
    if (text === lastText) return;
    const result = await readConfig(path);
    if (result.isValid) {
      current = result.loaded;
      await listeners.onConfig?.(result.loaded);
      log.info({ path, hash: result.loaded.hash.slice(0, 12) }, "configuration applied");
    } else {
      log.error({ path, faults: result.faults }, "configuration refused");
      await listeners.onFaults?.(result.faults);
    }
    lastText = text;
  };
  await look();
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    look()
      .catch((error: unknown) => log.error({ err: error, path }, "configuration not applied"))
      .finally(() => (isLooking = false));
  }, everyMs);
  let isLooking = false;
  while (current === undefined) await new Promise((resolve) => setTimeout(resolve, everyMs / 2));
  return { current: () => current as LoadedConfig, stop: () => clearInterval(timer) };
}
