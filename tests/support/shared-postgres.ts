import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generatePassword } from "../../cli/embedded/permission-file.ts";
import { freePort } from "../../cli/embedded/ports.ts";
import { postgresUrl, startPostgresServer } from "../../cli/embedded/postgres.ts";
import type { PostgresServer } from "../../cli/embedded/postgres.ts";

/** A PostgreSQL in a folder of its own. Without fsync: what a test kills is the process, not the machine. */
export async function startTemporaryPostgres(): Promise<TemporaryPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "paintdry-postgres-"));
  chmodSync(folder, 0o711);
  const password = generatePassword();
  const port = await freePort();
  const start = async (): Promise<PostgresServer> =>
    await startPostgresServer({
      folder: join(folder, "database"),
      port,
      password,
      settings: ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300"],
    });
  const running = { server: await start() };
  return {
    port,
    urlOf: (database) => postgresUrl({ port, password }, database),
    restart: async () => {
      await running.server.child.stop("SIGKILL", 0);
      running.server = await start();
    },
    kill: async () => {
      await running.server.child.stop("SIGKILL", 0);
    },
    stop: async () => {
      await running.server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface TemporaryPostgres {
  port: number;
  urlOf(database: string): string;
  restart(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Offers one PostgreSQL to all test files, started when the first of them asks: unit tests alone never pay for it.
 * Its address answers with the server's URL.
 */
export async function offerSharedPostgres(): Promise<{ address: string; stop(): Promise<void> }> {
  const shared: { starting: Promise<TemporaryPostgres> | null } = { starting: null };
  const server = createServer((_request, response) => {
    shared.starting ??= startTemporaryPostgres();
    shared.starting.then(
      (postgres) => response.end(postgres.urlOf("postgres")),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await (await shared.starting)?.stop();
    },
  };
}
