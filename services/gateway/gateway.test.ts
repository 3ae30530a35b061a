import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import * as fc from "fast-check";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Problem } from "#contracts/gateway.ts";
import type { StoreRequest } from "#contracts/store.ts";
import { RpcError } from "#runtime/errors.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import type { Gateway } from "./gateway.ts";
import { problems } from "./problems.ts";
import { connectNats, openLive, serveCollector, serveGateway, serveStore } from "./test-gateway.ts";

const id = "0123456789abcdef0123456789abcdef";
const changeId = "0198f2a0-0000-7000-8000-000000000007";
const api = "/api/v1";

let nats: TestNats;
const connections: NatsConnection[] = [];
let gateway: Gateway;
const asked: { name: string; request: unknown }[] = [];
const uiFolder = mkdtempSync(join(tmpdir(), "paintdry-ui-"));
/** Codes that some answer had: at the end all must have been seen. */
const seenCodes = new Set<string>();

beforeAll(async () => {
  nats = await startNats({ permissions: true });
  for (const user of ["gateway", "store", "collector"] as const) connections.push(await connectNats(nats.url(user)));
  const [gatewayNc, storeNc, collectorNc] = connections as [NatsConnection, NatsConnection, NatsConnection];
  serveStore(storeNc, recordingHandlers());
  serveCollector(collectorNc, (resource) => resource === "https://git.example/watched");
  mkdirSync(join(uiFolder, "assets"));
  writeFileSync(join(uiFolder, "index.html"), "<!doctype html><title>page</title>");
  writeFileSync(join(uiFolder, "assets", "index-abc123.js"), "export {};");
  gateway = await serveGateway(gatewayNc, { uiFolder, limits: { maxClients: 0 } });
});
afterAll(async () => {
  await gateway?.stop();
  for (const nc of connections) await nc.close();
  await nats?.stop();
  rmSync(uiFolder, { recursive: true, force: true });
});

const configDocument = {
  targets: [],
  egress: { proxy: "http://paintdry:p%40ss@proxy.example:3128" },
  notify: {
    link: "https://watch.example/ui",
    routes: [
      { name: "chat", webhook: { url: "https://hooks.example/services/T0/secret", secret: { env: "HOOK_KEY" } } },
    ],
  },
};

/** Answers nothing but empty pages, or what the text asked for says; keeps what it was asked. */
function recordingHandlers(): Parameters<typeof serveStore>[1] {
  const page = (name: string) => async (received: { cursor: string | null }) => {
    asked.push({ name, request: received });
    return { items: [], next: received.cursor === null ? "further" : null };
  };
  return {
    "read.config": async () => ({ revision: 1, appliedAt: null, document: configDocument, refused: null }),
    "read.resources": async (received) => {
      failOnDemand(received);
      return await page("read.resources")(received);
    },
    "read.observations": page("read.observations"),
    "read.findings": page("read.findings"),
    "read.history": page("read.history"),
    "read.changes": page("read.changes"),
    "read.search": page("read.search"),
    "read.deliveries": page("read.deliveries"),
    "triage.accept": async () => ({ outcome: "not_waiting" }),
  };
}

function failOnDemand({ cursor, text }: StoreRequest<"read.resources">): void {
  if (cursor === "not-mine") throw new RpcError("bad_cursor", "not mine", { isTemporary: false });
  if (text === "a lot") throw new RpcError("too_large", "too much", { isTemporary: false });
  if (text === "away") throw new RpcError("unavailable", "PostgreSQL at 10.1.2.3 is away", { isTemporary: true });
  if (text === "broken") throw new Error("relation secret_table does not exist");
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  json: unknown;
  error: Problem["error"] | null;
}

