import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import { LiveFrame } from "#contracts/gateway.ts";
import type { Change } from "#contracts/messages.ts";
import type { Severity } from "#contracts/severity.ts";
import { collectorRpc, storeRpc } from "#contracts/store.ts";
import type { StoreOperation } from "#contracts/store.ts";
import { resourceId, subjects } from "#contracts/subjects.ts";
import { createLog } from "#runtime/log.ts";
import { createMetrics } from "#runtime/metrics.ts";
import { createStoreClient, serveRpc } from "#runtime/rpc.ts";
import type { RpcHandlers } from "#runtime/rpc.ts";
import { startGateway } from "./gateway.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";

/*
 * For the gateway's tests. The store is a stand-in behind the real broker: rows in memory, answered on the store's
 * subjects and checked against its contract. It can do what a database cannot be made to do on command: be set back,
 * fall silent, number its feed with gaps, or announce nothing. The real store stands behind the gateway in tests/.
 */

const log = createLog("gateway-test", { PAINTDRY_LOG_LEVEL: process.env.PAINTDRY_LOG_LEVEL || "silent" });

type StoreHandlers = RpcHandlers<typeof storeRpc>;
export interface StoreStandIn {
  /** In feed order. */
  feed: Change[];
  /** Requests to `read.feed` so far. */
  feedReads(): number;
  stop(): Promise<void>;
}

/** Answers what the gateway asks; `handlers` replaces or adds answers. */
export function serveStore(nc: NatsConnection, handlers: Partial<StoreHandlers> = {}): StoreStandIn {
  const feed: Change[] = [];
  let feedReads = 0;
  const page = async () => ({ items: [], next: null });
  const all: Partial<StoreHandlers> = {
    "read.feed": async ({ after, limit }) => {
      feedReads++;
      const changes = feed.filter(({ position }) => position > after).slice(0, limit);
      return { changes, position: feed.at(-1)?.position ?? 0 };
    },
    "read.resources": page,
    "read.resource": async () => null,
    "read.observations": page,
    "read.findings": page,
    "read.history": page,
    "read.changes": page,
    "read.change": async () => null,
    "read.search": page,
    "read.deliveries": page,
    "read.config": async () => ({ revision: 1, appliedAt: null, document: { targets: [] }, refused: null }),
    "triage.accept": async () => ({ outcome: "unknown" }),
    "triage.refuse": async () => ({ outcome: "unknown" }),
    ...handlers,
  };
  const contract = Object.fromEntries(Object.keys(all).map((name) => [name, storeRpc[name as StoreOperation]]));
  const { stop } = serveRpc(nc, { subjectOf: subjects.storeRpc, queue: "store", contract, log }, all as never);
  return { feed, feedReads: () => feedReads, stop };
}

/** A collector that watches what `isWatched` says. */
export function serveCollector(
  nc: NatsConnection,
  isWatched: (resource: string) => boolean,
): { stop(): Promise<void> } {
  return serveRpc(
    nc,
    { subjectOf: subjects.collectorRpc, queue: "collector", contract: collectorRpc, log },
    {
      check: async ({ module, resource }) => {
        const id = resourceId(module, resource);
        if (!isWatched(resource)) return { outcome: "not_watched" as const, checkId: null, resourceId: id };
        return { outcome: "queued" as const, checkId: "0198f2a0-0000-7000-8000-000000000001", resourceId: id };
      },
    },
  );
}

export async function connectNats(url: string): Promise<NatsConnection> {
  const { host, username, password } = new URL(url);
  return await connect({
    servers: host,
    ...(username ? { user: username, pass: password, inboxPrefix: `_INBOX_${username}` } : {}),
  });
}

/** A gateway on a free port, ready. */
export async function serveGateway(nc: NatsConnection, options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const call = { timeoutMs: 1000, retryForMs: 200 };
  const gateway = await startGateway({
    port: 0,
    nc,
    store: createStoreClient(nc, call),
    log,
    metrics: createMetrics("gateway"),
    version: "1.2.3",
    uiFolder: "/nonexistent",
    guard: { host: "127.0.0.1", allowedHosts: [], allowedOrigins: [] },
    call,
    listModules: async () => [{ name: "git", version: 1, summary: "Tags.", isCommand: false }],
    ...options,
  });
  while (gateway.notReadyBecause() !== null) await sleep(10);
  return gateway;
}

export function someChange(
  position: number,
  fields: { module?: string; severity?: Severity; value?: string } = {},
): Change {
  const { module = "git", severity = "high", value = "b" } = fields;
  return {
    id: `0198f2a0-0000-7000-8000-${String(position).padStart(12, "0")}`,
    position,
    resourceId: resourceId(module, "https://git.example/a"),
    module,
    resource: "https://git.example/a",
    host: "git.example",
    owner: "-",
    attribute: "tag/v1",
    kind: "changed",
    oldValue: "a",
    newValue: value,
    severity,
    reason: "The tag moved.",
    isLate: false,
    observedAt: "2026-11-22T10:00:00.000Z",
    recordedAt: "2026-11-22T10:00:01.000Z",
  };
}

/** Says on the bus that a change was made, as the assessor does. */
export function announce(nc: NatsConnection, change: Change): void {
  nc.publish(subjects.change(change), "{}");
}

export interface LiveClient {
  socket: WebSocket;
  /** In the order they came, each checked against the contract. */
  frames: LiveFrame[];
  /** Feed positions of the events received. */
  positions(): number[];
  /** The position to resume from; undefined before the first frame. */
  position(): number | undefined;
  /** Settles with the close code. */
  closed: Promise<number>;
}

/** A live connection; rejects with the status where the upgrade is refused. */
export async function openLive(gateway: Gateway, query = "", options: ClientOptions = {}): Promise<LiveClient> {
  const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/api/v1/live${query}`, options);
  const frames: LiveFrame[] = [];
  socket.on("message", (text: Buffer) => frames.push(LiveFrame.parse(JSON.parse(text.toString("utf8")))));
  const closed = new Promise<number>((resolve) => {
    socket.once("close", resolve);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      reject(new Error(`refused with ${response.statusCode}`));
    });
    socket.once("error", reject);
  });
  socket.on("error", () => {});
  const events = () => frames.flatMap((frame) => (frame.type === "events" ? frame.events : []));
  return {
    socket,
    frames,
    positions: () => events().map(({ data }) => data.position),
    position: () => frames.at(-1)?.position,
    closed,
  };
}
