import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { streams, subjects } from "#contracts/subjects.ts";
import { startNats } from "../tests/support/nats.ts";
import type { TestNats } from "../tests/support/nats.ts";
import { connectBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";
import { decodeJson } from "./codec.ts";
import { MalformedMessageError, RpcError } from "./errors.ts";
import { createLog } from "./log.ts";
import { publish } from "./publish.ts";
import { consumeStream, done, maxDeliveries } from "./settle.ts";
import type { Delivery, Settlement } from "./settle.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  await broker.jsm.streams.add({ name: streams.dead, subjects: [subjects.allDead] });
});
afterAll(async () => {
  await broker.close();
  await nats.stop();
});

/** A work queue of its own for each test. */
async function workQueue(name: string, ackWaitMs = 30_000): Promise<void> {
  await broker.jsm.streams.add({
    name,
    subjects: [`${name}.>`],
    retention: "workqueue",
    max_msgs_per_subject: 1,
    discard: "new",
    discard_new_per_subject: true,
  });
  await broker.jsm.consumers.add(name, { durable_name: "worker", ack_policy: "explicit", ack_wait: ackWaitMs * 1e6 });
}

async function put(name: string, tail: string, body: unknown = { tail }) {
  return await publish(broker.js, { stream: name, subject: `${name}.${tail}`, body, messageId: `${name}:${tail}` });
}

function consume(name: string, handle: (message: Delivery) => Promise<Settlement>, ackWaitMs = 30_000) {
  return consumeStream({
    broker,
    stream: name,
    durable: "worker",
    deadKind: "observation",
    concurrency: 4,
    ackWaitMs,
    log,
    handle,
  });
}

async function messagesIn(name: string): Promise<number> {
  return (await broker.jsm.streams.info(name)).state.messages;
}

async function lastDeadLetter(): Promise<unknown> {
  const message = await broker.jsm.streams.getMessage(streams.dead, { last_by_subj: subjects.allDead });
  return message && decodeJson({ data: message.data });
}

describe("publish", () => {
  it("is answered that a subject's message is outstanding, and that an id was seen before", async () => {
    await workQueue("PUB");
    expect(await put("PUB", "a")).toEqual({ outcome: "published", sequence: 1, isDuplicate: false });
    expect(await put("PUB", "a")).toMatchObject({ outcome: "published", isDuplicate: true });
    const other = { stream: "PUB", subject: "PUB.a", body: {}, messageId: "other" };
    expect(await publish(broker.js, other)).toEqual({ outcome: "outstanding" });
  });
});

