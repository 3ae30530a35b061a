import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { streams, subjects } from "#contracts/subjects.ts";
import { changeSubject, job, lane, laneSettings, observation, startCastle } from "./support/castle.ts";
import type { Castle } from "./support/castle.ts";
import type { UserUnderTest } from "./support/rights.ts";

/*
 * Against the permission file that ships: every user can do its work without one refusal. What each is refused is in
 * permissions-refused.test.ts.
 */

let castle: Castle;

beforeAll(async () => {
  castle = await startCastle();
});

afterAll(async () => {
  await castle.stop();
});

function as(name: string): UserUnderTest {
  return castle.as(name);
}

async function ask(name: string, subject: string): Promise<void> {
  await as(name).nc.request(subject, "{}", { timeout: 2000 });
}

async function take(name: string, stream: string, durable: string): Promise<void> {
  const consumer = await as(name).js.consumers.get(stream, durable);
  const message = await consumer.next({ expires: 2000 });
  if (!message) throw new Error(`${stream} is empty`);
  message.working();
  expect(await message.ackAck({ timeout: 2000 })).toBe(true);
}

describe("each user can do its work", () => {
  it("the provisioner repairs and tells the store", async () => {
    await as("provisioner").jsm.streams.update(streams.health, { max_age: 30 * 86_400e9 });
    await ask("provisioner", subjects.storeRpc("write.stream"));
    expect(as("provisioner").refusals).toEqual([]);
  });

  it("a collector makes and removes lanes, and publishes jobs and suggestions", async () => {
    const { js, jsm, lanes } = as("collector");
    await jsm.consumers.update(streams.jobs, lane, { max_ack_pending: 2 });
    const other = {
      ...laneSettings,
      durable_name: "due-other",
      filter_subject: subjects.laneJobs("other.example", "due"),
    };
    await jsm.consumers.add(streams.jobs, other);
    await jsm.consumers.delete(streams.jobs, "due-other");
    expect((await jsm.consumers.list(streams.jobs).next()).map(({ name }) => name)).toEqual([lane]);
    await jsm.consumers.info(streams.jobs, lane);
    await jsm.streams.info(streams.jobs, { subjects_filter: subjects.allJobs });
    await lanes.put(subjects.limitKey("example.com"), "{}");
    await lanes.delete(subjects.limitKey("gone.example"));
    expect((await lanes.get(subjects.limitKey("example.com")))?.string()).toBe("{}");
    await js.publish(job, "{}", { msgID: "1" });
    await js.publish(subjects.suggestion("config.json", "http", "https://example.com/"), "{}");
    for (const operation of ["read.due", "write.config"]) await ask("collector", subjects.storeRpc(operation));
  });

  it("a fetcher pulls lanes, publishes what it saw, and shares rests and heartbeats", async () => {
    const { js, jsm, lanes, nc } = as("fetcher");
    const heard: string[] = [];
    nc.subscribe("$KV.paintdry_lanes.>", { callback: (_error, message) => void heard.push(message.subject) });
    nc.subscribe(subjects.fetcherHeartbeat, { callback: (_error, message) => void heard.push(message.subject) });
    expect((await jsm.consumers.list(streams.jobs).next()).length).toBe(1);
    await ask("fetcher", subjects.storeRpc("read.look"));
    await take("fetcher", streams.jobs, lane);
    await js.publish(observation, "{}", { msgID: "job:1:1" });
    await js.publish(subjects.confirmation("http", "https://example.com/"), "{}");
    await js.publish(subjects.suggestion("http", "dns", "example.com"), "{}");
    await js.publish(subjects.dead("job", job), "{}");
    await lanes.put(subjects.restKey("example.com"), "1");
    expect((await lanes.get(subjects.limitKey("example.com")))?.string()).toBe("{}");
    nc.publish(subjects.fetcherHeartbeat, "{}");
    await nc.flush();
    expect(heard).toEqual([`$KV.paintdry_lanes.${subjects.restKey("example.com")}`, subjects.fetcherHeartbeat]);
  });

  it("a collector takes confirmations and suggestions", async () => {
    await take("collector", streams.confirmations, "collector-confirmations");
    await take("collector", streams.suggestions, "collector-suggestions");
    const dead = [subjects.dead("confirmation", "a.b.c.d"), subjects.dead("suggestion", "a.b.c.d")];
    for (const subject of dead) await as("collector").js.publish(subject, "{}");
    expect(as("collector").refusals).toEqual([]);
  });

  it("an assessor takes outcomes and publishes changes", async () => {
    await take("assessor", streams.observations, "assessor");
    const { js, jsm } = as("assessor");
    await jsm.direct.getMessage(streams.observations, { seq: 1, next_by_subj: observation });
    const heard: string[] = [];
    as("gateway").nc.subscribe(subjects.allChanges, {
      callback: (_error, message) => void heard.push(message.subject),
    });
    as("gateway").nc.subscribe(subjects.allHealth, { callback: (_error, message) => void heard.push(message.subject) });
    as("siem").nc.subscribe("paintdry.change.high.>", { callback: () => void heard.push("siem") });
    await Promise.all([as("gateway").nc.flush(), as("siem").nc.flush()]);
    await js.publish(changeSubject, "{}", { msgID: "change:1" });
    const health = subjects.health("failing", "http", "example.com", "https://example.com/");
    await js.publish(health, "{}", { msgID: "health:1" });
    await js.publish(subjects.dead("observation", observation), "{}");
    for (const operation of ["read.values", "write.commit"]) await ask("assessor", subjects.storeRpc(operation));
    await Promise.all([as("gateway").nc.flush(), as("siem").nc.flush()]);
    expect(heard.toSorted()).toEqual([changeSubject, health, "siem"].toSorted());
  });

  it("the store reads CHANGES back for its repair", async () => {
    const { jsm } = as("store");
    expect((await jsm.streams.info(streams.changes)).state.messages).toBe(1);
    expect((await jsm.direct.getMessage(streams.changes, { seq: 1 }))?.subject).toBe(changeSubject);
    expect((await jsm.direct.getMessage(streams.changes, { last_by_subj: changeSubject }))?.seq).toBe(1);
  });

  it("the gateway reads, triages and asks for checks", async () => {
    for (const operation of ["read.changes", "triage.accept"]) await ask("gateway", subjects.storeRpc(operation));
    await ask("gateway", subjects.collectorRpc("check"));
    expect(as("gateway").refusals).toEqual([]);
  });

  it("the notifier takes changes and health events and keeps its log", async () => {
    await take("notifier", streams.changes, "notifier-changes");
    await take("notifier", streams.health, "notifier-health");
    const dead = [subjects.dead("change", changeSubject), subjects.dead("health", "a.b.c.d")];
    for (const subject of dead) await as("notifier").js.publish(subject, "{}");
    for (const operation of ["notify.claim", "notify.record"]) await ask("notifier", subjects.storeRpc(operation));
    expect(as("notifier").refusals).toEqual([]);
  });

  it("an outside subscriber has its durable, a source its suggestions, a remote fetcher the fetcher's rights", async () => {
    await take("siem", streams.changes, "ext-siem");
    await as("inventory").js.publish(subjects.suggestion("cmdb.example", "dns", "b.example"), "{}");
    await as("collector").js.publish(job, "{}");
    await take("fetcher-eu", streams.jobs, lane);
    await as("fetcher-eu").js.publish(observation, "{}");
    await ask("fetcher-eu", subjects.storeRpc("read.look"));
    expect(as("siem").refusals).toEqual([]);
    expect(as("inventory").refusals).toEqual([]);
    expect(as("fetcher-eu").refusals).toEqual([]);
  });

  it("none was refused anything meanwhile", () => {
    const refused = [...castle.users].filter(([, { refusals }]) => refusals.length > 0);
    expect(refused.map(([name, { refusals }]) => [name, refusals])).toEqual([]);
  });
});
