import { LiveFrame, liveCloseCodes } from "#contracts/gateway.ts";
import type { Change } from "#contracts/messages.ts";

/** `refused`: the server will not have this query, and trying again would change nothing. */
export type ConnectionState = "connecting" | "live" | "reconnecting" | "offline" | "refused";

export interface LiveFilter {
  module?: string | undefined;
  least?: string | undefined;
}

export interface ConnectionOptions {
  /** The WebSocket's address, without a query. */
  url: string;
  filter: LiveFilter;
  onState(state: ConnectionState, retryAtMs: number | null): void;
  /**
   * The feed follows from this position on. `isResumed`: everything since the last event follows too; else what
   * came before must be read by other means.
   */
  onReady(position: number, isResumed: boolean): void;
  /** Changes not delivered before, in feed order. */
  onChanges(changes: Change[]): void;
  backoff?: (attempt: number) => number;
}

export interface Connection {
  /** Tries now instead of at the next planned time; a connection that looks open is replaced too. */
  reconnect(): void;
  /** The position up to which everything was delivered; null before the first frame. */
  position(): number | null;
  close(): void;
}

const offlineAfterAttempts = 4;
const steadyAfterMs = 5000;
const rememberedIds = 20_000;

/**
 * One subscription to the live feed that outlives its sockets: after a loss it resumes from the last position, so
 * nothing is missed, and drops event ids it has delivered, so nothing comes twice.
 */
export function openConnection(options: ConnectionOptions): Connection {
  const backoff = options.backoff ?? backoffMs;
  const delivered = new Set<string>();
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let position: number | null = null;
  let attempt = 0;
  let readyAtMs: number | null = null;
  let refusals = 0;
  let isClosed = false;

  function connect(): void {
    clearTimeout(timer);
    const current = new WebSocket(liveUrl(options.url, options.filter, position));
    socket = current;
    current.addEventListener("message", ({ data }) => {
      if (socket === current) receive(current, data);
    });
    // An error is always followed by a close, which alone decides what comes next.
    current.addEventListener("error", () => {});
    current.addEventListener("close", ({ code }) => {
      if (socket === current) lost(code);
    });
  }

  function receive(current: WebSocket, text: unknown): void {
    const frame = readFrame(text);
    if (!frame) {
      // Not our protocol, perhaps another version's: what it left out is read again by resuming.
      current.close();
      return;
    }
    if (frame.type === "ready") ready(frame.position);
    else deliver(frame);
  }

  function ready(start: number): void {
    // A feed that was set back (a restored database) cannot be resumed: it is read anew.
    const isResumed = position !== null && start >= position;
    if (!isResumed) delivered.clear();
    position = start;
    readyAtMs = Date.now();
    refusals = 0;
    options.onState("live", null);
    options.onReady(start, isResumed);
  }

  function deliver(frame: Extract<LiveFrame, { type: "events" }>): void {
    const fresh: Change[] = [];
    for (const event of frame.events) {
      if (delivered.has(event.id)) continue;
      delivered.add(event.id);
      fresh.push(event.data);
    }
    forgetOldest(delivered);
    position = Math.max(position ?? 0, frame.position);
    if (fresh.length > 0) options.onChanges(fresh);
  }

  function lost(code: number): void {
    socket = null;
    if (isClosed) return;
    if (code === liveCloseCodes.badQuery) {
      refusals += 1;
      // Perhaps only the position was wrong: once without it, then no more.
      position = null;
      if (refusals > 1) {
        options.onState("refused", null);
        return;
      }
    }
    // A connection that falls at once (a client too slow, say) keeps backing off.
    if (readyAtMs !== null && Date.now() - readyAtMs > steadyAfterMs) attempt = 0;
    readyAtMs = null;
    const waitMs = backoff(attempt);
    attempt += 1;
    timer = setTimeout(connect, waitMs);
    options.onState(attempt >= offlineAfterAttempts ? "offline" : "reconnecting", Date.now() + waitMs);
  }

  options.onState("connecting", null);
  connect();

  return {
    reconnect() {
      if (isClosed) return;
      attempt = 0;
      refusals = 0;
      const old = socket;
      socket = null;
      old?.close();
      options.onState("reconnecting", null);
      connect();
    },
    position: () => position,
    close() {
      isClosed = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}

/** Half a second, doubling to half a minute, each drawn from its upper half so that clients do not return at once. */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(30_000, 500 * 2 ** attempt);
  return ceiling / 2 + Math.random() * (ceiling / 2);
}

function liveUrl(base: string, filter: LiveFilter, since: number | null): string {
  const url = new URL(base);
  if (filter.module) url.searchParams.set("module", filter.module);
  if (filter.least) url.searchParams.set("least", filter.least);
  if (since !== null) url.searchParams.set("since", String(since));
  return url.href;
}

function readFrame(text: unknown): LiveFrame | null {
  if (typeof text !== "string") return null;
  try {
    return LiveFrame.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A set keeps the order of insertion, so its first members are the oldest. */
function forgetOldest(ids: Set<string>): void {
  for (const id of ids) {
    if (ids.size <= rememberedIds) return;
    ids.delete(id);
  }
}
