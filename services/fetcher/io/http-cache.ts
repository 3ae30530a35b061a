import { createHash } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { cacheStores } from "undici";
import { z } from "zod";
import { compareText } from "#contracts/canonical.ts";

/*
 * undici's own cache interceptor does not fit a watcher: it answers from the cache while an answer is fresh or the
 * server is down, invents If-Modified-Since where the server gave none, and drops answers that set cookies. Its store
 * does fit: persistent, bounded, shared by processes. So what is kept is decided here, and every use is revalidated.
 */

/** An answer as it came, decompressed. */
export interface CachedAnswer {
  status: number;
  headers: Record<string, string[]>;
  body: Uint8Array;
}

export interface KeptAnswer extends CachedAnswer {
  /** Headers that the server still sends with the page, but is known to leave out of its 304s. */
  leftOut: string[];
}

export interface CacheKey {
  url: URL;
  /** What the module asked to send; an answer is only reused for the very same. */
  headers: Record<string, string>;
  /** Of the credential that goes with the request; "" for none. */
  credential: string;
}

export interface HttpCache {
  get(key: CacheKey): Promise<KeptAnswer | null>;
  set(key: CacheKey, answer: KeptAnswer): Promise<void>;
  close(): void;
}

export interface HttpCacheOptions {
  /** The database's file, on the fetcher's own volume; default in memory. */
  file?: string;
  /** Answers kept; with `maxEntryBytes` the bound on the whole. */
  maxEntries?: number;
  maxEntryBytes?: number;
  random?: () => number;
}

type SqliteStore = InstanceType<typeof cacheStores.SqliteCacheStore>;

/** SQLITE_NOTADB. */
const notADatabase = 26;
const dayMs = 86_400_000;

const StoredHeaders = z.record(z.string(), z.array(z.string()));
/** Kept among the headers, under a name that none can have. */
const leftOutKey = ":left-out";

export function createHttpCache(options: HttpCacheOptions = {}): HttpCache {
  const maxEntryBytes = options.maxEntryBytes ?? 1024 * 1024;
  const random = options.random ?? Math.random;
  const store = openStore(options.file ?? ":memory:", options.maxEntries ?? 4000, maxEntryBytes);

  async function get(key: CacheKey): Promise<KeptAnswer | null> {
    const found = await store.get(storeKey(key));
    if (found === undefined) return null;
    const body = found.body instanceof Uint8Array ? found.body : new Uint8Array();
    const { [leftOutKey]: leftOut = [], ...headers } = StoredHeaders.parse(found.headers);
    return { status: found.statusCode, headers, body, leftOut };
  }

  async function set(key: CacheKey, answer: KeptAnswer): Promise<void> {
    if (!isWorthKeeping(answer) || answer.body.byteLength > maxEntryBytes) return;
    const cachedAt = Date.now();
    // Forgotten after half a day to a day: so each page is transferred in full now and then, at times nobody can tell.
    const deleteAt = Math.round(cachedAt + dayMs * (0.5 + random() / 2));
    const stream = store.createWriteStream(storeKey(key), {
      statusCode: answer.status,
      statusMessage: "",
      headers: { ...answer.headers, [leftOutKey]: answer.leftOut },
      cacheControlDirectives: {},
      cachedAt,
      staleAt: cachedAt,
      deleteAt,
    });
    if (stream === undefined) return;
    stream.end(answer.body);
    await once(stream, "finish");
  }

  return { get, set, close: () => store.close() };
}

/** A damaged file is made anew: the cache only saves work. */
function openStore(file: string, maxCount: number, maxEntrySize: number): SqliteStore {
  try {
    return new cacheStores.SqliteCacheStore({ location: file, maxCount, maxEntrySize });
  } catch (error) {
    if (file === ":memory:" || (error as { errcode?: number }).errcode !== notADatabase) throw error;
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    return new cacheStores.SqliteCacheStore({ location: file, maxCount, maxEntrySize });
  }
}

/** A whole answer that the server can confirm later, and lets be kept (RFC 9111 §3). */
function isWorthKeeping({ status, headers }: CachedAnswer): boolean {
  if (status !== 200 || Object.keys(validatorsOf(headers)).length === 0) return false;
  return !(headers["cache-control"] ?? []).join(",").toLowerCase().includes("no-store");
}

/** The conditions that ask for confirmation: exactly the server's own words, never our clock's. */
export function validatorsOf(headers: Record<string, string[]>): Record<string, string> {
  const [etag] = headers["etag"] ?? [];
  const [lastModified] = headers["last-modified"] ?? [];
  return {
    ...(etag === undefined ? {} : { "if-none-match": etag }),
    ...(lastModified === undefined ? {} : { "if-modified-since": lastModified }),
  };
}

/** What a 304 must not overwrite: it describes the body that was not sent (RFC 9111 §3.2). */
const ofTheBody = new Set(["content-length", "content-encoding", "content-type", "content-range", "transfer-encoding"]);

/** What says nothing about how the page is served: servers put it into a 304 or not as they please. */
const ofTheTransfer = new Set(
  "accept-ranges age cache-control connection date etag expires keep-alive last-modified pragma vary".split(" "),
);

/**
 * Kept headers that a 304 neither repeats nor is known to leave out. They may be gone: most servers repeat every header
 * in a 304, some leave most of them out, and only the whole answer tells which it is.
 */
export function missingHeaders(kept: KeptAnswer, confirmed: Record<string, string[]>): string[] {
  return Object.keys(kept.headers).filter(
    (name) =>
      !(name in confirmed) &&
      !kept.leftOut.includes(name) &&
      !ofTheBody.has(name) &&
      !ofTheTransfer.has(name) &&
      name !== "set-cookie",
  );
}

/**
 * The kept headers, renewed by those of a 304. Cookies stay as the full answer set them: servers often leave some out
 * of a 304, which must not look as if they were gone.
 */
export function renewedHeaders(
  kept: Record<string, string[]>,
  confirmed: Record<string, string[]>,
): Record<string, string[]> {
  const renewing = Object.entries(confirmed).filter(([name]) => !ofTheBody.has(name) && name !== "set-cookie");
  return { ...kept, ...Object.fromEntries(renewing) };
}

function storeKey({ url, headers, credential }: CacheKey): Parameters<SqliteStore["get"]>[0] {
  const variant = createHash("sha256")
    .update(JSON.stringify([credential, Object.entries(headers).toSorted(([a], [b]) => compareText(a, b))]))
    .digest("hex");
  return { origin: url.origin, method: "GET", path: `${url.pathname}${url.search}#${variant}`, headers: {} };
}
