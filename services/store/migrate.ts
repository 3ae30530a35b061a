import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { errorMessage, RpcError, StartError } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import { retry } from "#runtime/retry.ts";
import { describeStatementError } from "./statement-errors.ts";

export interface Migration {
  version: number;
  name: string;
  sql: string;
}

/** Any number: the advisory lock under which one store at a time migrates. */
const migrationLock = 7_269_011;

/**
 * Brings the database to this version's schema; the version it then has. Several stores may start at once. Throws a
 * `StartError` when the schema is newer than this program.
 */
export async function migrate(url: string, migrations: Migration[] = readMigrations()): Promise<number> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  // A lost connection also fails the statement in hand, which tells more.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [migrationLock]);
    return await applyMissing(client, migrations);
  } finally {
    await client.end();
  }
}

/** Waits for a PostgreSQL that is not up yet; a wrong password or a missing database ends the start instead. */
export async function migrateWhenReachable(url: string, log: Logger): Promise<number> {
  try {
    return await retry(() => migrate(url), {
      firstMs: 200,
      mostMs: 5000,
      isTemporary: (error) => describeStatementError(error) instanceof RpcError,
      onError: (error) => log.warn({ reason: errorMessage(error) }, "waiting for PostgreSQL"),
    });
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(
      "database_refused",
      `the schema could not be brought up to date: ${errorMessage(error)}. Check PAINTDRY_DATABASE_URL`,
      { cause: error },
    );
  }
}

/** The numbered files of `sql/`, in order. */
export function readMigrations(folder = join(import.meta.dirname, "sql")): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}-.+\.sql$/.test(name))
    .toSorted()
    .map((name) => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(join(folder, name), "utf8") }));
}

async function applyMissing(client: Client, migrations: Migration[]): Promise<number> {
  const newest = migrations.at(-1)?.version ?? 0;
  const present = await readSchemaVersion(client);
  if (present > newest) {
    throw new StartError(
      "schema_newer",
      `the database has schema version ${present}, but this program knows only ${newest}: ` +
        "start the newer version of paintdry, or restore a backup made before the upgrade",
    );
  }
  for (const migration of migrations.filter(({ version }) => version > present)) await apply(client, migration);
  return newest;
}

async function readSchemaVersion(client: Client): Promise<number> {
  await client.query(
    `CREATE TABLE IF NOT EXISTS schema_version (
      version int PRIMARY KEY,
      name text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`,
  );
  const { rows } = await client.query<{ version: number }>(
    "SELECT coalesce(max(version), 0)::int AS version FROM schema_version",
  );
  return rows[0]?.version ?? 0;
}

async function apply(client: Client, { version, name, sql }: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    await client.query("INSERT INTO schema_version (version, name) VALUES ($1, $2)", [version, name]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}
