import { setTimeout as sleep } from "node:timers/promises";
import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import type { ConsumerMessages, JetStreamClient, JsMsg } from "@nats-io/jetstream";
import pLimit from "p-limit";
import type { LimitFunction } from "p-limit";
import { streams, subjects, messageIds } from "#contracts/subjects.ts";
import type { DeadLetter } from "#contracts/messages.ts";
import type { Broker } from "./broker.ts";
import { errorMessage, MalformedMessageError, RpcError } from "./errors.ts";
import type { Logger } from "./log.ts";
import { publish } from "./publish.ts";
import { backoffMs } from "./retry.ts";

/** What a handler makes of a message. One place alone, this one, settles it. */
export type Settlement = { type: "done" } | { type: "reject"; reason: string };

export const done: Settlement = { type: "done" };

/** A message as handlers see it. */
export interface Delivery {
  subject: string;
  data: Uint8Array;
  headers: JsMsg["headers"];
  sequence: number;
  deliveryCount: number;
}

export interface ConsumeOptions {
  broker: Broker;
  stream: string;
  durable: string;
  deadKind: Parameters<typeof subjects.dead>[0];
  /** Messages handled at the same time; more may wait here, kept in progress. */
  concurrency: number;
  ackWaitMs: number;
  log: Logger;
  /**
   * Errors that look temporary are tried again here, while the message is kept in progress, so that a delivery count
   * above 1 always means a crash or a lost lease.
   */
  handle(message: Delivery): Promise<Settlement>;
}

/** At a stop, what the server has sent already is waited for, since nobody else would get it before its ack wait. */
const onTheWayMs = 100;

/** Past this many deliveries a message has taken its handler down that often: poison. */
export const maxDeliveries = 20;
/** So often an error that may be the other side's own fault is tried again: about half an hour. */
const maxInternalAttempts = 200;

/** Consumes a durable until stopped; `stop` waits for the messages in hand. */
export function consumeStream(options: ConsumeOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = pump(options, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function pump(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const inHand = new Set<Promise<void>>();
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const consumer = await options.broker.js.consumers.get(options.stream, options.durable);
      const messages = await consumer.consume({ max_messages: options.concurrency, expires: 5000 });
      attempt = 1;
      await takeAll(messages, options, inHand, signal);
    } catch (error) {
      if (signal.aborted) break;
      tellInterrupted(error, attempt, options);
      await sleep(backoffMs(attempt, { firstMs: 200, mostMs: 5000 }), undefined, { signal }).catch(() => {});
    }
  }
  await Promise.all(inHand);
}

/** At a start the streams may not have been made yet: that is no fault. */
function tellInterrupted(error: unknown, attempt: number, { log, stream, durable }: ConsumeOptions): void {
  const isMissing =
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamNotFound || error.code === JetStreamApiCodes.ConsumerNotFound);
  if (!isMissing) log.warn({ err: error, stream, durable }, "consumer interrupted");
  else if (attempt === 1) log.info({ stream, durable }, "waiting for the stream and its durable to be made");
}

