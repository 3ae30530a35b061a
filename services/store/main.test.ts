import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceId } from "#contracts/subjects.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { startPostgres } from "../../tests/support/postgres.ts";
import type { TestPostgres } from "../../tests/support/postgres.ts";
import { confirmation, draft, present, refOf, seen } from "./testing/store.ts";

let nats: TestNats;
let postgres: TestPostgres;
let url: string;
let nc: NatsConnection;
let client: StoreClient;
const stores = new Set<ChildProcess>();

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats({ permissions: true }), startPostgres({ own: true })]);
  url = await postgres.createDatabase();
  nc = await connect({ servers: `127.0.0.1:${nats.port}`, user: "admin", pass: nats.passwordOf("admin") });
  client = createStoreClient(nc, { timeoutMs: 3000, retryForMs: 60_000 });
});
afterAll(async () => {
  for (const store of stores) store.kill("SIGKILL");
  await nc.close();
  await Promise.all([nats.stop(), postgres.stop()]);
});

function startStore(): ChildProcess {
  const store = spawn(process.execPath, [`${import.meta.dirname}/main.ts`], {
    env: {
      PATH: process.env.PATH,
      PAINTDRY_NATS_URL: nats.url("store"),
      PAINTDRY_DATABASE_URL: url,
      PAINTDRY_LOG_LEVEL: "fatal",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  stores.add(store);
  return store;
}

describe("the store as a process", { timeout: 120_000 }, () => {
  const root = "http|https://process.example/";

  it("waits for PostgreSQL, and serves once it is there", async () => {
    await postgres.kill();
    startStore();
    startStore();
    await postgres.restart();
    const reply = await client.call("write.config", {
      hash: "first",
      modifiedAt: "2026-01-01T00:00:00.000Z",
      document: {},
      roots: [{ ...refOf(root), lane: "a.example", owner: "-", everyMs: null }],
      everyMs: 1000,
      everyMsByModule: {},
      retryAfterMs: 1000,
      soonerAfterChangeMs: 1000,
      announceAfter: 3,
      rediscoverEveryMs: 1000,
    });
    expect(reply).toEqual({ outcome: "applied", revision: 1, retired: 0 });
    await client.call("write.confirmation", confirmation(root, root, 0));
  });

  it("commits each outcome once while PostgreSQL and the stores themselves are killed", async () => {
    await client.call("write.commit", seen(root, 1, 0, { writes: [present("a", 0)] }));
    for (let step = 1; step <= 30; step++) {
      const commit = seen(root, 1 + step, step, {
        writes: [present("a", step)],
        changes: [draft("a", step - 1, step)],
      });
      const [reply] = await Promise.all([client.call("write.commit", commit), step % 10 === 5 ? disturb(step) : null]);
      expect(reply).toMatchObject({ outcome: "committed", revision: 1 + step });
    }
    const { changes } = await client.call("read.feed", { after: 0, limit: 100 });
    expect(changes.map(({ newValue }) => newValue)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    const { module, resource } = refOf(root);
    const request = { resourceId: resourceId(module, resource), limit: 1000, cursor: null };
    expect((await client.call("read.history", request)).items).toHaveLength(31);
  });

  it("ends cleanly when asked to", async () => {
    const [store] = [...stores].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    const ended = once(store as ChildProcess, "exit");
    store?.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });
});

/** Kills the server and starts it again, or replaces one store. */
async function disturb(step: number): Promise<void> {
  if (step === 5 || step === 25) return await postgres.restart();
  const [store] = stores;
  store?.kill("SIGKILL");
  startStore();
}
