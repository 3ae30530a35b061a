import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { DeadLetter } from "#contracts/messages.ts";
import type { ResourceDetail } from "#contracts/store.ts";
import { resourceId, streams, subjects } from "#contracts/subjects.ts";
import { permissionBlock } from "../../cli/outside-users.ts";
import { startDnsServer } from "../support/dns-server.ts";
import type { DnsServer } from "../support/dns-server.ts";
import { isMissing } from "../support/peers.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { makeFinder } from "./fixtures/finds.ts";
import type { Finder, Findings } from "./fixtures/finds.ts";
import { startWeb } from "./fixtures/web.ts";
import type { Web } from "./fixtures/web.ts";

const site = "https://www.shop.example:8443/page";
const rootFinds: [string, string][] = [
  ["finder", "root.example/mutual"],
  ["http", "https://elsewhere.test/in"],
  ["http", "https://elsewhere.test/out"],
];
const behindRoot: Findings = {
  "finder root.example/mutual": { confirm: ["root.example/mutual"], suggest: [["other", "root.example/other"]] },
  "other root.example/other": { confirm: ["root.example/other"], suggest: [["finder", "root.example/mutual"]] },
};

function findingsWith(suggest: [string, string][]): Findings {
  return { ...behindRoot, "finder root.example/a": { confirm: ["root.example/a"], suggest } };
}

// Each fact is waited for by itself; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

let world: World;
let dns: DnsServer;
let web: Web;
let finder: Finder;
let inventory: NatsConnection;

beforeAll(async () => {
  if (isMissing("python", "bind")) return;
  web = await startWeb({ "/": {}, "/slow": {} });
  dns = await startDnsServer({ "shop.example": "www A 192.0.2.1" });
  finder = makeFinder(findingsWith(rootFinds));
  const user = { kind: "source" as const, name: "inventory", source: "cmdb.example" };
  world = await startWorld({ config: configured(), outsideUsers: [permissionBlock(user, "p-inventory")] });
  inventory = await connect({
    servers: `127.0.0.1:${world.nats.port}`,
    user: "inventory",
    pass: "p-inventory",
    inboxPrefix: "_INBOX_inventory",
  });
});
afterAll(async () => {
  await inventory?.close();
  await web?.stop();
  await world?.stop();
  await dns?.stop();
  finder?.remove();
});

function configured(webPages = ["/", "/slow"]) {
  return {
    targets: [
      { modules: ["http"], resources: [site, ...webPages.map((path) => web.url + path)] },
      { modules: ["finder"], resources: ["root.example/a"] },
    ],
    modules: {
      finder: { command: finder.command },
      other: { command: finder.command },
      http: { knownPaths: false },
    },
    schedule: { every: "3s", retryAfter: "1s", rediscoverEvery: "2s" },
    limits: { default: { perSecond: 100, concurrency: 4 } },
    scope: { hosts: ["*.inventory.example"], perSource: 4 },
    dns: { servers: [dns.server] },
    egress: { allow: ["127.0.0.0/8"] },
  };
}

async function read(module: string, resource: string): Promise<ResourceDetail> {
  return (await world.api(`resources/${resourceId(module, resource)}`)) as ResourceDetail;
}

async function untilState(module: string, resource: string, state: string): Promise<ResourceDetail> {
  return await until(`${module} ${resource} is ${state}`, async () => {
    const detail = await read(module, resource);
    return detail.state === state && detail;
  });
}

async function rediscovered(module: string, resource: string): Promise<void> {
  const ask = async () => {
    const query = "SELECT discovery_sequence AS sequence FROM resource WHERE id = $1";
    const { rows } = await world.database.query(query, [resourceId(module, resource)]);
    return Number(rows[0]?.sequence);
  };
  const before = await ask();
  await until(`${resource} is discovered again`, async () => (await ask()) > before);
}

