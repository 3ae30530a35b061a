import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { messageIds, streams, subjects } from "#contracts/subjects.ts";
import type { ChangeEvent } from "#contracts/messages.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { provision } from "#runtime/provision.ts";
import { publish } from "#runtime/publish.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { someChangeEvent, someHealthEvent } from "./testing/events.ts";
import { startMailbox } from "../../cli/demo/servers/mailbox.ts";
import type { Mailbox } from "../../cli/demo/servers/mailbox.ts";
import { startReceiver } from "./testing/receiver.ts";
import type { Receiver } from "./testing/receiver.ts";
import { serveStandInStore } from "./testing/stand-in-store.ts";
import type { StandInStore } from "./testing/stand-in-store.ts";

const log = pino({ level: "silent" });
const program = fileURLToPath(new URL("main.ts", import.meta.url));
let nats: TestNats;
let broker: Broker;
let store: StandInStore;
let receiver: Receiver;
let mailbox: Mailbox;
let folder: string;
const children = new Set<ChildProcess>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-notifier-"));
  // The permission file that ships: the notifier has no other rights.
  nats = await startNats({ permissions: true });
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  await provision(broker, log, { storeWaitMs: 0 });
  store = serveStandInStore(broker.nc, log);
  // A little slow, so that a kill meets attempts under way.
  receiver = await startReceiver((response) => void setTimeout(() => response.writeHead(200).end(), 20));
  mailbox = await startMailbox();
  const routes = [
    { name: "hook", least: "none", health: true, webhook: { url: receiver.url, secret: { env: "HOOK_SECRET" } } },
    { name: "mail", least: "none", health: true, email: { to: ["ops@example.org"] } },
  ];
  const smtp = { host: "127.0.0.1", port: mailbox.port, from: "paintdry@example.org" };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ notify: { routes, smtp } }));
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all([receiver.stop(), mailbox.stop(), store.stop()]);
  await broker.close();
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

function startNotifier(): ChildProcess {
  const child = spawn(process.execPath, [program], {
    env: {
      PAINTDRY_NATS_URL: nats.url("notifier"),
      PAINTDRY_CONFIG: join(folder, "config.json"),
      HOOK_SECRET: "a secret",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  child.once("exit", (code) => {
    children.delete(child);
    if (code !== 0 && code !== null) console.error(output);
  });
  children.add(child);
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, "exit");
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

async function publishChange(event: ChangeEvent): Promise<void> {
  const subject = subjects.change(event.data);
  store.events.set(event.id, { change: event.data, health: null });
  await publish(broker.js, {
    stream: streams.changes,
    subject,
    body: event,
    messageId: `${messageIds.change(event.id)}${event.replay ? "-replay" : ""}`,
    isPlain: true,
  });
}

const webhookIds = () => receiver.calls.map(({ headers }) => String(headers["webhook-id"]));
const mailedIds = () =>
  mailbox.mails.map(({ mail }) => /^<([0-9a-f-]{36})\.mail@paintdry>$/.exec(mail.messageId ?? "")?.[1] ?? "");
const repeated = (ids: string[]) => ids.filter((id, index) => ids.indexOf(id) !== index);
/** What was being sent, so that its receiver may have it although nobody recorded so. */
const beingSent = (channel: string) =>
  [...store.rows]
    .filter(([key, row]) => key.startsWith(channel) && row.state === "sending")
    .map(([, row]) => row.eventId);

describe("the notifier", () => {
  it("killed in the middle of 200 events loses none, and repeats only what was being sent, under the same id", async () => {
    const events = Array.from({ length: 200 }, (_, index) => someChangeEvent({ position: index, newValue: index }));
    const killed = startNotifier();
    for (const event of events) await publishChange(event);
    await vi.waitFor(() => expect(webhookIds().length).toBeGreaterThan(60), { timeout: 30_000, interval: 2 });
    expect(await end(killed, "SIGKILL")).toBeNull();
    expect(webhookIds().length).toBeLessThan(200);
    const uncertain = { webhook: new Set(beingSent("webhook")), email: new Set(beingSent("email")) };
    // Two take over, side by side.
    const notifiers = [startNotifier(), startNotifier()];
    const isDone = () => [...store.rows.values()].filter((row) => row.state === "delivered").length;
    await vi.waitFor(() => expect(isDone()).toBe(400), { timeout: 100_000, interval: 200 });
    for (const notifier of notifiers) expect(await end(notifier, "SIGTERM")).toBe(0);
    const expected = events.map(({ id }) => id).toSorted();
    expect([...new Set(webhookIds())].toSorted()).toEqual(expected);
    expect([...new Set(mailedIds())].toSorted()).toEqual(expected);
    for (const id of repeated(webhookIds())) expect(uncertain.webhook).toContain(id);
    for (const id of repeated(mailedIds())) expect(uncertain.email).toContain(id);
  }, 180_000);

  it("sends health events, heeds a changed configuration, and notifies nobody of a replay", async () => {
    const notifier = startNotifier();
    await publishChange(someChangeEvent({}, true));
    const health = someHealthEvent();
    const { kind, module, host, resource } = health.data;
    const subject = subjects.health(kind, module, host, resource);
    await publish(broker.js, {
      stream: streams.health,
      subject,
      body: health,
      messageId: messageIds.health(health.id),
    });
    await vi.waitFor(() => expect([webhookIds(), mailedIds()]).toEqual([[health.id], [health.id]]), 20_000);

    const routes = [{ name: "hook", least: "critical", webhook: { url: receiver.url } }];
    writeFileSync(join(folder, "config.json"), JSON.stringify({ notify: { routes } }));
    const sent = new Set([health.id]);
    // Until the new file is noticed; it has no mail route any more.
    await vi.waitFor(
      async () => {
        const mailsBefore = mailbox.mails.length;
        const event = someChangeEvent();
        sent.add(event.id);
        await publishChange(event);
        await vi.waitFor(() => expect(webhookIds()).toContain(event.id), 10_000);
        expect(mailbox.mails).toHaveLength(mailsBefore);
        expect(receiver.calls.at(-1)?.headers["webhook-signature"]).toBeUndefined();
      },
      { timeout: 25_000, interval: 500 },
    );
    await publishChange(someChangeEvent({ severity: "high" }));
    const last = someChangeEvent();
    await publishChange(last);
    await vi.waitFor(() => expect(webhookIds()).toContain(last.id), 10_000);
    expect(await end(notifier, "SIGTERM")).toBe(0);
    expect(new Set(webhookIds())).toEqual(sent.add(last.id));
  }, 90_000);

  it("puts aside what is no event", async () => {
    const notifier = startNotifier();
    const reader = await broker.jsm.streams.info(streams.dead);
    await broker.js.publish("paintdry.change.none.git.h.o.r.a", "no JSON");
    await vi.waitFor(
      async () => expect((await broker.jsm.streams.info(streams.dead)).state.messages).toBe(reader.state.messages + 1),
      { timeout: 20_000, interval: 200 },
    );
    expect(await end(notifier, "SIGTERM")).toBe(0);
  }, 60_000);
});
