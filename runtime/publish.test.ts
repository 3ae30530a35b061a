import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startNats } from "../tests/support/nats.ts";
import type { TestNats } from "../tests/support/nats.ts";
import { connectBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";
import { createLog } from "./log.ts";
import { publish } from "./publish.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
});
afterAll(async () => {
  await broker?.close();
  await nats?.stop();
});

async function put(stream: string, tail: string, options: { forMs?: number; signal?: AbortSignal } = {}) {
  const publication = { stream, subject: `${stream}.${tail}`, body: "x".repeat(500), messageId: `${stream}:${tail}` };
  return await publish(broker.js, publication, options);
}

describe("publishing", () => {
  it("tells that a subject's message is still outstanding, and a repeat", async () => {
    await broker.jsm.streams.add({
      name: "queue",
      subjects: ["queue.>"],
      retention: "workqueue",
      discard: "new",
      max_msgs_per_subject: 1,
      discard_new_per_subject: true,
    });
    expect(await put("queue", "a")).toMatchObject({ outcome: "published", isDuplicate: false });
    expect(await put("queue", "a")).toMatchObject({ outcome: "published", isDuplicate: true });
    const again = { stream: "queue", subject: "queue.a", body: "b", messageId: "another" };
    expect(await publish(broker.js, again)).toEqual({ outcome: "outstanding" });
  });

  it.each([{ max_bytes: 1500 }, { max_msgs: 2 }])(
    "waits while a stream is full (%o): nothing is dropped as outstanding",
    async (bound) => {
      const name = `full-${Object.keys(bound)[0]}`;
      await broker.jsm.streams.add({ name, subjects: [`${name}.>`], retention: "workqueue", discard: "new", ...bound });
      for (const tail of ["a", "b"]) expect(await put(name, tail)).toMatchObject({ outcome: "published" });
      await expect(put(name, "c", { forMs: 0 })).rejects.toThrow(/exceeded/);
      const waiting = put(name, "d");
      await broker.jsm.streams.purge(name);
      expect(await waiting).toMatchObject({ outcome: "published" });
    },
  );

  it("does not repeat what the stream will never take", async () => {
    const body = randomBytes(3_000_000).toString("base64");
    const publication = { stream: "queue", subject: "queue.large", body, messageId: "large" };
    await expect(publish(broker.js, publication, { forMs: Number.POSITIVE_INFINITY })).rejects.toThrow(/payload/);
    await expect(publish(broker.js, { stream: "other", subject: "queue.z", body: 1, messageId: "z" })).rejects.toThrow(
      /expected stream does not match/,
    );
  });
});
