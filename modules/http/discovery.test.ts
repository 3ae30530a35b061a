import { describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import type { DiscoveryAnswer } from "#contracts/module.ts";
import { discovery } from "./discovery.ts";

/** A site that does not answer over plain http. */
const io = {
  http: {
    request: async () => {
      throw new LookError("unreachable", "refused");
    },
  },
} as unknown as Io;

async function found(resource: string, source: string, knownPaths = true): Promise<DiscoveryAnswer[]> {
  return await Array.fromAsync(discovery({ resource, source, options: { knownPaths, bodyHash: false } }, io));
}

describe("discovery of a page", () => {
  it("suggests its host's DNS and its certificate", async () => {
    expect(await found("https://shop.example:8443/pay", "config.json")).toEqual([
      { type: "confirm", resource: "https://shop.example:8443/pay" },
      { type: "suggest", module: "dns", resource: "shop.example" },
      { type: "suggest", module: "tls", resource: "shop.example:8443" },
    ]);
  });

  it("confirms the known paths of a site's root, unless they are switched off", async () => {
    const all = await found("https://shop.example/", "config.json");
    expect(all).toContainEqual({ type: "confirm", resource: "https://shop.example/.well-known/security.txt" });
    expect(all).toContainEqual({ type: "confirm", resource: "https://shop.example/Dockerfile" });
    expect(await found("https://shop.example/", "config.json", false)).toHaveLength(3);
    const plain = await found("http://shop.example:8080/", "config.json");
    expect(plain).toContainEqual({ type: "confirm", resource: "http://shop.example:8080/Dockerfile" });
  });

  it("suggests nothing again for what it has found itself", async () => {
    expect(await found("https://shop.example/Dockerfile", "http")).toEqual([
      { type: "confirm", resource: "https://shop.example/Dockerfile" },
    ]);
  });
});