async function suggestFromOutside(module: string, resource: string, more = {}): Promise<void> {
  const subject = subjects.suggestion("cmdb.example", module, resource);
  await jetstream(inventory).publish(subject, JSON.stringify({ module, resource, ...more }));
}

async function deadLetter(subject: string): Promise<DeadLetter> {
  return await until(`a dead letter of ${subject}`, async () => {
    const query = { last_by_subj: subjects.dead("suggestion", subject) };
    return (await world.jsm.streams.getMessage(streams.dead, query))?.json<DeadLetter>();
  });
}

describe.skipIf(isMissing("python", "bind"))("what a module suggests", () => {
  it("is watched within scope, once its own module has confirmed it", async () => {
    const name = await untilState("dns", "www.shop.example", "confirmed");
    const parent = { id: resourceId("http", site), module: "http", resource: site };
    expect(name.provenance).toContainEqual(expect.objectContaining({ source: "http", parent }));
    await untilState("tls", "www.shop.example:8443", "confirmed");
    await until("its values", async () => (await read("dns", "www.shop.example")).values.length > 0);
    const { values } = await read("dns", "www.shop.example");
    expect(values).toContainEqual(expect.objectContaining({ attribute: "a", value: ["192.0.2.1"] }));
  });

  it("waits out of scope until a person accepts or refuses it", async () => {
    const [taken, left] = ["https://elsewhere.test/in", "https://elsewhere.test/out"] as const;
    for (const resource of [taken, left]) {
      const waiting = await untilState("http", resource, "waiting");
      expect(waiting.refusal).toBe("outside of the hosts and owners that the configuration's scope names");
    }
    const decide = async (resource: string, decision: string) =>
      await world.post(`resources/${resourceId("http", resource)}/${decision}`, {});
    expect(await decide(taken, "accept")).toEqual({ status: 200, body: { outcome: "accepted" } });
    expect(await decide(left, "refuse")).toEqual({ status: 200, body: { outcome: "refused" } });
    await untilState("http", taken, "confirmed");
    // Suggested again meanwhile, and still refused.
    await rediscovered("finder", "root.example/a");
    await rediscovered("finder", "root.example/a");
    expect(await read("http", left)).toMatchObject({ state: "refused", refusal: "refused by a person" });
    expect(await decide(left, "accept")).toMatchObject({ status: 409 });
  });

  it("does not keep itself alive: two that suggest each other go with what led to them", async () => {
    await untilState("finder", "root.example/mutual", "confirmed");
    const other = await untilState("other", "root.example/other", "confirmed");
    expect(other.provenance).toMatchObject([{ source: "finder", parent: { resource: "root.example/mutual" } }]);
    await until("the way back", async () => (await read("finder", "root.example/mutual")).provenance.length === 2);
    finder.find(findingsWith([]));
    await untilState("finder", "root.example/mutual", "retired");
    await untilState("other", "root.example/other", "retired");
    expect(await read("finder", "root.example/a")).toMatchObject({ state: "confirmed" });
    // A person stands behind this one.
    expect(await read("http", "https://elsewhere.test/in")).toMatchObject({ state: "confirmed" });
  });
});

