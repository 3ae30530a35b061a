import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Outcome } from "#contracts/messages.ts";
import { streams, subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { publish } from "#runtime/publish.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { readEarlier } from "./earlier.ts";

let nats: TestNats;
let broker: Broker;
beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", pino({ level: "silent" }));
  await broker.jsm.streams.add({
    name: streams.observations,
    subjects: [subjects.allObservations],
    retention: "workqueue",
    allow_direct: true,
  });
});
afterAll(async () => {
  await broker.close();
  await nats.stop();
});

function failedLook(resource: string, sequence: number): Outcome {
  const at = "2026-01-01T00:00:00.000Z";
  return {
    module: "http",
    resource,
    operation: "observation",
    cause: "schedule",
    job: { epoch: 1, sequence },
    deliveryCount: 1,
    fetcher: "fetcher-1",
    moduleVersion: 1,
    optionsFingerprint: "",
    basis: 0,
    startedAt: at,
    finishedAt: at,
    requests: 1,
    bodyBytes: 0,
    status: "failed",
    error: { kind: "unreachable", message: "x".repeat(sequence === 2 ? 2000 : 1) },
  };
}

/** Its sequence on the stream. */
async function put(resource: string, body: unknown, messageId: string): Promise<number> {
  const subject = subjects.observation("http", resource);
  const published = await publish(broker.js, { stream: streams.observations, subject, body, messageId });
  return published.outcome === "published" ? published.sequence : 0;
}

describe("earlier outcomes", () => {
  it("are those of the same resource that nobody has settled, oldest first; what cannot be read is passed over", async () => {
    const settled = await put("https://a.example/", failedLook("https://a.example/", 1), "1");
    await put("https://a.example/", failedLook("https://a.example/", 2), "2");
    await put("https://b.example/", failedLook("https://b.example/", 3), "3");
    await put("https://a.example/", "no outcome", "4");
    await put("https://a.example/", failedLook("https://a.example/", 5), "5");
    const sequence = await put("https://a.example/", failedLook("https://a.example/", 6), "6");
    await put("https://a.example/", failedLook("https://a.example/", 7), "7");
    await broker.jsm.streams.deleteMessage(streams.observations, settled);

    const subject = subjects.observation("http", "https://a.example/");
    const found = await Array.fromAsync(readEarlier({ subject, sequence }, broker));
    expect(found.map(({ job }) => job.sequence)).toEqual([2, 5]);
    expect(await Array.fromAsync(readEarlier({ subject, sequence: settled }, broker))).toEqual([]);
  });
});
