import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Config } from "#contracts/config.ts";
import { isMissing } from "../../../tests/support/peers.ts";
import { createAuthority, type Authority } from "../../../tests/support/tls-server.ts";
import { createIoFactory } from "./open-io.ts";
import type { RequestRecord } from "./record.ts";

describe.skipIf(isMissing("openssl"))("what a look is handed", () => {
  let authority: Authority;
  let folder: string;
  let port: number;
  const closers: (() => unknown)[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "paintdry-io-"));
    authority = await createAuthority();
    await writeFile(join(folder, "root.pem"), authority.certificate);
    const { certificate, key } = await authority.issue({ names: ["localhost"] });
    const server = createServer({ cert: certificate, key }, (_request, response) => response.end("hello"));
    server.on("tlsClientError", (_error, socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    port = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    for (const close of closers.toReversed()) await close();
    await authority?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it("counts requests, questions and handshakes, those that failed among them", async () => {
    const resolver = createSocket("udp4");
    resolver.on("message", (question, from) => {
      const answer = Buffer.from(question);
      answer.writeUInt16BE(0x81_83, 2);
      resolver.send(answer, from.port, from.address);
    });
    resolver.bind(0, "127.0.0.1");
    await once(resolver, "listening");
    closers.push(() => resolver.close());
    const records: RequestRecord[] = [];
    const config = Config.parse({
      egress: { allow: ["127.0.0.0/8"] },
      dns: { servers: [`127.0.0.1:${resolver.address().port}`] },
    });
    const factory = createIoFactory({
      config: () => config,
      readSecret: () => "",
      dataFolder: null,
      liveFetchers: () => 1,
      onRequest: (record) => records.push(record),
    });
    closers.push(() => factory.close());
    const { signal } = new AbortController();
    const { io, cost } = factory.open({ lane: "127.0.0.1~tls", signal, deadlineMs: 60_000 });
    expect(await io.dns.query("nowhere.test", "A")).toEqual({ outcome: "nxdomain" });
    expect(await io.tls.handshake({ host: "127.0.0.1", port })).toMatchObject({
      verificationError: expect.any(String),
    });
    await expect(io.tls.handshake({ host: "127.0.0.1", port: 1 })).rejects.toMatchObject({ kind: "unreachable" });
    await expect(io.http.request({ url: `https://127.0.0.1:${port}/` })).rejects.toMatchObject({ kind: "unreachable" });
    expect(cost()).toEqual({ requests: 4, bodyBytes: 0 });
    expect(records.map(({ method, errorKind }) => [method, errorKind])).toEqual([
      ["DNS", null],
      ["TLS", null],
      ["TLS", "unreachable"],
      ["GET", "unreachable"],
    ]);
  });

  it("trusts for http and tls what NODE_EXTRA_CA_CERTS names", async () => {
    const script = `
      import { createIoFactory } from ${JSON.stringify(new URL("open-io.ts", import.meta.url).href)};
      import { Config } from ${JSON.stringify(new URL("../../../contracts/config.ts", import.meta.url).href)};
      const config = Config.parse({ egress: { allow: ["127.0.0.0/8", "::1/128"] } });
      const factory = createIoFactory({ config: () => config, readSecret: () => "", dataFolder: null, liveFetchers: () => 1 });
      const { io } = factory.open({ lane: "localhost", signal: new AbortController().signal, deadlineMs: 60_000 });
      const page = await io.http.request({ url: "https://localhost:${port}/" }).then((answer) => answer.text, (error) => error.message);
      const { verificationError } = await io.tls.handshake({ host: "localhost", port: ${port} });
      console.log(JSON.stringify({ page, verificationError }));
      await factory.close();`;
    const run = async (environment: Record<string, string>): Promise<unknown> => {
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
        env: { PATH: process.env["PATH"], TMPDIR: folder, ...environment },
      });
      return JSON.parse(stdout);
    };
    expect(await run({ NODE_EXTRA_CA_CERTS: join(folder, "root.pem") })).toEqual({
      page: "hello",
      verificationError: null,
    });
    expect(await run({})).toEqual({
      page: expect.stringContaining("certificate"),
      verificationError: expect.any(String),
    });
  });
});
