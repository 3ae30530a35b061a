import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { laneDurable, lanesBucket, resourceId, streams, subjects } from "#contracts/subjects.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { startWeb } from "./fixtures/web.ts";
import type { Web } from "./fixtures/web.ts";

// Each fact is waited for by itself; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

let world: World;
let busy: Web;
let quick: Web;
let limited: Web;
let silent: Web;
let leaving: Web;
let dead: string;

const watchedPages = Array.from({ length: 500 }, (_, number) => `/${number}`);

function configured(...more: Web[]) {
  const all = (web: Web) => [...web.pages.keys()].map((path) => web.url + path);
  return {
    targets: [
      { modules: ["http"], resources: [busy, limited, silent, ...more].flatMap(all) },
      { modules: ["http"], resources: [`${quick.url}/often`], schedule: { every: "20s" } },
      { modules: ["http"], resources: [`${quick.url}/seldom`, `${dead}/`] },
    ],
    schedule: { retryAfter: "1s", soonerAfterChange: "1s" },
    limits: { default: { perSecond: 100, concurrency: 2 }, hosts: { [busy.host]: { perSecond: 5, concurrency: 1 } } },
    egress: { allow: ["127.0.0.0/8"] },
  };
}

beforeAll(async () => {
  busy = await startWeb(Object.fromEntries(watchedPages.map((path) => [path, {}])));
  quick = await startWeb({ "/often": {}, "/seldom": {} });
  leaving = await startWeb({ "/": {} });
  const tooMany = { status: 429, headers: { "retry-after": "3600" } };
  limited = await startWeb({ "/a": tooMany, "/b": tooMany, "/c": tooMany });
  silent = await startWeb({ "/a": () => {}, "/b": () => {}, "/c": () => {} });
  const gone = await startWeb({});
  dead = gone.url;
  await gone.stop();
  world = await startWorld({ config: configured(leaving) });
});

afterAll(async () => {
  // First, so that no look is still waiting for an answer.
  await Promise.all([busy, quick, limited, silent, leaving].map((web) => web?.stop()));
  await world?.stop();
});

async function waitingLooks(): Promise<number> {
  return (await world.jsm.consumers.info(streams.jobs, laneDurable(busy.host, "due"))).num_pending;
}

async function readResource(resource: string) {
  const id = resourceId("http", resource);
  return (await world.api(`resources/${id}`)) as { failures: number; state: string; revision: number };
}

async function laneNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of world.jsm.consumers.list(streams.jobs)) names.push(name);
  return names;
}

/** Queues a look; how many others its host saw before it came. */
async function checkNow(path: string): Promise<number> {
  const [before, asked] = [busy.count(path), busy.requests.length];
  const { status, body } = await world.post("checks", { module: "http", resource: busy.url + path });
  expect({ status, body }).toMatchObject({ status: 202, body: { outcome: "queued" } });
  await until(`the check of ${path}`, async () => busy.count(path) > before);
  return busy.requests.slice(asked).findIndex((request) => request.path === path);
}

/** Looks at its host that may begin while a request for a check is on its way: of some 400 that wait. */
const aFew = 5;

describe("a check now", () => {
  it("runs at once behind 500 queued looks of its host, and again a second later, within the host's limit", async () => {
    await until(
      "all are confirmed",
      async () => {
        const { rows } = await world.database.query("SELECT FROM resource WHERE state = 'candidate'");
        return rows.length === 0;
      },
      60_000,
    );
    await until("the looks are queued", async () => (await waitingLooks()) > 400);
    // One whose turn would come last.
    const path = watchedPages.findLast((page) => busy.count(page) === 0) ?? "";
    expect(await checkNow(path)).toBeLessThanOrEqual(aFew);
    await sleep(1000);
    expect(await checkNow(path)).toBeLessThanOrEqual(aFew);
    // Asked again at once, while the look before still holds its place in the lane.
    expect(await checkNow(path)).toBeLessThanOrEqual(aFew);
    expect(await waitingLooks()).toBeGreaterThan(200);
    const { requests } = busy;
    for (const [index, { at }] of requests.slice(10).entries()) {
      // Ten requests later, at 5 a second, less what a request may be late on its way.
      expect(at - (requests[index]?.at ?? 0)).toBeGreaterThan(1800);
    }
  }, 120_000);

  it("of what is not watched is refused", async () => {
    const answer = await world.post("checks", { module: "http", resource: `${busy.url}/nowhere` });
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_watched" } } });
  });
});

