import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { plainEnvironment } from "./child.ts";
import type { ChildCommand } from "./child.ts";
import { projectFolder } from "./folders.ts";
import type { BrokerUser } from "./permission-file.ts";

export const serviceNames = [
  "provisioner",
  "store",
  "collector",
  "fetcher",
  "assessor",
  "gateway",
  "notifier",
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The order in which they are stopped: first whoever brings in work, last whoever finishes it. */
export const stopOrder: ServiceName[] = [
  "gateway",
  "collector",
  "fetcher",
  "assessor",
  "provisioner",
  "store",
  "notifier",
];

export interface ServiceSettings {
  natsUrl(user: BrokerUser): string;
  databaseUrl: string;
  configFile: string;
  dataFolder: string;
  usersFile: string;
  host: string;
  /** More for all of them, such as a log level in tests. */
  environment?: Record<string, string>;
}

/** How one service is run: with only the environment that this service needs. */
export function serviceCommand(name: ServiceName, port: number, settings: ServiceSettings): ChildCommand {
  const main = name === "provisioner" ? ["cli/main.ts", "provision", "--watch"] : [`services/${name}/main.ts`];
  const [script = "", ...args] = main;
  return {
    program: process.execPath,
    args: [join(projectFolder, script), ...args],
    cwd: projectFolder,
    environment: {
      ...plainEnvironment(),
      ...passedOn(["PAINTDRY_LOG_LEVEL"]),
      ...ownEnvironment(name, settings),
      PAINTDRY_NATS_URL: settings.natsUrl(name),
      PAINTDRY_PORT: String(port),
      PAINTDRY_HOST: settings.host,
      ...settings.environment,
    },
  };
}

function ownEnvironment(name: ServiceName, settings: ServiceSettings): Record<string, string> {
  const PAINTDRY_CONFIG = settings.configFile;
  switch (name) {
    case "provisioner":
      return { PAINTDRY_USERS_FILE: settings.usersFile };
    case "store":
      return { PAINTDRY_DATABASE_URL: settings.databaseUrl };
    case "gateway":
      return passedOn(["PAINTDRY_HOSTS", "PAINTDRY_ORIGINS"]);
    case "fetcher": {
      const named = passedOn([
        ...namesIn(settings.configFile, "credentials"),
        ...namesIn(settings.configFile, "modules"),
      ]);
      // The system resolves each name on a thread of its own: with four, a few slow resolvers hold up every look.
      const UV_THREADPOOL_SIZE = "16";
      return { ...named, UV_THREADPOOL_SIZE, PAINTDRY_CONFIG, PAINTDRY_DATA_DIR: join(settings.dataFolder, "fetcher") };
    }
    case "notifier":
      return { ...passedOn(namesIn(settings.configFile, "notify")), PAINTDRY_CONFIG };
    case "collector":
      return { PAINTDRY_CONFIG };
    // It runs a command's `change`.
    case "assessor":
      return { ...passedOn(namesIn(settings.configFile, "modules")), PAINTDRY_CONFIG };
    default:
      return name satisfies never;
  }
}

function passedOn(names: string[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The environment variables that a part of the configuration names: `{"env": "NAME"}`, or a module's `environment`. */
function namesIn(configFile: string, part: "credentials" | "modules" | "notify"): string[] {
  if (!existsSync(configFile)) return [];
  try {
    const document = JSON.parse(readFileSync(configFile, "utf8")) as Record<string, unknown>;
    return collectNames(document[part]);
  } catch {
    // Each service says by itself what is wrong with the file.
    return [];
  }
}

function collectNames(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === "env" && typeof inner === "string") return [inner];
    if (key === "environment" && Array.isArray(inner)) return inner.filter((name) => typeof name === "string");
    return collectNames(inner);
  });
}
