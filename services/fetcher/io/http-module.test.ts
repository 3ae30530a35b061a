import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpIo, Io } from "#contracts/io.ts";
import type { DiscoveryAnswer, ObservationAnswer, PreviousValue } from "#contracts/module.ts";
import http from "#modules/http/index.ts";
import { findPeer, isMissing } from "../../../tests/support/peers.ts";
import { createHttpFixture } from "./http-fixture.ts";

const fixture = createHttpFixture();
const { serve, serveBytes, look } = fixture;
afterAll(() => fixture.close());

const options = { knownPaths: true, bodyHash: false };
type Seen = Extract<ObservationAnswer, { type: "observe" }>;

/** One look, as a fetcher runs it. */
async function observe(url: string, previous: Seen[] = [], io: HttpIo = look().http): Promise<ObservationAnswer[]> {
  const known = previous.map(({ attribute, value, severity, reason }): [string, PreviousValue] => [
    attribute,
    { attribute, value, severity: severity ?? null, reason: reason ?? null },
  ]);
  const resource = http.resource.parse(url);
  const request = { resource, options, previous: new Map(known), state: null, known: [] };
  return Array.fromAsync(http.observation(request, asIo(io)));
}

function asIo(io: HttpIo): Io {
  return { http: io, signal: new AbortController().signal } as Io;
}

function seen(answers: ObservationAnswer[]): Seen[] {
  return answers.filter((answer) => answer.type === "observe");
}

function valuesOf(answers: ObservationAnswer[]): Record<string, unknown> {
  return Object.fromEntries(seen(answers).map(({ attribute, value }) => [attribute, value]));
}

function findingsOf(answers: ObservationAnswer[]): Record<string, unknown> {
  return Object.fromEntries(
    seen(answers).flatMap(({ attribute, severity }) => (severity ? [[attribute, severity]] : [])),
  );
}

const page: RequestListener = (_request, response) => {
  response.setHeader("Set-Cookie", ["sid=secret; HttpOnly"]);
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", "x-frame-options": "DENY" });
  response.end(`<script src="https://cdn.example/lib.js"></script><form action="/pay"></form>`);
};

describe("the http watch", () => {
  it("observes a page completely, and the same page as the same", async () => {
    const url = await serve(page);
    const first = await observe(url);
    expect(valuesOf(first)).toEqual({
      status_code: 200,
      content_type: "text/html",
      "header/content-security-policy": [],
      "header/x-content-type-options": "",
      "header/x-frame-options": "DENY",
      "cookie/sid": { secure: false, http_only: true, same_site: null, domain: null, path: null },
      scripts: { count: 1, sources: ["https://cdn.example/lib.js"] },
      frame_sources: [],
      form_actions: [`${url}/pay`],
      external_domains: [],
      download_links: [],
    });
    expect(findingsOf(first)).toEqual({
      status_code: "medium",
      "header/content-security-policy": "recommendation",
      "header/x-content-type-options": "recommendation",
    });
    expect(valuesOf(await observe(url, seen(first)))).toEqual(valuesOf(first));
  });

  it.each([404, 410])("a page that answers %s is gone", async (status) => {
    const url = await serve((_request, response) => void response.writeHead(status).end());
    expect(await observe(`${url}/page`)).toEqual([{ type: "gone", reason: expect.stringContaining(String(status)) }]);
  });

  it.each([500, 502, 503, 408])("an answer of %s is no value", async (status) => {
    const url = await serve((_request, response) => void response.writeHead(status).end("<html>oops"));
    await expect(observe(url)).rejects.toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining(`answers ${status}`),
    });
  });

  it("a limit of an hour, a truncated page and a slow server are no values", async () => {
    const limited = await serve((_request, response) => void response.writeHead(429, { "retry-after": "3600" }).end());
    await expect(observe(limited)).rejects.toMatchObject({ kind: "limited", retryAfterMs: 3_600_000 });
    const cut = await serveBytes((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<html>"));
    await expect(observe(cut)).rejects.toMatchObject({ kind: "malformed" });
    const slow = await serveBytes(() => {});
    await expect(observe(slow, [], look({ headersTimeoutMs: 200 }).http)).rejects.toMatchObject({ kind: "timeout" });
    const nested = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<b>".repeat(1_000_000));
    });
    await expect(observe(nested)).rejects.toMatchObject({ kind: "too_large" });
  });

  it("a page that is closed or redirects says nothing about what was on it", async () => {
    let answer: RequestListener = page;
    const url = await serve((request, response) => answer(request, response));
    const first = seen(await observe(url));
    const content = first.map(({ attribute }) => attribute).filter((attribute) => attribute !== "status_code");
    const unseenOf = (answers: ObservationAnswer[]) =>
      answers.flatMap((one) => (one.type === "unseen" ? [one.attribute] : []));

    answer = (_request, response) => void response.writeHead(403).end("<script>no</script>");
    const closed = await observe(url, first);
    expect([valuesOf(closed), unseenOf(closed)]).toEqual([{ status_code: 403 }, content]);

    answer = (_request, response) => void response.writeHead(301, { location: "https://other.example/#x" }).end();
    const moved = await observe(url, first);
    expect(valuesOf(moved)).toEqual({ status_code: 301, redirect_location: "https://other.example/" });
    expect([findingsOf(moved), unseenOf(moved)]).toEqual([{}, content]);

    answer = (_request, response) => void response.writeHead(302, { location: "/login" }).end();
    expect(findingsOf(await observe(url))).toEqual({ redirect_location: "medium" });
  });

  it("rates known paths by whether the file itself is served", async () => {
    const files: Record<string, [number, string]> = {
      "/Dockerfile": [200, "text/plain"],
      "/package.json": [200, "text/html"],
      "/README.md": [404, "text/html"],
      "/.well-known/security.txt": [404, "text/html"],
      "/security.txt": [404, "text/html"],
    };
    const url = await serve((request, response) => {
      const [status, type] = files[request.url ?? ""] ?? [500, ""];
      response
        .writeHead(status, { "content-type": type })
        .end(type === "text/html" ? "<html>start page" : "FROM debian");
    });
    const rated: unknown[] = [];
    for (const path of Object.keys(files)) {
      const answers = await observe(url + path);
      rated.push([path, valuesOf(answers), findingsOf(answers)]);
    }
    expect(rated).toEqual([
      ["/Dockerfile", { status_code: 200 }, { status_code: "high" }],
      ["/package.json", { status_code: 200 }, {}],
      ["/README.md", { status_code: 404 }, {}],
      ["/.well-known/security.txt", { status_code: 404 }, { status_code: "recommendation" }],
      ["/security.txt", { status_code: 404 }, {}],
    ]);
  });

  it("has no page values for what is no page", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(`{"html": "<script src=x></script>"}`);
    });
    expect(valuesOf(await observe(`${url}/api`))).toEqual({ status_code: 200, content_type: "application/json" });
  });
});

