import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeadLetter } from "#contracts/messages.ts";
import { durables, resourceId, streams, subjects } from "#contracts/subjects.ts";
import { checkConfig } from "#runtime/load-config.ts";
import { silent, startStoreOnBus } from "../../tests/support/store-on-bus.ts";
import type { StoreOnBus } from "../../tests/support/store-on-bus.ts";
import { until } from "../../tests/support/world.ts";
import { followInForce } from "./in-force.ts";
import type { FollowedConfig } from "./in-force.ts";
import { takeSuggestions } from "./suggestions.ts";

let bus: StoreOnBus;
let inForce: FollowedConfig;
let taking: { stop(): Promise<void> };

const root = "https://www.example.com/";

beforeAll(async () => {
  bus = await startStoreOnBus();
  inForce = followInForce({ store: bus.store, log: silent, everyMs: 60_000 });
  await putInForce("first", 2020);
  taking = takeSuggestions({ ...bus, log: silent, inForce });
});
afterAll(async () => {
  inForce?.stop();
  await taking?.stop();
  await bus?.stop();
});

async function putInForce(hash: string, year: number): Promise<void> {
  const document = { targets: [{ modules: ["http"], resources: [root] }] };
  const checked = await checkConfig(document, { hash, modifiedAt: `${year}-01-01T00:00:00.000Z` });
  if (!checked.isValid) throw new Error(JSON.stringify(checked.faults));
  await inForce.offer(checked.loaded);
}

async function suggest(source: string, resource: string, more = {}): Promise<string> {
  const subject = subjects.suggestion(source, "http", resource);
  await bus.broker.js.publish(subject, JSON.stringify({ module: "http", resource, ...more }));
  return subject;
}

async function read(resource: string) {
  return await bus.store.call("read.resource", { id: resourceId("http", resource) });
}

async function deadReason(subject: string): Promise<string> {
  const query = { last_by_subj: subjects.dead("suggestion", subject) };
  const letter = await until("a dead letter", () => bus.broker.jsm.streams.getMessage(streams.dead, query));
  return letter.json<DeadLetter>().reason;
}

describe("a suggestion", () => {
  it("is recorded under its normalised name, with its source", async () => {
    await suggest("cmdb.example", "WWW.EXAMPLE.COM/a");
    const found = await until("the resource", () => read("https://www.example.com/a"));
    expect(found).toMatchObject({ state: "candidate", source: "cmdb.example", owner: "example.com" });
  });

  it("may come from a source whose name is too long for a subject", async () => {
    await suggest(`${"a".repeat(60)}.example`, "https://www.example.com/long");
    const found = await until("the resource", () => read("https://www.example.com/long"));
    expect(found.source).toMatch(/^=h[0-9a-f]{32}$/);
  });

  it("may not speak for a person, for the configuration, or for a module", async () => {
    for (const source of ["person", "config.json"]) {
      expect(await deadReason(await suggest(source, root))).toBe(`"${source}" is no source that may suggest`);
    }
    const parent = { parent: { module: "http", resource: root }, job: { epoch: 1, sequence: 1 } };
    expect(await deadReason(await suggest("cmdb", "https://www.example.com/b", parent))).toBe(
      '"cmdb" cannot say what follows from a resource of http',
    );
    expect(await read("https://www.example.com/b")).toBeNull();
  });

  it("waits while a configuration is in force that this collector does not understand", async () => {
    const settings = { everyMs: 1000, everyMsByModule: {}, retryAfterMs: 1000, soonerAfterChangeMs: 1000 };
    await bus.store.call("write.config", {
      ...settings,
      announceAfter: 1,
      rediscoverEveryMs: 1000,
      hash: "from the future",
      modifiedAt: "2030-01-01T00:00:00.000Z",
      document: { unheardOf: true },
      roots: [],
    });
    await suggest("cmdb", "https://www.example.com/later");
    const pending = async () =>
      (await bus.broker.jsm.consumers.info(streams.suggestions, durables.suggestions)).num_ack_pending;
    await until("it is in hand", async () => (await pending()) === 1);
    expect(await read("https://www.example.com/later")).toBeNull();
    await putInForce("second", 2031);
    expect(await until("the resource", () => read("https://www.example.com/later"))).toMatchObject({ source: "cmdb" });
    await until("it is settled", async () => (await pending()) === 0);
  });
});

describe("a confirmation", () => {
  it("is recorded with what led to it, and an older one of the same parent is dropped", async () => {
    const confirm = async (resource: string, sequence: number) => {
      const body = {
        module: "http",
        resource,
        lane: "www.example.com",
        owner: "example.com",
        parent: { module: "http", resource: root },
        source: "config.json",
        job: { epoch: 1, sequence },
      };
      await bus.broker.js.publish(subjects.confirmation("http", resource), JSON.stringify(body));
    };
    await confirm(root, 5);
    await until("the root", async () => (await read(root))?.state === "confirmed");
    const job = { epoch: 1, sequence: 5 };
    const result = { status: "discovered" as const, confirmed: [{ module: "http", resource: root }], suggested: [] };
    await bus.store.call("write.discovered", { module: "http", resource: root, job, result });
    await confirm(`${root}old`, 4);
    await confirm(`${root}new`, 6);
    const found = await until("what it leads to", () => read(`${root}new`));
    expect(found.provenance).toMatchObject([{ source: "http", parent: { resource: root } }]);
    const pending = async () =>
      (await bus.broker.jsm.consumers.info(streams.confirmations, durables.confirmations)).num_ack_pending;
    await until("all are settled", async () => (await pending()) === 0);
    expect(await read(`${root}old`)).toBeNull();
  });
});
