import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Io, TlsAnswer } from "#contracts/io.ts";
import type { ObservationAnswer } from "#contracts/module.ts";
import { createEgressGuard } from "../../services/fetcher/io/egress.ts";
import { createTlsIo } from "../../services/fetcher/io/tls.ts";
import { expectedOf, replayExample } from "../../tests/support/module-examples.ts";
import { isMissing } from "../../tests/support/peers.ts";
import {
  createAuthority,
  startTlsServer,
  type Authority,
  type Identity,
  type IssueOptions,
  type TlsServer,
} from "../../tests/support/tls-server.ts";
import { Certificate } from "./certificate.ts";
import tls from "./index.ts";

type Seen = Extract<ObservationAnswer, { type: "observe" }>;

const host = "www.example.test";
const dayMs = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * dayMs);

describe("the module's examples", () => {
  it.each(tls.examples.map((example) => [example.title, example] as const))("%s", async (_title, example) => {
    expect(await replayExample(tls, example)).toEqual(expectedOf(example));
  });
});

describe("what the module says of a server", () => {
  it("treats a host's ports as one and names its owner", () => {
    expect(tls.lane("www.example.co.uk:8443")).toBe("www.example.co.uk~tls");
    expect(tls.owner("www.example.co.uk:8443")).toBe("example.co.uk");
    expect(tls.owner("192.0.2.1:443")).toBe("-");
  });

  it("suggests no records for an address", async () => {
    const request = { resource: "[2001:db8::1]:443", source: "config.json", options: {} };
    const found = await Array.fromAsync(tls.discovery(request, {} as Io));
    expect(found).toEqual([{ type: "confirm", resource: "[2001:db8::1]:443" }]);
  });
});

