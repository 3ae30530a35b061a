import type { NatsConnection } from "@nats-io/transport-node";
import type { Change, Health } from "#contracts/messages.ts";
import { storeRpc } from "#contracts/store.ts";
import type { Delivery, StoreReply, StoreRequest } from "#contracts/store.ts";
import { subjects } from "#contracts/subjects.ts";
import type { Logger } from "#runtime/log.ts";
import { serveRpc } from "#runtime/rpc.ts";
import type { RpcHandlers } from "#runtime/rpc.ts";

const { "notify.claim": claim, "notify.record": record, "notify.due": due } = storeRpc;
const contract = { "notify.claim": claim, "notify.record": record, "notify.due": due };

interface Row {
  eventId: string;
  state: Delivery["state"];
  attempts: number;
  detail: string;
  claimant: string;
  heldUntilMs: number;
  dueAtMs: number | null;
}

export interface StandInStore {
  rows: Map<string, Row>;
  /** What the store would know of the events, by id. */
  events: Map<string, { change: Change | null; health: Health | null }>;
  /** Bends the answers to claims. */
  onClaim?: (reply: StoreReply<"notify.claim">) => StoreReply<"notify.claim">;
  stop(): Promise<void>;
}

/** Answers the notifier's requests by the rules of the contract, from memory. */
export function serveStandInStore(
  nc: NatsConnection,
  log: Logger,
  { rows, events }: Pick<StandInStore, "rows" | "events"> = { rows: new Map(), events: new Map() },
): StandInStore {
  const keyOf = (row: { eventId: string; route: string; channel: string }) =>
    `${row.channel}:${row.route}:${row.eventId}`;
  const handlers: RpcHandlers<typeof contract> = {
    "notify.claim": async (request) => {
      const reply = claimRow(rows, keyOf(request), request);
      return standIn.onClaim?.(reply) ?? reply;
    },
    "notify.record": async (request) => {
      const row = rows.get(keyOf(request));
      if (!row || row.state === "delivered" || row.state === "given_up") return {};
      row.state = request.state;
      row.detail = request.detail;
      row.dueAtMs = request.retryAfterMs === null ? null : Date.now() + request.retryAfterMs;
      return {};
    },
    "notify.due": async ({ route, channel, leaseMs, limit }) => {
      const own = [...rows].filter(([key]) => key.startsWith(`${channel}:${route}:`)).map(([, row]) => row);
      const waiting = own.filter((row) => row.dueAtMs !== null && row.dueAtMs <= Date.now()).slice(0, limit);
      for (const row of waiting) {
        row.state = "sending";
        row.attempts += 1;
        row.dueAtMs = Date.now() + leaseMs;
      }
      const deliveries = waiting.map(({ eventId, attempts }) => ({
        eventId,
        attempts,
        ...(events.get(eventId) ?? { change: null, health: null }),
      }));
      return { deliveries, oldestAt: null };
    },
  };
  const served = serveRpc(nc, { subjectOf: subjects.storeRpc, queue: "store", contract, log }, handlers);
  const standIn: StandInStore = { rows, events, stop: () => served.stop() };
  return standIn;
}

function claimRow(
  rows: StandInStore["rows"],
  key: string,
  { eventId, claimant, leaseMs }: StoreRequest<"notify.claim">,
) {
  const row = rows.get(key);
  const heldUntilMs = Date.now() + leaseMs;
  if (!row) {
    rows.set(key, { eventId, state: "sending", attempts: 1, detail: "", claimant, heldUntilMs, dueAtMs: null });
    return { state: "sending" as const, attempts: 1, heldForMs: 0 };
  }
  const { attempts } = row;
  if (row.state === "delivered" || row.state === "given_up") return { state: row.state, attempts, heldForMs: 0 };
  if (row.dueAtMs !== null) return { state: "failed" as const, attempts, heldForMs: 0 };
  if (row.claimant !== claimant && row.heldUntilMs > Date.now()) {
    return { state: "sending" as const, attempts, heldForMs: row.heldUntilMs - Date.now() };
  }
  Object.assign(row, { state: "sending", claimant, heldUntilMs, attempts: attempts + 1 });
  return { state: "sending" as const, attempts: attempts + 1, heldForMs: 0 };
}
