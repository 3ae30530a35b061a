import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { type Arbitrary, array, assert, nat, pre, property } from "fast-check";
import { Agent, request } from "undici";
import { describe, expect, it } from "vitest";
import { LookError } from "#contracts/look-error.ts";
import { createEgressGuard, type ResolvedAddress } from "./egress.ts";

const guard = createEgressGuard({ allow: [], deny: [] });

function isRefused(address: string, by = guard): boolean {
  try {
    by.checkLiteral(address);
    return false;
  } catch (error) {
    return error instanceof LookError && error.kind === "refused";
  }
}

/** An IPv4 address with the given first bits. */
function within(base: number, bits: number): Arbitrary<string> {
  return nat({ max: 2 ** (32 - bits) - 1 }).map((rest) => dotted(((base >>> 0) + rest) >>> 0));
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}

const closed: [string, number, number][] = [
  ["this network", 0x00000000, 8],
  ["private 10/8", 0x0a000000, 8],
  ["shared", 0x64400000, 10],
  ["loopback", 0x7f000000, 8],
  ["link-local and metadata", 0xa9fe0000, 16],
  ["private 172.16/12", 0xac100000, 12],
  ["protocol assignments", 0xc0000000, 24],
  ["documentation", 0xc0000200, 24],
  ["private 192.168/16", 0xc0a80000, 16],
  ["benchmarking", 0xc6120000, 15],
  ["multicast", 0xe0000000, 4],
  ["reserved and broadcast", 0xf0000000, 4],
];

describe("the egress guard", () => {
  it.each(closed)("refuses %s in every written form", (_name, base, bits) => {
    assert(
      property(within(base, bits), (address) => {
        const bytes = address.split(".").map(Number);
        const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
        const groups = `${((value >>> 16) & 0xffff).toString(16)}:${(value & 0xffff).toString(16)}`;
        const forms = [
          address,
          new URL(`http://${value}/`).hostname,
          new URL(`http://0x${value.toString(16)}/`).hostname,
          new URL(`http://${bytes.map((byte) => `0${byte.toString(8)}`).join(".")}/`).hostname,
          `0x${value.toString(16)}`,
          `::ffff:${address}`,
          `[::ffff:${groups}]`,
          `::${groups}`,
          `64:ff9b::${groups}`,
          `64:ff9b:1::${groups}`,
          `2002:${groups}::1`,
          `2001:0:${groups}::1`,
        ];
        expect(forms.filter((form) => !isRefused(form))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it("refuses every IPv6 address outside the given-out unicast space", () => {
    const group = nat({ max: 0xffff });
    assert(
      property(array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        pre(((groups[0] as number) & 0xe000) !== 0x2000 && !(groups[0] === 0x64 && groups[1] === 0xff9b));
        expect(isRefused(groups.map((part) => part.toString(16)).join(":"))).toBe(true);
      }),
    );
    for (const address of ["::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"]) {
      expect(isRefused(address)).toBe(true);
    }
    for (const address of ["2001:db8::1", "2002::1", "2001::1", "3fff::1"]) expect(isRefused(address)).toBe(true);
  });

  it("lets ordinary public addresses pass, also behind NAT64", () => {
    for (const address of [
      "1.1.1.1",
      "93.184.216.34",
      "2606:4700::1111",
      "64:ff9b::101:101",
      "172.32.0.1",
      "11.0.0.1",
    ]) {
      expect(isRefused(address)).toBe(false);
    }
  });

  it("opens what allow names, and nothing beside it; deny is stronger", () => {
    const open = createEgressGuard({ allow: ["10.1.0.0/16", "fd00::/16"], deny: ["10.1.2.0/24", "1.1.1.0/24"] });
    expect(isRefused("10.1.0.1", open)).toBe(false);
    expect(isRefused("::ffff:10.1.0.1", open)).toBe(false);
    expect(isRefused("fd00::1", open)).toBe(false);
    for (const address of ["10.2.0.1", "10.1.2.3", "::ffff:10.1.2.3", "1.1.1.1", "fd01::1", "127.0.0.1"]) {
      expect(isRefused(address, open)).toBe(true);
    }
  });

  it("keeps only the permitted ones of a name's addresses", async () => {
    const mixed = withNames({ "mixed.example": ["10.0.0.1", "93.184.216.34", "::1"], "inner.example": ["10.0.0.1"] });
    expect(await mixed.resolve("mixed.example")).toEqual([{ address: "93.184.216.34", family: 4 }]);
    await expect(mixed.resolve("inner.example")).rejects.toMatchObject({ kind: "refused" });
    await expect(guard.resolve("localhost")).rejects.toMatchObject({ kind: "refused" });
    await expect(guard.resolve("nothing.invalid")).rejects.toMatchObject({ kind: "unreachable" });
  });

  it("resolves a name once and connects to that address", async () => {
    let asked = 0;
    const rebinding = createEgressGuard({
      allow: ["127.0.0.2/32"],
      deny: [],
      resolveName: async () => [{ address: asked++ === 0 ? "127.0.0.2" : "127.0.0.1", family: 4 }],
    });
    const server = createServer((socket) => socket.end()).listen(0, "127.0.0.2");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: "rebind.example", port, lookup: rebinding.lookup });
    await once(socket, "connect");
    expect([socket.remoteAddress, asked]).toEqual(["127.0.0.2", 1]);
    socket.destroy();
    server.close();
  });

  it("guards undici's connections, to names and to literals alike", async () => {
    const agent = new Agent({ connect: guard.connector() });
    for (const host of ["127.0.0.1", "localhost", "[::1]", "2130706433"]) {
      const refused = request(`http://${host}:9/`, { dispatcher: agent });
      await expect(refused).rejects.toMatchObject({ kind: "refused" });
    }
    await agent.close();
  });
});

function withNames(names: Record<string, string[]>) {
  const resolveName = async (host: string): Promise<ResolvedAddress[]> =>
    (names[host] ?? []).map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  return createEgressGuard({ allow: [], deny: [], resolveName });
}