describe("consumeStream", () => {
  it("acknowledges what is done, each message once", async () => {
    await workQueue("DONE");
    const handled: string[] = [];
    const consumer = consume("DONE", async ({ subject }) => {
      handled.push(subject);
      return done;
    });
    await Promise.all(Array.from({ length: 50 }, (_, index) => put("DONE", `m${index}`)));
    await vi.waitFor(async () => expect(await messagesIn("DONE")).toBe(0), { timeout: 20_000 });
    await consumer.stop();
    expect(handled).toHaveLength(50);
    expect(new Set(handled).size).toBe(50);
  });

  it("puts what is rejected or malformed on DEAD, with the reason and the body", async () => {
    await workQueue("BAD");
    const consumer = consume("BAD", async ({ subject }) => {
      if (subject.endsWith("malformed")) throw new MalformedMessageError("the body is not JSON");
      return { type: "reject", reason: "no such source" };
    });
    await put("BAD", "x.malformed", { n: 1 });
    await vi.waitFor(async () => expect(await messagesIn("BAD")).toBe(0), { timeout: 20_000 });
    expect(await lastDeadLetter()).toMatchObject({
      reason: "the body is not JSON",
      originalSubject: "BAD.x.malformed",
      body: Buffer.from('{"n":1}').toString("base64"),
    });
    await put("BAD", "x.rejected");
    await vi.waitFor(async () => expect(await lastDeadLetter()).toMatchObject({ reason: "no such source" }), {
      timeout: 20_000,
    });
    await consumer.stop();
  });

  it("tries again what failed for the moment, without a redelivery", async () => {
    await workQueue("AGAIN");
    const counts: number[] = [];
    const consumer = consume("AGAIN", async ({ deliveryCount }) => {
      counts.push(deliveryCount);
      if (counts.length < 3) throw new RpcError("no_responders", "the store is away", { isTemporary: true });
      return done;
    });
    await put("AGAIN", "a");
    await vi.waitFor(async () => expect(await messagesIn("AGAIN")).toBe(0), { timeout: 20_000 });
    await consumer.stop();
    expect(counts).toEqual([1, 1, 1]);
  });

  it("gives back at a stop what has not begun, so that nobody waits for it", async () => {
    await workQueue("STOP");
    const began: string[] = [];
    const release = Promise.withResolvers<void>();
    const consumer = consume("STOP", async ({ subject }) => {
      began.push(subject);
      await release.promise;
      return done;
    });
    await Promise.all(Array.from({ length: 30 }, (_, index) => put("STOP", `m${index}`)));
    const inHand = async () => (await broker.jsm.consumers.info("STOP", "worker")).num_ack_pending;
    await vi.waitFor(async () => expect(await inHand()).toBeGreaterThan(4), { timeout: 20_000 });
    const stopped = consumer.stop();
    release.resolve();
    await stopped;
    expect(began).toHaveLength(4);
    const next: string[] = [];
    const another = consume("STOP", async ({ subject }) => {
      next.push(subject);
      return done;
    });
    await vi.waitFor(async () => expect(await messagesIn("STOP")).toBe(0), { timeout: 10_000 });
    await another.stop();
    expect(next).toHaveLength(26);
  });

  it("gives up a message that took its handler down too often", async () => {
    await workQueue("POISON", 1000);
    const worker = await broker.js.consumers.get("POISON", "worker");
    await put("POISON", "a");
    for (let delivery = 1; delivery <= maxDeliveries; delivery++) {
      const message = await worker.next({ expires: 5000 });
      expect(message?.info.deliveryCount).toBe(delivery);
      message?.nak();
    }
    let wasHandled = false;
    const consumer = consume("POISON", async () => {
      wasHandled = true;
      return done;
    });
    await vi.waitFor(async () => expect(await messagesIn("POISON")).toBe(0), { timeout: 20_000 });
    await consumer.stop();
    expect(wasHandled).toBe(false);
    expect(await lastDeadLetter()).toMatchObject({ originalSubject: "POISON.a", deliveryCount: maxDeliveries + 1 });
  });

  it("keeps a message whose handling outlasts the ack wait in progress", async () => {
    await workQueue("LONG", 1000);
    const counts: number[] = [];
    const consumer = consume(
      "LONG",
      async ({ deliveryCount }) => {
        counts.push(deliveryCount);
        await new Promise((resolve) => setTimeout(resolve, 3500));
        return done;
      },
      1000,
    );
    await put("LONG", "a");
    await vi.waitFor(async () => expect(await messagesIn("LONG")).toBe(0), { timeout: 20_000 });
    await consumer.stop();
    expect(counts).toEqual([1]);
  });

  it("keeps the messages that wait for their turn in progress", async () => {
    await workQueue("TURN", 1000);
    const counts: number[] = [];
    const consumer = consume(
      "TURN",
      async ({ deliveryCount }) => {
        counts.push(deliveryCount);
        await new Promise((resolve) => setTimeout(resolve, 2500));
        return done;
      },
      1000,
    );
    await Promise.all(Array.from({ length: 12 }, (_, index) => put("TURN", `m${index}`)));
    await vi.waitFor(async () => expect(await messagesIn("TURN")).toBe(0), { timeout: 25_000 });
    await consumer.stop();
    expect(counts).toEqual(Array.from({ length: 12 }, () => 1));
  });

  it("goes on after its stream was deleted and made anew", async () => {
    await workQueue("ANEW");
    const handled: string[] = [];
    const consumer = consume("ANEW", async ({ subject }) => {
      handled.push(subject);
      return done;
    });
    await put("ANEW", "before");
    await vi.waitFor(() => expect(handled).toEqual(["ANEW.before"]), { timeout: 20_000 });
    await broker.jsm.streams.delete("ANEW");
    await workQueue("ANEW");
    await put("ANEW", "after");
    await vi.waitFor(() => expect(handled).toEqual(["ANEW.before", "ANEW.after"]), { timeout: 25_000 });
    await consumer.stop();
  }, 60_000);
});
