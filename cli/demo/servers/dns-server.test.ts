import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import dnsPacket from "dns-packet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../embedded/ports.ts";
import { startDnsServer } from "./dns-server.ts";
import type { DnsServer } from "./dns-server.ts";

let server: DnsServer;
const resolver = new Resolver({ timeout: 2000, tries: 2 });

beforeAll(async () => {
  const records = [{ name: "shop.example", type: "A", ttl: 5, data: "192.0.2.10" } as const];
  server = await startDnsServer("shop.example", records, await freePort());
  resolver.setServers([`127.0.0.1:${server.port}`]);
});
afterAll(async () => await server?.stop());

describe("the DNS server of the demonstration", () => {
  it("tells a name that is not there from one without such records, and speaks for its domain alone", async () => {
    expect(await resolver.resolve4("shop.example")).toEqual(["192.0.2.10"]);
    await expect(resolver.resolve6("shop.example")).rejects.toMatchObject({ code: "ENODATA" });
    await expect(resolver.resolve4("nowhere.shop.example")).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(resolver.resolve4("other.example")).rejects.toMatchObject({ code: "EREFUSED" });
  });

  it("answers over TCP too, what was set last, and outlives nonsense", async () => {
    server.set("shop.example", "A", [{ name: "shop.example", type: "A", ttl: 5, data: "203.0.113.66" }]);
    const nonsense = connect(server.port, "127.0.0.1").end(Buffer.from([0, 3, 1, 2, 3]));
    nonsense.resume();
    await once(nonsense, "close");
    const socket = connect(server.port, "127.0.0.1");
    socket.write(dnsPacket.streamEncode({ type: "query", id: 7, questions: [{ name: "Shop.Example", type: "A" }] }));
    const reply = dnsPacket.streamDecode(await buffer(socket));
    expect(reply).toMatchObject({ id: 7, flag_aa: true, answers: [{ data: "203.0.113.66" }] });
  });
});
