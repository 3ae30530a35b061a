import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { webhookAgent, judge, sendWebhook } from "./webhook.ts";
import { startReceiver } from "./testing/receiver.ts";
import type { Receiver } from "./testing/receiver.ts";
import { someChangeEvent } from "./testing/events.ts";

const agent = webhookAgent();
const running: Receiver[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((receiver) => receiver.stop()));
});

async function receive(...answer: Parameters<typeof startReceiver>): Promise<Receiver> {
  const receiver = await startReceiver(...answer);
  running.push(receiver);
  return receiver;
}

function send(
  url: string,
  options: { secret?: string; timeoutMs?: number; event?: ReturnType<typeof someChangeEvent> } = {},
) {
  const { secret = null, timeoutMs = 10_000, event = someChangeEvent() } = options;
  return sendWebhook(event, { webhook: { url }, secret, uiUrl: "http://localhost:8080", agent, timeoutMs });
}

describe("webhook", () => {
  it("posts the event as a CloudEvent with reason, values and a link, under the event's id", async () => {
    const receiver = await receive();
    const event = someChangeEvent();
    expect(await send(receiver.url, { event })).toEqual({ state: "delivered", detail: "HTTP 204" });
    const [call] = receiver.calls;
    expect(JSON.parse(call?.body ?? "")).toEqual({ ...event, link: `http://localhost:8080/changes/${event.id}` });
    expect(call?.headers).toMatchObject({
      "content-type": "application/cloudevents+json; charset=utf-8",
      "webhook-id": event.id,
      "idempotency-key": event.id,
    });
    expect(call?.headers["webhook-signature"]).toBeUndefined();
  });

  it("is signed over id, time and body as sent", async () => {
    const receiver = await receive();
    const key = Buffer.from("0123456789abcdef0123456789abcdef");
    const event = someChangeEvent({ newValue: "ünï😀\u2028", reason: "a.b" });
    await send(receiver.url, { event, secret: `whsec_${key.toString("base64")}` });
    const [call] = receiver.calls;
    const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = call?.headers ?? {};
    expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(60);
    const expected = createHmac("sha256", key)
      .update(`${String(id)}.${String(timestamp)}.${call?.body}`)
      .digest("base64");
    expect(signature).toBe(`v1,${expected}`);
  });

  it("is done with 2xx, given up with 410 and other 4xx, and tried again with the rest", () => {
    for (const status of [200, 202, 204]) expect(judge(status, undefined).state).toBe("delivered");
    for (const status of [400, 401, 404, 410, 422]) expect(judge(status, undefined).state).toBe("given_up");
    for (const status of [302, 408, 429, 500, 503, 504]) expect(judge(status, undefined).state).toBe("failed");
    expect(judge(429, "60")).toMatchObject({ retryAfterMs: 60_000 });
  });

  it("hears Retry-After", async () => {
    const receiver = await receive((response) => void response.writeHead(503, { "retry-after": "7" }).end());
    expect(await send(receiver.url)).toEqual({ state: "failed", detail: "HTTP 503", retryAfterMs: 7000 });
  });

  it("follows no redirect", async () => {
    const target = await receive();
    const receiver = await receive((response) => void response.writeHead(307, { location: target.url }).end());
    expect(await send(receiver.url)).toMatchObject({ state: "failed", detail: "HTTP 307: redirects are not followed" });
    expect(target.calls).toHaveLength(0);
  });

  it("does not wait for a receiver that never answers", async () => {
    const receiver = await receive(() => {});
    expect(await send(receiver.url, { timeoutMs: 300 })).toEqual({ state: "failed", detail: "no answer in time" });
  });

  it("is delivered by its status, whatever endless body follows, and reads little of it", async () => {
    const sent = { bytes: 0, isClosed: Promise.resolve() as Promise<unknown> };
    const receiver = await receive((response) => {
      sent.isClosed = once(response, "close");
      const chunk = Buffer.alloc(65_536);
      const pour = () => {
        while (!response.destroyed && response.write(chunk)) sent.bytes += chunk.length;
        sent.bytes += chunk.length;
      };
      response.on("drain", pour);
      pour();
    });
    expect(await send(receiver.url)).toEqual({ state: "delivered", detail: "HTTP 200" });
    await sent.isClosed;
    expect(sent.bytes).toBeLessThan(64 * 1024 * 1024);
  });

  it("is tried again after a refused or broken connection, and the address is not in the detail", async () => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/secret-token`;
    const broken = await send(url);
    server.close();
    await once(server, "close");
    const refused = await send(url);
    for (const attempt of [broken, refused]) {
      expect(attempt.state).toBe("failed");
      expect(attempt.detail).not.toContain("secret-token");
    }
    expect(refused.detail).toContain("ECONNREFUSED");
  });
});
