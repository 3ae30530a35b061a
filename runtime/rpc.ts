import { InvalidArgumentError, NoRespondersError, RequestError, TimeoutError } from "@nats-io/nats-core";
import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";
import type { z } from "zod";
import { RpcFailure, storeRpc } from "#contracts/store.ts";
import type { StoreOperation, StoreReply, StoreRequest } from "#contracts/store.ts";
import { subjects } from "#contracts/subjects.ts";
import { decode, decodeJson, encode } from "./codec.ts";
import { errorMessage, MalformedMessageError, RpcError } from "./errors.ts";
import type { Logger } from "./log.ts";
import { retry } from "./retry.ts";

type Contract = Record<string, { request: z.ZodType; reply: z.ZodType }>;

/** Asks the store; a request goes to whichever store is there, and is repeated while none answers. */
export interface StoreClient {
  call<Name extends StoreOperation>(name: Name, request: StoreRequest<Name>): Promise<StoreReply<Name>>;
}

export interface CallOptions {
  /** How long one attempt waits for its answer. */
  timeoutMs?: number;
  /** How long temporary failures are retried; default 15 s. `Infinity` goes on until the signal aborts. */
  retryForMs?: number;
  signal?: AbortSignal;
}

export function createStoreClient(nc: NatsConnection, options: CallOptions = {}): StoreClient {
  return {
    call: async (name, request) =>
      (await callRpc(nc, subjects.storeRpc(name), request, storeRpc[name].reply, options)) as never,
  };
}

/** One request and its validated reply. Every operation may be repeated: the store recognises what it has done. */
export async function callRpc<Reply extends z.ZodType>(
  nc: NatsConnection,
  subject: string,
  request: unknown,
  reply: Reply,
  options: CallOptions = {},
): Promise<z.infer<Reply>> {
  const body = encode(request);
  return await retry(() => callOnce(nc, subject, body, reply, options.timeoutMs ?? 10_000), {
    firstMs: 100,
    mostMs: 5000,
    forMs: options.retryForMs ?? 15_000,
    signal: options.signal,
    isTemporary: (error) => error instanceof RpcError && error.isTemporary,
  });
}

async function callOnce<Reply extends z.ZodType>(
  nc: NatsConnection,
  subject: string,
  body: ReturnType<typeof encode>,
  reply: Reply,
  timeoutMs: number,
): Promise<z.infer<Reply>> {
  const answer = await request(nc, subject, body, timeoutMs);
  const failure = RpcFailure.safeParse(decodeJson(answer));
  if (failure.success) {
    const { code, message } = failure.data.error;
    throw new RpcError(code, message, { isTemporary: code === "unavailable" });
  }
  return decode(answer, reply);
}

async function request(
  nc: NatsConnection,
  subject: string,
  body: ReturnType<typeof encode>,
  timeoutMs: number,
): Promise<Msg> {
  try {
    return await nc.request(subject, body.data, {
      timeout: timeoutMs,
      ...(body.headers ? { headers: body.headers } : {}),
    });
  } catch (error) {
    if (error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders())) {
      throw new RpcError("no_responders", `nobody answers ${subject} yet`, { cause: error, isTemporary: true });
    }
    if (error instanceof TimeoutError || error instanceof RequestError) {
      throw new RpcError("timeout", `no answer to ${subject} within ${timeoutMs} ms`, {
        cause: error,
        isTemporary: true,
      });
    }
    if (error instanceof InvalidArgumentError) {
      throw new RpcError("too_large", `the request to ${subject} does not fit into one message`, {
        cause: error,
        isTemporary: false,
      });
    }
    throw new RpcError("broker", `${subject} could not be asked: ${errorMessage(error)}`, {
      cause: error,
      isTemporary: !nc.isClosed(),
    });
  }
}

export type RpcHandlers<Operations extends Contract> = {
  [Name in keyof Operations]: (
    request: z.infer<Operations[Name]["request"]>,
  ) => Promise<z.infer<Operations[Name]["reply"]>>;
};

/**
 * Answers requests on `<prefix>.<name>`, as one of a queue group. A handler that throws answers with an error:
 * `RpcError` keeps its code; anything else is `internal`, logged here.
 */
export function serveRpc<Operations extends Contract>(
  nc: NatsConnection,
  options: { subjectOf(name: string): string; queue: string; contract: Operations; log: Logger },
  handlers: RpcHandlers<Operations>,
): { stop(): Promise<void> } {
  const pending = new Set<Promise<void>>();
  const subscriptions: Subscription[] = [];
  for (const name of Object.keys(options.contract) as (keyof Operations & string)[]) {
    const subscription = nc.subscribe(options.subjectOf(name), {
      queue: options.queue,
      callback: (error, message) => {
        if (error || !isInbox(message.reply)) return;
        const answered = answer(message, name, options.contract[name] as Contract[string], handlers[name], options.log);
        pending.add(answered);
        void answered.finally(() => pending.delete(answered));
      },
    });
    subscriptions.push(subscription);
  }
  return {
    stop: async () => {
      await Promise.all(subscriptions.map((subscription) => subscription.drain()));
      await Promise.all(pending);
    },
  };
}

/**
 * The right to answer holds for whatever subject a request names. Who may ask, as a fetcher may, could have the answer
 * written into a stream, or sent to the broker's own API, with the answering service's rights.
 */
function isInbox(reply: string | undefined): boolean {
  return reply !== undefined && /^_INBOX[._]/.test(reply);
}

async function answer(
  message: Msg,
  name: string,
  { request: schema }: Contract[string],
  handler: (request: never) => Promise<unknown>,
  log: Logger,
): Promise<void> {
  let reply: unknown;
  try {
    reply = await handler(decode(message, schema) as never);
  } catch (error) {
    reply = { error: describeFailure(error, name, log) };
  }
  respond(message, reply, name, log);
}

function respond(message: Msg, reply: unknown, name: string, log: Logger): void {
  try {
    const body = encode(reply);
    message.respond(body.data, body.headers ? { headers: body.headers } : {});
  } catch (error) {
    log.error({ err: error, operation: name }, "reply could not be sent");
    const body = encode({ error: { code: "too_large", message: "the answer does not fit into one message" } });
    message.respond(body.data);
  }
}

function describeFailure(error: unknown, name: string, log: Logger): { code: string; message: string } {
  if (error instanceof RpcError) return { code: error.code, message: error.message };
  if (error instanceof MalformedMessageError) return { code: error.code, message: error.message };
  log.error({ err: error, operation: name }, "request failed");
  return { code: "internal", message: `${name} failed: ${errorMessage(error)}` };
}