async function ask(path: string, options: Parameters<typeof request>[1] = {}, target = gateway): Promise<Answer> {
  const { statusCode, headers, body } = await request(target.url + path, options);
  const text = await body.text();
  const isJson = String(headers["content-type"]).startsWith("application/json") && text !== "";
  const json: unknown = isJson ? JSON.parse(text) : null;
  const error = Problem.safeParse(json).data?.error ?? null;
  if (error) seenCodes.add(error.code);
  return { status: statusCode, headers, text, json, error };
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return await ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

describe("reading", () => {
  const page = { limit: 50, cursor: null };
  it.each([
    [
      "/resources?module=git&state=confirmed&host=a.example&failing=true&q=x&limit=7&cursor=c",
      "read.resources",
      { limit: 7, cursor: "c", module: "git", state: "confirmed", host: "a.example", isFailing: true, text: "x" },
    ],
    ["/resources?failing=false", "read.resources", { ...page, isFailing: false }],
    [
      `/observations?resource=${id}&attribute=tag%2Fv1`,
      "read.observations",
      { ...page, resourceId: id, attribute: "tag/v1" },
    ],
    ["/findings?least=high&module=tls", "read.findings", { ...page, least: "high", module: "tls" }],
    [`/history?resource=${id}`, "read.history", { ...page, resourceId: id }],
    [`/changes?kind=rated&resource=${id}`, "read.changes", { ...page, kind: "rated", resourceId: id }],
    ["/search?q=a%20b", "read.search", { ...page, query: "a b" }],
    ["/deliveries", "read.deliveries", page],
  ])("%s asks the store", async (path, name, expected) => {
    asked.length = 0;
    const { status, json } = await ask(api + path);
    expect(asked).toEqual([{ name, request: expected }]);
    expect({ status, json }).toEqual({
      status: 200,
      json: { items: [], next: expected.cursor === null ? "further" : null },
    });
  });

  it("answers modules, the configuration and its own description", async () => {
    expect((await ask(`${api}/modules`)).json).toEqual({
      items: [{ name: "git", version: 1, summary: "Tags.", isCommand: false }],
      next: null,
    });
    expect((await ask(`${api}/config`)).json).toMatchObject({ revision: 1, document: { targets: [] } });
    expect((await ask(`${api}/openapi.json`)).json).toMatchObject({ openapi: "3.1.0" });
  });

  it("shows no address that is a secret itself", async () => {
    const { document } = (await ask(`${api}/config`)).json as { document: unknown };
    expect(document).toEqual({
      targets: [],
      egress: { proxy: "http://…@proxy.example:3128" },
      notify: {
        link: "https://watch.example/ui",
        routes: [{ name: "chat", webhook: { url: "https://hooks.example/…", secret: { env: "HOOK_KEY" } } }],
      },
    });
  });

  it("answers what operators ask", async () => {
    expect(await ask("/healthz")).toMatchObject({ status: 200, text: "ok\n" });
    expect(await ask("/readyz")).toMatchObject({ status: 200, text: "ok\n" });
    const { text } = await ask("/metrics");
    expect(text).toMatch(
      /paintdry_gateway_requests_total\{method="GET",route="\/api\/v1\/config",status="200",.*\} \d/,
    );
    expect(text).toContain("paintdry_gateway_live_clients");
    expect(text).toContain("paintdry_gateway_feed_position");
  });
});

describe("acting", () => {
  it("queues a look at what is watched, and says so of what is not", async () => {
    const watched = await post(`${api}/checks`, { module: "git", resource: "https://git.example/watched" });
    expect(watched).toMatchObject({ status: 202, json: { outcome: "queued" } });
    const other = await post(`${api}/checks`, { module: "git", resource: "https://git.example/other" });
    expect(other).toMatchObject({ status: 404, error: { code: "not_watched" } });
  });

  it("passes on decisions", async () => {
    expect(await post(`${api}/resources/${id}/accept`, "")).toMatchObject({
      status: 409,
      error: { code: "not_waiting" },
    });
    expect(await post(`${api}/resources/${id}/refuse`, {})).toMatchObject({
      status: 404,
      error: { code: "unknown_resource" },
    });
  });

  it("is not for other sites' pages", async () => {
    const check = { module: "git", resource: "https://git.example/watched" };
    const refusal = { status: 403, error: { code: "origin_not_allowed" } };
    expect(await post(`${api}/checks`, check, { origin: "https://evil.example" })).toMatchObject(refusal);
    expect(await post(`${api}/checks`, check, { origin: "null" })).toMatchObject(refusal);
    expect(await post(`${api}/checks`, check, { "sec-fetch-site": "cross-site" })).toMatchObject(refusal);
    expect(await post(`${api}/checks`, check, { "sec-fetch-site": "same-site" })).toMatchObject(refusal);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    expect(await post(`${api}/checks`, "module=git", form)).toMatchObject({
      status: 415,
      error: { code: "json_required" },
    });
    const own = { origin: gateway.url, "sec-fetch-site": "same-origin" };
    expect(await post(`${api}/checks`, check, own)).toMatchObject({ status: 202 });
  });
});

describe("what is wrong", () => {
  it.each([
    ["/resources?limit=0", /query parameter "limit" is "0": .*>=1/],
    ["/resources?limit=x", /query parameter "limit" is "x"/],
    ["/resources?limit=1&limit=2", /query parameter "limit" is \["1","2"\]/],
    ["/resources?state=lost", /query parameter "state" is "lost": .*"confirmed"/],
    ["/findings?severity=high", /no query parameter "severity"/],
    ["/findings?least=worst", /query parameter "least" is "worst": .*"critical"/],
    ["/history", /query parameter "resource" is missing/],
    ["/history?resource=1", /query parameter "resource" is "1"/],
    ["/search?q=", /query parameter "q" is ""/],
    ["/search?q=a%00b", /query parameter "q" holds a character/],
    ["/resources/xyz", /path parameter "id" is "xyz"/],
    ["/changes/xyz", /path parameter "id" is "xyz"/],
    ["/live?since=-1", /query parameter "since" is "-1"/],
    ["/status?x=1", /no query parameter "x"/],
  ])("%s is named with what is allowed", async (path, message) => {
    const { status, error } = await ask(api + path);
    expect({ status, code: error?.code }).toEqual({ status: 400, code: "bad_parameter" });
    expect(error?.message).toMatch(message);
  });

  it.each([
    ["{", "bad_json", /not JSON/],
    ['{"__proto__": 1}', "bad_json", /not JSON/],
    ["", "bad_parameter", /body/],
    ["[]", "bad_parameter", /body/],
    ['{"module": "Git", "resource": "x"}', "bad_parameter", /field "module" is "Git": .*lower-case/],
    ['{"module": "git", "resource": "\\ud800"}', "bad_parameter", /field "resource" is .*without NUL and unpaired/],
  ])("the body %s is explained", async (body, code, message) => {
    const { status, error } = await post(`${api}/checks`, body);
    expect({ status, code: error?.code }).toEqual({ status: 400, code });
    expect(error?.message).toMatch(message);
  });

  it.each([
    [`/resources/${id}`, "GET", 404, "unknown_resource"],
    [`/changes/${changeId}`, "GET", 404, "unknown_change"],
    ["/nothing", "GET", 404, "unknown_route"],
    ["/live", "GET", 426, "upgrade_required"],
    ["/resources?cursor=not-mine", "GET", 400, "bad_cursor"],
    ["/resources?q=a%20lot", "GET", 400, "answer_too_large"],
    ["/resources?q=broken", "GET", 500, "internal"],
    ["/%ff", "GET", 400, "bad_request"],
  ] as const)("%s is %s %i %s", async (path, method, status, code) => {
    const answer = await ask(api + path, { method });
    expect(answer).toMatchObject({ status, error: { code } });
    expect(answer.text).not.toContain("secret_table");
  });

  it("has a method that the path does not take", async () => {
    const wrong = await ask(`${api}/resources`, { method: "DELETE" });
    expect(wrong).toMatchObject({
      status: 405,
      headers: { allow: "GET, HEAD" },
      error: { code: "method_not_allowed" },
    });
    expect(await ask(`${api}/checks`)).toMatchObject({ status: 405, headers: { allow: "POST" } });
    expect(await ask("/", { method: "POST" })).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  it("is too large", async () => {
    const body = { module: "git", resource: "x".repeat(20_000) };
    expect(await post(`${api}/checks`, body)).toMatchObject({ status: 413, error: { code: "body_too_large" } });
    const headers = { "x-long": "x".repeat(20_000) };
    expect(await ask("/healthz", { headers })).toMatchObject({ status: 431, error: { code: "headers_too_large" } });
    const long = await post(`${api}/checks`, { module: "git", resource: "x".repeat(3000) });
    expect(long.error?.message.length).toBeLessThan(300);
  });

  it("is not HTTP", async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1", () => socket.end("nonsense\r\n\r\n"));
      let text = "";
      socket.on("data", (bytes) => (text += String(bytes))).on("close", () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*"code":"bad_request"/);
  });

  it("passes: who is away is said, and when to try again", async () => {
    const away = await ask(`${api}/resources?q=away`);
    expect(away).toMatchObject({ status: 503, headers: { "retry-after": "5" }, error: { code: "store_unavailable" } });
    expect(away.text).not.toContain("10.1.2.3");
    // Nobody answers this one at all.
    expect(await ask(`${api}/status`)).toMatchObject({ status: 503, error: { code: "store_unavailable" } });
    const alone = await serveGateway(connections[0] as NatsConnection, { nc: await unheard() });
    try {
      const answer = await ask(
        `${api}/checks`,
        {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ module: "git", resource: "x" }),
        },
        alone,
      );
      expect(answer).toMatchObject({ status: 503, error: { code: "collector_unavailable" } });
    } finally {
      await alone.stop();
    }
  });

  it("is more live connections than allowed, or one where there is none", async () => {
    await expect(openLive(gateway)).rejects.toThrow("refused with 503");
    const upgrade = { upgrade: "websocket", connection: "upgrade" };
    expect(await upgraded(`${api}/live`, upgrade)).toMatch(/^HTTP\/1.1 503 [\s\S]*too_many_clients/);
    expect(await upgraded(`${api}/changes`, upgrade)).toMatch(/^HTTP\/1.1 400 [\s\S]*not a WebSocket/);
    seenCodes.add("too_many_clients");
  });

  it("is never our fault, whatever is asked", async () => {
    const paths = ["resources", `resources/${id}`, "observations", "findings", "history", "changes", "search", "live"];
    const names = [
      "limit",
      "cursor",
      "module",
      "state",
      "host",
      "failing",
      "q",
      "resource",
      "attribute",
      "least",
      "kind",
      "since",
    ];
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom("git", "high", "1", id, "\0", ""),
    );
    const query = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...names), fc.string()), text), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), query, async (path, pairs) => {
        const search = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
        const { status, error } = await ask(`${api}/${path}?${search}`);
        expect(status).toBeLessThan(500);
        expect(status === 200 || error !== null).toBe(true);
      }),
      { numRuns: 300 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.json(), fc.string()),
        fc.constantFrom("checks", `resources/${id}/accept`),
        async (body, path) => {
          const { status, error } = await post(`${api}/${path}`, body);
          expect(status).toBeLessThan(500);
          expect(error).not.toBeNull();
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("in front of a browser", () => {
  const html = { accept: "text/html,*/*" };

  it("lets nothing but its own files run", async () => {
    const paths = [
      "/",
      "/feed",
      "/assets/index-abc123.js",
      "/nothing.txt",
      `${api}/config`,
      `${api}/nothing`,
      "/%ff",
      "/healthz",
    ];
    for (const path of paths) {
      const { headers } = await ask(path, { headers: html });
      expect(headers).toMatchObject({
        "content-security-policy":
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
      });
      const isApi = path.startsWith("/api");
      expect(String(headers["content-type"]).startsWith("application/json;")).toBe(isApi || path === "/%ff");
    }
  });

  it("serves the page for its views, and its files for good", async () => {
    for (const path of ["/", "/resources/abc"]) {
      const answer = await ask(path, { headers: html });
      expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-cache" } });
      expect(answer.text).toContain("<title>page</title>");
    }
    const script = await ask("/assets/index-abc123.js");
    expect(script).toMatchObject({ status: 200, headers: { "cache-control": "public, max-age=31536000, immutable" } });
    expect(script.headers["content-type"]).toMatch(/javascript/);
    expect(await ask("/assets/", { headers: html })).toMatchObject({ status: 404 });
    expect(await ask("/assets/gone-1.js", { headers: html })).toMatchObject({ status: 404 });
    expect(await ask("/resources/abc", { headers: { accept: "application/json" } })).toMatchObject({ status: 404 });
    expect(await ask("/api/v2", { headers: html })).toMatchObject({ status: 404, error: { code: "unknown_route" } });
    expect((await ask("/..%2f..%2fetc%2fpasswd", { headers: html })).text).not.toContain("root:");
  });

  it("says how to build the page where that has not been done", async () => {
    const bare = await serveGateway(connections[0] as NatsConnection);
    try {
      const answer = await ask("/", { headers: html }, bare);
      expect(answer.status).toBe(503);
      expect(answer.text).toContain("npx vite build");
    } finally {
      await bare.stop();
    }
  });

  it("goes by its own names only", async () => {
    const { port } = new URL(gateway.url);
    for (const host of [`localhost:${port}`, "127.0.0.1", `[::1]:${port}`, "LOCALHOST"]) {
      expect(await ask("/healthz", { headers: { host } })).toMatchObject({ status: 200 });
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a@localhost"]) {
      expect(await ask("/healthz", { headers: { host } })).toMatchObject({
        status: 421,
        error: { code: "host_not_allowed" },
      });
    }
    const names = { host: "0.0.0.0", allowedHosts: ["watch.example"], allowedOrigins: ["https://watch.example"] };
    const open = await serveGateway(connections[0] as NatsConnection, { guard: names });
    try {
      const statusOf = async (host: string) => (await ask("/healthz", { headers: { host } }, open)).status;
      expect(await Promise.all(["watch.example", "10.0.0.1:80", "evil.example"].map(statusOf))).toEqual([
        200, 200, 421,
      ]);
      const origin = { origin: "https://watch.example", "content-type": "application/json" };
      const accept = await ask(`${api}/resources/${id}/accept`, { method: "POST", headers: origin, body: "{}" }, open);
      expect(accept.error?.code).toBe("not_waiting");
    } finally {
      await open.stop();
    }
  });
});

it("has answered every code that is listed", () => {
  expect([...seenCodes].toSorted()).toEqual(Object.keys(problems).toSorted());
});

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** A broker connection on which no collector is ever heard. */
async function unheard(): Promise<NatsConnection> {
  const other = await startNats();
  const nc = await connectNats(other.url());
  const close = nc.close.bind(nc);
  const closeBoth = async () => {
    await close();
    await other.stop();
  };
  connections.push(Object.assign(nc, { close: closeBoth }));
  return nc;
}

/** The answer to an upgrade that is refused, as it stands on the wire. */
async function upgraded(path: string, headers: Record<string, string>): Promise<string> {
  const { hostname, port } = new URL(gateway.url);
  const all = {
    ...headers,
    host: hostname,
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return await new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`));
    let text = "";
    socket
      .on("data", (bytes) => (text += String(bytes)))
      .on("close", () => resolve(text))
      .on("error", reject);
  });
}
