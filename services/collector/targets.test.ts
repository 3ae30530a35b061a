import { describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import { checkConfig } from "#runtime/load-config.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import { configRoots, place } from "./targets.ts";

async function load(document: Json): Promise<LoadedConfig> {
  const checked = await checkConfig(document);
  if (!checked.isValid) throw new Error(JSON.stringify(checked.faults));
  return checked.loaded;
}

describe("place", () => {
  it("normalises a resource and finds its lane and owner", async () => {
    const { modules } = await load({});
    expect(place(modules, "http", "WWW.Example.co.uk/a#b")).toEqual({
      isPlaced: true,
      resource: "https://www.example.co.uk/a",
      lane: "www.example.co.uk",
      owner: "example.co.uk",
    });
  });

  it("says why a resource has no place", async () => {
    const { modules } = await load({});
    expect(place(modules, "http", "ftp://example.com")).toMatchObject({ isPlaced: false, why: /only http and https/ });
    expect(place(modules, "nothing", "x")).toEqual({ isPlaced: false, why: "there is no module nothing" });
  });
});

describe("configRoots", () => {
  it("are each resource of each module once, with the shortest of its targets' periods", async () => {
    const loaded = await load({
      targets: [
        { modules: ["http", "dns"], resources: ["https://example.com/"] },
        { modules: ["http"], resources: ["example.com"], schedule: { every: "2h" } },
        { modules: ["http"], resources: ["https://EXAMPLE.com"], schedule: { every: "30m" } },
      ],
    });
    const roots = configRoots(loaded).map(({ module, resource, everyMs }) => [module, resource, everyMs]);
    expect(roots).toEqual([
      ["http", "https://example.com/", 1_800_000],
      ["dns", "example.com", null],
    ]);
  });
});