describe.skipIf(isMissing("openssl"))("looks at a real server", () => {
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

  function handshake(): Promise<TlsAnswer> {
    const resolveName = async () => [{ address: "127.0.0.1", family: 4 as const }];
    const guard = createEgressGuard({ allow: ["127.0.0.0/8"], deny: [], resolveName });
    return createTlsIo({ guard, extraRoots: [root.certificate] }).handshake({ host, port: server.port });
  }

  async function look(): Promise<[certificate: Seen, protocol: Seen]> {
    const resource = `${host}:${server.port}`;
    const request = { resource, options: {}, previous: new Map(), state: null, known: [] };
    const answers = await Array.fromAsync(tls.observation(request, { tls: { handshake } } as unknown as Io));
    return answers as [Seen, Seen];
  }

  /** What the module says when the server's identity is swapped. */
  async function swap(before: Identity, after: Identity) {
    server.swap(before);
    const [old] = await look();
    server.swap(after);
    const [now] = await look();
    return tls.change({
      resource: host,
      attribute: "certificate",
      kind: "changed",
      oldValue: old.value,
      newValue: now.value,
      oldSeverity: old.severity ?? null,
      newSeverity: now.severity ?? null,
      newReason: now.reason ?? null,
      context: now.context ?? null,
      options: {},
    });
  }

  it("observes one certificate and the protocol", async () => {
    const names = ["www.example.test", "example.test", "192.0.2.1"];
    server.swap(await issuer.issue({ names }));
    const [certificate, protocol] = await look();
    const value = Certificate.parse(certificate.value);
    expect(value).toMatchObject({
      issuer: "CN=Issuer",
      names: ["192.0.2.1", "example.test", "www.example.test"],
      chain: [{ subject: "CN=Issuer" }],
      verifies: "ok",
    });
    expect(certificate).toMatchObject({ attribute: "certificate" });
    expect(certificate.severity).toBeUndefined();
    expect(protocol).toEqual({ type: "observe", attribute: "protocol", value: "TLSv1.3" });
  });

  it("keeps the chain as evidence", async () => {
    const identity = await issuer.issue({ names: [host] });
    server.swap(identity);
    const [{ evidence }] = await look();
    expect(evidence?.mediaType).toBe("application/pem-certificate-chain");
    expect(evidence?.text).toBe(identity.certificate);
    expect(new X509Certificate(evidence?.text ?? "").subject).toBe(`CN=${host}`);
  });

  it("sees the same in two looks", async () => {
    server.swap(await issuer.issue({ names: [host] }));
    const [first] = await look();
    const [second] = await look();
    expect(second.value).toEqual(first.value);
    expect(second.reason).toEqual(first.reason);
  });

  it.each<[string, Omit<IssueOptions, "names">, string | undefined, RegExp]>([
    ["half its life left", { notBefore: inDays(-45), notAfter: inDays(45) }, undefined, /^$/],
    ["less than a quarter left", { notBefore: inDays(-70), notAfter: inDays(20) }, "notice", /^less than a quarter/],
    ["less than a sixth left", { notBefore: inDays(-80), notAfter: inDays(10) }, "medium", /^less than a sixth/],
    ["less than a twelfth left", { notBefore: inDays(-85), notAfter: inDays(5) }, "high", /^less than a twelfth/],
    ["expired", { notBefore: inDays(-90), notAfter: inDays(-1) }, "critical", /^the certificate expired on/],
    ["not valid yet", { notBefore: inDays(1), notAfter: inDays(90) }, "high", /is not valid before/],
    ["self-signed", { isSelfSigned: true }, "high", /does not verify: it is signed by itself/],
  ])("rates a certificate with %s", async (_what, options, severity, reason) => {
    server.swap(await issuer.issue({ names: [host], ...options }));
    const [certificate] = await look();
    expect(certificate.severity).toBe(severity);
    expect(certificate.reason ?? "").toMatch(reason);
  });

  it("rates a certificate for another host", async () => {
    server.swap(await issuer.issue({ names: ["other.test"] }));
    const [certificate] = await look();
    const reason = "the certificate does not verify: it is not made out for this host";
    expect(certificate).toMatchObject({ severity: "high", reason });
  });

  it("takes a new key close to the end for a renewal", async () => {
    const old = await issuer.issue({ names: [host], notBefore: inDays(-65), notAfter: inDays(25) });
    const assessment = await swap(old, await issuer.issue({ names: [host] }));
    expect(assessment).toMatchObject({ severity: "none", reason: expect.stringContaining("renewed with a new key") });
  });

  it("takes an early certificate for the same key for a renewal", async () => {
    const old = await issuer.issue({ names: [host] });
    const assessment = await swap(old, await issuer.issue({ names: [host], key: old.key }));
    expect(assessment).toMatchObject({ severity: "none", reason: expect.stringContaining("with the same key") });
  });

  it.each<[string, IssueOptions, RegExp]>([
    ["an early new key", { names: [host] }, /its key is new long before the old one's end/],
    ["another name", { names: [host, "rogue.test"] }, /it is also valid for rogue\.test/],
    ["a self-signed one", { names: [host], isSelfSigned: true }, /it is signed by itself; it is issued by/],
    ["one for another host", { names: ["rogue.test"] }, /not made out for this host.*no longer valid for/],
  ])("takes %s for an attack", async (_what, options, reason) => {
    const assessment = await swap(await issuer.issue({ names: [host] }), await issuer.issue(options));
    expect(assessment).toEqual({ severity: "high", reason: expect.stringMatching(reason) });
  });

  it("takes another issuer for an attack, even close to the end", async () => {
    const old = await issuer.issue({ names: [host], notBefore: inDays(-65), notAfter: inDays(25) });
    const other = await root.createIntermediate("Other");
    const assessment = await swap(old, await other.issue({ names: [host] }));
    expect(assessment).toEqual({
      severity: "high",
      reason: expect.stringContaining("issued by CN=Other instead of CN=Issuer"),
    });
  });

  it("takes another chain above the same certificate for a curiosity", async () => {
    const { certificate, key } = await issuer.issue({ names: [host] });
    const assessment = await swap({ certificate, key }, { certificate: certificate + root.certificate, key });
    expect(assessment).toMatchObject({ severity: "notice", reason: expect.stringContaining("sends another chain") });
  });
});
