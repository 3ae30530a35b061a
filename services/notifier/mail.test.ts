import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import type { SMTPServerOptions } from "smtp-server";
import { sendMail } from "./mail.ts";
import { startMailbox } from "../../cli/demo/servers/mailbox.ts";
import type { Mailbox } from "../../cli/demo/servers/mailbox.ts";
import { someChangeEvent, someHealthEvent } from "./testing/events.ts";

const running: Mailbox[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((mailbox) => mailbox.stop()));
});

async function openMailbox(options?: SMTPServerOptions): Promise<Mailbox> {
  const mailbox = await startMailbox(options);
  running.push(mailbox);
  return mailbox;
}

interface Sending {
  to?: string[];
  username?: string;
  password?: string;
  isTls?: boolean;
  host?: string;
  timeoutMs?: number;
}

function send(event: Parameters<typeof sendMail>[0], port: number, sending: Sending = {}) {
  const { to = ["ops@example.org"], host = "127.0.0.1", isTls = false, username, password = null } = sending;
  return sendMail(event, {
    route: { name: "ops & on-call", email: { to } },
    smtp: { host, port, isTls, from: "Paintdry <paintdry@example.org>", ...(username ? { username } : {}) },
    password,
    uiUrl: "http://localhost:8080",
    ...(sending.timeoutMs ? { timeoutMs: sending.timeoutMs } : {}),
  });
}