describe.skipIf(isMissing("python", "bind"))("an inventory outside", () => {
  it("is told why, when the module says that a resource is none of its own", async () => {
    await suggestFromOutside("finder", "root.example/unknown");
    const refused = await untilState("finder", "root.example/unknown", "refused");
    expect(refused.refusal).toBe("the module finder did not confirm it");
    expect(refused.provenance).toMatchObject([{ source: "cmdb.example", parent: null }]);
  });

  it("brings resources within scope, as many as one source may bring", async () => {
    const brought = [1, 2, 3, 4, 5, 6].map((number) => `https://www.inventory.example/${number}`);
    for (const resource of brought) await suggestFromOutside("http", resource);
    await until("4 are watched and 2 wait", async () => {
      const states = await Promise.all(brought.map(async (resource) => (await read("http", resource)).state));
      return states.toSorted().join() === "confirmed,confirmed,confirmed,confirmed,waiting,waiting";
    });
    const details = await Promise.all(brought.map(async (resource) => await read("http", resource)));
    expect(details.find(({ state }) => state === "waiting")?.refusal).toBe(
      '"cmdb.example" has brought 4 resources already, which is scope.perSource',
    );
    expect(details[0]?.provenance).toMatchObject([{ source: "cmdb.example", parent: null }]);
  });

  it("waits out of scope", async () => {
    await suggestFromOutside("http", "https://far.test/");
    const waiting = await untilState("http", "https://far.test/", "waiting");
    expect(waiting.provenance).toMatchObject([{ source: "cmdb.example", parent: null }]);
  });

  it("finds what cannot be understood among the dead letters, and goes on", async () => {
    const subjectOf = (module: string, resource: string) => subjects.suggestion("cmdb.example", module, resource);
    const text = subjectOf("http", "text");
    await jetstream(inventory).publish(text, "hello");
    expect(await deadLetter(text)).toMatchObject({
      originalSubject: text,
      body: Buffer.from("hello").toString("base64"),
    });
    await suggestFromOutside("nothing", "https://www.inventory.example/");
    expect(await deadLetter(subjectOf("nothing", "https://www.inventory.example/"))).toMatchObject({
      reason: "there is no module nothing",
    });
    await suggestFromOutside("http", "gopher://www.inventory.example/");
    expect(await deadLetter(subjectOf("http", "gopher://www.inventory.example/"))).toMatchObject({
      reason: "only http and https can be watched, not gopher:",
    });
    const parent = { parent: { module: "http", resource: site }, job: { epoch: 1, sequence: 1 } };
    await suggestFromOutside("http", "https://forged.shop.example/", parent);
    expect(await deadLetter(subjectOf("http", "https://forged.shop.example/"))).toMatchObject({
      reason: '"cmdb.example" cannot say what follows from a resource of http',
    });
    await suggestFromOutside("http", "https://later.test/");
    await untilState("http", "https://later.test/", "waiting");
  });
});

describe.skipIf(isMissing("python", "bind"))("what the configuration no longer names", () => {
  it("is retired with its values, and compared with them when it is watched again", async () => {
    const page = `${web.url}/`;
    await until("its first look", async () => (await read("http", page)).revision > 0);
    world.writeConfig(configured(["/slow"]));
    const retired = await untilState("http", page, "retired");
    expect(retired.values.length).toBeGreaterThan(3);
    web.pages.set("/", { headers: { "x-frame-options": "DENY" } });
    world.writeConfig(configured());
    const { items } = await until("the change that happened meanwhile", async () => {
      const answer = (await world.api(`changes?resource=${resourceId("http", page)}`)) as { items: object[] };
      return answer.items.length > 0 && answer;
    });
    expect(items).toMatchObject([{ attribute: "header/x-frame-options", newValue: "DENY" }]);
    expect(await read("http", page)).toMatchObject({ state: "confirmed" });
  });

  it("leaves no trace of a look that was under way: its outcome is dropped and counted", async () => {
    const page = `${web.url}/slow`;
    await until("its first look", async () => (await read("http", page)).revision > 0);
    const held: (() => void)[] = [];
    web.pages.set("/slow", (_request, response) => {
      held.push(() => response.writeHead(200, { "content-type": "text/html" }).end("<p>hello"));
    });
    await until("a look under way", async () => held.length > 0);
    const before = await read("http", page);
    world.writeConfig(configured(["/"]));
    await untilState("http", page, "retired");
    for (const answer of held) answer();
    await until("it is counted", async () => {
      const metrics = await fetch(`http://127.0.0.1:${world.services.portOf("assessor")}/metrics`);
      return /paintdry_outcomes_total\{[^}]*status="dropped"[^}]*\} [1-9]/.test(await metrics.text());
    });
    expect(await read("http", page)).toMatchObject({ state: "retired", lastLookAt: before.lastLookAt });
  });
});
