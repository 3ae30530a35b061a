import { describe, expect, it } from "vitest";
import { Config } from "#contracts/config.ts";
import { describeResolver, readResolvers } from "./dns-servers.ts";

describe("resolvers", () => {
  it.each([
    ["192.0.2.53", { address: "192.0.2.53", port: 53 }, "192.0.2.53:53"],
    ["127.0.0.1:5353", { address: "127.0.0.1", port: 5353 }, "127.0.0.1:5353"],
    ["2001:db8::53", { address: "2001:db8::53", port: 53 }, "[2001:db8::53]:53"],
    ["[2001:db8::53]:5353", { address: "2001:db8::53", port: 5353 }, "[2001:db8::53]:5353"],
    ["::1", { address: "::1", port: 53 }, "[::1]:53"],
  ])("%s is understood", (text, resolver, described) => {
    expect(readResolvers([text])).toEqual([resolver]);
    expect(describeResolver(resolver)).toBe(described);
    expect(Config.safeParse({ dns: { servers: [text] } }).success).toBe(true);
  });

  it.each(["", "resolver.test", "192.0.2.53:0", "192.0.2.53:70000", "[::1", "1.2.3:53"])("%j is refused", (text) => {
    expect(() => readResolvers([text])).toThrow(/^dns\.servers: found ".*", allowed is an address/);
    expect(Config.safeParse({ dns: { servers: [text] } }).success).toBe(false);
  });

  it("are the system's when none is named", () => {
    expect(readResolvers([], () => ["198.51.100.1"])).toEqual([{ address: "198.51.100.1", port: 53 }]);
  });
});
