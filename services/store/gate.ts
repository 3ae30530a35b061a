import { errorMessage, RpcError } from "#runtime/errors.ts";
import type { Database } from "./database.ts";

/**
 * A database that is checked before its first use, and again after every outage, since what comes back may be an older
 * one. Requests wait for the check; when it fails they are answered `unavailable`, and the next one starts it anew.
 */
export function gateDatabase(database: Database, check: (database: Database) => Promise<unknown>): Database {
  let checked: { outages: number; done: Promise<unknown> } | null = null;

  async function ready(): Promise<void> {
    const outages = database.outages();
    if (checked?.outages !== outages) checked = { outages, done: check(database) };
    const mine = checked;
    try {
      await mine.done;
    } catch (error) {
      if (checked === mine) checked = null;
      if (error instanceof RpcError) throw error;
      const message = `the database could not be compared with the published changes: ${errorMessage(error)}`;
      throw new RpcError("unavailable", message, { cause: error, isTemporary: true });
    }
  }

  return {
    ...database,
    rows: async (schema, text, parameters) => (await ready(), await database.rows(schema, text, parameters)),
    row: async (schema, text, parameters) => (await ready(), await database.row(schema, text, parameters)),
    run: async (text, parameters) => (await ready(), await database.run(text, parameters)),
    transaction: async (work) => (await ready(), await database.transaction(work)),
    snapshot: async (work) => (await ready(), await database.snapshot(work)),
  };
}
