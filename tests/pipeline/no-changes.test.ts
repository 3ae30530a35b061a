import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HealthEvent } from "#contracts/messages.ts";
import type { ResourceDetail, ResourceSummary } from "#contracts/store.ts";
import { hostToken, lanesBucket, subjects } from "#contracts/subjects.ts";
import { allItems, lookedAtTwice, resourcesByName } from "../support/ask.ts";
import type { Site, WebAnswer } from "../support/nginx.ts";
import { isMissing } from "../support/peers.ts";
import { quickly, startWatched, type Watched } from "../support/watched.ts";
import { startWorld, until, type World } from "../support/world.ts";

const isImpossible = isMissing("nginx", "bind", "git", "openssl");
const html = "<html><script src='/a.js'></script></html>";
const page: WebAnswer = { html, headers: { "x-frame-options": "DENY" } };
const announceAfter = 2;
const anHourMs = 3_600_000;

let watched: Watched;
let world: World;
let sites: Record<"outage" | "slow" | "broken" | "cut" | "limited" | "steady", Site>;
/** Accepts, and says nothing. */
let silent: Server;
/** Says that it sends more than it does, and hangs up. */
let cutting: Server;
const health: HealthEvent[] = [];

/** A way of failing, at a resource of its own. */
interface Trouble {
  title: string;
  resource(): string;
  begin(): Promise<void>;
  end(): Promise<void>;
  error: { kind: string; message: RegExp };
}

const troubles: Trouble[] = [
  {
    title: "an outage",
    resource: () => `http|${sites.outage.url}/page`,
    begin: () => watched.web.setDown(sites.outage, true),
    end: () => watched.web.setDown(sites.outage, false),
    error: { kind: "unreachable", message: /refuses the connection$/ },
  },
  {
    title: "a server too slow",
    resource: () => `http|${sites.slow.url}/page`,
    begin: () => watched.web.answer(sites.slow, "/page", { behind: addressOf(silent) }),
    end: () => watched.web.answer(sites.slow, "/page", page),
    error: { kind: "timeout", message: /did not end before its deadline|time was over before/ },
  },
  {
    title: "a 500",
    resource: () => `http|${sites.broken.url}/page`,
    begin: () => watched.web.answer(sites.broken, "/page", { status: 500 }),
    end: () => watched.web.answer(sites.broken, "/page", page),
    error: { kind: "unreachable", message: /answers 500$/ },
  },
  {
    title: "a truncated answer",
    resource: () => `http|${sites.cut.url}/page`,
    begin: () => watched.web.answer(sites.cut, "/page", { behind: addressOf(cutting) }),
    end: () => watched.web.answer(sites.cut, "/page", page),
    error: { kind: "malformed", message: /broke off in the middle of its answer$/ },
  },
  {
    title: "a name server that fails",
    resource: () => "dns|www.watched.test",
    begin: () => watched.dns.setZone("watched.test", { unloadable: true }),
    end: () => watched.dns.setZone("watched.test", "www A 192.0.2.10\n"),
    error: { kind: "unreachable", message: /SERVFAIL/ },
  },
];

beforeAll(async () => {
  watched = await startWatched();
  const add = () => watched.web.addSite({ "/page": page, "/other": page });
  sites = {
    outage: await add(),
    slow: await add(),
    broken: await add(),
    cut: await add(),
    limited: await add(),
    steady: await add(),
  };
  [silent, cutting] = await Promise.all([serve(() => undefined), serve(() => "content-length: 5000\r\n\r\n<html>")]);
  await watched.dns.setZone("watched.test", "www A 192.0.2.10\n");
  world = await startWorld({
    config: {
      ...quickly,
      schedule: { ...quickly.schedule, announceAfter },
      limits: { default: { perSecond: 50, concurrency: 1 } },
      modules: { http: { deadline: "1s" } },
      targets: [
        { modules: ["http"], resources: Object.values(sites).map(({ url }) => `${url}/page`) },
        { modules: ["http"], resources: [`${sites.limited.url}/other`] },
        { modules: ["dns"], resources: ["www.watched.test"] },
      ],
      dns: { servers: [watched.dns.server] },
    },
  });
  world.nc.subscribe(subjects.allHealth, {
    callback: (error, message) => {
      if (error) throw error;
      const event = HealthEvent.parse(message.json());
      const { kind, module, host, resource } = event.data;
      if (message.subject !== subjects.health(kind, module, host, resource)) throw new Error(message.subject);
      health.push(event);
    },
  });
  await until("a baseline of each resource", async () => {
    const rows = Object.values(await resourcesByName(world));
    return rows.length === Object.keys(sites).length + 2 && rows.every(({ revision }) => revision >= 1);
  });
});

afterAll(async () => {
  await world?.stop();
  silent?.close();
  cutting?.close();
  await watched?.stop();
});

