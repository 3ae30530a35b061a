import type { WebSocket } from "ws";
import { liveCloseCodes } from "#contracts/gateway.ts";
import type { Frame, LiveFilter } from "./frames.ts";

/** One live connection: what its filter is, and how far along the feed it has been sent. */
export interface Reader {
  readonly filter: LiveFilter;
  /** Settles when the connection has ended. */
  readonly closed: Promise<void>;
  isOpen(): boolean;
  /** Is it open, started, and not being caught up? */
  isReading(): boolean;
  /** Tells it where it starts. */
  start(position: number): void;
  /** All events up to here were sent or filtered out. */
  sent(): number;
  /** The last position it was told. */
  told(): number;
  send(frame: Frame): void;
  /** What lies up to `position` was left out by its filter. */
  passOver(position: number): void;
  bufferedBytes(): number;
  /** Since when, by `performance.now()`, more than `bytes` have been unsent at every call; null when they are not. */
  slowSince(bytes: number): number | null;
  /** Nobody else sends to it meanwhile. */
  alone(work: () => Promise<void>): Promise<void>;
  /** Asks whether the other end is there; one that did not answer the last time is cut off. */
  beat(): void;
  close(code: number, reason: string): void;
  cut(): void;
}

export function openReader(socket: WebSocket, filter: LiveFilter): Reader {
  const position = { sent: 0, told: 0 };
  const state = { isStarted: false, isAlone: false, isAlive: true, slowSince: null as number | null };
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
  });
  const close = (code: number, reason: string) => socket.close(code, reason);
  const isOpen = () => socket.readyState === socket.OPEN;
  socket.on("pong", () => (state.isAlive = true));
  socket.on("message", () => close(liveCloseCodes.badQuery, "this connection takes no messages"));
  return {
    filter,
    closed,
    isOpen,
    isReading: () => isOpen() && state.isStarted && !state.isAlone,
    start(from) {
      Object.assign(position, { sent: from, told: from });
      state.isStarted = true;
      if (isOpen()) socket.send(JSON.stringify({ type: "ready", position: from }));
    },
    sent: () => position.sent,
    told: () => position.told,
    send(frame) {
      if (isOpen()) socket.send(frame.text, { binary: false });
      Object.assign(position, { sent: frame.position, told: frame.position });
    },
    passOver: (to) => (position.sent = to),
    bufferedBytes: () => socket.bufferedAmount,
    slowSince(bytes) {
      state.slowSince = socket.bufferedAmount > bytes ? (state.slowSince ?? performance.now()) : null;
      return state.slowSince;
    },
    async alone(work) {
      state.isAlone = true;
      await work().finally(() => (state.isAlone = false));
    },
    beat() {
      if (!state.isAlive) return socket.terminate();
      state.isAlive = false;
      if (isOpen()) socket.ping();
    },
    close,
    cut: () => socket.terminate(),
  };
}
