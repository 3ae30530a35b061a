import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { Pool } from "pg";
import { apiRoot } from "#contracts/gateway.ts";
import { runServices } from "../../cli/embedded/run-services.ts";
import type { RunningServices } from "../../cli/embedded/run-services.ts";
import type { ServiceName } from "../../cli/embedded/services.ts";
import { startNats } from "./nats.ts";
import type { TestNats } from "./nats.ts";
import { startPostgres } from "./postgres.ts";
import type { TestPostgres } from "./postgres.ts";

export interface WorldOptions {
  /** `config.json`; may be written anew while all runs. */
  config: unknown;
  /** How many of each service, where it is not one. The second fetcher is called `fetcher-2`. */
  instances?: Partial<Record<ServiceName, number>>;
  /** A PostgreSQL of its own, which may be killed and restarted. */
  ownPostgres?: boolean;
  /** For all services. */
  environment?: Record<string, string>;
  /** Outside users of the broker, by their blocks of the permission file. */
  outsideUsers?: string[];
}

/** Everything that `npm start` runs, as real processes, for tests of the whole pipeline. */
export interface World {
  nats: TestNats;
  postgres: TestPostgres;
  services: RunningServices;
  /** Such as http://127.0.0.1:4711 */
  url: string;
  /** The API's answer to a GET under /api/v1. */
  api(path: string): Promise<unknown>;
  /** Posts and answers status and body. */
  post(path: string, body: unknown): Promise<{ status: number; body: unknown }>;
  database: Pool;
  databaseUrl: string;
  /** On the bus as a user who may do everything. */
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  writeConfig(config: unknown): void;
  configFile: string;
  /** SIGKILL, by instance name; it stays down until `start`. */
  kill(instance: string): Promise<void>;
  /** SIGTERM, by instance name; it stays down until `start`. */
  stopService(instance: string): Promise<void>;
  start(instance: string): Promise<void>;
  /** What its log holds, for assertions on a failure's cause and for debugging. */
  logFolder: string;
  stop(): Promise<void>;
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "paintdry-world-"));
  chmodSync(folder, 0o700);
  const configFile = join(folder, "config.json");
  const writeConfig = (config: unknown) => writeFileSync(configFile, JSON.stringify(config, null, 2));
  writeConfig(options.config);
  const [nats, postgres] = await Promise.all([
    startNats({ permissions: true, outsideUsers: options.outsideUsers ?? [] }),
    startPostgres({ own: options.ownPostgres ?? false }),
  ]);
  const databaseUrl = await postgres.createDatabase();
  const services = await runServices({
    natsUrl: (user) => nats.url(user),
    databaseUrl,
    configFile,
    dataFolder: folder,
    usersFile: join(folder, "users.json"),
    host: "127.0.0.1",
    gatewayPort: 0,
    instances: options.instances ?? {},
    environment: options.environment ?? {},
  });
  const database = new Pool({ connectionString: databaseUrl });
  // A test may kill the server under its idle connections.
  database.on("error", () => {});
  const nc = await connect({
    servers: `127.0.0.1:${nats.port}`,
    user: "admin",
    pass: nats.passwordOf("admin"),
    inboxPrefix: "_INBOX_admin",
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
  });
  const find = (instance: string) => {
    const found = services.supervised.get(instance);
    if (!found) throw new Error(`no ${instance}; there are ${[...services.supervised.keys()].join(", ")}`);
    return found;
  };
  const stop = async () => {
    await nc.close();
    await services.stop();
    await database.end();
    await postgres.stop();
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await services.waitUntilReady(60_000);
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `http://127.0.0.1:${services.portOf("gateway")}`;
  return {
    nats,
    postgres,
    services,
    url,
    ...apiAt(url),
    database,
    databaseUrl,
    nc,
    js: jetstream(nc),
    jsm: await jetstreamManager(nc, { checkAPI: false }),
    writeConfig,
    configFile,
    kill: async (instance) => await find(instance).halt("SIGKILL"),
    stopService: async (instance) => await find(instance).halt("SIGTERM"),
    start: async (instance) => {
      await find(instance).resume();
      await services.waitUntilReady(60_000, [instance]);
    },
    logFolder: join(folder, "logs"),
    stop,
  };
}

function apiAt(url: string): Pick<World, "api" | "post"> {
  return {
    api: async (path) => {
      const response = await fetch(`${url}${apiRoot}/${path}`);
      if (!response.ok) throw new Error(`GET ${path} answers ${response.status}: ${await response.text()}`);
      return await response.json();
    },
    post: async (path, body) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}${apiRoot}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      return { status: response.status, body: await response.json() };
    },
  };
}

/** Asks again until the answer is there; throws with the last one when it does not come in time. */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | null | undefined | false>,
  timeoutMs = 75_000,
): Promise<Answer> {
  const endsAt = performance.now() + timeoutMs;
  for (let last: unknown; ; await sleep(50)) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endsAt) throw new Error(`${what}: not within ${timeoutMs} ms; last: ${String(last)}`);
  }
}
