import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { ConfigInForce, ResourceDetail } from "#contracts/store.ts";
import { lanesBucket, laneDurable, resourceId, streams, subjects } from "#contracts/subjects.ts";
import { startChild } from "../../cli/embedded/child.ts";
import type { Child } from "../../cli/embedded/child.ts";
import { serviceCommand } from "../../cli/embedded/services.ts";
import { startGitServer } from "../support/git-server.ts";
import type { GitServer } from "../support/git-server.ts";
import { isMissing } from "../support/peers.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { startWeb } from "./fixtures/web.ts";
import type { Web } from "./fixtures/web.ts";

// Each fact is waited for by itself; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

let world: World;
let web: Web;

beforeAll(async () => {
  web = await startWeb(Object.fromEntries(["/kept", "/removed", "/new", "/1", "/2", "/3"].map((path) => [path, {}])));
  world = await startWorld({ config: configured({}) });
});
afterAll(async () => {
  await web?.stop();
  await world?.stop();
});

const politely = { perSecond: 50, concurrency: 1 };

function configured({
  pages = ["/kept", "/removed"],
  every = "2s",
  limit = politely,
  more = {},
  git = [] as string[],
}) {
  return {
    targets: [
      { modules: ["http"], resources: pages.map((path) => web.url + path) },
      { modules: ["git"], resources: git },
    ],
    schedule: { every, retryAfter: "1s" },
    limits: { default: limit },
    egress: { allow: ["127.0.0.0/8"] },
    ...more,
  };
}

async function read(resource: string, module = "http"): Promise<ResourceDetail> {
  return (await world.api(`resources/${resourceId(module, resource)}`)) as ResourceDetail;
}

async function untilState(resource: string, state: string, module = "http"): Promise<ResourceDetail> {
  return await until(`${resource} is ${state}`, async () => {
    const detail = await read(resource, module);
    return detail.state === state && detail;
  });
}

async function readConfig(): Promise<ConfigInForce> {
  return (await world.api("config")) as ConfigInForce;
}

describe("a changed config.json", () => {
  it("is applied without a restart: targets and periods", async () => {
    await untilState(`${web.url}/removed`, "confirmed");
    world.writeConfig(configured({ pages: ["/kept", "/new"], every: "3s" }));
    await until("a look at the new target", async () => web.count("/new") > 0);
    await untilState(`${web.url}/removed`, "retired");
    expect(await read(`${web.url}/kept`)).toMatchObject({ state: "confirmed", everyMs: 3000 });
    const { revision, document, refused } = await readConfig();
    expect({ revision, document, refused }).toMatchObject({
      revision: 2,
      document: { schedule: { every: "3s" } },
      refused: null,
    });
  });

  it("gives lanes their new limits", async () => {
    const pages = ["/1", "/2", "/3"];
    const waiting: (() => void)[] = [];
    for (const path of pages) {
      web.pages.set(path, (_request, response) => void waiting.push(() => response.end("<p>hello")));
    }
    world.writeConfig(configured({ pages }));
    await until("the one look that may be made at a time", async () => waiting.length === 1);
    world.writeConfig(configured({ pages, limit: { perSecond: 50, concurrency: 3 } }));
    await until("three at the same time", async () => waiting.length === 3);
    for (const path of pages) web.pages.set(path, {});
    for (const answer of waiting) answer();
    const { config } = await world.jsm.consumers.info(streams.jobs, laneDurable(web.host, "due"));
    expect(config.max_ack_pending).toBe(3);
  });

  it("makes a new baseline where a module's options changed, and no change", async () => {
    world.writeConfig(configured({ pages: ["/kept"] }));
    const page = `${web.url}/kept`;
    const attributes = async () => (await read(page)).values.map(({ attribute }) => attribute);
    await until("a look", async () => (await attributes()).length > 0);
    expect(await attributes()).not.toContain("body_sha256");
    world.writeConfig(configured({ pages: ["/kept"], more: { modules: { http: { bodyHash: true } } } }));
    await until("the new attribute", async () => (await attributes()).includes("body_sha256"));
    expect(await world.api(`changes?resource=${resourceId("http", page)}`)).toMatchObject({ items: [] });
  });

  it("is refused with all its faults when it is invalid, while the one before stays", async () => {
    const before = await readConfig();
    world.writeConfig({ targets: [{ modules: ["htpp"], resources: [`${web.url}/new`] }], schedule: { evry: "1h" } });
    const { refused, ...inForce } = await until("the faults", async () => {
      const config = await readConfig();
      return config.refused !== null && config;
    });
    expect(refused?.faults).toMatchObject([{ path: "schedule.evry" }, { path: "targets[0].modules[0]" }]);
    expect(inForce).toEqual({ revision: before.revision, appliedAt: before.appliedAt, document: before.document });
    const looks = web.count("/kept");
    await until("looks that go on", async () => web.count("/kept") > looks + 1);
  });

  it("is kept in force through a restart beside an invalid file, until a valid one comes", async () => {
    await world.kill("collector");
    await world.start("collector");
    const looks = web.count("/kept");
    await until("looks that go on", async () => web.count("/kept") > looks + 2);
    expect((await readConfig()).refused).not.toBeNull();
    world.writeConfig(configured({ pages: ["/kept"] }));
    await until("no more faults", async () => (await readConfig()).refused === null);
  });
});

