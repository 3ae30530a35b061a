import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { streams, subjects } from "#contracts/subjects.ts";
import { brokerUsers } from "../cli/embedded/permission-file.ts";
import {
  changeSubject,
  everybody,
  job,
  lane,
  laneSettings,
  observation,
  services,
  startCastle,
} from "./support/castle.ts";
import type { Castle } from "./support/castle.ts";
import type { UserUnderTest } from "./support/rights.ts";

/* Against the permission file that ships: what is not a user's work is refused. */

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

/** Whose work it is to read a stream's messages by number. */
const directReads = new Map<string, string>([
  ["store", streams.changes],
  ["assessor", streams.observations],
]);

describe("what is not its work is refused", () => {
  it("a wrong password, no password, and a user nobody added", async () => {
    const servers = `127.0.0.1:${castle.nats.port}`;
    for (const login of [{ user: "fetcher", pass: "no" }, {}, { user: "stranger", pass: "poutside" }]) {
      await expect(connect({ servers, reconnect: false, ...login })).rejects.toThrow(/authorization/i);
    }
  });

  describe.each(everybody)("%s", (name) => {
    it("changing streams", async () => {
      const { jsm } = as(name);
      await expect(jsm.streams.add({ name: "OWN", subjects: ["own"] })).rejects.toThrow(/permissions/i);
      await expect(jsm.streams.update(streams.changes, { max_age: 1e9 })).rejects.toThrow(/permissions/i);
      for (const stream of Object.values(streams)) {
        await expect(jsm.streams.delete(stream)).rejects.toThrow(/permissions/i);
        await expect(jsm.streams.purge(stream)).rejects.toThrow(/permissions/i);
        await expect(jsm.streams.deleteMessage(stream, 1)).rejects.toThrow(/permissions/i);
      }
    });

    it("consumers of its own", async () => {
      const { jsm, lanes } = as(name);
      const forged = { ...laneSettings, durable_name: "forged", deliver_subject: "paintdry.change.critical.forged" };
      for (const stream of Object.values(streams)) {
        if (name === "collector" && stream === streams.jobs) continue;
        await expect(jsm.consumers.add(stream, forged)).rejects.toThrow(/permissions/i);
        await expect(jsm.consumers.delete(stream, lane)).rejects.toThrow(/permissions/i);
      }
      await expect(lanes.watch()).rejects.toThrow(/permissions/i);
    });

    it("listening to others", async () => {
      const allowed = new Map<string, string[]>([
        ["gateway", ["paintdry.change.>", "paintdry.health.>"]],
        ["fetcher", [subjects.fetcherHeartbeat, "$KV.paintdry_lanes.>"]],
        ["fetcher-eu", [subjects.fetcherHeartbeat, "$KV.paintdry_lanes.>"]],
        ["store", ["paintdry.rpc.store.>"]],
        ["collector", ["paintdry.rpc.collector.>"]],
        ["siem", ["paintdry.change.high.>"]],
      ]);
      const strangers = everybody.filter((other) => other !== name).map((other) => `_INBOX_${other}.>`);
      const tempting = [">", "*", "$JS.>", "$SYS.>", "_INBOX.>", "paintdry.>", ...strangers];
      const streamsOf = ["discovery", "observation", "confirmation", "suggestion", "change", "health", "dead"];
      tempting.push(...streamsOf.map((kind) => `paintdry.${kind}.>`), "paintdry.change.high.>");
      tempting.push(
        subjects.fetcherHeartbeat,
        "$KV.paintdry_lanes.>",
        "paintdry.rpc.store.>",
        "paintdry.rpc.collector.>",
      );
      const heard = [];
      for (const subject of tempting) if (await as(name).maySubscribe(subject)) heard.push(subject);
      const gatewayToo = name === "gateway" ? ["paintdry.change.high.>"] : [];
      expect(heard.toSorted()).toEqual([...(allowed.get(name) ?? []), ...gatewayToo].toSorted());
    });

    it("publishing for others", async () => {
      const fetchers = ["fetcher", "fetcher-eu"];
      const publishers: [subject: string, who: string[]][] = [
        [job, ["collector"]],
        [observation, fetchers],
        [subjects.confirmation("http", "x"), fetchers],
        [subjects.suggestion("http", "dns", "x"), ["collector", ...fetchers]],
        [subjects.suggestion("cmdb.example", "dns", "x"), ["collector", "inventory", ...fetchers]],
        [changeSubject, ["assessor"]],
        [subjects.health("failing", "http", "x", "x"), ["assessor"]],
        [subjects.dead("job", job), fetchers],
        [subjects.dead("observation", observation), ["assessor"]],
        [subjects.dead("confirmation", "a.b.c"), ["collector"]],
        [subjects.dead("suggestion", "a.b.c"), ["collector"]],
        [subjects.dead("change", changeSubject), ["notifier"]],
        [subjects.dead("health", "a.b.c"), ["notifier"]],
        [subjects.fetcherHeartbeat, fetchers],
        [`$KV.paintdry_lanes.${subjects.restKey("x")}`, fetchers],
        [`$KV.paintdry_lanes.${subjects.limitKey("x")}`, ["collector"]],
        [subjects.storeRpc("read.look"), ["collector", "assessor", "gateway", ...fetchers]],
        [subjects.storeRpc("read.values"), ["collector", "assessor", "gateway"]],
        [subjects.storeRpc("write.commit"), ["collector", "assessor"]],
        [subjects.storeRpc("triage.accept"), ["gateway"]],
        [subjects.storeRpc("notify.claim"), ["notifier"]],
        [subjects.collectorRpc("check"), ["gateway"]],
        ["_INBOX_assessor.forged", []],
        ["paintdry", []],
        ["$SYS.REQ.SERVER.PING", []],
      ];
      const published = [];
      for (const [subject] of publishers) if (await as(name).mayPublish(subject)) published.push(subject);
      expect(published).toEqual(publishers.filter(([, who]) => who.includes(name)).map(([subject]) => subject));
    });

    it("taking and acknowledging others' messages", async () => {
      const owners: [stream: string, durable: string, who: string[]][] = [
        [streams.jobs, lane, ["fetcher", "fetcher-eu"]],
        [streams.observations, "assessor", ["assessor"]],
        [streams.confirmations, "collector-confirmations", ["collector"]],
        [streams.suggestions, "collector-suggestions", ["collector"]],
        [streams.changes, "notifier-changes", ["notifier"]],
        [streams.health, "notifier-health", ["notifier"]],
        [streams.changes, "ext-siem", ["siem"]],
      ];
      for (const [stream, durable, who] of owners) {
        const isOwner = who.includes(name);
        const path = `${stream}.${durable}`;
        // Past the last sequence: nothing is taken or settled by the owners' own tries.
        for (const ack of [`$JS.ACK.${path}.1.999.999.1.0`, `$JS.ACK._.hash.${path}.1.999.999.1.0.r`]) {
          expect([ack, await as(name).mayPublish(ack)]).toEqual([ack, isOwner]);
        }
        expect([path, await as(name).mayPublish(`$JS.API.CONSUMER.MSG.NEXT.${path}`)]).toEqual([path, isOwner]);
      }
    });

    it("reading streams directly", async () => {
      const { jsm } = as(name);
      for (const stream of Object.values(streams)) {
        await expect(jsm.streams.getMessage(stream, { seq: 1 })).rejects.toThrow(/permissions/i);
        if (directReads.get(name) === stream) continue;
        await expect(jsm.direct.getMessage(stream, { seq: 1 })).rejects.toThrow(/permissions/i);
      }
    });
  });

  it("the provisioner cannot publish, take or delete what is in the streams", async () => {
    const { jsm, mayPublish, maySubscribe } = as("provisioner");
    for (const stream of Object.values(streams)) {
      await expect(jsm.streams.delete(stream)).rejects.toThrow(/permissions/i);
      await expect(jsm.streams.purge(stream)).rejects.toThrow(/permissions/i);
    }
    for (const subject of [
      job,
      observation,
      changeSubject,
      subjects.storeRpc("write.commit"),
      "$KV.paintdry_lanes.x",
    ]) {
      expect([subject, await mayPublish(subject)]).toEqual([subject, false]);
    }
    for (const subject of [">", "paintdry.>", "_INBOX.>", "_INBOX_store.>"]) {
      expect([subject, await maySubscribe(subject)]).toEqual([subject, false]);
    }
  });

  it("the system user cannot see the messages of paintdry", async () => {
    const sys = await connect({
      servers: `127.0.0.1:${castle.nats.port}`,
      user: "sys",
      pass: castle.nats.passwordOf("sys"),
    });
    const heard: string[] = [];
    sys.subscribe("paintdry.>", { callback: (_error, message) => void heard.push(message.subject) });
    await sys.flush();
    await as("assessor").js.publish(changeSubject, "{}");
    await sys.flush();
    expect(heard).toEqual([]);
    await sys.close();
  });

  it("covers every user that the file names", () => {
    expect([...services, "provisioner", "sys"].toSorted()).toEqual([...brokerUsers].toSorted());
  });
});
