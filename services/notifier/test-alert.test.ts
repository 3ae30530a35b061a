import { afterEach, describe, expect, it } from "vitest";
import { Config } from "#contracts/config.ts";
import { StartError } from "#runtime/errors.ts";
import { startMailbox } from "../../cli/demo/servers/mailbox.ts";
import { startReceiver } from "./testing/receiver.ts";
import { sendTest } from "./test-alert.ts";

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

async function settings() {
  const receiver = await startReceiver();
  const refusing = await startReceiver((response) => void response.writeHead(500).end());
  const mailbox = await startMailbox();
  stops.push(receiver.stop, refusing.stop, mailbox.stop);
  const routes = [
    { name: "hook", webhook: { url: receiver.url, secret: { env: "HOOK" } } },
    { name: "refusing", webhook: { url: refusing.url } },
    { name: "keyless", webhook: { url: receiver.url, secret: { env: "MISSING" } } },
    { name: "mail", least: "critical", email: { to: ["ops@example.org"] } },
  ];
  const smtp = { host: "127.0.0.1", port: mailbox.port, from: "paintdry@example.org" };
  return { notify: Config.parse({ notify: { routes, smtp } }).notify, receiver, refusing, mailbox };
}

function readSecret(ref: object): string {
  if ("env" in ref && ref.env === "HOOK") return "a key";
  throw new StartError("missing_secret", "the environment variable MISSING is not set");
}

describe("a test alert", () => {
  it("goes to each route whatever it filters, clearly marked, and says what each receiver answered", async () => {
    const { notify, receiver, refusing, mailbox } = await settings();
    expect(await sendTest(notify, readSecret)).toEqual([
      { route: "hook", channel: "webhook", isDelivered: true, detail: "HTTP 204" },
      { route: "refusing", channel: "webhook", isDelivered: false, detail: "HTTP 500" },
      {
        route: "keyless",
        channel: "webhook",
        isDelivered: false,
        detail: "the environment variable MISSING is not set",
      },
      { route: "mail", channel: "email", isDelivered: true, detail: "accepted by the mail server" },
    ]);
    expect(JSON.parse(receiver.calls[0]?.body ?? "")).toMatchObject({
      type: "io.paintdry.test.v1",
      data: { route: "hook", reason: expect.stringMatching(/^This is a test alert. Nothing has changed/) },
    });
    expect(receiver.calls[0]?.headers["webhook-signature"]).toMatch(/^v1,/);
    expect(refusing.calls).toHaveLength(1);
    expect(mailbox.mails.map(({ mail }) => mail.subject)).toEqual([
      "[test] paintdry: this is a test, nothing has changed",
    ]);
  });

  it("goes to the one route named, and nowhere when there is none of that name", async () => {
    const { notify, receiver, mailbox } = await settings();
    expect(await sendTest(notify, readSecret, { route: "mail" })).toHaveLength(1);
    expect(await sendTest(notify, readSecret, { route: "nobody" })).toEqual([]);
    expect(receiver.calls).toHaveLength(0);
    expect(mailbox.mails).toHaveLength(1);
  });
});
