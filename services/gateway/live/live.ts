import Bottleneck from "bottleneck";
import type { NatsConnection } from "@nats-io/nats-core";
import type { WebSocket } from "ws";
import { liveCloseCodes } from "#contracts/gateway.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { createFrameCache } from "./frames.ts";
import type { LiveFilter } from "./frames.ts";
import { openReader } from "./reader.ts";
import type { Reader } from "./reader.ts";
import { closeAll, sendNew, sendToAll, tellPosition } from "./send.ts";
import type { Hub, LiveLimits } from "./send.ts";
import { followFeed } from "./tail.ts";

export const defaultLiveLimits: LiveLimits = {
  maxClients: 5000,
  maxBufferedBytes: 4 * 1024 * 1024,
  maxSlowMs: 5000,
  maxEvents: 10_000,
  maxBytes: 64 * 1024 * 1024,
  tickMs: 50,
  pollMs: 2000,
  heartbeatMs: 30_000,
  positionEveryMs: 5000,
};

export type LiveRequest = LiveFilter & { since?: number | undefined };

export interface Live {
  clients(): number;
  position(): number;
  /** Has the feed been read at least once? */
  isReady(): boolean;
  isFull(): boolean;
  /** Takes over an opened socket. */
  accept(socket: WebSocket, request: LiveRequest): void;
  /** Closes every socket with "going away"; those that do not answer are cut off after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

/**
 * The live feed: one tail of the feed for all sockets. A reader is a position and a filter; on each tick it is sent
 * what lies between its position and the ring's head, so nothing can be missed or come twice.
 */
export function createLive(options: { nc: NatsConnection; store: StoreClient; log: Logger; limits: LiveLimits }): Live {
  const { limits } = options;
  const readers = new Set<Reader>();
  let tick: NodeJS.Timeout | undefined;
  const sendSoon = () => {
    tick ??= setTimeout(() => {
      tick = undefined;
      sendToAll(hub);
    }, limits.tickMs);
  };
  const tail = followFeed({
    ...options,
    ...limits,
    onMove: sendSoon,
    onReset: () => closeAll(readers, "the feed was set back"),
  });
  const hub: Hub = { ...options, tail, readers, sendSoon, pages: new Bottleneck({ maxConcurrent: 4 }) };
  const heartbeat = setInterval(() => readers.forEach((reader) => reader.beat()), limits.heartbeatMs);
  const positions = setInterval(() => readers.forEach(tellPosition), limits.positionEveryMs);
  return {
    clients: () => readers.size,
    position: () => tail.ring.head(),
    isReady: tail.isReady,
    isFull: () => readers.size >= limits.maxClients,
    accept: (socket, request) => void accept(hub, socket, request),
    stop: async (graceMs = 2000) => {
      tail.stop();
      for (const timer of [heartbeat, positions, tick]) clearTimeout(timer);
      closeAll(readers, "the gateway is stopping");
      await Promise.race([Promise.all([...readers].map(({ closed }) => closed)), wait(graceMs)]);
      for (const reader of readers) reader.cut();
    },
  };
}

async function accept(hub: Hub, socket: WebSocket, { since, ...filter }: LiveRequest): Promise<void> {
  const reader = openReader(socket, filter);
  hub.readers.add(reader);
  void reader.closed.then(() => hub.readers.delete(reader));
  const { ring } = hub.tail;
  // Another gateway may have told the client of changes that this one has not read yet: only a fresh look at the feed
  // can tell that from a database that was restored.
  if (since !== undefined && since > ring.head() && !(await hub.tail.refresh())) {
    return reader.close(liveCloseCodes.tooSlow, "the store does not answer: resume later");
  }
  reader.start(Math.min(since ?? ring.head(), ring.head()));
  sendNew(hub, reader, createFrameCache(ring));
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
