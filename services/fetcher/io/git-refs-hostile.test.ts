import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { GitRefs } from "#contracts/io.ts";
import { testGitIo } from "../../../tests/support/git-io.ts";
import { flushPkt, pktLine } from "./git-pkt-line.ts";

const id = "a".repeat(40);
const result = "application/x-git-upload-pack-result";
const advertisement = "application/x-git-upload-pack-advertisement";

describe("a hostile or broken git server", () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  async function ask(listener: RequestListener, caps: { maxListBytes?: number } = {}): Promise<GitRefs> {
    server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    const io = testGitIo({ caps });
    try {
      return await io.git.refs(`http://127.0.0.1:${(server.address() as AddressInfo).port}/r.git`, ["refs/tags/"]);
    } finally {
      await io.close();
    }
  }

  function listing(body: string | Uint8Array): RequestListener {
    return (_request, response) => void response.writeHead(200, { "content-type": result }).end(body);
  }

  function onInfoRefs(status: number, headers: Record<string, string>, body = ""): RequestListener {
    return (request, response) => {
      if (request.method === "POST") response.writeHead(405).end();
      else response.writeHead(status, headers).end(body);
    };
  }

  const tag = pktLine(`${id} refs/tags/v1`);

  it.each([
    ["ends without a flush", tag],
    ["ends within a line", tag.slice(0, 30)],
    ["goes on after the flush", tag + flushPkt + tag],
    ["holds a delimiter", `${tag}0001${flushPkt}`],
    ["has a wrong length", `zzzz${tag}${flushPkt}`],
    ["has a short id", pktLine(`${id.slice(1)} refs/tags/v1`) + flushPkt],
    ["has an upper-case id", pktLine(`${id.toUpperCase()} refs/tags/v1`) + flushPkt],
    ["has the null id", pktLine(`${"0".repeat(40)} refs/tags/v1`) + flushPkt],
    ["mixes SHA-1 and SHA-256", tag + pktLine(`${"b".repeat(64)} refs/tags/v2`) + flushPkt],
    ["peels to rubbish", pktLine(`${id} refs/tags/v1 peeled:${id}0`) + flushPkt],
    ["names a tag twice", tag + tag + flushPkt],
    ["names a ref that climbs", pktLine(`${id} refs/tags/../heads/x`) + flushPkt],
    ["names a ref with an escape", pktLine(`${id} refs/tags/\u001b[2Jv1`) + flushPkt],
    ["names a ref with a null", pktLine(`${id} refs/tags/v\u00001`) + flushPkt],
    ["names a symbolic target that git forbids", pktLine(`${id} HEAD symref-target:refs/heads/a..b`) + flushPkt],
    ["is a page", "<!doctype html><title>Log in</title>"],
  ])("is malformed when its list %s", async (_what, body) => {
    await expect(ask(listing(body))).rejects.toMatchObject({ kind: "malformed" });
  });

  it("is malformed when a name is not UTF-8", async () => {
    const body = Buffer.from(pktLine(`${id} refs/tags/v?`) + flushPkt);
    body[body.indexOf("?")] = 0xff;
    await expect(ask(listing(body))).rejects.toMatchObject({ kind: "malformed" });
  });

  it("is too_large when a name could not be stored", async () => {
    const body = pktLine(`${id} refs/tags/${"v".repeat(510)}`) + flushPkt;
    await expect(ask(listing(body))).rejects.toMatchObject({ kind: "too_large" });
  });

  it("never has its hostile text in the message", async () => {
    const body = pktLine(`${id} refs/tags/\u001b]0;x\u0007\u202ev1`) + flushPkt;
    await expect(ask(listing(body))).rejects.toThrow(/^[\u0020-\u007e]*$/);
  });

  it("cannot make us keep an endless list", async () => {
    const chunk = Buffer.from(
      Array.from({ length: 1000 }, (_, index) => pktLine(`${id} refs/tags/v${index}`)).join(""),
    );
    let sentBytes = 0;
    const endless: RequestListener = (_request, response) => {
      response.writeHead(200, { "content-type": result });
      const send = () => {
        while (!response.destroyed && response.write(chunk)) sentBytes += chunk.length;
      };
      response.on("drain", send);
      send();
    };
    await expect(ask(endless, { maxListBytes: 1024 * 1024 })).rejects.toMatchObject({ kind: "too_large" });
    expect(sentBytes).toBeLessThan(32 * 1024 * 1024);
  });

  it("cannot make us keep ten million refs", { timeout: 60_000 }, async () => {
    let count = 0;
    const many: RequestListener = (_request, response) => {
      response.writeHead(200, { "content-type": result });
      const send = () => {
        while (!response.destroyed && count < 10_000_000) {
          const lines = Array.from({ length: 1000 }, () => pktLine(`${id} refs/tags/v${count++}`)).join("");
          if (!response.write(lines)) return;
        }
        response.end(flushPkt);
      };
      response.on("drain", send);
      send();
    };
    const heapBefore = process.memoryUsage().rss;
    await expect(ask(many)).rejects.toMatchObject({ kind: "too_large" });
    expect(count).toBeLessThan(1_500_000);
    expect(process.memoryUsage().rss - heapBefore).toBeLessThan(500 * 1024 * 1024);
  });

  it("cannot make us keep millions of empty lines", async () => {
    await expect(ask(listing("0004".repeat(2_000_000)))).rejects.toMatchObject({ kind: "malformed" });
    const marks = onInfoRefs(200, { "content-type": advertisement }, "0000".repeat(2_000_000));
    await expect(ask(marks)).rejects.toMatchObject({ kind: "malformed" });
  });

  it.each([
    [404, "gone"],
    [410, "gone"],
  ])("answering %i has no such repository", async (status, outcome) => {
    expect(await ask(onInfoRefs(status, {}))).toMatchObject({ outcome });
  });

  it.each([
    [401, "denied"],
    [403, "denied"],
    [400, "unreachable"],
    [500, "unreachable"],
    [502, "unreachable"],
    [429, "limited"],
  ])("answering %i could not be looked at: %s", async (status, kind) => {
    await expect(ask(onInfoRefs(status, {}))).rejects.toMatchObject({ kind });
  });

  it("answering 404 to the direct question only is asked again", async () => {
    const answer = await ask((request, response) => {
      const isDirect = request.method === "POST";
      if (isDirect) response.writeHead(404).end();
      else response.writeHead(200, { "content-type": advertisement }).end(earlyList);
    });
    expect(answer).toMatchObject({ outcome: "refs", refs: [{ name: "refs/tags/v1", objectId: id, peeledId: other }] });
  });

  it("with dumb HTTP or a page is malformed, and says so", async () => {
    const plainFiles = onInfoRefs(200, { "content-type": "text/plain; charset=utf-8" }, `${id}\trefs/tags/v1\n`);
    await expect(ask(plainFiles)).rejects.toThrow(/dumb HTTP/);
    await expect(ask(onInfoRefs(200, { "content-type": "text/html" }, "<p>Hi"))).rejects.toThrow(/not a git server/);
  });

  it("that says ERR is quoted without its tricks", async () => {
    const body = pktLine("ERR access denied\u001b[31m");
    const answer = ask(onInfoRefs(200, { "content-type": advertisement }, body + flushPkt));
    await expect(answer).rejects.toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining("access denied"),
    });
  });

  it.each([
    ["ends early", pktLine(`${id} refs/tags/v1\0agent=x`)],
    ["peels what it did not name", pktLine(`${id} HEAD\0agent=x`) + pktLine(`${id} refs/tags/v1^{}`) + flushPkt],
    ["names no capabilities", pktLine(`${id} HEAD`) + flushPkt],
    ["is version 2 without lists", pktLine("version 2") + pktLine("fetch") + flushPkt],
    ["is empty", flushPkt],
  ])("is malformed when its advertisement %s", async (_what, body) => {
    const answer = ask(onInfoRefs(200, { "content-type": advertisement }, body));
    await expect(answer).rejects.toMatchObject({ kind: "malformed" });
  });

  it.each([
    [
      "https://elsewhere.example/new/name.git/info/refs?service=git-upload-pack",
      /^https:\/\/elsewhere\.example\/new\/name\.git$/,
    ],
    ["/new/name.git/info/refs?service=git-upload-pack", /^http:\/\/127\.0\.0\.1:\d+\/new\/name\.git$/],
  ])("that redirects to %s has moved", async (location, expected) => {
    const answer = await ask(onInfoRefs(301, { location }));
    expect(answer).toEqual({ outcome: "moved", location: expect.stringMatching(expected) });
  });

  it.each([
    "https://login.example/?next=x",
    "javascript:alert(1)",
    "",
    "https://u:p@x.example/r/info/refs",
    "/r.git/info/refs",
  ])("that redirects to %j is malformed", async (location) => {
    await expect(ask(onInfoRefs(302, { location }))).rejects.toMatchObject({ kind: "malformed" });
  });
});

const other = "c".repeat(40);
const earlyList = [
  `001e# service=git-upload-pack\n${flushPkt}`,
  pktLine(`${id} HEAD\0symref=HEAD:refs/heads/main agent=x`),
  pktLine(`${id} refs/tags/v1`),
  pktLine(`${other} refs/tags/v1^{}`),
  flushPkt,
].join("");
