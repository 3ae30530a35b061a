import { jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { subjects } from "#contracts/subjects.ts";
import { startNats } from "../tests/support/nats.ts";
import type { TestNats } from "../tests/support/nats.ts";
import { connectBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";
import { decodeJson, encode } from "./codec.ts";
import { keepProvisioned, provision } from "./provision.ts";

const log = pino({ level: "silent" });
const noStore = { storeWaitMs: 0 };
let nats: TestNats;
let broker: Broker;
let adminConnection: NatsConnection;
let admin: JetStreamManager;

beforeAll(async () => {
  nats = await startNats({ permissions: true });
  broker = await connectBroker({ natsUrl: nats.url("provisioner"), natsCaFile: null }, "provisioner", log);
  const password = nats.passwordOf("admin");
  adminConnection = await connect({ servers: `127.0.0.1:${nats.port}`, user: "admin", pass: password });
  admin = await jetstreamManager(adminConnection);
});

afterAll(async () => {
  await broker.close();
  await adminConnection.close();
  await nats.stop();
});

describe("provision", () => {
  it("makes every stream, the bucket and the durables, and a repeat changes nothing", async () => {
    expect(await provision(broker, log, noStore)).toBe(false);
    const first = await describeAll();
    expect(Object.keys(first).toSorted()).toEqual(
      [
        "CHANGES",
        "CONFIRMATIONS",
        "DEAD",
        "HEALTH",
        "JOBS",
        "KV_paintdry_lanes",
        "OBSERVATIONS",
        "SUGGESTIONS",
      ].toSorted(),
    );
    expect(first["JOBS"]?.config).toMatchObject({
      retention: "workqueue",
      storage: "file",
      max_msgs_per_subject: 1,
      discard: "new",
      discard_new_per_subject: true,
      max_consumers: 20_000,
    });
    // What outside systems can fill must leave room for the rest: the account's limit is one for all.
    expect(first["SUGGESTIONS"]?.config).toMatchObject({ discard: "new", max_bytes: 256 * 1024 ** 2 });
    expect(first["DEAD"]?.config).toMatchObject({ discard: "old", max_bytes: 256 * 1024 ** 2 });
    expect(first["OBSERVATIONS"]?.consumers).toEqual(["assessor"]);
    expect(first["CHANGES"]?.consumers).toEqual(["notifier-changes"]);
    await provision(broker, log, noStore);
    expect(await describeAll()).toEqual(first);
  });

  it("makes the bucket before JOBS: a lane that is made meanwhile is written down at once", async () => {
    for (const stream of ["JOBS", "KV_paintdry_lanes"]) await admin.streams.delete(stream);
    const made: string[] = [];
    const watching = adminConnection.subscribe("$JS.API.STREAM.CREATE.*", {
      callback: (_error, { subject }) => void made.push(subject.split(".").at(-1) ?? ""),
    });
    await adminConnection.flush();
    await provision(broker, log, noStore);
    await adminConnection.flush();
    watching.unsubscribe();
    expect(made.filter((stream) => ["JOBS", "KV_paintdry_lanes"].includes(stream))).toEqual([
      "KV_paintdry_lanes",
      "JOBS",
    ]);
  });

  it("brings back a setting that somebody changed", async () => {
    await admin.streams.update("HEALTH", { max_age: 3_600e9, duplicate_window: 60e9 });
    await provision(broker, log, noStore);
    expect((await admin.streams.info("HEALTH")).config.max_age).toBe(30 * 86_400e9);
  });

  it("gives an outside subscriber a durable of its own, and follows its subjects", async () => {
    const filters = async () => {
      const { config } = await admin.consumers.info("CHANGES", "ext-siem");
      return config.filter_subjects ?? [config.filter_subject];
    };
    await provision(broker, log, { ...noStore, subscribers: [{ name: "siem", subjects: ["paintdry.change.high.>"] }] });
    expect(await filters()).toEqual(["paintdry.change.high.>"]);
    const both = ["paintdry.change.high.>", "paintdry.change.critical.>"];
    await provision(broker, log, { ...noStore, subscribers: [{ name: "siem", subjects: both }] });
    expect(await filters()).toEqual(both);
  });

  it("brings back a stream that was deleted outright, and tells the store when it was made", async () => {
    const told: { stream: string; createdAt: string }[] = [];
    const store = await connectBroker({ natsUrl: nats.url("store"), natsCaFile: null }, "store", log);
    store.nc.subscribe(subjects.storeRpc("write.stream"), {
      callback: (_error, message) => {
        told.push(decodeJson(message) as (typeof told)[number]);
        message.respond(encode({ epoch: told.length, isNew: true, replayed: 0 }).data);
      },
    });
    const stopping = new AbortController();
    const before = (await admin.streams.info("JOBS")).created;
    await admin.streams.delete("JOBS");
    const rounds: Promise<void> = new Promise((resolve) => {
      void keepProvisioned(broker, log, {
        everyMs: 50,
        signal: stopping.signal,
        readSubscribers: () => [],
        onDone: resolve,
      });
    });
    await rounds;
    stopping.abort();
    const { created } = await admin.streams.info("JOBS");
    expect(created).not.toBe(before);
    expect(told[0]).toEqual({ stream: "JOBS", createdAt: new Date(created).toISOString() });
    expect(told[1]?.stream).toBe("CHANGES");
    await store.close();
  });
});

async function describeAll(): Promise<Record<string, { config: object; created: string; consumers: string[] }>> {
  const described: Record<string, { config: object; created: string; consumers: string[] }> = {};
  for await (const { config, created } of admin.streams.list()) {
    const consumers: string[] = [];
    for await (const consumer of admin.consumers.list(config.name)) consumers.push(consumer.name);
    described[config.name] = { config, created, consumers };
  }
  return described;
}
