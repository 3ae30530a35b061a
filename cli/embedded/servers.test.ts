import { existsSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { Client } from "pg";
import type { QueryResult } from "pg";
import { describe, expect, it } from "vitest";
import { startNats } from "../../tests/support/nats.ts";
import { startPostgres } from "../../tests/support/postgres.ts";

describe("the embedded nats-server", () => {
  it("keeps its streams over a kill", async () => {
    const nats = await startNats();
    try {
      const nc = await connect({ servers: `127.0.0.1:${nats.port}` });
      await (await jetstreamManager(nc)).streams.add({ name: "KEPT", subjects: ["kept"] });
      await nc.close();
      const before = nats.pid;
      await nats.restart();
      expect(nats.pid).not.toBe(before);
      const again = await connect({ servers: `127.0.0.1:${nats.port}` });
      expect((await (await jetstreamManager(again)).streams.info("KEPT")).config.name).toBe("KEPT");
      await again.close();
    } finally {
      await nats.stop();
    }
    expect(existsSync(`/proc/${nats.pid}`)).toBe(false);
  });

  it("lets nobody in without a password when it uses the permission file", async () => {
    const nats = await startNats({ permissions: true });
    try {
      await expect(connect({ servers: `127.0.0.1:${nats.port}`, reconnect: false })).rejects.toThrow(/authorization/i);
      const user = { user: "store", pass: nats.passwordOf("store") };
      await (await connect({ servers: `127.0.0.1:${nats.port}`, ...user })).close();
    } finally {
      await nats.stop();
    }
  });
});

describe("the embedded PostgreSQL", () => {
  it("recovers what was committed after a kill", async () => {
    const postgres = await startPostgres({ own: true });
    try {
      const url = await postgres.createDatabase();
      await query(url, "create table kept (id int)");
      await query(url, "checkpoint");
      await postgres.restart();
      expect((await query(url, "select count(*)::int as count from kept")).rows).toEqual([{ count: 0 }]);
    } finally {
      await postgres.stop();
    }
  });

  it("asks for its password and stores it as SCRAM", async () => {
    const postgres = await startPostgres();
    const wrong = new URL(postgres.url);
    wrong.password = "wrong";
    await expect(query(wrong.href, "select 1")).rejects.toThrow(/password authentication failed/);
    const { rows } = await query(
      postgres.url,
      "select rolpassword like 'SCRAM-SHA-256%' as scram from pg_authid where rolname = 'paintdry'",
    );
    expect(rows).toEqual([{ scram: true }]);
  });
});

async function query(url: string, statement: string): Promise<QueryResult> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}
