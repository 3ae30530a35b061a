import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { startTemporaryPostgres } from "./shared-postgres.ts";

export interface PostgresOptions {
  /** A server of one's own, which may be killed and restarted; else the one that all test files share. */
  own?: boolean;
}

export interface TestPostgres {
  /** Of the database `postgres`, as superuser. */
  url: string;
  /** Makes an empty database and answers its URL. `stop` removes it. */
  createDatabase(): Promise<string>;
  /** Ends the server by SIGKILL unless it has ended, and starts it again on the same port and data. `own` only. */
  restart(): Promise<void>;
  /** SIGKILL, and stays down. `own` only. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** A real PostgreSQL. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  if (!options.own) {
    const url = await sharedUrl();
    const databases: string[] = [];
    return {
      url,
      createDatabase: async () => await createDatabase(url, databases),
      restart: refuse,
      kill: refuse,
      stop: async () => await dropDatabases(url, databases),
    };
  }
  const server = await startTemporaryPostgres();
  const url = server.urlOf("postgres");
  return {
    url,
    createDatabase: async () => await createDatabase(url, []),
    restart: server.restart,
    kill: server.kill,
    stop: server.stop,
  };
}

async function refuse(): Promise<never> {
  throw new Error("this PostgreSQL is shared with other tests: start one with {own: true}");
}

async function sharedUrl(): Promise<string> {
  const response = await fetch(inject("sharedPostgres"));
  const text = await response.text();
  if (!response.ok) throw new Error(`no PostgreSQL: ${text}`);
  return text;
}

async function createDatabase(url: string, made: string[]): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await query(url, `create database ${name}`);
  made.push(name);
  const address = new URL(url);
  address.pathname = `/${name}`;
  return address.href;
}

async function dropDatabases(url: string, names: string[]): Promise<void> {
  for (const name of names.splice(0)) await query(url, `drop database if exists ${name} with (force)`);
}

async function query(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
