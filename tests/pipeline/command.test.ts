import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Change } from "#contracts/messages.ts";
import type { ResourceDetail } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { isMissing } from "../support/peers.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { startWeb } from "./fixtures/web.ts";
import type { Web } from "./fixtures/web.ts";

// Each fact is waited for by itself; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

let world: World;
let web: Web;
let file: string;

beforeAll(async () => {
  if (isMissing("python")) return;
  web = await startWeb({ "/file": { body: "one\ntwo\n" }, "/missing": { status: 500 } });
  file = `${web.url}/file`;
  const script = fileURLToPath(new URL("fixtures/prototype_module.py", import.meta.url));
  world = await startWorld({
    config: {
      targets: [{ modules: ["mine"], resources: [file, `${web.url}/missing`] }],
      modules: { mine: { command: `python3 ${script}`, slow: true } },
      schedule: { every: "2s", retryAfter: "1s", soonerAfterChange: "1s" },
      limits: { default: { perSecond: 50, concurrency: 2 } },
    },
  });
});
afterAll(async () => {
  await web?.stop();
  await world?.stop();
});

async function read(resource: string): Promise<ResourceDetail> {
  return (await world.api(`resources/${resourceId("mine", resource)}`)) as ResourceDetail;
}

async function changesOf(resource: string): Promise<Change[]> {
  const { items } = (await world.api(`changes?resource=${resourceId("mine", resource)}`)) as { items: Change[] };
  return items;
}

describe.skipIf(isMissing("python"))("a module of the prototype, as it is", () => {
  it("confirms its resources and observes them, and raises no change at first", async () => {
    await until("its values", async () => (await read(file)).values.length > 0);
    const { values, ...resource } = await read(file);
    expect(resource).toMatchObject({ state: "confirmed", source: "config.json", lane: web.host });
    expect(values).toMatchObject([
      { attribute: "lines", value: "2", severity: null, isPresent: true },
      { attribute: "sha256", value: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    ]);
    // Each look is a process of its own: what one remembers the next one has forgotten.
    await until("a second look", async () => web.count("/file") > 1);
    expect(await changesOf(file)).toEqual([]);
  });

  it("rates its changes, each once", async () => {
    web.pages.set("/file", { body: "one\ntwo\nthree\n" });
    await until("both changes", async () => (await changesOf(file)).length === 2);
    const changes = (await changesOf(file)).toSorted((a, b) => a.attribute.localeCompare(b.attribute));
    expect(changes).toMatchObject([
      { kind: "changed", attribute: "lines", oldValue: "2", newValue: "3", severity: "low" },
      { kind: "changed", attribute: "sha256", severity: "high", reason: `sha256 of ${file} changed` },
    ]);
    const looks = web.count("/file");
    await until("looks that find nothing new", async () => web.count("/file") > looks + 1);
    expect(await changesOf(file)).toHaveLength(2);
  });

  it("that stays silent could not look, which is no change", async () => {
    const failing = await until("failures", async () => {
      const resource = await read(`${web.url}/missing`);
      return resource.failures > 1 && resource;
    });
    expect(failing).toMatchObject({ state: "confirmed", revision: 0, values: [], error: { kind: "module" } });
    web.pages.set("/file", { status: 503 });
    await until("a failure", async () => (await read(file)).failures > 0);
    expect((await read(file)).values).toHaveLength(2);
    expect(await changesOf(file)).toHaveLength(2);
  });
});
