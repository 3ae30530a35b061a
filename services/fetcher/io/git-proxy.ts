import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Dispatcher } from "undici";
import { LookError } from "#contracts/look-error.ts";
import type { Credentials } from "./credentials.ts";
import type { EgressGuard } from "./egress.ts";
import { toLookError } from "./http-failure.ts";
import type { HttpTransport } from "./http-transport.ts";
import type { RequestRecord } from "./record.ts";

/** The guarded way out. */
export interface GitWayOut {
  transport: HttpTransport;
  guard: Pick<EgressGuard, "checkLiteral">;
  credentials: Credentials;
  onRequest?: (record: RequestRecord) => void;
}

export interface GitProxyOptions extends GitWayOut {
  /** The one repository that can be reached through it. */
  repository: string;
  /** Of all answers together. */
  maxBytes: number;
  signal: AbortSignal;
}

export interface GitProxy {
  url: string;
  /** A request without this header is refused, so that no other process of the machine can use the credential. */
  keyHeader: { name: string; value: string };
  /** Why a request could not be passed on, where one could not. */
  fault(): LookError | null;
  close(): Promise<void>;
}

const keyName = "x-paintdry-key";
const maxRequestBytes = 64 * 1024 * 1024;

/**
 * A way out for one git child: a reverse proxy on loopback that leads to one repository's two fetching addresses and
 * nowhere else. It applies the egress guard and adds the credential, so that the child knows neither secret nor server.
 */
export async function startGitProxy(options: GitProxyOptions): Promise<GitProxy> {
  const key = randomBytes(24).toString("base64url");
  const traffic: Traffic = { requests: { GET: 0, POST: 0 }, requestedBytes: 0, answeredBytes: 0, fault: null };
  const server = createServer((request, response) => {
    if (!isKey(request.headers[keyName], key)) refuse(response, 403);
    else void pass(request, response, options, traffic);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/repository`,
    keyHeader: { name: keyName, value: key },
    fault: () => traffic.fault,
    close: () => closeServer(server),
  };
}

interface Traffic {
  requests: { GET: number; POST: number };
  requestedBytes: number;
  answeredBytes: number;
  fault: LookError | null;
}

/** One request of the child, answered by the git server or by 502. */
async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  options: GitProxyOptions,
  traffic: Traffic,
): Promise<void> {
  const target = targetOf(request, options.repository);
  if (target === null) {
    refuse(response, 404);
    return;
  }
  if (isBeyondOneFetch(request, traffic)) {
    traffic.fault ??= new LookError("malformed", "the history that the git server holds has holes (a shallow one?)");
    refuse(response, 403);
    return;
  }
  const startedAt = performance.now();
  const bytesBefore = traffic.answeredBytes;
  const outcome: { status: number | null; fault: LookError | null } = { status: null, fault: null };
  try {
    outcome.status = await relay(request, response, target, options, traffic);
  } catch (error) {
    outcome.fault = options.signal.aborted
      ? new LookError("timeout", `the time was over before ${target.host} had answered`)
      : toLookError(error, target.host, response.headersSent ? "body" : "answer");
    traffic.fault ??= outcome.fault;
    if (response.headersSent) response.destroy();
    else refuse(response, 502);
  }
  options.onRequest?.({
    host: target.host,
    method: request.method ?? "",
    status: outcome.status,
    errorKind: outcome.fault?.kind ?? null,
    bodyBytes: traffic.answeredBytes - bytesBefore,
    durationMs: performance.now() - startedAt,
  });
}

async function relay(
  request: IncomingMessage,
  response: ServerResponse,
  target: URL,
  options: GitProxyOptions,
  traffic: Traffic,
): Promise<number> {
  options.guard.checkLiteral(target.hostname);
  const answer = await forward(request, target, options, traffic);
  if (answer.statusCode === 200) {
    response.writeHead(200, kept(answer.headers, ["content-type", "content-encoding"]));
    await pipeline(answer.body, countAnswer(traffic, options.maxBytes), response);
    return 200;
  }
  answer.body.on("error", () => undefined).destroy();
  throw new LookError("unreachable", `${target.host} answers ${answer.statusCode} to git`);
}

/** Exactly the two addresses that a fetch needs (gitprotocol-http). */
function targetOf({ method, url }: IncomingMessage, repository: string): URL | null {
  const isFirst = method === "GET" && url === "/repository/info/refs?service=git-upload-pack";
  const isFetch = method === "POST" && url === "/repository/git-upload-pack";
  return isFirst || isFetch ? new URL(repository + url.slice("/repository".length)) : null;
}

/**
 * One fetch into an empty repository needs one GET and, with git's probing of large requests, no more than four POSTs.
 * More means that git asks for commits that the server left out; each such question makes it start another git, which
 * asks again: a server could have us fork without end.
 */
function isBeyondOneFetch({ method }: IncomingMessage, { requests }: Traffic): boolean {
  return method === "GET" ? ++requests.GET > 1 : ++requests.POST > 4;
}

function forward(
  request: IncomingMessage,
  target: URL,
  { transport, credentials, signal }: GitProxyOptions,
  traffic: Traffic,
): Promise<Dispatcher.ResponseData> {
  return transport.dispatcher.request({
    origin: target.origin,
    path: target.pathname + target.search,
    method: request.method as "GET" | "POST",
    headers: {
      ...kept(request.headers, ["accept", "accept-encoding", "content-type", "content-encoding", "git-protocol"]),
      "user-agent": "git/2 (paintdry)",
      ...credentials.headersFor(target),
    },
    body: request.method === "POST" ? request.pipe(countRequest(traffic)) : null,
    signal,
  });
}

function kept(headers: IncomingMessage["headers"], names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

function countAnswer(traffic: Traffic, maxBytes: number): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      traffic.answeredBytes += chunk.length;
      if (traffic.answeredBytes <= maxBytes) done(null, chunk);
      else done(new LookError("too_large", `the history is larger than ${maxBytes} bytes`));
    },
  });
}

function countRequest(traffic: Traffic): Readable & NodeJS.WritableStream {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      traffic.requestedBytes += chunk.length;
      if (traffic.requestedBytes <= maxRequestBytes) done(null, chunk);
      else done(new LookError("too_large", "the child asks for too much"));
    },
  });
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: "close" }).end();
}

function isKey(given: string | string[] | undefined, key: string): boolean {
  const bytes = Buffer.from(typeof given === "string" ? given : "");
  return bytes.length === key.length && timingSafeEqual(bytes, Buffer.from(key));
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