describe.skipIf(isImpossible)("looks that fail", { timeout: 60_000 }, () => {
  let before: Record<string, ResourceSummary>;

  beforeAll(async () => {
    await Promise.all(troubles.map(({ begin }) => begin()));
    before = await untilFailing(1);
    await untilFailing(announceAfter + 1);
  });

  it.each(troubles)("show kind, message, count and the last good look: $title", async ({ resource, error }) => {
    const row = await detailOf(resource());
    expect(row.error).toEqual({ kind: error.kind, message: expect.stringMatching(error.message) as unknown });
    expect(row.failures).toBeGreaterThan(announceAfter);
    const first = before[resource()];
    expect(row.lastSeenAt).toBe(first?.lastSeenAt);
    expect(Date.parse(row.lastSeenAt ?? "")).toBeLessThan(Date.parse(row.failingSince ?? ""));
    expect(Date.parse(row.lastLookAt ?? "")).toBeGreaterThan(Date.parse(row.failingSince ?? ""));
    expect(row).toMatchObject({ exists: true, revision: first?.revision });
    expect(row.values.every(({ isPresent }) => isPresent)).toBe(true);
  });

  it.each(troubles)("are announced once when they persist: $title", async ({ resource, error }) => {
    const events = await until("an announcement", async () => healthOf(resource()));
    expect(events.map(({ data }) => data)).toMatchObject([
      { kind: "failing", failures: announceAfter, error: { kind: error.kind } },
    ]);
  });

  it("end with the trouble, are announced once as over, and have changed nothing", async () => {
    await Promise.all(troubles.map(({ end }) => end()));
    const names = new Set(troubles.map(({ resource }) => resource()));
    await until("all are seen again", async () => {
      const rows = Object.entries(await resourcesByName(world)).filter(([name]) => names.has(name));
      return rows.every(([, { error, failures }]) => error === null && failures === 0);
    });
    await lookedAtTwice(world, (row) => names.has(`${row.module}|${row.resource}`));
    for (const { resource } of troubles) {
      const events = await until("both announcements", async () =>
        healthOf(resource())?.length === 2 ? healthOf(resource()) : null,
      );
      expect(events.map(({ data }) => data.kind)).toEqual(["failing", "recovered"]);
    }
    expect(health).toHaveLength(troubles.length * 2);
    expect(await allItems(world, "changes")).toEqual([]);
    expect((await world.database.query("SELECT id FROM change")).rows).toEqual([]);
    expect((await world.jsm.streams.info("CHANGES")).state.messages).toBe(0);
  });
});

describe.skipIf(isImpossible)("a server that asks for an hour's rest", { timeout: 60_000 }, () => {
  it("is left alone, all of it, while other hosts are looked at; nothing has changed", async () => {
    const limited: WebAnswer = { status: 429, headers: { "retry-after": "3600" } };
    await watched.web.answer(sites.limited, "/page", limited);
    const name = `http|${sites.limited.url}/page`;
    const row = await until("the look is limited", async () => {
      const found = (await resourcesByName(world))[name];
      return found?.error === null ? null : found;
    });
    expect(row?.error).toMatchObject({ kind: "limited", retryAfterMs: anHourMs });
    expect((await world.post("checks", { module: "http", resource: `${sites.limited.url}/other` })).status).toBe(202);

    const asked = await sites.limited.requestCount();
    const atFirst = await sites.steady.requestCount();
    await until("other hosts are looked at", async () => (await sites.steady.requestCount()) >= atFirst + 3);
    await lookedAtTwice(world, ({ lane }) => lane !== sites.limited.lane);
    expect(await sites.limited.requestCount()).toBe(asked);
    const detail = await detailOf(name);
    expect(detail).toMatchObject({ failures: 1, error: { kind: "limited" }, exists: true });
    expect(Date.parse(detail.lastSeenAt ?? "")).toBeLessThan(Date.parse(detail.failingSince ?? ""));
    expect(await restUntil(sites.limited.lane)).toBeGreaterThan(Date.now() + anHourMs - 60_000);
    expect(await allItems(world, "changes")).toEqual([]);
  });
});

async function untilFailing(times: number): Promise<Record<string, ResourceSummary>> {
  return await until(`each trouble met ${times} times`, async () => {
    const rows = await resourcesByName(world);
    return troubles.every(({ resource }) => (rows[resource()]?.failures ?? 0) >= times) ? rows : null;
  });
}

async function detailOf(name: string): Promise<ResourceDetail> {
  const row = (await resourcesByName(world))[name];
  return (await world.api(`resources/${row?.id}`)) as ResourceDetail;
}

function healthOf(name: string): HealthEvent[] | null {
  const events = health.filter(({ data }) => `${data.module}|${data.resource}` === name);
  return events.length > 0 ? events : null;
}

/** As any fetcher reads it. */
async function restUntil(lane: string): Promise<number> {
  const subject = `$KV.${lanesBucket}.${subjects.restKey(lane)}`;
  const message = await world.jsm.direct.getMessage(`KV_${lanesBucket}`, { last_by_subj: subject });
  if (message === null) throw new Error(`${hostToken(lane)} does not rest`);
  const rest = message.json<{ until: string | number }>();
  return new Date(rest.until).getTime();
}

/** A server behind nginx: what it says to a request, after the status line; then it hangs up. */
async function serve(answer: () => string | undefined): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => {
      const said = answer();
      if (said !== undefined) socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n${said}`);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
