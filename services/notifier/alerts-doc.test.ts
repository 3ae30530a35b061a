import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Config } from "#contracts/config.ts";
import type { ChangeEvent } from "#contracts/messages.ts";
import { freePort } from "../../cli/embedded/ports.ts";
import { findPeer, isMissing } from "../../tests/support/peers.ts";
import { someChangeEvent } from "./testing/events.ts";
import { signatureHeader } from "./signature.ts";
import { sendWebhook, webhookAgent } from "./webhook.ts";

const text = readFileSync(new URL("../../docs/alerts.md", import.meta.url), "utf8");
const secret = `whsec_${Buffer.from("a key of at least 24 bytes").toString("base64")}`;
const agent = webhookAgent();
const children: ChildProcess[] = [];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-alerts-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function snippet(language: string): string {
  const found = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(text)?.[1];
  if (found === undefined) throw new Error(`docs/alerts.md has no ${language} snippet`);
  return found;
}

/** Runs a receiver of the guide as it stands and answers its address and what it has printed. */
async function runReceiver(program: string, name: string, source: string) {
  const port = await freePort();
  const file = join(folder, name);
  writeFileSync(file, source);
  const child = spawn(program, [file], {
    env: { PATH: process.env.PATH, PORT: String(port), PAINTDRY_WEBHOOK_SECRET: secret },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const printed = { text: "" };
  child.stdout.on("data", (chunk: Buffer) => (printed.text += chunk.toString("utf8")));
  const url = `http://127.0.0.1:${port}/`;
  await vi.waitFor(async () => expect((await post(url, {})).status).toBe(401), { timeout: 20_000, interval: 100 });
  return { url, printed };
}

async function post(url: string, headers: Record<string, string>, body = "{}"): Promise<Response> {
  return await fetch(url, { method: "POST", headers, body });
}

/** What a receiver answers to genuine webhooks and to others, and what it prints of them. */
async function answersOf({ url, printed }: { url: string; printed: { text: string } }, event: ChangeEvent) {
  const send = (key: string) =>
    sendWebhook(event, { webhook: { url }, secret: key, uiUrl: "http://localhost:8080", agent });
  const body = JSON.stringify({ ...event, link: "x" });
  const headersAt = (timestamp: number) => ({
    "webhook-id": event.id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatureHeader(secret, { id: event.id, timestamp, body: Buffer.from(body) }),
  });
  const now = Math.floor(Date.now() / 1000);
  const answers = {
    genuine: (await send(secret)).detail,
    whileKeysChange: (await send(`another key\n${secret}`)).detail,
    otherKey: (await send("another key")).detail,
    replayedAtOnce: (await post(url, headersAt(now), body)).status,
    tamperedWith: (await post(url, headersAt(now), body.replace("critical", "none"))).status,
    replayedLater: (await post(url, headersAt(now - 3600), body)).status,
  };
  await vi.waitFor(() => expect(printed.text).not.toBe(""));
  return { ...answers, printed: printed.text.trim() };
}

/** Each event is printed once, however often it comes. */
function expectedAnswers(event: ChangeEvent) {
  return {
    genuine: "HTTP 204",
    whileKeysChange: "HTTP 204",
    otherKey: "HTTP 401",
    replayedAtOnce: 204,
    tamperedWith: 401,
    replayedLater: 401,
    printed: `io.paintdry.change.v1 ${event.data.reason} http://localhost:8080/changes/${event.id}`,
  };
}

describe("the guide to alerts", () => {
  it("shows a configuration that is valid", () => {
    const config = Config.parse(JSON.parse(snippet("json")));
    expect(config.notify.routes.map(({ name }) => name)).toEqual(["on-call", "release-team"]);
  });

  it("shows a receiver in Node that takes what is genuine and nothing else", async () => {
    const event = someChangeEvent({ newValue: "ünï 😀" });
    const receiver = await runReceiver(process.execPath, "receiver.mjs", snippet("js"));
    expect(await answersOf(receiver, event)).toEqual(expectedAnswers(event));
  });
});

describe.skipIf(isMissing("python"))("the guide to alerts, in Python", () => {
  it("shows a receiver that takes what is genuine and nothing else", async () => {
    const event = someChangeEvent({ newValue: "ünï 😀" });
    const receiver = await runReceiver(findPeer("python") ?? "", "receiver.py", snippet("python"));
    expect(await answersOf(receiver, event)).toEqual(expectedAnswers(event));
  });
});
