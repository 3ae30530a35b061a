import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { HttpAnswer, HttpIo, HttpRequest } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import type { Credentials } from "./credentials.ts";
import type { EgressGuard } from "./egress.ts";
import { acceptedEncodings, decodeText, readBody } from "./http-body.ts";
import {
  type CachedAnswer,
  type CacheKey,
  type HttpCache,
  type KeptAnswer,
  missingHeaders,
  renewedHeaders,
  validatorsOf,
} from "./http-cache.ts";
import { toLookError } from "./http-failure.ts";
import { restOf } from "./http-rest.ts";
import type { HttpTransport } from "./http-transport.ts";
import type { LookLimits } from "./limits.ts";
import type { RequestRecord } from "./record.ts";

export interface HttpIoOptions {
  transport: HttpTransport;
  guard: Pick<EgressGuard, "checkLiteral">;
  cache: HttpCache;
  credentials: Credentials;
  /** Of this look. */
  limits: LookLimits;
  /** Aborts at the look's deadline. */
  signal: AbortSignal;
  onRequest?: (record: RequestRecord) => void;
  random?: () => number;
}

const userAgent = "paintdry/0.1";
const defaultMaxBytes = 10 * 1024 * 1024;
/** One look in so many asks for the whole page: a 304 is only the server's word. */
const fullFetchOneIn = 20;

/** A request that passed the checks on what a module may ask. */
interface Ask {
  url: URL;
  method: "GET" | "HEAD" | "POST";
  headers: Record<string, string>;
  body: string | Uint8Array | null;
  maxBytes: number;
}

interface Received extends CachedAnswer {
  wireBytes: number;
}

/**
 * `io.http` of one look. A page that was seen before costs a conditional request with the server's own validators; it
 * is asked for at every look, however fresh the server called it.
 */
export function createHttpIo(options: HttpIoOptions): HttpIo {
  const { cache, credentials, limits, guard, transport } = options;
  const random = options.random ?? Math.random;

  async function request(wanted: HttpRequest): Promise<HttpAnswer> {
    const ask = checked(wanted);
    transport.check();
    guard.checkLiteral(ask.url.hostname);
    const key = { url: ask.url, headers: ask.headers, credential: credentials.fingerprintFor(ask.url) };
    const isCacheable = ask.method === "GET";
    const isFull = wanted.isFresh === true || random() < 1 / fullFetchOneIn;
    const kept = isCacheable ? await cache.get(key) : null;
    const conditions = kept === null || isFull ? {} : validatorsOf(kept.headers);
    const received = await limits.run(ask.url.host, () => recorded(ask, conditions));
    if (received.status === 304 && kept !== null) {
      const missing = missingHeaders(kept, received.headers);
      if (missing.length > 0) return await wholeAgain(ask, key, { kept, missing });
      const headers = renewedHeaders(kept.headers, received.headers);
      return toAnswer(ask.url, { ...kept, headers }, ask.maxBytes, true);
    }
    if (isCacheable) await cache.set(key, { ...received, leftOut: kept?.leftOut ?? [] });
    return toAnswer(ask.url, received, ask.maxBytes, false);
  }

  /** A header that a 304 does not repeat is gone, or the server leaves it out of 304s: the page itself tells. */
  async function wholeAgain(
    ask: Ask,
    key: CacheKey,
    { kept, missing }: { kept: KeptAnswer; missing: string[] },
  ): Promise<HttpAnswer> {
    const received = await limits.run(ask.url.host, () => recorded(ask, {}));
    const stillSent = missing.filter((name) => name in received.headers);
    await cache.set(key, { ...received, leftOut: [...kept.leftOut, ...stillSent] });
    return toAnswer(ask.url, received, ask.maxBytes, false);
  }

  async function recorded(ask: Ask, conditions: Record<string, string>): Promise<Received> {
    const startedAt = performance.now();
    const record = { host: ask.url.host, method: ask.method };
    try {
      const received = await exchange(ask, conditions, options);
      options.onRequest?.({
        ...record,
        status: received.status,
        errorKind: null,
        bodyBytes: received.wireBytes,
        durationMs: performance.now() - startedAt,
      });
      return received;
    } catch (error) {
      const failure = toLookError(error, ask.url.host, "answer");
      options.onRequest?.({
        ...record,
        status: null,
        errorKind: failure.kind,
        bodyBytes: 0,
        durationMs: performance.now() - startedAt,
      });
      throw failure;
    }
  }

  return { request };
}

