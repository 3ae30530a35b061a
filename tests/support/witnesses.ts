import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { apiRoot, LiveFrame } from "#contracts/gateway.ts";
import { ChangeEvent } from "#contracts/messages.ts";
import { streams } from "#contracts/subjects.ts";
import type { World } from "./world.ts";

/** Somebody who counts the events that reach one. */
export interface Witness {
  /** Ids in the order in which they came, as often as they came. */
  ids: string[];
  stop(): Promise<void>;
}

/** A webhook's receiver. */
export async function startReceiver(): Promise<Witness & { url: string }> {
  const ids: string[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const { id } = (await json(request)) as { id: string };
    ids.push(id);
    response.writeHead(204).end();
  };
  const server = createServer((request, response) => void take(request, response).catch(() => response.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ids,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A client of the live feed that comes back after each cut, by turns to each gateway, from where it was. */
export function followLive(world: World, gateways: readonly string[]): Witness & { positions: number[] } {
  const ids: string[] = [];
  const positions: number[] = [];
  const state: { isStopped: boolean; since: number; socket: WebSocket | null } = {
    isStopped: false,
    since: 0,
    socket: null,
  };
  const take = (frame: LiveFrame) => {
    state.since = frame.position;
    if (frame.type !== "events") return;
    for (const event of frame.events) {
      ids.push(event.id);
      positions.push(event.data.position);
    }
  };
  const follow = async () => {
    for (let attempt = 0; !state.isStopped; attempt++) {
      const port = world.services.portOf(gateways[attempt % gateways.length] ?? "gateway");
      const socket = new WebSocket(`ws://127.0.0.1:${port}${apiRoot}/live?since=${state.since}`);
      state.socket = socket;
      socket.addEventListener("message", ({ data }) => take(LiveFrame.parse(JSON.parse(String(data)))));
      await new Promise<void>((resolve) => {
        socket.addEventListener("close", () => resolve());
        socket.addEventListener("error", () => resolve());
      });
      await sleep(100);
    }
  };
  const running = follow();
  return {
    ids,
    positions,
    stop: async () => {
      state.isStopped = true;
      state.socket?.close();
      await running;
    },
  };
}

/** All that stands on CHANGES, in its order. */
export async function readChangesStream({ jsm }: World): Promise<ChangeEvent[]> {
  const { state } = await jsm.streams.info(streams.changes);
  const events: ChangeEvent[] = [];
  for (let sequence = state.first_seq; sequence <= state.last_seq; sequence++) {
    const message = await jsm.direct.getMessage(streams.changes, { seq: sequence });
    if (message) events.push(ChangeEvent.parse(message.json()));
  }
  return events;
}
