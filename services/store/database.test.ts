import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startPostgres } from "../../tests/support/postgres.ts";
import type { TestPostgres } from "../../tests/support/postgres.ts";
import { openDatabase } from "./database.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ own: true });
});
afterAll(async () => {
  await postgres.stop();
});

const log = pino({ level: "silent" });

describe("the database", () => {
  it("insists that what is committed is durable, unless the server asks for even more", async () => {
    for (const [asked, effective] of [
      ["off", "on"],
      ["remote_apply", "remote_apply"],
    ]) {
      const url = await postgres.createDatabase();
      const database = openDatabase({ url, log });
      await database.run(`DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET synchronous_commit = ${asked}', current_database()); END $$`);
      await database.close();
      const again = openDatabase({ url, log });
      const row = await again.row(z.object({ is: z.string() }), "SELECT current_setting('synchronous_commit') AS is");
      expect(row?.is).toBe(effective);
      await again.close();
    }
  });

  it("says why it is unreachable while PostgreSQL is away, counts the outage, and recovers by itself", async () => {
    const database = openDatabase({ url: postgres.url, log });
    await database.run("SELECT 1");
    expect(database.unreachableBecause()).toBeNull();
    const outages = database.outages();
    await postgres.kill();
    // The server's own children live a moment longer than the server.
    const refusal = () =>
      database.run("SELECT 1").then(
        () => null,
        (error: unknown) => error,
      );
    await expect.poll(refusal, { timeout: 20_000 }).toMatchObject({ code: "unavailable", isTemporary: true });
    expect(database.unreachableBecause()).toContain("PostgreSQL is not available");
    expect(database.outages()).toBeGreaterThan(outages);
    await postgres.restart();
    await expect.poll(() => database.run("SELECT 1").catch(() => null), { timeout: 20_000 }).toBe(1);
    expect(database.unreachableBecause()).toBeNull();
    await database.close();
  });

  it("rolls back what was begun when the work throws", async () => {
    const url = await postgres.createDatabase();
    const database = openDatabase({ url, log });
    await database.run("CREATE TABLE kept (a int)");
    const failing = database.transaction(async (tx) => {
      await tx.run("INSERT INTO kept VALUES (1)");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await database.rows(z.object({}), "SELECT FROM kept")).toEqual([]);
    await database.close();
  });
});