async function exchange(ask: Ask, conditions: Record<string, string>, options: HttpIoOptions): Promise<Received> {
  const { signal, transport, credentials } = options;
  const { host } = ask.url;
  const answer = await transport.dispatcher
    .request({
      origin: ask.url.origin,
      path: `${ask.url.pathname}${ask.url.search}`,
      method: ask.method,
      headers: {
        "user-agent": userAgent,
        accept: "*/*",
        "accept-encoding": acceptedEncodings,
        ...ask.headers,
        ...conditions,
        ...credentials.headersFor(ask.url),
      },
      body: ask.body,
      signal,
      // undici would close the connection after a HEAD, which costs a new one each time.
      ...(ask.method === "HEAD" ? { reset: false } : {}),
    })
    .catch((error: unknown) => {
      throw deadlineOr(error, host, signal, "answer");
    });
  try {
    const headers = toHeaderLines(answer.headers);
    refuseUnusable(host, answer.statusCode, headers, Object.keys(conditions).length > 0);
    if (ask.method === "HEAD" || answer.statusCode === 304) {
      await answer.body.dump({ limit: 0, signal });
      return { status: answer.statusCode, headers, body: new Uint8Array(), wireBytes: 0 };
    }
    const encodings = headers["content-encoding"] ?? [];
    const received = await readBody(answer.body, { host, encodings, maxBytes: ask.maxBytes, signal });
    return { status: answer.statusCode, headers, ...received };
  } catch (error) {
    discard(answer.body);
    throw deadlineOr(error, host, signal, "body");
  }
}

/** The rest of a body that nobody reads; its connection goes with it. */
function discard(body: Readable): void {
  body.on("error", () => {}).destroy();
}

function deadlineOr(error: unknown, host: string, signal: AbortSignal, stage: "answer" | "body"): LookError {
  if (!signal.aborted) return toLookError(error, host, stage);
  return new LookError("timeout", `the look's time was over before ${host} had answered`, { cause: error });
}

/** Answers that must not become values: the server asks for a rest, or sends less than the whole. */
function refuseUnusable(host: string, status: number, headers: Record<string, string[]>, isConditional: boolean): void {
  const rest = restOf(status, headers, Date.now());
  if (rest !== null) {
    throw new LookError("limited", `${host} answers ${status}: it asks for a rest`, rest);
  }
  if (status === 304 && !isConditional) throw new LookError("malformed", `${host} answers 304 to a plain request`);
  if (status === 206) throw new LookError("malformed", `${host} answers with a part only (206)`);
}

/** What undici and the fetcher alone set; a module that tries is at fault. */
const reserved =
  /^(authorization|cookie|host|proxy-.*|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length|if-.*|range|user-agent)$/;

function checked(wanted: HttpRequest): Ask {
  const url = readUrl(wanted.url);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(wanted.headers ?? {})) {
    const lower = name.toLowerCase();
    if (reserved.test(lower)) throw new LookError("module", `a module may not set the header ${lower}`);
    headers[lower] = value;
  }
  return {
    url,
    method: wanted.method ?? "GET",
    headers,
    body: wanted.body ?? null,
    maxBytes: wanted.maxBytes ?? defaultMaxBytes,
  };
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new LookError("module", "the address of a request is not a URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new LookError("refused", `only http and https can be asked, not ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new LookError("refused", `a URL must not carry a user name or password (host ${url.host})`);
  }
  url.hash = "";
  return url;
}

function toHeaderLines(headers: Dispatcher.ResponseData["headers"]): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, [value].flat()]])),
  );
}

function toAnswer(
  url: URL,
  { status, headers, body }: CachedAnswer,
  maxBytes: number,
  isRevalidated: boolean,
): HttpAnswer {
  if (body.byteLength > maxBytes) throw new LookError("too_large", `${url.host} sent more than ${maxBytes} bytes`);
  let decoded: string | undefined;
  return {
    url: url.href,
    status,
    headers,
    body,
    /** Decoded when first read: most answers are unchanged pages or only hashed. */
    get text() {
      return (decoded ??= decodeText(body, headers["content-type"]?.[0]));
    },
    isRevalidated,
  };
}