describe("a collector with an older file", () => {
  let older: Child | undefined;
  afterAll(async () => {
    await older?.stop("SIGTERM", 10_000);
  });

  it("brings nothing back that a newer one retired, and works by the newer one", async () => {
    world.writeConfig(configured({ pages: ["/kept", "/removed"], every: "2s" }));
    await untilState(`${web.url}/removed`, "confirmed");
    const oldFile = join(world.logFolder, "older.json");
    writeFileSync(oldFile, readFileSync(world.configFile));
    utimesSync(oldFile, new Date(), new Date(Date.now() - 60_000));
    const limit = { perSecond: 40, concurrency: 2 };
    world.writeConfig(configured({ pages: ["/kept", "/new"], every: "3s", limit }));
    await untilState(`${web.url}/removed`, "retired");
    await untilState(`${web.url}/new`, "confirmed");
    const { revision } = await readConfig();

    await world.stopService("collector");
    const command = serviceCommand("collector", 0, {
      natsUrl: (user) => world.nats.url(user),
      databaseUrl: "",
      configFile: oldFile,
      dataFolder: world.logFolder,
      usersFile: "",
      host: "127.0.0.1",
    });
    older = await startChild(command);
    const looks = web.count("/new");
    await until("looks that it brings", async () => web.count("/new") > looks + 1);
    expect(await readConfig()).toMatchObject({ revision, document: { schedule: { every: "3s" } } });
    expect((await read(`${web.url}/removed`)).state).toBe("retired");
    const entry = { last_by_subj: `$KV.${lanesBucket}.${subjects.limitKey(web.host)}` };
    expect((await world.jsm.streams.getMessage(`KV_${lanesBucket}`, entry))?.json()).toEqual(limit);
    // What is confirmed meanwhile is taken by the newer one's rules, not refused as stale.
    const url = `${web.url}/3`;
    const subject = subjects.suggestion("test", "http", url);
    await world.js.publish(subject, JSON.stringify({ module: "http", resource: url }));
    await untilState(url, "confirmed");
  });
});

describe.skipIf(isMissing("git"))("a configured repository", () => {
  let git: GitServer;
  beforeAll(async () => {
    git = await startGitServer();
    await world.start("collector");
  });
  afterAll(async () => {
    await git?.stop();
  });

  it("that does not exist yet is shown with the reason, and watched once it does", async () => {
    const url = `${git.url}/acme/later`;
    world.writeConfig(configured({ git: [url] }));
    const refused = await untilState(url, "refused", "git");
    expect(refused.refusal).toMatch(/404|no repository|not found/i);
    const repository = await git.createRepository("acme/later");
    await repository.tag("v1.0.0", await repository.commit("main", "first"));
    await untilState(url, "confirmed", "git");
    await until("its tag", async () =>
      (await read(url, "git")).values.some(({ attribute }) => attribute === "tag/v1.0.0"),
    );
  });

  it("whose server is down is confirmed when it is back", async () => {
    const port = Number(new URL(git.url).port);
    const url = `${git.url}/acme/later`;
    await git.stop();
    const other = `${url}-again`;
    world.writeConfig(configured({ git: [other] }));
    const failing = await until("a failed discovery", async () => {
      const detail = await read(other, "git");
      return detail.failures > 1 && detail;
    });
    expect(failing).toMatchObject({ state: "candidate", error: { kind: "unreachable" } });
    git = await startGitServer({ port });
    const repository = await git.createRepository("acme/later-again");
    await repository.commit("main", "first");
    await untilState(other, "confirmed", "git");
  });
});
