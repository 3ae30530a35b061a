import websocket from "@fastify/websocket";
import fastify from "fastify";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LiveFrame } from "#contracts/gateway.ts";
import { changeEvent, type Change } from "#contracts/messages.ts";
import { backoffMs, openConnection, type Connection, type ConnectionState } from "./connection.ts";

type Socket = { send(text: string): void; close(code?: number): void };
type Serve = (socket: Socket, query: Record<string, string>, visit: number) => void;

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
});

describe("the live connection", () => {
  it("resumes after the last position and delivers each change once", async () => {
    const { seen, queries } = await follow((socket, _query, visit) => {
      if (visit === 1) {
        send(socket, { type: "ready", position: 0 }, events([1, 2]));
        socket.close(1013);
      } else if (visit === 2) {
        send(socket, { type: "ready", position: 2 }, events([2, 3]), events([], 9));
        socket.close(1001);
      } else {
        send(socket, { type: "ready", position: 9 }, events([10]));
      }
    });
    await vi.waitFor(() => expect(seen.positions).toEqual([1, 2, 3, 10]));
    expect(queries.map((query) => query["since"])).toEqual([undefined, "2", "9"]);
    expect(seen.ready).toEqual([
      [0, false],
      [2, true],
      [9, true],
    ]);
    expect(seen.states).toEqual(["connecting", "live", "reconnecting", "live", "reconnecting", "live"]);
  });

  it("asks for the filter and reads anew what a restored database set back", async () => {
    const { seen, queries } = await follow(
      (socket, _query, visit) => {
        if (visit === 1) {
          send(socket, { type: "ready", position: 40 }, events([41]));
          socket.close(1001);
        } else send(socket, { type: "ready", position: 7 }, events([8]));
      },
      { module: "git", least: "high" },
    );
    await vi.waitFor(() => expect(seen.positions).toEqual([41, 8]));
    expect(queries[0]).toEqual({ module: "git", least: "high" });
    expect(seen.ready).toEqual([
      [40, false],
      [7, false],
    ]);
  });

  it("drops a connection that speaks another language, and resumes", async () => {
    const { seen, queries } = await follow((socket, _query, visit) => {
      send(socket, { type: "ready", position: 5 });
      if (visit === 1) socket.send(`{"type":"nonsense"}`);
      else send(socket, events([6]));
    });
    await vi.waitFor(() => expect(seen.positions).toEqual([6]));
    expect(queries[1]).toEqual({ since: "5" });
  });

  it("stops where its query is refused, until it is told to try again", async () => {
    const { seen, queries, connection } = await follow((socket, _query, visit) => {
      if (visit < 3) socket.close(1008);
      else send(socket, { type: "ready", position: 0 });
    });
    await vi.waitFor(() => expect(seen.states.at(-1)).toBe("refused"));
    expect(queries).toHaveLength(2);
    connection.reconnect();
    await vi.waitFor(() => expect(seen.states.at(-1)).toBe("live"));
  });

  it("says offline when the server stays away, and comes back by itself", async () => {
    const seenStates: ConnectionState[] = [];
    const port = await freePort();
    const connection = openConnection({
      url: `ws://127.0.0.1:${port}/live`,
      filter: {},
      backoff: () => 10,
      onState: (state) => seenStates.push(state),
      onReady: () => {},
      onChanges: () => {},
    });
    opened.push(connection);
    await vi.waitFor(() => expect(seenStates).toContain("offline"));
    await serve((socket) => send(socket, { type: "ready", position: 0 }), port);
    await vi.waitFor(() => expect(seenStates.at(-1)).toBe("live"));
  });
});

describe("backing off", () => {
  it("grows to half a minute and never stays at once", () => {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const ceiling = Math.min(30_000, 500 * 2 ** attempt);
      const wait = backoffMs(attempt);
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    }
  });
});

async function follow(onSocket: Serve, filter = {}) {
  const queries: Record<string, string>[] = [];
  const url = await serve((socket, query, visit) => {
    queries.push(query);
    onSocket(socket, query, visit);
  });
  const seen = { positions: [] as number[], ready: [] as [number, boolean][], states: [] as ConnectionState[] };
  const connection: Connection = openConnection({
    url,
    filter,
    backoff: () => 5,
    onState: (state) => seen.states.push(state),
    onReady: (position, isResumed) => seen.ready.push([position, isResumed]),
    onChanges: (changes) => seen.positions.push(...changes.map((change) => change.position)),
  });
  opened.push(connection);
  return { seen, queries, connection };
}

async function serve(onSocket: Serve, port = 0): Promise<string> {
  const app = fastify();
  await app.register(websocket);
  let visits = 0;
  app.get("/live", { websocket: true }, (socket, request) => {
    visits += 1;
    onSocket(socket, { ...(request.query as Record<string, string>) }, visits);
  });
  opened.push(app);
  return `${(await app.listen({ port, host: "127.0.0.1" })).replace("http", "ws")}/live`;
}

async function freePort(): Promise<number> {
  const app = fastify();
  const address = await app.listen({ port: 0, host: "127.0.0.1" });
  await app.close();
  return Number(new URL(address).port);
}

function send(socket: Socket, ...frames: LiveFrame[]): void {
  for (const frame of frames) socket.send(JSON.stringify(frame));
}

function events(positions: number[], position = positions.at(-1) ?? 0): LiveFrame {
  return { type: "events", events: positions.map((at) => changeEvent(change(at))), position };
}

function change(position: number): Change {
  return {
    id: `0198f2a0-0000-7000-8000-${String(position).padStart(12, "0")}`,
    position,
    resourceId: "0".repeat(32),
    module: "git",
    resource: "https://git.example/a",
    host: "git.example",
    owner: "-",
    attribute: "tag/v1",
    kind: "changed",
    oldValue: "a",
    newValue: "b",
    severity: "high",
    reason: "The tag moved.",
    isLate: false,
    observedAt: "2026-11-22T10:00:00.000Z",
    recordedAt: "2026-11-22T10:00:01.000Z",
  };
}
