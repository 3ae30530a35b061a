import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { isMissing } from "../../../tests/support/peers.ts";
import { createAuthority, startTlsServer, type Authority, type TlsServer } from "../../../tests/support/tls-server.ts";
import { createEgressGuard } from "./egress.ts";
import { createTlsIo, type TlsIoOptions } from "./tls.ts";

const host = "www.example.test";

function handshake(port: number, options: Partial<TlsIoOptions> = {}, name = host) {
  const guard = createEgressGuard({
    allow: ["127.0.0.0/8"],
    deny: [],
    resolveName: async () => [{ address: "127.0.0.1", family: 4 }],
  });
  return createTlsIo({ guard, ...options }).handshake({ host: name, port });
}

function subjects(chain: Uint8Array[]): string[] {
  return chain.map((certificate) => new X509Certificate(certificate).subject);
}

describe.skipIf(isMissing("openssl"))("handshakes with a real server", () => {
  let root: Authority;
  let issuer: Authority;
  let server: TlsServer;
  beforeAll(async () => {
    root = await createAuthority("Root");
    issuer = await root.createIntermediate("Issuer");
    server = await startTlsServer(await issuer.issue({ names: [host] }));
  });
  afterAll(async () => {
    await server.stop();
    await root.remove();
  });

  function shake(name = host) {
    return handshake(server.port, { extraRoots: [root.certificate] }, name);
  }

  it("gives the address, the protocol, the chain and that it verifies", async () => {
    server.swap(await issuer.issue({ names: [host] }));
    const answer = await shake();
    expect(answer).toMatchObject({ address: "127.0.0.1", protocol: "TLSv1.3", verificationError: null });
    expect(subjects(answer.chain)).toEqual([`CN=${host}`, "CN=Issuer"]);
  });

  it("gives the chain as it was sent, superfluous and repeated certificates too", async () => {
    const { certificate, key } = await issuer.issue({ names: [host] });
    const [leaf = "", above = ""] = certificate.split(/(?<=END CERTIFICATE-----\n)/);
    server.swap({ certificate: leaf + root.certificate + above + leaf, key });
    const answer = await shake();
    expect(subjects(answer.chain)).toEqual([`CN=${host}`, "CN=Root", "CN=Issuer", `CN=${host}`]);
    expect(answer.verificationError).toBeNull();
  });

  it("verifies an address against the certificate's addresses", async () => {
    server.swap(await issuer.issue({ names: ["127.0.0.1"] }));
    expect(await shake("127.0.0.1")).toMatchObject({ verificationError: null });
    expect(await shake()).toMatchObject({ verificationError: "ERR_TLS_CERT_ALTNAME_INVALID" });
  });

  it.each([
    ["ERR_TLS_CERT_ALTNAME_INVALID", { names: ["other.test"] }],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", { names: [host], isSelfSigned: true }],
    ["CERT_HAS_EXPIRED", { names: [host], notBefore: new Date("2020-01-01"), notAfter: new Date("2020-02-01") }],
    ["CERT_NOT_YET_VALID", { names: [host], notBefore: new Date("2035-01-01"), notAfter: new Date("2036-01-01") }],
  ])("a certificate with %s is an answer", async (verificationError, options) => {
    server.swap(await issuer.issue(options));
    expect(await shake()).toMatchObject({ verificationError });
  });

  it("does not trust an authority that nobody named", async () => {
    server.swap(await issuer.issue({ names: [host] }));
    const answer = await handshake(server.port);
    expect(answer.verificationError).toBe("UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
  });

  it("still speaks with servers that know only an old version", async () => {
    const options = { minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    const old = await startTlsServer(await issuer.issue({ names: [host] }), options);
    expect(await handshake(old.port)).toMatchObject({ protocol: "TLSv1" });
    await old.stop();
  });

  it("a handshake that the server breaks off is malformed", async () => {
    const options = { maxVersion: "TLSv1.2", requestCert: true } as const;
    const strict = await startTlsServer(await issuer.issue({ names: [host] }), options);
    await expect(handshake(strict.port)).rejects.toMatchObject({ kind: "malformed" });
    await strict.stop();
  });

  it("more certificates than anyone needs are malformed", async () => {
    const { certificate, key } = await issuer.issue({ names: [host] });
    server.swap({ certificate: certificate + root.certificate.repeat(300), key });
    await expect(shake()).rejects.toMatchObject({ kind: "malformed", message: expect.stringContaining("excessive") });
  });
});

describe("servers that do not speak TLS", () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  async function startTcp(respond: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      closers.push(() => socket.destroy());
      socket.on("error", () => socket.destroy());
      respond(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  it.each<[string, string, (socket: Socket) => void]>([
    ["speaks plain text", "malformed", (socket) => socket.write("220 mail.example.test ESMTP\r\n")],
    ["closes at once", "malformed", (socket) => socket.destroy()],
    ["never stops sending", "malformed", flood],
    ["is silent", "timeout", () => undefined],
    ["claims a long record and sends it drop by drop", "timeout", trickle],
  ])("one that %s: %s", async (_name, kind, respond) => {
    const port = await startTcp(respond);
    const failure = { kind, message: expect.stringContaining(`${host}:${port}`) };
    await expect(handshake(port, { timeoutMs: 400 })).rejects.toMatchObject(failure);
  });

  it("a closed port is unreachable", async () => {
    const failure = { kind: "unreachable", message: `no connection to ${host}:1 (ECONNREFUSED)` };
    await expect(handshake(1)).rejects.toMatchObject(failure);
  });

  it("ends with the look", async () => {
    const port = await startTcp(() => undefined);
    const signal = AbortSignal.timeout(50);
    await expect(handshake(port, { signal, timeoutMs: 60_000 })).rejects.toMatchObject({ kind: "timeout" });
    await expect(handshake(port, { signal, timeoutMs: 60_000 })).rejects.toMatchObject({ kind: "timeout" });
  });

  it("a name that never resolves is a time-out", async () => {
    const guard = { resolve: () => new Promise<never>(() => undefined) };
    await expect(handshake(1, { guard, timeoutMs: 50 })).rejects.toMatchObject({ kind: "timeout" });
  });

  it.each(["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", host])(
    "%s is not connected to unless allowed",
    async (name) => {
      let connections = 0;
      const port = await startTcp(() => connections++);
      const resolveName = async () => [{ address: "127.0.0.1", family: 4 as const }];
      const guard = createEgressGuard({ allow: [], deny: [], resolveName });
      await expect(handshake(port, { guard }, name)).rejects.toMatchObject({ kind: "refused" });
      expect(connections).toBe(0);
    },
  );
});

function flood(socket: Socket): void {
  const write = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 0x41)));
  };
  socket.on("drain", write);
  write();
}

/** A handshake record's header, and then a byte now and again. */
function trickle(socket: Socket): void {
  socket.write(Buffer.from("1603034000", "hex"));
  const timer = setInterval(() => socket.write(Buffer.from([2])), 20);
  socket.on("close", () => clearInterval(timer));
}
