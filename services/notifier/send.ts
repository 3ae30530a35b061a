import type { Dispatcher } from "undici";
import type { Config, SecretRef } from "#contracts/config.ts";
import { StartError } from "#runtime/errors.ts";
import type { SentEvent } from "./alert-text.ts";
import type { Attempt } from "./attempt.ts";
import { sendMail } from "./mail.ts";
import type { Destination } from "./route.ts";
import { sendWebhook } from "./webhook.ts";

export type NotifySettings = Config["notify"];
export type ReadSecret = (ref: SecretRef) => string;

/** Sends one event to one destination. Secrets are read for each, so that a changed one counts at once. */
export async function sendTo(
  event: SentEvent,
  { route, channel }: Destination,
  { notify, readSecret, agent }: { notify: NotifySettings; readSecret: ReadSecret; agent: Dispatcher },
): Promise<Attempt> {
  const secretOf = (ref: SecretRef | undefined) => (ref === undefined ? null : readSecret(ref));
  try {
    if (channel === "webhook" && route.webhook) {
      const secret = secretOf(route.webhook.secret);
      return await sendWebhook(event, { webhook: route.webhook, secret, uiUrl: notify.link, agent });
    }
    if (channel === "email" && route.email && notify.smtp) {
      const password = secretOf(notify.smtp.password);
      return await sendMail(event, { route, smtp: notify.smtp, password, uiUrl: notify.link });
    }
    return { state: "failed", detail: "the configuration no longer says where to send it" };
  } catch (error) {
    // A secret that is missing may be there at the next attempt; its message names the place, never a content.
    if (error instanceof StartError) return { state: "failed", detail: error.message };
    throw error;
  }
}
