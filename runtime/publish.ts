import { JetStreamApiError } from "@nats-io/jetstream";
import type { JetStreamClient } from "@nats-io/jetstream";
import { InvalidArgumentError } from "@nats-io/nats-core";
import { alreadyOutstandingCode } from "#contracts/subjects.ts";
import { encode } from "./codec.ts";
import { retry } from "./retry.ts";

export interface Publication {
  stream: string;
  subject: string;
  body: unknown;
  /** Within the stream's duplicate window a second message of that id is acknowledged and dropped. */
  messageId: string;
  /** Never compress: for subjects that outside systems read. */
  isPlain?: boolean;
}

/** `outstanding`: the stream refuses a second message on that subject. */
export type Published = { outcome: "published"; sequence: number; isDuplicate: boolean } | { outcome: "outstanding" };

/**
 * Publishes and awaits the stream's acknowledgement. Temporary failures (no responders, time-outs, a reconnect) are
 * repeated under the same message id until the signal aborts or `forMs` has passed; then the error is thrown.
 */
export async function publish(
  js: JetStreamClient,
  publication: Publication,
  options: { signal?: AbortSignal | undefined; forMs?: number } = {},
): Promise<Published> {
  const body = publication.isPlain
    ? { data: Buffer.from(JSON.stringify(publication.body)), headers: undefined }
    : encode(publication.body);
  try {
    const ack = await retry(
      () =>
        js.publish(publication.subject, body.data, {
          msgID: publication.messageId,
          expect: { streamName: publication.stream },
          ...(body.headers ? { headers: body.headers } : {}),
        }),
      {
        firstMs: 100,
        mostMs: 5000,
        forMs: options.forMs ?? 60_000,
        signal: options.signal,
        isTemporary: (error) => !isRefusal(error),
      },
    );
    return { outcome: "published", sequence: ack.seq, isDuplicate: ack.duplicate };
  } catch (error) {
    if (isOutstanding(error)) return { outcome: "outstanding" };
    throw error;
  }
}

/** What the same message would meet again: too large, or refused by the stream. A full stream or a busy server is not. */
function isRefusal(error: unknown): boolean {
  if (error instanceof InvalidArgumentError) return true;
  if (!(error instanceof JetStreamApiError)) return false;
  return isOutstanding(error) || (error.status >= 400 && error.status < 500 && error.status !== 408);
}

/** A full stream answers with the same code; only the text tells "maximum messages per subject exceeded" apart. */
function isOutstanding(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError && error.code === alreadyOutstandingCode && /per subject/i.test(error.message)
  );
}
