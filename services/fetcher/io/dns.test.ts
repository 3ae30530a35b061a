import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startDnsServer, type DnsServer } from "../../../tests/support/dns-server.ts";
import { isMissing } from "../../../tests/support/peers.ts";
import { createDnsIo } from "./dns.ts";

const longText = Array.from({ length: 12 }, (_, index) => String(index).padEnd(200, "x"));

const zone = `
@ NS ns.Example.test.
@ A 192.0.2.9
@ A 192.0.2.1
@ AAAA 2001:0DB8:0:0:0:0:0:1
@ MX 10 Mail
@ TXT "v=spf1 -all"
@ TXT "a \\"quoted\\" \\\\ text" ", split\\195\\188"
@ CAA 0 issue "letsencrypt.org"
@ HTTPS 1 . alpn=h2
ns A 192.0.2.53
www CNAME deep
deep CNAME example.test.
dangling CNAME nowhere
_443._tcp TLSA 3 1 1 AABB
signed DS 1 8 2 ${"AB".repeat(32)}
signed NS ns.elsewhere.test.
long TXT ${longText.map((text) => `"${text}"`).join(" ")}
`;

describe.skipIf(isMissing("bind"))("questions to a real server", () => {
  let server: DnsServer;
  beforeAll(async () => {
    server = await startDnsServer({ "example.test": zone, "broken.test": { unloadable: true } });
  });
  afterAll(async () => await server.stop());

  function dns() {
    return createDnsIo({ servers: [server.server] });
  }

  it.each([
    ["example.test", "A", ["192.0.2.1", "192.0.2.9"]],
    ["example.test", "AAAA", ["2001:db8::1"]],
    ["Example.TEST.", "MX", ["10 mail.example.test."]],
    ["example.test", "NS", ["ns.example.test."]],
    ["example.test", "TXT", [String.raw`"a \"quoted\" \\ text, split\195\188"`, '"v=spf1 -all"']],
    ["example.test", "CAA", ['0 issue "letsencrypt.org"']],
    ["example.test", "SOA", ["ns.invalid. hostmaster.invalid. 1 3600 600 86400 1"]],
    ["example.test", "HTTPS", [String.raw`\# 10 00010000010003026832`]],
    ["_443._tcp.example.test", "TLSA", ["3 1 1 aabb"]],
    ["signed.example.test", "DS", [`1 8 2 ${"ab".repeat(32)}`]],
    ["www.example.test", "CNAME", ["deep.example.test."]],
    ["dangling.example.test", "CNAME", ["nowhere.example.test."]],
  ] as const)("%s %s has records in presentation form", async (name, type, records) => {
    expect(await dns().query(name, type)).toEqual({ outcome: "records", records });
  });

  it("answers with the records at the end of a chain of aliases", async () => {
    const answer = await dns().query("www.example.test", "A");
    expect(answer).toEqual({ outcome: "records", records: ["192.0.2.1", "192.0.2.9"] });
  });

  it("tells a name without such records from a name that does not exist", async () => {
    expect(await dns().query("example.test", "DS")).toEqual({ outcome: "empty" });
    expect(await dns().query("none.example.test", "A")).toEqual({ outcome: "nxdomain" });
    expect(await dns().query("dangling.example.test", "A")).toEqual({ outcome: "nxdomain" });
  });

  it("asks again over TCP for what does not fit a datagram", async () => {
    const answer = await dns().query("long.example.test", "TXT");
    expect(answer).toEqual({ outcome: "records", records: [`"${longText.join("")}"`] });
  });

  it.each([
    ["broken.test", /SERVFAIL: it could not find the answer/],
    ["not-served.test", /REFUSED: it will not answer this question/],
    ["signed.example.test", /knows no answer .* only whom to ask/],
  ])("%s is no answer but a failed look", async (name, message) => {
    const failure = { kind: "unreachable", message: expect.stringMatching(message) };
    await expect(dns().query(name, "A")).rejects.toMatchObject(failure);
  });

  it("follows a zone as it changes", async () => {
    const ask = async () => await dns().query("www.moving.test", "A");
    await server.setZone("moving.test", "www A 192.0.2.1");
    expect(await ask()).toEqual({ outcome: "records", records: ["192.0.2.1"] });
    await server.setZone("moving.test", "www A 203.0.113.66");
    expect(await ask()).toEqual({ outcome: "records", records: ["203.0.113.66"] });
    await server.setZone("moving.test", "www TXT left");
    expect(await ask()).toEqual({ outcome: "empty" });
    await server.setZone("moving.test", "other TXT left");
    expect(await ask()).toEqual({ outcome: "nxdomain" });
    await server.setZone("moving.test", { unloadable: true });
    await expect(ask()).rejects.toMatchObject({ kind: "unreachable" });
  });

  it("turns to the next resolver when one is dead or refuses", async () => {
    const servers = ["127.0.0.1:1", server.server];
    const answer = await createDnsIo({ servers }).query("example.test", "AAAA");
    expect(answer).toEqual({ outcome: "records", records: ["2001:db8::1"] });
  });
});

describe("what cannot be asked", () => {
  it.each(["", ".", "a..b", "a b.test", `${"a".repeat(64)}.test`, `${"a.".repeat(127)}test`, "ü.test"])(
    "refuses the name %j",
    async (name) => {
      const dns = createDnsIo({ servers: ["127.0.0.1:1"] });
      await expect(dns.query(name, "A")).rejects.toMatchObject({ kind: "malformed" });
    },
  );
});
