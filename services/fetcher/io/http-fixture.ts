import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import type { HttpIo } from "#contracts/io.ts";
import { createCredentials, type Credentials } from "./credentials.ts";
import { createEgressGuard } from "./egress.ts";
import { createHttpCache, type HttpCacheOptions } from "./http-cache.ts";
import { createHttpTransport, type HttpTransportOptions } from "./http-transport.ts";
import { createHttpIo } from "./http.ts";
import type { RequestRecord } from "./record.ts";
import { createLimits } from "./limits.ts";

/** Servers and clients on loopback for tests; what it opened, `close` closes. */
export interface HttpFixture {
  serve(listener: RequestListener): Promise<string>;
  /** A server that speaks bytes: each connection is handed over once its first bytes came. */
  serveBytes(onRequest: (socket: Socket) => void): Promise<string>;
  /** One look's `io.http`. */
  look(options?: LookSetting): { http: HttpIo; records: RequestRecord[]; abort: () => void };
  close(): Promise<void>;
}

export interface LookSetting extends Omit<HttpTransportOptions, "guard"> {
  allow?: string[];
  credentials?: Credentials;
  cache?: HttpCacheOptions;
  /** 1 never asks for the whole page by chance, 0 always does. */
  random?: number;
}

export function createHttpFixture(): HttpFixture {
  const closers: (() => unknown)[] = [];
  const caches = new Map<HttpCacheOptions | undefined, ReturnType<typeof createHttpCache>>();

  async function serve(listener: RequestListener): Promise<string> {
    const server = createHttpServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function serveBytes(onRequest: (socket: Socket) => void): Promise<string> {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => onRequest(socket));
      closers.push(() => socket.destroy());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function cacheOf(options: HttpCacheOptions | undefined): ReturnType<typeof createHttpCache> {
    const known = caches.get(options);
    if (known !== undefined) return known;
    const cache = createHttpCache(options);
    caches.set(options, cache);
    closers.push(() => cache.close());
    return cache;
  }

  function look(setting: LookSetting = {}): ReturnType<HttpFixture["look"]> {
    const guard = createEgressGuard({ allow: setting.allow ?? ["127.0.0.0/8"], deny: [] });
    const transport = createHttpTransport({ ...setting, guard });
    closers.push(() => transport.close());
    const limits = createLimits({
      limitOf: () => ({ perSecond: 1000, concurrency: 10 }),
      liveFetchers: () => 1,
      maxConcurrent: 10,
    });
    const deadline = new AbortController();
    const records: RequestRecord[] = [];
    const http = createHttpIo({
      transport,
      guard,
      cache: cacheOf(setting.cache),
      credentials: setting.credentials ?? createCredentials({}, () => ""),
      limits: limits.forLook({ lane: "test.example", signal: deadline.signal }),
      signal: deadline.signal,
      onRequest: (record) => records.push(record),
      random: () => setting.random ?? 1,
    });
    return { http, records, abort: () => deadline.abort() };
  }

  return {
    serve,
    serveBytes,
    look,
    close: async () => {
      for (const close of closers.toReversed()) await close();
    },
  };
}
