import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { laneLimit } from "#contracts/config.ts";
import type { Config, SecretRef } from "#contracts/config.ts";
import type { DnsIo, Io, TlsIo } from "#contracts/io.ts";
import { createCredentials } from "./credentials.ts";
import { createDnsIo } from "./dns.ts";
import { createEgressGuard } from "./egress.ts";
import { createGitIo } from "./git.ts";
import { createHttpCache } from "./http-cache.ts";
import { createHttpTransport } from "./http-transport.ts";
import { createHttpIo } from "./http.ts";
import type { RequestRecord } from "./record.ts";
import { createLimits } from "./limits.ts";
import type { LookLimits } from "./limits.ts";
import { recordCall } from "./record.ts";
import { createTlsIo } from "./tls.ts";

/** What a look has cost the hosts it touched. */
export interface LookCost {
  /** HTTP requests, DNS questions and TLS handshakes. */
  requests: number;
  bodyBytes: number;
}

export interface OpenedIo {
  io: Io;
  cost(): LookCost;
}

export interface OpenLook {
  lane: string;
  /** Aborts at the look's deadline. */
  signal: AbortSignal;
  /** How long from now the look may take. */
  deadlineMs: number;
}

export interface IoFactory {
  /** The capability object of one look in a lane. */
  open(look: OpenLook): OpenedIo;
  close(): Promise<void>;
}

interface IoSettings {
  config(): Config;
  readSecret(ref: SecretRef): string;
  /** The fetcher's own folder; without one the HTTP cache is in memory. */
  dataFolder: string | null;
  liveFetchers(): number;
  onRequest?(record: RequestRecord): void;
}

/** Looks under way keep the connections of the configuration they began under for this long. */
const retireAfterMs = 900_000;
const maxConcurrentCalls = 256;
/** Of a look's time for a clone, so that a move is told even when nobody could find out where it leads. */
const cloneShare = 0.75;

/** Makes each look's `io` over what the process shares: connections, cache, limits, credentials. */
export function createIoFactory(settings: IoSettings): IoFactory {
  // Without a folder of its own a fresh one: a name that can be foreseen could be somebody else's before.
  const scratchFolder = settings.dataFolder ?? mkdtempSync(join(tmpdir(), "paintdry-"));
  mkdirSync(scratchFolder, { recursive: true, mode: 0o700 });
  const cache = createHttpCache(settings.dataFolder ? { file: join(settings.dataFolder, "http-cache.sqlite") } : {});
  const limits = createLimits({
    limitOf: (lane) => laneLimit(lane, settings.config().limits),
    liveFetchers: settings.liveFetchers,
    maxConcurrent: maxConcurrentCalls,
  });
  const ways = keepWaysOut(settings);

  function open({ lane, signal, deadlineMs }: OpenLook): OpenedIo {
    const { guard, transport, credentials, dnsServers } = ways.current();
    const cost = { requests: 0, bodyBytes: 0 };
    const onRequest = (record: RequestRecord) => {
      cost.requests += 1;
      cost.bodyBytes += record.bodyBytes;
      settings.onRequest?.(record);
    };
    const lookLimits = limits.forLook({ lane, signal, deadlineAt: performance.now() + deadlineMs });
    const wayOut = { transport, guard, credentials, onRequest };
    const http = createHttpIo({ ...wayOut, cache, limits: lookLimits, signal });
    const io: Io = {
      http,
      dns: pacedDns(createDnsIo({ servers: dnsServers, signal }), lookLimits, onRequest),
      tls: pacedTls(createTlsIo({ guard, signal }), lookLimits, onRequest),
      git: createGitIo({
        ...wayOut,
        http,
        limits: lookLimits,
        signal,
        scratchFolder,
        caps: { cloneTimeoutMs: deadlineMs * cloneShare },
      }),
      signal,
    };
    return { io, cost: () => ({ ...cost }) };
  }

  return {
    open,
    close: async () => {
      await ways.close();
      cache.close();
      if (settings.dataFolder === null) rmSync(scratchFolder, { recursive: true, force: true });
    },
  };
}

type OnRequest = (record: RequestRecord) => void;

/** Questions go to resolvers, which are nobody's watched host. */
function pacedDns(dns: DnsIo, limits: LookLimits, onRequest: OnRequest): DnsIo {
  return {
    query: (name, type) =>
      limits.runUnpaced("the resolver", () =>
        recordCall({ host: "resolver", method: "DNS" }, () => dns.query(name, type), onRequest),
      ),
  };
}

function pacedTls(tls: TlsIo, limits: LookLimits, onRequest: OnRequest): TlsIo {
  return {
    handshake: (target) =>
      limits.run(target.host, () =>
        recordCall({ host: target.host, method: "TLS" }, () => tls.handshake(target), onRequest),
      ),
  };
}

type WayOut = ReturnType<typeof buildWayOut>;

/** The guard, connections and credentials that the configuration asks for; made anew when it changes. */
function keepWaysOut(settings: IoSettings) {
  const retiring = new Set<WayOut>();
  let key = "";
  let way: WayOut | undefined;
  return {
    current: (): WayOut => {
      const { egress, credentials, dns } = settings.config();
      const wanted = JSON.stringify({ egress, credentials, dns });
      if (way && key === wanted) return way;
      const previous = way;
      way = buildWayOut(settings.config(), settings.readSecret);
      key = wanted;
      if (previous) {
        retiring.add(previous);
        setTimeout(() => {
          retiring.delete(previous);
          void previous.transport.close();
        }, retireAfterMs).unref();
      }
      return way;
    },
    close: async () => {
      await Promise.all([...retiring, ...(way ? [way] : [])].map(({ transport }) => transport.close()));
    },
  };
}

function buildWayOut({ egress, credentials, dns }: Config, readSecret: (ref: SecretRef) => string) {
  const guard = createEgressGuard({ allow: egress.allow, deny: egress.deny });
  return {
    guard,
    transport: createHttpTransport({ guard, ...(egress.proxy === undefined ? {} : { proxy: egress.proxy }) }),
    credentials: createCredentials(credentials, readSecret),
    dnsServers: dns.servers,
  };
}
