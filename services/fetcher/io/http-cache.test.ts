import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPeer, isMissing } from "../../../tests/support/peers.ts";
import { createCredentials } from "./credentials.ts";
import { createHttpCache } from "./http-cache.ts";
import { createHttpFixture } from "./http-fixture.ts";

const fixture = createHttpFixture();
const { serve, look } = fixture;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "paintdry-http-"));
});
afterAll(async () => {
  await fixture.close();
  await rm(folder, { recursive: true });
});

/** A page with validators that answers 304 where they match, and what it was asked with. */
async function page(headers: Record<string, string>, renewed: Record<string, string | string[]> = {}) {
  const asked: IncomingHttpHeaders[] = [];
  const url = await serve((request, response) => {
    asked.push(request.headers);
    const isKnown = headers.etag !== undefined && request.headers["if-none-match"] === headers.etag;
    if (isKnown) response.writeHead(304, renewed).end();
    else response.writeHead(200, { "content-type": "text/html", "set-cookie": "a=1", ...headers }).end("the page");
  });
  return { url, asked };
}

describe("the HTTP cache", () => {
  it("asks with the server's own validators, and only those, though the answer is called fresh", async () => {
    const { url, asked } = await page({ etag: '"v1"', "cache-control": "max-age=9999" });
    const { http, records } = look({ cache: {} });
    const { http: again } = look({ cache: {} });
    expect((await http.request({ url })).isRevalidated).toBe(false);
    const second = await http.request({ url });
    expect(second).toMatchObject({ status: 200, text: "the page", isRevalidated: true });
    expect(second.headers["set-cookie"]).toEqual(["a=1"]);
    expect(asked.map((headers) => [headers["if-none-match"], headers["if-modified-since"]])).toEqual([
      [undefined, undefined],
      ['"v1"', undefined],
    ]);
    expect(records.map(({ status, bodyBytes }) => [status, bodyBytes])).toEqual([
      [200, 8],
      [304, 0],
    ]);
    expect((await again.request({ url })).isRevalidated).toBe(false);
  });

  it("takes a changed header from a 304, but nothing that describes the body, and no cookies", async () => {
    const renewed = { "content-security-policy": "new", "content-type": "text/plain", "set-cookie": ["b=2"] };
    const { url } = await page({ etag: '"v1"', "content-security-policy": "old" }, renewed);
    const { http } = look();
    await http.request({ url });
    const { headers, isRevalidated } = await http.request({ url });
    expect(isRevalidated).toBe(true);
    expect(headers).toMatchObject({
      "content-security-policy": ["new"],
      "content-type": ["text/html"],
      "set-cookie": ["a=1"],
    });
  });

  it("asks for the whole when a 304 no longer repeats a header: it may have been removed", async () => {
    const sent: Record<string, string> = { etag: '"v1"', "x-frame-options": "DENY" };
    const asked: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      asked.push(request.headers["if-none-match"]);
      if (request.headers["if-none-match"] === undefined) response.writeHead(200, sent).end("the page");
      else response.writeHead(304, sent).end();
    });
    const { http } = look();
    await http.request({ url });
    expect((await http.request({ url })).isRevalidated).toBe(true);
    delete sent["x-frame-options"];
    const { headers, isRevalidated } = await http.request({ url });
    expect([headers["x-frame-options"], isRevalidated]).toEqual([undefined, false]);
    expect((await http.request({ url })).isRevalidated).toBe(true);
    expect(asked).toEqual([undefined, '"v1"', '"v1"', undefined, '"v1"']);
  });

  it("learns which headers a server leaves out of its 304s", async () => {
    const { url, asked } = await page({ etag: '"v1"', "x-frame-options": "DENY" });
    const cache = {};
    const { http } = look({ cache });
    const answers = [await http.request({ url }), await http.request({ url }), await http.request({ url })];
    answers.push(await look({ cache, random: 0 }).http.request({ url }), await http.request({ url }));
    expect(answers.map(({ headers }) => headers["x-frame-options"])).toEqual(answers.map(() => ["DENY"]));
    expect(answers.map(({ isRevalidated }) => isRevalidated)).toEqual([false, false, true, false, true]);
    expect(asked).toHaveLength(6);
  });

  it("asks for the whole when told to, and by chance", async () => {
    const { url, asked } = await page({ etag: '"v1"' });
    const cache = {};
    const { http } = look({ cache });
    await http.request({ url });
    expect((await http.request({ url, isFresh: true })).isRevalidated).toBe(false);
    expect((await look({ cache, random: 0 }).http.request({ url })).isRevalidated).toBe(false);
    expect(asked.every((headers) => headers["if-none-match"] === undefined)).toBe(true);
  });

  it("keeps nothing that must not be stored or cannot be confirmed", async () => {
    for (const headers of [{ etag: '"v1"', "cache-control": "private, no-store" }, {}]) {
      const { url, asked } = await page(headers);
      const { http } = look();
      for (let round = 0; round < 2; round++) await http.request({ url });
      expect(asked.map((sent) => sent["if-none-match"])).toEqual([undefined, undefined]);
    }
  });

  it("never gives one credential's answer to another, nor one Accept's", async () => {
    const { url, asked } = await page({ etag: '"v1"' });
    const cache = {};
    const withToken = (token: string) =>
      look({ cache, credentials: createCredentials({ [new URL(url).host]: { token: { env: "T" } } }, () => token) });
    for (const setting of [withToken("one"), withToken("two"), look({ cache })]) await setting.http.request({ url });
    await look({ cache }).http.request({ url, headers: { accept: "application/json" } });
    expect(asked.map((sent) => sent["if-none-match"])).toEqual([undefined, undefined, undefined, undefined]);
    expect((await withToken("one").http.request({ url })).isRevalidated).toBe(true);
  });

  it("survives a restart, and a damaged file", async () => {
    const { url } = await page({ etag: '"v1"' });
    const file = join(folder, "cache.sqlite");
    await look({ cache: { file } }).http.request({ url });
    expect((await look({ cache: { file } }).http.request({ url })).isRevalidated).toBe(true);
    const damaged = join(folder, "damaged.sqlite");
    await writeFile(damaged, "this is no database, but long enough to be looked at as one".repeat(100));
    const { http } = look({ cache: { file: damaged } });
    await http.request({ url });
    expect((await http.request({ url })).isRevalidated).toBe(true);
  });

  it("stays within its bounds", async () => {
    const cache = createHttpCache({ maxEntries: 10, maxEntryBytes: 100 });
    const keyOf = (name: string) => ({ url: new URL(`https://example.org/${name}`), headers: {}, credential: "" });
    const answer = { status: 200, headers: { etag: ['"v"'] }, body: Buffer.from("x"), leftOut: [] };
    for (let index = 0; index < 30; index++) await cache.set(keyOf(String(index)), answer);
    await cache.set(keyOf("large"), { ...answer, body: Buffer.alloc(101) });
    const names = [...Array.from({ length: 30 }, (_, index) => String(index)), "large"];
    const found = await Promise.all(names.map((name) => cache.get(keyOf(name))));
    expect(found.filter((kept) => kept !== null).length).toBeLessThanOrEqual(10);
    expect([found.at(29) === null, found.at(30) === null]).toEqual([false, true]);
    cache.close();
  });
});

