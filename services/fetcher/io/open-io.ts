import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config, SecretRef } from "#contracts/config.ts";
import type { Io } from "#contracts/io.ts";
import { laneHost } from "#contracts/subjects.ts";
import { createCredentials } from "./credentials.ts";
import { createDnsIo } from "./dns.ts";
import { createEgressGuard } from "./egress.ts";
import { createGitIo } from "./git.ts";
import { createHttpCache } from "./http-cache.ts";
import { createHttpTransport } from "./http-transport.ts";
import { createHttpIo } from "./http.ts";
import type { RequestRecord } from "./http.ts";
import { createLimits } from "./limits.ts";
import { createTlsIo } from "./tls.ts";

/** What a look has cost the hosts it touched. */
export interface LookCost {
  requests: number;
  bodyBytes: number;
}

export interface OpenedIo {
  io: Io;
  cost(): LookCost;
}

export interface IoFactory {
  /** The capability object of one look in a lane. */
  open(look: { lane: string; signal: AbortSignal }): OpenedIo;
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

/** Makes each look's `io` over what the process shares: connections, cache, limits, credentials. */
export function createIoFactory(settings: IoSettings): IoFactory {
  const scratchFolder = settings.dataFolder ?? join(tmpdir(), "paintdry");
  mkdirSync(scratchFolder, { recursive: true, mode: 0o700 });
  const cache = createHttpCache(settings.dataFolder ? { file: join(settings.dataFolder, "http-cache.sqlite") } : {});
  const limits = createLimits({
    limitOf: (lane) => {
      const { hosts, default: fallback } = settings.config().limits;
      return hosts[lane] ?? hosts[laneHost(lane)] ?? fallback;
    },
    liveFetchers: settings.liveFetchers,
    maxConcurrent: maxConcurrentCalls,
  });
  const ways = keepWaysOut(settings);

  function open({ lane, signal }: { lane: string; signal: AbortSignal }): OpenedIo {
    const { guard, transport, credentials, dnsServers } = ways.current();
    const cost = { requests: 0, bodyBytes: 0 };
    const onRequest = (record: RequestRecord) => {
      cost.requests += 1;
      cost.bodyBytes += record.bodyBytes;
      settings.onRequest?.(record);
    };
    const lookLimits = limits.forLook({ lane, signal });
    const wayOut = { transport, guard, credentials, onRequest };
    const http = createHttpIo({ ...wayOut, cache, limits: lookLimits, signal });
    const io: Io = {
      http,
      dns: createDnsIo({ servers: dnsServers, signal }),
      tls: createTlsIo({ guard, signal }),
      git: createGitIo({ ...wayOut, http, limits: lookLimits, signal, scratchFolder }),
      signal,
    };
    return { io, cost: () => ({ ...cost }) };
  }

  return {
    open,
    close: async () => {
      await ways.close();
      cache.close();
    },
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
