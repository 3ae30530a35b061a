import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { createCredentials } from "./credentials.ts";
import { createHttpFixture } from "./http-fixture.ts";

const fixture = createHttpFixture();
const { serve, serveBytes, look } = fixture;
afterAll(() => fixture.close());

describe("io.http", () => {
  it("gives status, one entry a header line, and the body", async () => {
    const url = await serve((_request, response) => {
      response.setHeader("Set-Cookie", ["a=1", "b=2"]);
      response.writeHead(404, { "X-Name": "value" }).end("not here");
    });
    const { http, records } = look();
    const answer = await http.request({ url: `${url}/x?y#z` });
    expect(answer).toMatchObject({ url: `${url}/x?y`, status: 404, text: "not here", isRevalidated: false });
    expect(answer.headers).toMatchObject({ "set-cookie": ["a=1", "b=2"], "x-name": ["value"] });
    expect(records).toMatchObject([{ host: new URL(url).host, status: 404, errorKind: null, bodyBytes: 8 }]);
  });

  it("does not follow a redirect, least of all to where it may not go", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data/" }).end();
    });
    const { http, records } = look();
    const answer = await http.request({ url });
    expect([answer.status, answer.headers.location]).toEqual([302, ["http://169.254.169.254/latest/meta-data/"]]);
    expect(records).toHaveLength(1);
    await expect(http.request({ url: "http://169.254.169.254/latest/meta-data/" })).rejects.toMatchObject({
      kind: "refused",
    });
    const fenced = look({ allow: [] });
    await expect(fenced.http.request({ url: url.replace("127.0.0.1", "localhost") })).rejects.toMatchObject({
      kind: "refused",
      message: expect.stringContaining("loopback"),
    });
  });

  it.each([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
  ])("decompresses %s, bounds what comes out, and takes no truncated one", async (encoding, compress) => {
    const page = "a page ".repeat(1000);
    const bodies: Record<string, Buffer> = {
      "/page": compress(page),
      "/bomb": compress(Buffer.alloc(50_000_000)),
      "/cut": compress(page).subarray(0, -4),
      "/noise": Buffer.from("this was never compressed"),
    };
    const url = await serve((request, response) => {
      response.writeHead(200, { "content-encoding": encoding }).end(bodies[request.url ?? ""]);
    });
    const { http, records } = look();
    expect((await http.request({ url: `${url}/page` })).text).toBe(page);
    await expect(http.request({ url: `${url}/bomb` })).rejects.toMatchObject({ kind: "too_large" });
    await expect(http.request({ url: `${url}/cut` })).rejects.toMatchObject({ kind: "malformed" });
    await expect(http.request({ url: `${url}/noise` })).rejects.toMatchObject({ kind: "malformed" });
    expect(records.map(({ errorKind }) => errorKind)).toEqual([null, "too_large", "malformed", "malformed"]);
  });

  it("takes an encoding that names no body, and refuses one it did not ask for", async () => {
    const url = await serve((request, response) => {
      const encoding = request.url === "/empty" ? "gzip" : "gzip, gzip";
      response.writeHead(301, { "content-encoding": encoding }).end(request.url === "/empty" ? "" : "x");
    });
    const { http } = look();
    expect(await http.request({ url: `${url}/empty` })).toMatchObject({ status: 301, text: "" });
    await expect(http.request({ url: `${url}/twice` })).rejects.toMatchObject({ kind: "malformed" });
  });

  it("keeps the connection after a HEAD", async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.writeHead(200, { "content-length": "5" }).end("hello");
    });
    const { http } = look();
    for (let round = 0; round < 3; round++) {
      expect(await http.request({ url, method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    }
    expect(ports.size).toBe(1);
  });

  it("decodes by mark, by charset, and else as UTF-8", async () => {
    const bodies: Record<string, [string, Buffer]> = {
      "/latin1": ["text/html; charset=iso-8859-1", Buffer.from("caf\xe9", "latin1")],
      "/mark": ["text/html; charset=iso-8859-1", Buffer.from("\ufeffcafé", "utf16le")],
      "/plain": ["text/html", Buffer.from("café")],
      "/unknown": ["text/html; charset=klingon", Buffer.from("café")],
    };
    const url = await serve((request, response) => {
      const [type, body] = bodies[request.url ?? ""] ?? ["", Buffer.from("")];
      response.writeHead(200, { "content-type": type }).end(body);
    });
    const { http } = look();
    for (const path of Object.keys(bodies)) expect((await http.request({ url: url + path })).text).toBe("café");
  });

  it.each([
    ["seconds", 429, "3600", 3_600_000],
    ["a date in the past", 429, new Date(0).toUTCString(), 1000],
    ["more than a day", 503, "999999999", 86_400_000],
    ["nonsense", 429, "soon", undefined],
    ["nothing", 429, undefined, undefined],
  ])("is limited when asked to rest: %s", async (_name, status, retryAfter, retryAfterMs) => {
    const url = await serve((_request, response) => {
      response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter }).end("slow down");
    });
    await expect(look().http.request({ url })).rejects.toMatchObject({ kind: "limited", retryAfterMs });
  });

  it("gives a 503 without Retry-After, and a 500, as answers", async () => {
    const url = await serve((request, response) => {
      response.writeHead(Number(request.url?.slice(1))).end();
    });
    const { http } = look();
    for (const status of [500, 503]) expect((await http.request({ url: `${url}/${status}` })).status).toBe(status);
  });

  it("lets no module set what the fetcher alone sets, or ask elsewhere than http and https", async () => {
    const { http } = look();
    for (const name of ["Authorization", "cookie", "HOST", "proxy-authorization", "range", "if-none-match"]) {
      const request = http.request({ url: "http://127.0.0.1:9/", headers: { [name]: "x" } });
      await expect(request).rejects.toMatchObject({ kind: "module" });
    }
    for (const url of ["file:///etc/passwd", "ftp://example.org/", "https://user:secret@example.org/"]) {
      const failure = await http.request({ url }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ kind: "refused", message: expect.not.stringContaining("secret") });
    }
    await expect(http.request({ url: "nonsense" })).rejects.toMatchObject({ kind: "module" });
    await expect(http.request({ url: "http://127.0.0.1:9/", headers: { "x-a": "b\r\nc: d" } })).rejects.toMatchObject({
      kind: "module",
    });
  });

  it("attaches a credential to its very host only", async () => {
    const url = await serve((request, response) => void response.end(request.headers.authorization ?? "none"));
    const { host, port } = new URL(url);
    const credentials = createCredentials({ [host]: { token: { env: "TOKEN" } } }, () => "s3cret");
    const { http } = look({ credentials });
    expect((await http.request({ url })).text).toBe("Bearer s3cret");
    expect((await http.request({ url: `http://localhost:${port}/` })).text).toBe("none");
  });

  it("goes through an upstream proxy, still refusing literal targets", async () => {
    const target = await serve((_request, response) => void response.end("the target"));
    const asked: string[] = [];
    const proxy = createHttpServer((_request, response) => void response.end("by the proxy"));
    proxy.on("connect", (request, socket: Socket) => {
      asked.push(request.url ?? "");
      const upstream = connect(Number(new URL(target).port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [upstream, socket]) end.on("error", () => {});
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const { http } = look({ proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` });
    expect((await http.request({ url: "http://far.example/" })).text).toBe("by the proxy");
    await expect(http.request({ url: "https://far.example/" })).rejects.toMatchObject({ kind: "unreachable" });
    await expect(http.request({ url: "https://10.0.0.1/" })).rejects.toMatchObject({ kind: "refused" });
    expect(asked).toEqual(["far.example:443"]);
    for (const proxy of ["http://10.0.0.1:3128/", "http://localhost:3128/"]) {
      const fenced = look({ proxy, allow: [] });
      await expect(fenced.http.request({ url: "https://far.example/" })).rejects.toMatchObject({ kind: "refused" });
    }
    proxy.closeAllConnections();
    proxy.close();
  });
});

describe("io.http before hostile servers", () => {
  const hostile: [string, (socket: Socket) => void, string][] = [
    [
      "a body that never ends",
      (socket) => endless(socket, "HTTP/1.1 200 OK\r\n\r\n", Buffer.alloc(65_536)),
      "too_large",
    ],
    [
      "compressed bytes that come to nothing and never end",
      (socket) => endless(socket, gzipHead, emptyBlocks),
      "too_large",
    ],
    [
      "headers that never end",
      (socket) => endless(socket, "HTTP/1.1 200 OK\r\n", Buffer.from("x-a: bcdefg\r\n")),
      "too_large",
    ],
    [
      "a length it does not keep",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"),
      "malformed",
    ],
    [
      "a broken-off chunk",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nshort"),
      "malformed",
    ],
    [
      "no last chunk",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n"),
      "malformed",
    ],
    [
      "a nonsense chunk",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
      "malformed",
    ],
    ["a part only", (socket) => socket.end("HTTP/1.1 206 Partial\r\ncontent-length: 1\r\n\r\na"), "malformed"],
    ["304 to a plain request", (socket) => socket.end("HTTP/1.1 304 Not Modified\r\n\r\n"), "malformed"],
    ["another protocol", (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"), "malformed"],
    ["silence", () => {}, "timeout"],
    ["a header that never ends", (socket) => socket.write("HTTP/1.1 200 OK\r\nx-slow: "), "timeout"],
    ["headers byte by byte", (socket) => drip(socket, "HTTP/1.1 200 OK\r\nx-slow: "), "timeout"],
    ["a body that stops", (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na"), "timeout"],
    ["nothing but goodbye", (socket) => socket.end(), "unreachable"],
    ["a reset", (socket) => socket.resetAndDestroy(), "unreachable"],
  ];

  it.each(hostile)("%s is no value", async (_name, onRequest, kind) => {
    const url = await serveBytes(onRequest);
    const { http } = look({ headersTimeoutMs: 300, bodyTimeoutMs: 300 });
    const failure = await http.request({ url, maxBytes: 1_000_000 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind, message: expect.stringContaining(new URL(url).host) });
  });

  it("a closed port and a name that does not resolve are unreachable", async () => {
    const { http } = look();
    await expect(http.request({ url: "http://127.0.0.1:1/" })).rejects.toMatchObject({
      kind: "unreachable",
      message: "127.0.0.1:1 refuses the connection",
    });
    await expect(http.request({ url: "http://nothing.invalid/" })).rejects.toMatchObject({ kind: "unreachable" });
  });

  it("a body that drips past the look's deadline is a time-out", async () => {
    const first = Promise.withResolvers<void>();
    const url = await serveBytes((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na");
      first.resolve();
    });
    const { http, abort } = look();
    const request = http.request({ url }).catch((error: unknown) => error);
    await first.promise;
    abort();
    expect(await request).toMatchObject({ kind: "timeout" });
    await expect(http.request({ url })).rejects.toMatchObject({ kind: "timeout" });
  });
});

function endless(socket: Socket, head: string | Buffer, piece: Buffer): void {
  socket.write(head);
  const send = (): void => {
    while (!socket.destroyed && socket.write(piece));
    if (!socket.destroyed) socket.once("drain", () => setImmediate(send));
  };
  send();
}

function drip(socket: Socket, head: string): void {
  socket.write(head);
  const timer = setInterval(() => socket.write("x"), 50);
  socket.on("close", () => clearInterval(timer));
}

const gzipHead = Buffer.concat([
  Buffer.from("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"),
  gzipSync(Buffer.alloc(0)).subarray(0, 10),
]);

/** Stored blocks of no bytes: input without output. */
const emptyBlocks = Buffer.alloc(50_000, Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]));