describe("discovery by the http watch", () => {
  async function discover(url: string, answer: () => Promise<never>, settings = options): Promise<DiscoveryAnswer[]> {
    const request = { resource: http.resource.parse(url), source: "config.json", options: settings };
    return Array.fromAsync(http.discovery(request, asIo({ request: answer })));
  }
  const refused = async (): Promise<never> => {
    const { http: io } = look();
    await io.request({ url: "http://127.0.0.1:1/" });
    throw new Error("a closed port answered");
  };
  const limited = async (): Promise<never> => {
    const url = await serve((_request, response) => void response.writeHead(429).end());
    await look().http.request({ url });
    throw new Error("no rest was asked for");
  };

  it("brings the known paths of a root, its twin if there is one, and the names behind it", async () => {
    const answers = await discover("https://example.org", limited);
    expect(answers).toContainEqual({ type: "confirm", resource: "https://example.org/" });
    expect(answers).toContainEqual({ type: "confirm", resource: "https://example.org/.well-known/security.txt" });
    expect(answers).toContainEqual({ type: "confirm", resource: "https://example.org/Dockerfile" });
    expect(answers).toContainEqual({ type: "suggest", module: "dns", resource: "example.org" });
    expect(answers).toContainEqual({ type: "suggest", module: "tls", resource: "example.org:443" });
    expect(answers).toContainEqual({ type: "confirm", resource: "http://example.org/" });
    expect(answers).toHaveLength(14);
    const without = await discover("https://example.org", refused, { ...options, knownPaths: false });
    expect(without).toEqual([
      { type: "confirm", resource: "https://example.org/" },
      { type: "suggest", module: "dns", resource: "example.org" },
      { type: "suggest", module: "tls", resource: "example.org:443" },
    ]);
  });

  it("brings only itself for a path, and no name for an address", async () => {
    expect(await discover("http://127.0.0.1:8080/a", refused)).toEqual([
      { type: "confirm", resource: "http://127.0.0.1:8080/a" },
    ]);
  });
});

describe.skipIf(isMissing("openssl"))("the http watch over TLS", () => {
  let folder: string;
  let url: string;
  let ca: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "paintdry-tls-"));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const command = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ];
    execFileSync(findPeer("openssl") ?? "openssl", [...command, "-keyout", key, "-out", cert, ...subject], {
      stdio: "ignore",
    });
    ca = await readFile(cert, "utf8");
    const server = createServer({ key: await readFile(key), cert: ca }, (_request, response) => {
      response
        .writeHead(200, { "content-type": "text/html", "strict-transport-security": "max-age=31536000" })
        .end("<p>hello");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    return () => {
      server.closeAllConnections();
      server.close();
    };
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("observes a page whose certificate verifies", async () => {
    const answers = await observe(url, [], look({ ca: [ca] }).http);
    expect(valuesOf(answers)).toMatchObject({
      status_code: 200,
      "header/strict-transport-security": "max-age=31536000",
    });
  });

  it("cannot look where it does not, and says why", async () => {
    await expect(observe(url)).rejects.toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining("self-signed"),
    });
    const byAddress = url.replace("localhost", "127.0.0.1");
    await expect(observe(byAddress, [], look({ ca: [ca] }).http)).rejects.toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining("another name"),
    });
  });
});
