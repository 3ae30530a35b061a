import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { DeadLetter } from "#contracts/messages.ts";
import { streams, subjects } from "#contracts/subjects.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { startWeb } from "./fixtures/web.ts";
import type { Web } from "./fixtures/web.ts";

// Each fact is waited for by itself; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

let world: World;
let web: Web;

beforeAll(async () => {
  web = await startWeb({ "/": {} });
  world = await startWorld({
    config: {
      targets: [{ modules: ["http"], resources: [`${web.url}/`] }],
      modules: { http: { knownPaths: false } },
      schedule: { every: "2s" },
      limits: { default: { perSecond: 50, concurrency: 1 } },
      egress: { allow: ["127.0.0.0/8"] },
    },
  });
  await until("the first look", async () => web.requests.length > 0);
});
afterAll(async () => {
  await web?.stop();
  await world?.stop();
});

async function deadLetter(kind: "job" | "observation" | "confirmation", subject: string): Promise<DeadLetter> {
  return await until(`a dead letter of ${subject}`, async () => {
    const query = { last_by_subj: subjects.dead(kind, subject) };
    return (await world.jsm.streams.getMessage(streams.dead, query))?.json<DeadLetter>();
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

describe("a message that cannot be handled", () => {
  it("is a dead letter with its reason and its body, and the jobs behind it go on", async () => {
    // The urgent job of a resource whose scheduled ones must not stop.
    const subject = subjects.job(web.host, "now", "http", `${web.url}/`);
    await world.js.publish(subject, "no job");
    const letter = await deadLetter("job", subject);
    expect(letter).toMatchObject({ originalSubject: subject, deliveryCount: 1, body: base64("no job") });
    expect(letter.reason).not.toBe("");
    const looks = web.requests.length;
    expect(await world.post("checks", { module: "http", resource: `${web.url}/` })).toMatchObject({
      body: { outcome: "queued" },
    });
    await until("a check and a look", async () => web.requests.length > looks + 1);
  });

  it("is found again when it is an outcome, or what a module is said to confirm", async () => {
    const outcome = subjects.observation("http", `${web.url}/`);
    const halfAnOutcome = JSON.stringify({ status: "seen", module: "http", resource: `${web.url}/` });
    await world.js.publish(outcome, halfAnOutcome);
    expect(await deadLetter("observation", outcome)).toMatchObject({
      originalSubject: outcome,
      body: base64(halfAnOutcome),
    });
    const confirmation = subjects.confirmation("http", `${web.url}/`);
    await world.js.publish(confirmation, "{}");
    expect(await deadLetter("confirmation", confirmation)).toMatchObject({ body: base64("{}") });
    const { num_ack_pending: pending } = await world.jsm.consumers.info(streams.observations, "assessor");
    expect(pending).toBeLessThanOrEqual(1);
    const looks = web.requests.length;
    await until("looks that go on", async () => web.requests.length > looks + 1);
    await until("and are recorded", async () => {
      const { items } = (await world.api("resources?q=%2F")) as { items: { lastLookAt: string | null }[] };
      return items.length === 1 && Date.parse(items[0]?.lastLookAt ?? "") > Date.now() - 3000;
    });
  });
});