describe("the schedule", () => {
  it("looks again sooner after a change", async () => {
    await until("the first look", async () => (await readResource(`${quick.url}/seldom`)).revision >= 1);
    quick.pages.set("/seldom", { headers: { "content-security-policy": "default-src 'self'" } });
    const before = quick.count("/seldom");
    await world.post("checks", { module: "http", resource: `${quick.url}/seldom` });
    await until("the look that finds it, and one more", async () => quick.count("/seldom") >= before + 2, 10_000);
    const { items } = (await world.api(`changes?resource=${resourceId("http", `${quick.url}/seldom`)}`)) as {
      items: unknown[];
    };
    expect(items).toMatchObject([{ kind: "changed", attribute: "header/content-security-policy" }]);
  });

  it("repeats a failed look ever later, while other hosts are looked at", async () => {
    const id = resourceId("http", `${dead}/`);
    // The fourth wait is of 8 s: eight times the first.
    await until("four failures, each with twice the wait of the one before", async () => {
      const { rows } = await world.database.query(
        `SELECT f.failures, extract(epoch FROM e.due_at - l.looked_at) AS wait
          FROM resource r JOIN failure f USING (resource_key) JOIN look l USING (resource_key)
          JOIN early_look e USING (resource_key) WHERE r.id = $1 AND e.cause = 'retry'`,
        [id],
      );
      for (const { failures, wait } of rows) expect(Number(wait)).toBeCloseTo(2 ** (failures - 1), 0);
      return rows[0]?.failures >= 4;
    });
    expect(await readResource(`${dead}/`)).toMatchObject({
      state: "confirmed",
      revision: 0,
      error: { kind: "unreachable" },
    });
    // A host that never answers holds its own lane alone.
    expect(silent.requests.length).toBeLessThanOrEqual(2);
  });

  it("leaves a host alone that asked for a rest, and no other", async () => {
    const rest = await until("the rest", async () => {
      const entry = await world.jsm.streams.getMessage(`KV_${lanesBucket}`, {
        last_by_subj: `$KV.${lanesBucket}.${subjects.restKey(limited.host)}`,
      });
      return entry?.json<{ until: string }>();
    });
    expect(Date.parse(rest.until) - Date.now()).toBeGreaterThan(3_000_000);
    const asked = limited.requests.length;
    expect(asked).toBeLessThanOrEqual(2);
    await world.post("checks", { module: "http", resource: `${limited.url}/c` });
    const before = quick.count("/often");
    await world.post("checks", { module: "http", resource: `${quick.url}/often` });
    await until("a look at another host", async () => quick.count("/often") > before);
    expect(limited.requests.length).toBe(asked);
  });

  it("makes lanes where there is work and removes them where there is none", async () => {
    const lanes = [laneDurable(leaving.host, "due"), laneDurable(leaving.host, "now")];
    expect(await laneNames()).toEqual(expect.arrayContaining(lanes));
    world.writeConfig(configured());
    await until("they are gone", async () => (await laneNames()).every((name) => !lanes.includes(name)));
    expect(await laneNames()).toContain(laneDurable(quick.host, "due"));
  });

  it("catches up on what no look has reached since its slot began", async () => {
    await world.kill("collector");
    const before = quick.count("/often");
    await sleep(1000);
    const { rowCount } = await world.database.query(
      "UPDATE look SET looked_at = looked_at - interval '90 seconds' FROM resource r WHERE r.resource_key = look.resource_key AND r.id = $1",
      [resourceId("http", `${quick.url}/often`)],
    );
    expect(rowCount).toBe(1);
    await world.start("collector");
    await until("the look", async () => quick.count("/often") > before);
  });
});