async function takeAll(
  messages: ConsumerMessages,
  options: ConsumeOptions,
  inHand: Set<Promise<void>>,
  signal: AbortSignal,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  const stop = () => {
    setTimeout(() => {
      void messages.close();
      closed.resolve();
    }, onTheWayMs);
  };
  const limit = pLimit(options.concurrency);
  signal.addEventListener("abort", stop, { once: true });
  // After a broker restart or a stream made anew the pull would idle for ever: give up and get the consumer again.
  void closeWhenLost(messages);
  try {
    for await (const message of messages) {
      // Taken as it comes, so that it is kept in progress while it waits for its turn; the durable's
      // `max_ack_pending` bounds how many can be here.
      const settled = settleInTurn({ message, limit, closed: closed.promise }, options, signal);
      inHand.add(settled);
      void settled.finally(() => inHand.delete(settled));
      // To go on would ask for more.
      if (signal.aborted) await closed.promise;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    await messages.close();
    closed.resolve();
  }
}

async function closeWhenLost(messages: ConsumerMessages): Promise<void> {
  for await (const status of messages.status()) {
    if (["consumer_deleted", "consumer_not_found", "stream_not_found", "no_responders"].includes(status.type)) {
      await messages.close();
      return;
    }
    if (status.type === "heartbeats_missed" && status.count >= 2) {
      await messages.close();
      return;
    }
  }
}

async function settleInTurn(
  { message, limit, closed }: { message: JsMsg; limit: LimitFunction; closed: Promise<void> },
  options: ConsumeOptions,
  signal: AbortSignal,
): Promise<void> {
  const inProgress = setInterval(() => message.working(), options.ackWaitMs / 3);
  try {
    const hasBegun = await limit(async () => {
      if (signal.aborted) return false;
      await settle(message, options, signal);
      return true;
    });
    if (!hasBegun) await giveBack(message, closed);
  } catch (error) {
    // Left unacknowledged: the server delivers it again.
    options.log.error({ err: error, subject: message.subject, sequence: message.seq }, "message not settled");
    if (signal.aborted) await giveBack(message, closed);
  } finally {
    clearInterval(inProgress);
  }
}

/** At a stop: so that another takes it at once. Not before this one has stopped taking, or it would come back here. */
async function giveBack(message: JsMsg, closed: Promise<void>): Promise<void> {
  await closed;
  message.nak();
}

async function settle(message: JsMsg, options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const { deliveryCount } = message.info;
  const settlement: Settlement =
    deliveryCount > maxDeliveries
      ? { type: "reject", reason: `delivered ${deliveryCount} times without an outcome` }
      : await handleUntilSettled(message, options, signal);
  if (settlement.type === "reject") {
    await bury(options.broker.js, message, { kind: options.deadKind, stream: options.stream, ...settlement });
    message.term(settlement.reason);
    options.log.error({ subject: message.subject, reason: settlement.reason }, "message rejected");
    return;
  }
  await acknowledge(message, options.log);
}

async function handleUntilSettled(message: JsMsg, options: ConsumeOptions, signal: AbortSignal): Promise<Settlement> {
  const delivery: Delivery = {
    subject: message.subject,
    data: message.data,
    headers: message.headers,
    sequence: message.seq,
    deliveryCount: message.info.deliveryCount,
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await options.handle(delivery);
    } catch (error) {
      if (error instanceof MalformedMessageError) return { type: "reject", reason: error.message };
      const isHopeless = error instanceof RpcError && error.code === "internal" && attempt >= maxInternalAttempts;
      if (isHopeless || isForGood(error)) return { type: "reject", reason: `${error.code}: ${error.message}` };
      if (signal.aborted) throw error;
      options.log.warn({ err: error, subject: message.subject, attempt }, "message will be handled again");
      await sleep(backoffMs(attempt, { firstMs: 200, mostMs: 10_000 }), undefined, { signal });
    }
  }
}

/** Would another service refuse the same request again, whenever it comes? */
export function isForGood(error: unknown): error is RpcError {
  return error instanceof RpcError && !error.isTemporary && error.code !== "internal";
}

/** The acknowledgement is awaited; one that gets no answer means a redelivery, which every handler bears. */
export async function acknowledge(message: JsMsg, log: Logger): Promise<void> {
  try {
    await message.ackAck();
  } catch (error) {
    log.warn({ subject: message.subject, sequence: message.seq, reason: errorMessage(error) }, "ack unanswered");
  }
}

/** Puts a message that cannot be handled on DEAD, with the reason and the original body. */
export async function bury(
  js: JetStreamClient,
  message: JsMsg,
  { kind, stream, reason }: { kind: Parameters<typeof subjects.dead>[0]; stream: string; reason: string },
): Promise<void> {
  const letter: DeadLetter = {
    reason,
    originalSubject: message.subject,
    deliveryCount: message.info.deliveryCount,
    at: new Date().toISOString(),
    body: Buffer.from(message.data).toString("base64"),
  };
  await publish(js, {
    stream: streams.dead,
    subject: subjects.dead(kind, message.subject),
    body: letter,
    messageId: messageIds.dead(stream, message.timestampNanos.toString(), message.seq),
  });
}
