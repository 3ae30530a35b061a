import { Pool, TypeOverrides, types } from "pg";
import type { ClientBase, QueryConfig, QueryResult } from "pg";
import type { z } from "zod";
import { RpcError } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import { describeStatementError, isLostRace, isOutage } from "./statement-errors.ts";

/** What a statement function is handed: the database, or a transaction on it. */
export interface Statements {
  /** All rows of one statement, each parsed by the schema. */
  rows<Schema extends z.ZodType>(schema: Schema, text: string, parameters?: unknown[]): Promise<z.infer<Schema>[]>;
  /** The first row, or null. */
  row<Schema extends z.ZodType>(schema: Schema, text: string, parameters?: unknown[]): Promise<z.infer<Schema> | null>;
  /** How many rows the statement touched. */
  run(text: string, parameters?: unknown[]): Promise<number>;
}

/** PostgreSQL, by a pool of connections. An `RpcError` with code `unavailable` may be repeated. */
export interface Database extends Statements {
  /** All or nothing. Lost races (deadlock, serialization) are run again, so `work` must be repeatable. */
  transaction<Result>(work: (tx: Statements) => Promise<Result>): Promise<Result>;
  /** Reads that all see the same moment. */
  snapshot<Result>(work: (tx: Statements) => Promise<Result>): Promise<Result>;
  /** Null, or why the last statement could not reach PostgreSQL. */
  unreachableBecause(): string | null;
  /** How often a connection was lost or refused: after each, the database may be another than it was. */
  outages(): number;
  close(): Promise<void>;
}

/** The most often that a transaction which lost a race is run again before the caller is asked to. */
const maxRaces = 5;

export interface DatabaseOptions {
  url: string;
  log: Logger;
  connections?: number;
}

export function openDatabase(options: DatabaseOptions): Database {
  let unreachable: string | null = null;
  let outages = 0;
  const pool = openPool(options, () => (outages += 1));

  async function guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await work();
      unreachable = null;
      return result;
    } catch (error) {
      const described = describeStatementError(error);
      if (described instanceof RpcError && described.code === "unavailable") {
        unreachable = described.message;
        if (isOutage(described)) outages += 1;
      }
      throw described;
    }
  }

  async function transaction<Result>(begin: string, work: (tx: Statements) => Promise<Result>): Promise<Result> {
    return await guarded(async () => {
      for (let race = 1; ; race++) {
        try {
          return await runTransaction(pool, begin, work);
        } catch (error) {
          if (race >= maxRaces || !isLostRace(error)) throw error;
        }
      }
    });
  }

  return {
    ...statementsOf((query) => guarded(() => pool.query(query))),
    transaction: (work) => transaction("BEGIN", work),
    snapshot: (work) => transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work),
    unreachableBecause: () => unreachable,
    outages: () => outages,
    close: () => pool.end(),
  };
}

function openPool({ url, log, connections }: DatabaseOptions, onLost: () => void): Pool {
  const pool = new Pool({
    connectionString: url,
    max: connections ?? 10,
    connectionTimeoutMillis: 8000,
    statement_timeout: 20_000,
    // A store that was stopped in the middle must not hold its locks for ever.
    idle_in_transaction_session_timeout: 15_000,
    application_name: "paintdry-store",
    types: numericTypes(),
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool awaits it, though its type does not say so
    onConnect: insistOnDurability,
  });
  // Without a listener a connection that is lost between two statements would end the process.
  pool.on("connect", (client) => {
    client.on("error", (error) => {
      onLost();
      log.warn({ err: error }, "connection to PostgreSQL lost");
    });
  });
  pool.on("error", () => undefined);
  return pool;
}

/** What is answered as committed must survive the end of the server's process, whatever it is set to otherwise. */
async function insistOnDurability(client: ClientBase): Promise<void> {
  await client.query(
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
  );
}

/** Counters stay far below 2^53, so a bigint is a number here. */
function numericTypes(): TypeOverrides {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, Number);
  return overrides;
}

async function runTransaction<Result>(
  pool: Pool,
  begin: string,
  work: (tx: Statements) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | boolean = false;
  try {
    await client.query(begin);
    const result = await work(statementsOf((query) => client.query(query)));
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch((lost: Error) => {
      broken = lost;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

type Query = (query: QueryConfig) => Promise<QueryResult>;

function statementsOf(query: Query): Statements {
  async function rows<Schema extends z.ZodType>(schema: Schema, text: string, values: unknown[] = []) {
    const result = await query({ text, values });
    return result.rows.map((row: unknown) => schema.parse(row));
  }
  return {
    rows,
    row: async (schema, text, values) => (await rows(schema, text, values))[0] ?? null,
    run: async (text, values = []) => (await query({ text, values })).rowCount ?? 0,
  };
}

/** The answer of a query that always has one row. */
export function only<Row>(row: Row | null): Row {
  if (row === null) throw new RpcError("internal", "a row that must be there is missing", { isTemporary: false });
  return row;
}