/** An SMTP error as smtp-server is told of it. */
function refusal(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

describe("mail", () => {
  it("tells reason, old and new value and a link, as plain text and as HTML", async () => {
    const mailbox = await openMailbox();
    const event = someChangeEvent();
    expect(await send(event, mailbox.port, { to: ["a@example.org", "b@example.org"] })).toMatchObject({
      state: "delivered",
    });
    const [{ mail, recipients } = { mail: null, recipients: null }] = mailbox.mails;
    expect(recipients).toEqual(["a@example.org", "b@example.org"]);
    expect(mail?.subject).toBe("[critical] git github.com/acme/app: tag v4.1.2 moved to a commit that is on no branch");
    expect(mail?.from).toMatchObject({ address: "paintdry@example.org" });
    for (const body of [mail?.text, mail?.html]) {
      expect(body).toContain("tag v4.1.2 moved");
      expect(body).toContain("1111111111111111111111111111111111111111");
      expect(body).toContain("2222222222222222222222222222222222222222");
      expect(body).toContain(`http://localhost:8080/changes/${event.id}`);
    }
    expect(mail?.headers.find(({ key }) => key === "auto-submitted")?.value).toBe("auto-generated");
  });

  it("has the same Message-ID however often it is sent, and another on another route's name", async () => {
    const mailbox = await openMailbox();
    const event = someHealthEvent();
    await send(event, mailbox.port);
    await send(event, mailbox.port);
    const ids = mailbox.mails.map(({ mail }) => mail.messageId);
    expect(ids[0]).toBe(`<${event.id}.ops=20=26=20on-call@paintdry>`);
    expect(ids[1]).toBe(ids[0]);
  });

  it("lets hostile values inject no header, no markup and no hidden text", async () => {
    const mailbox = await openMailbox();
    const event = someChangeEvent({
      resource: "a\r\nBcc: victim@example.org",
      reason: "x\r\n\r\n<script>alert(1)</script>\u202E",
      newValue: '"><img src=x onerror=alert(1)>',
    });
    await send(event, mailbox.port);
    const [{ mail, raw, recipients } = { mail: null, raw: "", recipients: null }] = mailbox.mails;
    expect(recipients).toEqual(["ops@example.org"]);
    expect(raw.split("\r\n\r\n")[0]).not.toMatch(/^bcc:/im);
    expect(mail?.bcc ?? []).toEqual([]);
    expect(mail?.html).not.toMatch(/<script|<img/i);
    expect(mail?.html).toContain("&lt;script&gt;");
    for (const body of [mail?.subject, mail?.text, mail?.html]) expect(body).not.toContain("\u202E");
  });

  it("stays small when the values are large", async () => {
    const mailbox = await openMailbox();
    await send(someChangeEvent({ oldValue: "ü".repeat(900_000), newValue: Array(100_000).fill("x") }), mailbox.port);
    expect(mailbox.mails[0]?.raw.length).toBeLessThan(60_000);
  });

  it("logs in with the configured name and password", async () => {
    const seen: unknown[] = [];
    const mailbox = await openMailbox({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, callback) => {
        seen.push([username, password]);
        callback(null, { user: username });
      },
    });
    const attempt = await send(someChangeEvent(), mailbox.port, { username: "notify", password: "correct" });
    expect(attempt.state).toBe("delivered");
    expect(seen).toEqual([["notify", "correct"]]);
  });

  it("waits when the login is refused, since the operator can put that right, and shows no password", async () => {
    const mailbox = await openMailbox({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, callback) => callback(refusal(535, "no such correct-horse")),
    });
    const attempt = await send(someChangeEvent(), mailbox.port, { username: "notify", password: "correct-horse" });
    expect(attempt.state).toBe("failed");
    expect(attempt.detail).not.toContain("correct-horse");
  });

  it("sends no password over plain text to another machine", async () => {
    const seen: unknown[] = [];
    const mailbox = await openMailbox({
      hideSTARTTLS: true,
      allowInsecureAuth: true,
      onAuth: ({ password }, _session, callback) => {
        seen.push(password);
        callback(null, { user: "x" });
      },
    });
    // A name for this machine that does not say so.
    const attempt = await send(someChangeEvent(), mailbox.port, {
      host: "0.0.0.0",
      username: "notify",
      password: "secret",
    });
    expect(attempt.state).toBe("failed");
    expect(seen).toEqual([]);
  });

  it("encrypts where the server offers it, and shows no password to a server that cannot prove its name", async () => {
    const seen: unknown[] = [];
    const mailbox = await openMailbox({
      disabledCommands: [],
      onMailFrom: (_address, session, callback) => {
        seen.push({ isEncrypted: session.secure });
        callback();
      },
      onAuth: ({ password }, _session, callback) => {
        seen.push(password);
        callback(null, { user: "x" });
      },
    });
    expect(await send(someChangeEvent(), mailbox.port)).toMatchObject({ state: "delivered" });
    const login = { host: "0.0.0.0", username: "notify", password: "secret" };
    expect(await send(someChangeEvent(), mailbox.port, login)).toMatchObject({ state: "failed" });
    expect(seen).toEqual([{ isEncrypted: true }]);
  });

  it.each([
    [450, "failed"],
    [421, "failed"],
    [550, "given_up"],
    [554, "given_up"],
  ])("answered with %d is %s", async (code, state) => {
    const mailbox = await openMailbox({
      onData: (stream, _session, callback) => {
        stream.resume();
        stream.on("end", () => callback(refusal(code, "no")));
      },
    });
    expect(await send(someChangeEvent(), mailbox.port)).toMatchObject({
      state,
      detail: expect.stringContaining(String(code)),
    });
  });

  it("is delivered when some of its addresses are refused, which its detail says, and given up when all are", async () => {
    const mailbox = await openMailbox({
      onRcptTo: ({ address }, _session, callback) =>
        callback(address.startsWith("gone") ? refusal(550, "no such mailbox") : null),
    });
    const some = await send(someChangeEvent(), mailbox.port, { to: ["ops@example.org", "gone@example.org"] });
    expect(some).toEqual({ state: "delivered", detail: "accepted by the mail server, but 1 address(es) refused" });
    expect(await send(someChangeEvent(), mailbox.port, { to: ["gone@example.org"] })).toMatchObject({
      state: "given_up",
    });
  });

  it("is tried again when the server is away, silent, or breaks off", async () => {
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    expect(await send(someChangeEvent(), port, { timeoutMs: 300 })).toMatchObject({ state: "failed" });
    silent.close();
    expect(await send(someChangeEvent(), 1)).toMatchObject({ state: "failed" });
    const breaking = createServer((socket) => socket.end("220 hello\r\n"));
    breaking.listen(0, "127.0.0.1");
    await once(breaking, "listening");
    expect(await send(someChangeEvent(), (breaking.address() as AddressInfo).port)).toMatchObject({ state: "failed" });
    breaking.close();
  });
});
