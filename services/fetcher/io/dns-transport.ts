import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { LookError } from "#contracts/look-error.ts";
import { describeResolver, type Resolver } from "./dns-servers.ts";
import { encodeQuestion, readReply, WireError, type Question, type Reply } from "./dns-wire.ts";

export interface AskOptions {
  /** How long one resolver may take. */
  timeoutMs: number;
  /** Aborts at the look's deadline. */
  signal?: AbortSignal | undefined;
}

/** One question by UDP, and by TCP when the answer did not fit. Throws `LookError`. */
export async function ask(resolver: Resolver, question: Question, options: AskOptions): Promise<Reply> {
  const reply = await askByUdp(resolver, question, options);
  return reply.isTruncated ? await askByTcp(resolver, question, options) : reply;
}

/** What one exchange ends with: exactly one of these is called, and only its first call counts. */
interface Ending {
  answer(reply: Reply): void;
  fail(error: LookError): void;
  /** Instead of "no answer" when the time is up. */
  suspect(error: LookError): void;
}

function askByUdp(resolver: Resolver, question: Question, options: AskOptions): Promise<Reply> {
  const id = randomInt(0x1_0000);
  return exchange(resolver, options, (ending) => {
    const socket = createSocket(isIPv6(resolver.address) ? "udp6" : "udp4");
    socket.on("error", (cause) => ending.fail(unreachable(resolver, cause)));
    socket.on("message", (message) => {
      // Whatever does not fit the question may be forged: the true answer may still come.
      try {
        const reply = readReply(message, id, question);
        if (reply !== null) ending.answer(reply);
      } catch (error) {
        ending.suspect(malformed(resolver, error));
      }
    });
    // A connected socket is given datagrams from that address and port alone, and hears of a closed port.
    socket.on("connect", () => socket.send(encodeQuestion(id, question)));
    socket.connect(resolver.port, resolver.address);
    return () => socket.close();
  });
}

function askByTcp(resolver: Resolver, question: Question, options: AskOptions): Promise<Reply> {
  const id = randomInt(0x1_0000);
  return exchange(resolver, options, (ending) => {
    const socket = connect({ host: resolver.address, port: resolver.port });
    let received = Buffer.alloc(0);
    socket.on("error", (cause) => ending.fail(unreachable(resolver, cause)));
    socket.on("close", () => ending.fail(malformed(resolver, new WireError("it ended early"))));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const bytes = received.length < 2 ? Infinity : received.readUInt16BE(0);
      if (received.length < bytes + 2) return;
      socket.pause();
      endWithReply(received.subarray(2, bytes + 2));
    });
    socket.write(withLength(encodeQuestion(id, question)));
    return () => socket.destroy();

    function endWithReply(message: Buffer): void {
      try {
        const reply = readReply(message, id, question);
        if (reply === null || reply.isTruncated) throw new WireError("it does not answer the question");
        ending.answer(reply);
      } catch (error) {
        ending.fail(malformed(resolver, error));
      }
    }
  });
}

/** Runs one exchange until it ends, its time is up or the look is over; then frees what it holds. */
async function exchange(
  resolver: Resolver,
  { timeoutMs, signal }: AskOptions,
  start: (ending: Ending) => () => void,
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  let late = new LookError("timeout", `the resolver ${describeResolver(resolver)} did not answer in ${timeoutMs} ms`);
  const timer = setTimeout(() => reject(late), timeoutMs);
  const abort = () => reject(new LookError("timeout", "the look's time was up before the resolver answered"));
  signal?.addEventListener("abort", abort);
  const stop = start({ answer: resolve, fail: reject, suspect: (error) => (late = error) });
  try {
    if (signal?.aborted === true) abort();
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    stop();
  }
}

/** Over TCP a message is preceded by its length (RFC 1035 §4.2.2). */
function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function unreachable(resolver: Resolver, cause: Error): LookError {
  const code = (cause as NodeJS.ErrnoException).code ?? cause.message;
  return new LookError("unreachable", `the resolver ${describeResolver(resolver)} cannot be reached (${code})`, {
    cause,
  });
}

function malformed(resolver: Resolver, cause: unknown): LookError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LookError("malformed", `the resolver ${describeResolver(resolver)} sent a malformed answer: ${why}`, {
    cause,
  });
}
