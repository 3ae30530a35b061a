import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import PostalMime from "postal-mime";
import type { Email } from "postal-mime";
import { SMTPServer } from "smtp-server";
import type { SMTPServerOptions } from "smtp-server";

export interface ReceivedMail {
  mail: Email;
  /** The message as it came over the wire. */
  raw: string;
  recipients: string[];
}

export interface Mailbox {
  port: number;
  mails: ReceivedMail[];
  stop(): Promise<void>;
}

/** A real SMTP server that keeps what it is sent. */
export async function startMailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const mails: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.secure || options.onAuth ? [] : ["STARTTLS"],
    logger: false,
    closeTimeout: 100,
    onData: (stream, session, callback) => {
      const recipients = session.envelope.rcptTo.map(({ address }) => address);
      void keep(stream, (mail) => mails.push({ ...mail, recipients }), callback);
    },
    ...options,
  });
  server.on("error", () => {});
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return {
    port: (listening.address() as AddressInfo).port,
    mails,
    stop: async () => {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function keep(
  stream: Readable,
  onMail: (mail: Pick<ReceivedMail, "mail" | "raw">) => void,
  callback: (error?: Error | null) => void,
): Promise<void> {
  try {
    const raw = await buffer(stream);
    onMail({ mail: await PostalMime.parse(raw), raw: raw.toString("utf8") });
    callback();
  } catch (error) {
    // The sender broke off in the middle: not a mail.
    callback(error as Error);
  }
}
