import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import type { DnsAnswer, DnsIo, DnsType, Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import type { ObservationAnswer } from "#contracts/module.ts";
import { createDnsIo } from "../../services/fetcher/io/dns.ts";
import { startDnsServer, type DnsServer } from "../../tests/support/dns-server.ts";
import { expectedOf, replayExample } from "../../tests/support/module-examples.ts";
import { isMissing } from "../../tests/support/peers.ts";
import dns from "./index.ts";

async function look(io: DnsIo, resource: string, rotating: string[] = [], state: Json = null) {
  const request = { resource, options: { rotating }, previous: new Map(), state, known: [] };
  return await Array.fromAsync(dns.observation(request, { dns: io } as Io));
}

/** Attribute → value of what was observed, and the names of what was not seen. */
function valuesOf(answers: ObservationAnswer[]): Record<string, Json> {
  return Object.fromEntries(
    answers.flatMap((answer) => {
      if (answer.type === "observe") return [[answer.attribute, answer.value]];
      return answer.type === "unseen" ? [[answer.attribute, "unseen"]] : [];
    }),
  );
}

describe("the module's examples", () => {
  it.each(dns.examples.map((example) => [example.title, example] as const))("%s", async (_title, example) => {
    expect(await replayExample(dns, example)).toEqual(expectedOf(example));
  });
});

describe("what the module says of a name", () => {
  it("treats the domain's servers politely and names its owner", () => {
    expect(dns.lane("www.shop.example.co.uk")).toBe("example.co.uk~dns");
    expect(dns.owner("www.shop.example.co.uk")).toBe("example.co.uk");
  });

  it("confirms the name and asks for nothing else", async () => {
    const request = { resource: "www.example.com", source: "config.json", options: { rotating: [] } };
    const found = await Array.fromAsync(dns.discovery(request, {} as Io));
    expect(found).toEqual([{ type: "confirm", resource: "www.example.com" }]);
  });
});

describe.skipIf(isMissing("bind"))("looks at a real server", () => {
  let server: DnsServer;
  let io: DnsIo;
  beforeAll(async () => {
    server = await startDnsServer({ "broken.test": { unloadable: true } });
    io = createDnsIo({ servers: [server.server] });
  });
  afterAll(async () => await server.stop());

  it("observes every kind of record as a set", async () => {
    const records = [
      "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.53\nns2 A 192.0.2.54",
      "@ A 192.0.2.2\n@ A 192.0.2.1\n@ AAAA 2001:db8::1\n@ MX 20 b.mail\n@ MX 10 a.mail",
      '@ TXT "v=spf1 mx -all"\n@ CAA 0 issue "ca.example"',
    ];
    await server.setZone("full.test", records.join("\n"));
    expect(valuesOf(await look(io, "full.test"))).toEqual({
      a: ["192.0.2.1", "192.0.2.2"],
      aaaa: ["2001:db8::1"],
      ns: ["ns1.full.test.", "ns2.full.test."],
      mx: ["10 a.mail.full.test.", "20 b.mail.full.test."],
      txt: ['"v=spf1 mx -all"'],
      caa: ['0 issue "ca.example"'],
    });
  });

  it("leaves a lost record out, and says so when the name is gone", async () => {
    await server.setZone("www.moving.test", "@ A 192.0.2.1\n@ MX 10 mail");
    expect(Object.keys(valuesOf(await look(io, "www.moving.test")))).toEqual(["a", "ns", "mx"]);
    await server.setZone("www.moving.test", "@ A 192.0.2.1");
    expect(Object.keys(valuesOf(await look(io, "www.moving.test")))).toEqual(["a", "ns"]);
    const [answer, ...more] = await look(io, "old.www.moving.test");
    expect(answer).toMatchObject({ type: "gone", reason: expect.stringContaining("NXDOMAIN") });
    expect(more).toEqual([]);
  });

  it("says that it looked where a name has no records left", async () => {
    await server.setZone("hollow.test", "below.middle A 192.0.2.1");
    expect(await look(io, "middle.hollow.test")).toEqual([{ type: "save", state: null }]);
  });

  it("observes of an alias only itself and the addresses it leads to", async () => {
    await server.setZone("alias.test", "@ TXT text\nwww CNAME target\ntarget A 192.0.2.1\ntarget TXT other");
    const values = valuesOf(await look(io, "www.alias.test"));
    expect(values).toEqual({ a: ["192.0.2.1"], cname: ["target.alias.test."] });
  });

  it("rates an alias that leads nowhere", async () => {
    await server.setZone("dangling.test", "www CNAME nobody");
    const [alias] = await look(io, "www.dangling.test");
    expect(alias).toMatchObject({ attribute: "cname", severity: "medium" });
  });

  it("could not look when the server fails", async () => {
    const failure = { kind: "unreachable", message: expect.stringContaining("SERVFAIL") };
    await expect(look(io, "www.broken.test")).rejects.toMatchObject(failure);
  });
});

describe("answers for some types only", () => {
  const down = new LookError("timeout", "no answer");

  function answering(answers: Partial<Record<DnsType, DnsAnswer | LookError>>): DnsIo {
    return {
      query: async (_name, type) => {
        const answer = answers[type] ?? { outcome: "empty" };
        if (answer instanceof LookError) throw answer;
        return answer;
      },
    };
  }

  it("what failed is unseen, not gone", async () => {
    const answers = await look(
      answering({ A: { outcome: "records", records: ["192.0.2.1"] }, CAA: down }),
      "example.test",
    );
    expect(valuesOf(answers)).toEqual({ a: ["192.0.2.1"], caa: "unseen" });
  });

  it("without the answer on the alias, what may be its target's is unseen", async () => {
    const answers = await look(
      answering({ CNAME: down, MX: { outcome: "records", records: ["0 ."] } }),
      "example.test",
    );
    expect(valuesOf(answers)).toEqual({
      cname: "unseen",
      ns: "unseen",
      mx: "unseen",
      txt: "unseen",
      caa: "unseen",
      ds: "unseen",
    });
  });

  it("NXDOMAIN without the answer on the alias may be its target's: could not look", async () => {
    const nxdomain = { outcome: "nxdomain" } as const;
    const types = ["A", "AAAA", "NS", "MX", "TXT", "CAA", "DS"] as const;
    const others = Object.fromEntries(types.map((type) => [type, nxdomain]));
    await expect(look(answering({ ...others, CNAME: down }), "example.test")).rejects.toBe(down);
    const [answer] = await look(answering({ ...others, CNAME: nxdomain, A: down }), "example.test");
    expect(answer).toMatchObject({ type: "gone" });
  });

  it("NXDOMAIN for one type alone means no such record", async () => {
    const answers = await look(
      answering({ A: { outcome: "records", records: ["192.0.2.1"] }, AAAA: { outcome: "nxdomain" } }),
      "example.test",
    );
    expect(valuesOf(answers)).toEqual({ a: ["192.0.2.1"] });
  });

  it("a rotating name is observed as its learned pool", async () => {
    let state: Json = null;
    const seen: Json[] = [];
    for (const address of ["192.0.2.2", "192.0.2.1", "192.0.2.2"]) {
      const io = answering({ A: { outcome: "records", records: [address] } });
      const answers = await look(io, "cdn.example.test", ["*.example.test"], state);
      seen.push(valuesOf(answers).a ?? null);
      for (const answer of answers) if (answer.type === "save") state = answer.state;
    }
    expect(seen).toEqual([["192.0.2.2"], ["192.0.2.1", "192.0.2.2"], ["192.0.2.1", "192.0.2.2"]]);
  });

  it("a damaged state is learned anew", async () => {
    const io = answering({ A: { outcome: "records", records: ["192.0.2.1"] } });
    const answers = await look(io, "example.test", ["example.test"], { pools: "none" });
    expect(valuesOf(answers)).toEqual({ a: ["192.0.2.1"] });
  });
});
