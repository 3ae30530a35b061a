import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mailbox, startMailbox } from "../../cli/demo/servers/mailbox.ts";
import { type ReceivedCall, type Receiver, startReceiver } from "../../services/notifier/testing/receiver.ts";

export interface Alerts {
  /** The `notify` section of `config.json`: one webhook route and one e-mail route, which take everything. */
  config: unknown;
  receiver: Receiver;
  mailbox: Mailbox;
  /** Is the signature the one that its secret gives? */
  isSigned(call: ReceivedCall): boolean;
  stop(): Promise<void>;
}

/** Real receivers of alerts. */
export async function startAlerts(): Promise<Alerts> {
  const secret = "a-shared-secret";
  const folder = mkdtempSync(join(tmpdir(), "paintdry-alerts-"));
  const file = join(folder, "webhook-secret");
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  const [receiver, mailbox] = await Promise.all([startReceiver(), startMailbox()]);
  return {
    config: {
      link: "https://paintdry.example.org",
      routes: [
        { name: "hook", least: "none", webhook: { url: receiver.url, secret: { file } } },
        { name: "post", least: "none", email: { to: ["ops@example.org"] } },
      ],
      smtp: { host: "127.0.0.1", port: mailbox.port, from: "paintdry@example.org" },
    },
    receiver,
    mailbox,
    isSigned: ({ headers, body }) => {
      const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
      const signature = createHmac("sha256", secret).update(signed).digest("base64");
      return headers["webhook-signature"] === `v1,${signature}`;
    },
    stop: async () => {
      await receiver.stop();
      await mailbox.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
