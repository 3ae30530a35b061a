import { pino } from "pino";
import { fingerprint } from "#contracts/canonical.ts";
import type { Json } from "#contracts/canonical.ts";
import type { Change, JobPosition } from "#contracts/messages.ts";
import { storeRpc } from "#contracts/store.ts";
import type { ChangeDraft, Commit, StoredValue, StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import type { RpcHandlers } from "#runtime/rpc.ts";
import { startPostgres } from "../../../tests/support/postgres.ts";
import { openDatabase } from "../database.ts";
import type { Database } from "../database.ts";
import { createStoreHandlers } from "../handlers.ts";
import { migrate } from "../migrate.ts";

export interface TestStore {
  url: string;
  database: Database;
  /** The handlers behind the contract: requests and replies are validated as on the bus. */
  store: RpcHandlers<typeof storeRpc>;
  stop(): Promise<void>;
}

/** A migrated, empty database of a real PostgreSQL, and the store's handlers on it. */
export async function startTestStore(): Promise<TestStore> {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase();
  await migrate(url);
  const database = openDatabase({ url, log: pino({ level: "silent" }), connections: 24 });
  return {
    url,
    database,
    store: validated(createStoreHandlers(database)),
    stop: async () => {
      await database.close();
      await postgres.stop();
    },
  };
}

/** Requests and replies are parsed by the contract, so that a handler which breaks it fails the test. */
function validated(handlers: RpcHandlers<typeof storeRpc>): RpcHandlers<typeof storeRpc> {
  const entries = Object.entries(handlers).map(([name, handler]) => {
    const { request, reply } = storeRpc[name as keyof typeof storeRpc];
    return [
      name,
      async (asked: unknown) => {
        const answered = await handler(request.parse(JSON.parse(JSON.stringify(asked))) as never);
        return reply.parse(JSON.parse(JSON.stringify(answered)));
      },
    ];
  });
  return Object.fromEntries(entries) as RpcHandlers<typeof storeRpc>;
}

export const everyMs = 3_600_000;

let configs = 0;

/** Puts these roots in force, each `module|resource`. */
export async function configure(
  { store }: Pick<TestStore, "store">,
  roots: string[],
  settings: Partial<StoreRequest<"write.config">> = {},
): Promise<StoreReply<"write.config">> {
  configs += 1;
  return await store["write.config"]({
    hash: `config-${configs}`,
    modifiedAt: new Date(1_700_000_000_000 + configs * 1000).toISOString(),
    document: { configs },
    roots: roots.map((root) => ({ ...refOf(root), ...placeOf(root), everyMs: null })),
    everyMs,
    everyMsByModule: {},
    retryAfterMs: 60_000,
    soonerAfterChangeMs: 60_000,
    announceAfter: 3,
    rediscoverEveryMs: 86_400_000,
    ...settings,
  });
}

/** `http|https://a.example/` in two parts. */
export function refOf(text: string): { module: string; resource: string } {
  const [module = "", ...rest] = text.split("|");
  return { module, resource: rest.join("|") };
}

export function placeOf(_root: string): { lane: string; owner: string } {
  return { lane: "a.example", owner: "example" };
}

/** The module's answer about what was discovered behind `parent`. */
export function confirmation(parent: string, found: string, sequence: number): StoreRequest<"write.confirmation"> {
  return {
    ...refOf(found),
    ...placeOf(found),
    parent: refOf(parent),
    source: "config.json",
    job: { epoch: 1, sequence },
    configRevision: 1_000_000,
    isInScope: true,
  };
}

/** Configures roots and has their module confirm each. */
export async function watch(test: Pick<TestStore, "store">, roots: string[]): Promise<void> {
  await configure(test, roots);
  for (const root of roots) await test.store["write.confirmation"](confirmation(root, root, 0));
}

let clockMs = Date.parse("2026-01-01T00:00:00.000Z");

/** Facts of a look; each ends a second after the one before. */
export function lookAt(root: string, job: JobPosition | number): Commit["look"] {
  clockMs += 1000;
  return {
    ...refOf(root),
    job: typeof job === "number" ? { epoch: 1, sequence: job } : job,
    fetcher: "fetcher-1",
    moduleVersion: 1,
    optionsFingerprint: "options",
    observedAt: new Date(clockMs).toISOString(),
  };
}

export function present(attribute: string, value: Json, standing: Partial<StoredValue> = {}): StoredValue {
  return { attribute, value, isPresent: true, severity: null, reason: null, ...standing };
}

export function draft(attribute: string, oldValue: Json, newValue: Json, more: Partial<ChangeDraft> = {}): ChangeDraft {
  return { attribute, kind: "changed", oldValue, newValue, severity: "high", reason: "it changed", ...more };
}

type Seen = Extract<Commit["result"], { status: "seen" }>;

/** A look that saw these values and raises these changes. */
export function seen(
  root: string,
  job: JobPosition | number,
  expectedRevision: number,
  result: Partial<Seen> = {},
): Commit {
  const writes = result.writes ?? [];
  return {
    look: lookAt(root, job),
    expectedRevision,
    result: { status: "seen", writes, changes: [], ...result, fingerprint: result.fingerprint ?? fingerprint(writes) },
  };
}

/** The reply, which must be `committed`. */
export function committed(reply: StoreReply<"write.commit">): { revision: number; changes: Change[] } {
  if (reply.outcome !== "committed") throw new Error(`the outcome is ${JSON.stringify(reply)}`);
  return reply;
}

/** All history of a resource, oldest first. */
export async function readHistoryOf({ store }: Pick<TestStore, "store">, root: string) {
  const { module, resource } = refOf(root);
  const page = await store["read.history"]({ resourceId: resourceId(module, resource), limit: 1000, cursor: null });
  return page.items.toReversed();
}
