import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { permissionBlock, readUsers } from "../outside-users.ts";
import type { Child } from "./child.ts";
import { openDataFolder } from "./data-folder.ts";
import { openLogFile } from "./log-file.ts";
import { readLogLine } from "./log-lines.ts";
import type { LogLine } from "./log-lines.ts";
import { findNatsServer } from "./nats-binary.ts";
import { startNatsServer } from "./nats.ts";
import { natsUrl, withOutsideUsers } from "./permission-file.ts";
import { checkPortIsFree, freePort } from "./ports.ts";
import { ensureDatabase, postgresUrl, startPostgresServer } from "./postgres.ts";
import { writePrivately } from "./private-file.ts";
import { runServices } from "./run-services.ts";
import type { RunningServices } from "./run-services.ts";
import { supervise } from "./supervise.ts";
import type { Supervised } from "./supervise.ts";

export interface SystemOptions {
  dataFolder: string;
  configFile: string;
  host: string;
  port: number;
  /** More for all services. */
  environment?: Record<string, string>;
  onProgress(text: string): void;
  onLine(name: string, line: LogLine): void;
  /** Handed what ends everything at once, before the first child runs. */
  onStarting(killNow: () => void): void;
}

export interface System {
  services: RunningServices;
  natsUrl: string;
  stop(): Promise<void>;
}

const database = "paintdry";

/** The whole of paintdry on this machine: broker, database and services, one process each. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const folder = await openDataFolder(options.dataFolder, options.onProgress);
  const running: { servers: Supervised[]; services: RunningServices | null } = { servers: [], services: null };
  const killNow = () => {
    running.services?.killNow();
    for (const server of running.servers) server.killNow();
    folder.unlock();
  };
  options.onStarting(killNow);
  const stop = async () => {
    await running.services?.stop();
    for (const server of running.servers) await server.stop();
    folder.unlock();
  };
  try {
    // Only now: what an earlier start left running may have held the port.
    await checkPortIsFree(options.port, options.host);
    const keep = (server: Supervised) => void running.servers.push(server);
    const starting = [startBroker(options, folder, keep), startDatabase(options, folder, keep)] as const;
    // If one fails, the other is stopped only after it stands.
    await Promise.allSettled(starting);
    const [natsPort, databaseUrl] = await Promise.all(starting);
    options.onProgress("starting the services");
    const services = await runServices({
      natsUrl: (user) => natsUrl(natsPort, user, folder.secrets.nats[user]),
      databaseUrl,
      configFile: options.configFile,
      dataFolder: options.dataFolder,
      usersFile: folder.usersFile,
      host: options.host,
      gatewayPort: options.port,
      environment: options.environment ?? {},
      onLine: options.onLine,
      onRunning: folder.noteRunning,
    });
    running.services = services;
    return { services, natsUrl: `nats://127.0.0.1:${natsPort}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Folder = Awaited<ReturnType<typeof openDataFolder>>;

async function startBroker(
  options: SystemOptions,
  folder: Folder,
  keep: (server: Supervised) => void,
): Promise<number> {
  const { path: program } = await findNatsServer({ onProgress: options.onProgress });
  const configFile = join(folder.path, "nats-server.conf");
  const blocks = readUsers(folder.usersFile).map((user) => permissionBlock(user, JSON.stringify(user.password)));
  writePrivately(configFile, withOutsideUsers(blocks));
  const port = folder.natsPort;
  const monitorPort = await freePort();
  const storeFolder = join(folder.path, "nats");
  const onLine = keepLines("nats", options);
  const start = async (): Promise<Child> => {
    const child = await startNatsServer({
      program,
      configFile,
      port,
      monitorPort,
      storeFolder,
      onLine,
      passwords: folder.secrets.nats,
      syncInterval: "always",
    });
    folder.noteRunning("nats", child.pid);
    return child;
  };
  keep(await keepRunning("nats", start, { graceMs: 60_000 }, options));
  return port;
}

async function startDatabase(
  options: SystemOptions,
  folder: Folder,
  keep: (server: Supervised) => void,
): Promise<string> {
  options.onProgress("starting the database");
  const settings = {
    folder: join(folder.path, "postgres"),
    port: await freePort(),
    password: folder.secrets.postgres,
    onLine: keepLines("postgres", options),
  };
  const start = async (): Promise<Child> => {
    const { child } = await startPostgresServer(settings);
    folder.noteRunning("postgres", child.pid);
    return child;
  };
  // SIGINT is PostgreSQL's fast shutdown.
  keep(await keepRunning("postgres", start, { graceMs: 60_000, stopSignal: "SIGINT" }, options));
  await ensureDatabase(settings, database);
  return postgresUrl(settings, database);
}

async function keepRunning(
  name: string,
  start: () => Promise<Child>,
  end: { graceMs: number; stopSignal?: NodeJS.Signals },
  { onLine }: SystemOptions,
): Promise<Supervised> {
  return await supervise({
    name,
    start,
    ...end,
    onCrash: ({ code, signal }) =>
      onLine(name, { urgency: "error", text: `ended (${signal ?? `code ${code}`}) and is started again` }),
    onStartFailure: (reason) => onLine(name, { urgency: "error", text: `does not start: ${reason}` }),
  });
}

function keepLines(name: string, options: SystemOptions): (line: string) => void {
  const folder = join(options.dataFolder, "logs");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = openLogFile(join(folder, `${name}.log`));
  return (line) => {
    log.write(line);
    options.onLine(name, readLogLine(line));
  };
}
