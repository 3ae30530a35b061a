import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "./random.ts";
import type { Random } from "./random.ts";

/** The attribute under which the http module reports what a site serves. */
export const servedAttribute = "header/referrer-policy";

/** One page, and what it truly served. */
export interface Site {
  url: string;
  /** What it answers now. */
  value: string;
  /** Values in the order in which they were answered to the end, runs of the same one told once. */
  served: string[];
  /** How often it moves by itself yet, and how many answers from now. */
  movesLeft: number;
  answersUntilMove: number;
  random: Random;
}

/** What a host saw of whoever watches it. */
export interface HostLoad {
  /** When requests began, by `performance.now()`. */
  startsAt: number[];
  mostAtOnce: number;
}

export interface ChangingWorld {
  sites: Site[];
  loads: Map<string, HostLoad>;
  /** From now on each site moves by itself so often: the count of its answers decides when, and the seed where to. */
  runFreely(moves: number): void;
  /** Gives a site another value: now and then the one before its present one, else a new one. */
  move(site: Site): void;
  stop(): Promise<void>;
}

/** Web servers on several loopback addresses whose values change by a seed, and who remember what they served. */
export async function startChangingWorld(options: {
  seed: number;
  hosts: number;
  sitesEach: number;
}): Promise<ChangingWorld> {
  const sites = new Map<string, Site>();
  const loads = new Map<string, HostLoad>();
  const servers: Server[] = [];
  for (let number = 1; number <= options.hosts; number++) {
    const address = `127.0.0.${number}`;
    const load: HostLoad = { startsAt: [], mostAtOnce: 0 };
    const server = await serve(address, load, sites, createRandom(options.seed + number));
    servers.push(server);
    const host = `${address}:${(server.address() as AddressInfo).port}`;
    loads.set(host, load);
    for (let page = 1; page <= options.sitesEach; page++) {
      const url = `http://${host}/page-${page}`;
      const random = createRandom(options.seed * 10_000 + number * 100 + page);
      sites.set(url, { url, value: "v0", served: [], movesLeft: 0, answersUntilMove: 0, random });
    }
  }
  return {
    sites: [...sites.values()],
    loads,
    runFreely: (moves) => {
      for (const site of sites.values()) {
        Object.assign(site, { movesLeft: moves, answersUntilMove: site.random.integer(1, 2) });
      }
    },
    move,
    stop: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

async function serve(address: string, load: HostLoad, sites: Map<string, Site>, random: Random): Promise<Server> {
  const state = { atOnce: 0 };
  const server = createServer((request, response) => {
    load.startsAt.push(performance.now());
    state.atOnce += 1;
    load.mostAtOnce = Math.max(load.mostAtOnce, state.atOnce);
    response.once("close", () => {
      state.atOnce -= 1;
    });
    void answer(request, response, sites, random.integer(1, 10));
  });
  // A watcher keeps its connections; a server that closes an idle one just then would make looks fail.
  server.keepAliveTimeout = 600_000;
  server.listen(0, address);
  await once(server, "listening");
  return server;
}

async function answer(
  { headers, url = "" }: IncomingMessage,
  response: ServerResponse,
  sites: Map<string, Site>,
  delayMs: number,
): Promise<void> {
  await sleep(delayMs);
  const site = sites.get(`http://${headers.host}${url}`);
  if (!site) return void response.writeHead(404).end();
  const { value } = site;
  response.once("finish", () => {
    if (site.served.at(-1) !== value) site.served.push(value);
    if (site.movesLeft === 0 || --site.answersUntilMove > 0) return;
    site.movesLeft -= 1;
    site.answersUntilMove = site.random.integer(1, 2);
    move(site);
  });
  response.writeHead(200, { "content-type": "text/plain", "referrer-policy": value }).end("a page\n");
}

function move(site: Site): void {
  const before = site.served.findLast((value) => value !== site.value);
  const isFlip = before !== undefined && site.random.integer(1, 3) === 1;
  site.value = isFlip ? before : `v${site.served.length + 1}-${site.random.integer(0, 999_999)}`;
}
