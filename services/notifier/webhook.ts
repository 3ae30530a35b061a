import { Agent, request } from "undici";
import type { Dispatcher } from "undici";
import type { NotifyRoute } from "#contracts/config.ts";
import { alertLink } from "./alert-text.ts";
import type { SentEvent } from "./alert-text.ts";
import { retryAfterMs } from "./attempt.ts";
import type { Attempt } from "./attempt.ts";
import { signatureHeader } from "./signature.ts";

/** Within the 15 to 30 s that the Standard Webhooks specification recommends. */
const answerWithinMs = 15_000;
/** More of an answer than this is not read: only its status counts. */
const maxAnswerBytes = 16_384;

export interface WebhookSending {
  webhook: NonNullable<NotifyRoute["webhook"]>;
  /** The signing secret, or null to send unsigned. */
  secret: string | null;
  /** Where the UI is. */
  uiUrl: string;
  agent: Dispatcher;
  timeoutMs?: number;
}

/** The connections of all webhooks. Redirects are not followed: a new address belongs into the configuration. */
export function webhookAgent(): Agent {
  return new Agent({ connect: { timeout: 10_000 }, connections: 16, maxResponseSize: 1024 * 1024 });
}

/** POSTs an event as a CloudEvent in structured JSON, signed, with its id as the idempotency key. */
export async function sendWebhook(event: SentEvent, sending: WebhookSending): Promise<Attempt> {
  const body = Buffer.from(JSON.stringify({ ...event, link: alertLink(event, sending.uiUrl) }));
  const signal = AbortSignal.timeout(sending.timeoutMs ?? answerWithinMs);
  try {
    const answer = await request(sending.webhook.url, {
      method: "POST",
      headers: headersOf(event.id, body, sending.secret),
      body,
      dispatcher: sending.agent,
      signal,
    });
    // The status has decided; what is left is to free the connection, whatever the receiver still sends.
    await answer.body.dump({ limit: maxAnswerBytes, signal }).catch(() => {});
    return judge(answer.statusCode, answer.headers["retry-after"]);
  } catch (error) {
    return { state: "failed", detail: signal.aborted ? "no answer in time" : networkCause(error) };
  }
}

function headersOf(id: string, body: Uint8Array, secret: string | null): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000);
  return {
    "content-type": "application/cloudevents+json; charset=utf-8",
    "user-agent": "paintdry",
    "idempotency-key": id,
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    ...(secret === null ? {} : { "webhook-signature": signatureHeader(secret, { id, timestamp, body }) }),
  };
}

/** What a status means: done, never, or later. */
export function judge(status: number, retryAfter: string | string[] | undefined): Attempt {
  const detail = `HTTP ${status}`;
  if (status >= 200 && status < 300) return { state: "delivered", detail };
  if (status >= 300 && status < 400) return { state: "failed", detail: `${detail}: redirects are not followed` };
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) return { state: "given_up", detail };
  const askedMs = retryAfterMs(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
  return { state: "failed", detail, ...(askedMs > 0 ? { retryAfterMs: askedMs } : {}) };
}

/** A network error in a word: messages of undici can quote the address, in which some receivers put their secret. */
function networkCause(error: unknown): string {
  const { code } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException;
  return code === undefined ? "the request could not be sent" : `the request could not be sent: ${code}`;
}
