/*
 * The fetcher's capability object: a native module's only road out. Each call passes, in order, the egress guard, the
 * limiter, the HTTP cache, the caps on bytes, time and redirects, and the metrics. Every method throws `LookError`.
 */
export interface Io {
  http: HttpIo;
  dns: DnsIo;
  tls: TlsIo;
  git: GitIo;
  /** Aborts at the look's deadline. */
  signal: AbortSignal;
}

export interface HttpIo {
  /**
   * One request; redirects are answers, never followed. 429, and 503 with Retry-After, throw `limited`. Every other
   * status is an answer, 401, 403, 404 and 500 among them.
   */
  request(request: HttpRequest): Promise<HttpAnswer>;
}

export interface HttpRequest {
  url: string;
  method?: "GET" | "HEAD" | "POST";
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Refuse a longer body with `too_large`; default 10 MiB after decompression. */
  maxBytes?: number;
  /** Ask the server even if the cache holds a fresh answer, without validators; default false. */
  isFresh?: boolean;
}

export interface HttpAnswer {
  /** The URL asked, as normalised. */
  url: string;
  status: number;
  /** Lower-case names; one entry a header line. */
  headers: Record<string, string[]>;
  body: Uint8Array;
  /** The body decoded by its charset (UTF-8 unless the content type or a BOM says otherwise). */
  text: string;
  /** The server said 304 and the body is the one it gave before. */
  isRevalidated: boolean;
}

export type DnsType = "A" | "AAAA" | "CNAME" | "NS" | "MX" | "TXT" | "CAA" | "DS" | "SOA" | "HTTPS" | "TLSA";

export interface DnsIo {
  /** One question. SERVFAIL and other errors throw `unreachable`, no answer throws `timeout`. */
  query(name: string, type: DnsType): Promise<DnsAnswer>;
}

/** NOERROR with records, NOERROR without, and NXDOMAIN. */
export type DnsAnswer =
  | { outcome: "records"; /** Presentation form, sorted, no TTL, of the asked type only. */ records: string[] }
  | { outcome: "empty" }
  | { outcome: "nxdomain" };

export interface TlsIo {
  /** A failed connection throws `unreachable`, a failed handshake throws `malformed`; bad certificates are answers. */
  handshake(target: { host: string; port: number; serverName?: string }): Promise<TlsAnswer>;
}

export interface TlsAnswer {
  address: string;
  /** Such as `TLSv1.3`. */
  protocol: string;
  /** DER, the leaf first, as the server sent them. */
  chain: Uint8Array[];
  /** Null when the chain verifies for the name against the trusted roots, else Node's error code. */
  verificationError: string | null;
}

export interface GitIo {
  /**
   * The refs under the prefixes, by one protocol v2 `ls-refs` where the server speaks it. `HEAD` is a prefix too.
   * A server that refuses (401, 403) throws `denied`; one that does not answer as a git server throws.
   */
  refs(url: string, prefixes: string[]): Promise<GitRefs>;
  /** On which branches each of the commits is: one bare, partial clone for all, bounded in bytes and time. */
  branchesWith(url: string, commits: string[]): Promise<GitReachability>;
}

export type GitRefs =
  | { outcome: "refs"; refs: GitRef[] }
  /** The server redirects to the repository at another URL; it was not followed. */
  | { outcome: "moved"; location: string }
  /** The server says that there is no such repository. */
  | { outcome: "gone"; reason: string };

export interface GitRef {
  /** Such as `refs/tags/v1.0.0`. */
  name: string;
  /** The id the ref holds: a tag object's for an annotated tag. */
  objectId: string;
  /** The id of the commit behind an annotated tag. */
  peeledId: string | null;
  /** The ref that a symbolic ref such as `HEAD` points to, where the server says so. */
  target: string | null;
}

export type GitReachability =
  | {
      outcome: "known";
      /** By commit id: names without `refs/heads/`, sorted; none means "on no branch". */
      branches: Record<string, string[]>;
    }
  /** It could not be found out, and why. */
  | { outcome: "unknown"; reason: string };
