import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres } from "../../tests/support/postgres.ts";
import type { TestPostgres } from "../../tests/support/postgres.ts";
import { migrate, readMigrations } from "./migrate.ts";
import { describeSchema } from "./testing/describe-schema.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
});

const newest = readMigrations().at(-1)?.version;

describe("migrating", () => {
  it("brings an empty database to the schema that schema.sql shows", async () => {
    const url = await postgres.createDatabase();
    expect(await migrate(url)).toBe(newest);
    // After a new migration: `vitest run services/store/migrate.test.ts -u`, and review the difference.
    await expect(await describeSchema(url)).toMatchFileSnapshot("./schema.sql");
  });

  it("does nothing the second time", async () => {
    const url = await postgres.createDatabase();
    await migrate(url);
    const before = await describeSchema(url);
    expect(await migrate(url)).toBe(newest);
    expect(await describeSchema(url)).toBe(before);
  });

  it("works when several stores start at once", async () => {
    const url = await postgres.createDatabase();
    const versions = await Promise.all([1, 2, 3, 4, 5].map(() => migrate(url)));
    expect(versions).toEqual([newest, newest, newest, newest, newest]);
    expect(await read(url, "SELECT count(*)::int AS value FROM schema_version")).toBe(readMigrations().length);
  });

  it("applies each migration whole or not at all", async () => {
    const url = await postgres.createDatabase();
    const broken = { version: 2, name: "0002-broken.sql", sql: "CREATE TABLE half (a int); SELECT 1 / 0" };
    const first = { version: 1, name: "0001-first.sql", sql: "CREATE TABLE whole (a int)" };
    await expect(migrate(url, [first, broken])).rejects.toThrow("division by zero");
    expect(await read(url, "SELECT max(version) AS value FROM schema_version")).toBe(1);
    expect(await read(url, "SELECT to_regclass('half')::text AS value")).toBeNull();
    expect(await migrate(url, [first, { ...broken, sql: "CREATE TABLE half (a int)" }])).toBe(2);
  });

  it("refuses a schema that is newer than the program, and says what to do", async () => {
    const url = await postgres.createDatabase();
    const later = [...readMigrations(), { version: 9000, name: "9000-later.sql", sql: "SELECT 1" }];
    await migrate(url, later);
    await expect(migrate(url)).rejects.toMatchObject({
      code: "schema_newer",
      message: expect.stringContaining("start the newer version of paintdry") as string,
    });
  });
});

async function read(url: string, statement: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ value: unknown }>(statement);
  await client.end();
  return rows[0]?.value;
}