describe.skipIf(isMissing("nginx"))("the HTTP cache before nginx", () => {
  let nginx: ChildProcess;
  let url: string;
  let file: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}/index.html`;
    file = join(folder, "index.html");
    await chmod(folder, 0o755);
    await writeFile(file, "<p>first</p>");
    await writeFile(join(folder, "nginx.conf"), nginxConfig(folder, port));
    nginx = spawn(findPeer("nginx") ?? "nginx", ["-c", join(folder, "nginx.conf"), "-e", "stderr"], {
      stdio: "ignore",
    });
    await untilListening(port);
  });
  afterAll(async () => {
    nginx.kill("SIGQUIT");
    await once(nginx, "exit");
  });

  it("an unchanged page costs a 304, a changed one is transferred, and headers stay", async () => {
    const { http, records } = look({ cache: {} });
    const answers = [await http.request({ url }), await http.request({ url })];
    await writeFile(file, "<p>other</p>");
    await utimes(file, new Date(), new Date(Date.now() + 5000));
    answers.push(await http.request({ url }), await http.request({ url }));
    expect(answers.map(({ text, isRevalidated }) => [text, isRevalidated])).toEqual([
      ["<p>first</p>", false],
      ["<p>first</p>", true],
      ["<p>other</p>", false],
      ["<p>other</p>", true],
    ]);
    expect(records.map(({ status }) => status)).toEqual([200, 304, 200, 304]);
    expect(answers.map(({ headers }) => headers["x-frame-options"])).toEqual([["DENY"], ["DENY"], ["DENY"], ["DENY"]]);
  });
});

function nginxConfig(root: string, port: number): string {
  return `
    daemon off;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1;
    pid ${root}/nginx.pid;
    error_log stderr;
    events { worker_connections 64; }
    http {
      access_log off;
      types { text/html html; }
      gzip on;
      gzip_min_length 1;
      client_body_temp_path ${root}/body;
      proxy_temp_path ${root}/proxy;
      fastcgi_temp_path ${root}/fastcgi;
      uwsgi_temp_path ${root}/uwsgi;
      scgi_temp_path ${root}/scgi;
      server {
        listen 127.0.0.1:${port};
        root ${root};
        add_header X-Frame-Options DENY;
      }
    }`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("nginx did not start");
}
