import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, until } from "./support/world.ts";
import type { World } from "./support/world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld({ config: { targets: [] }, instances: { fetcher: 2, assessor: 2 } });
});

afterAll(async () => {
  await world.stop();
});

describe("all services together", { timeout: 120_000 }, () => {
  it("are ready, with two of some, and answer by the gateway", async () => {
    expect(await world.api("status")).toMatchObject({ unpublished: 0 });
    expect([...world.services.supervised.keys()]).toContain("fetcher-2");
  });

  it("come back by themselves after a crash", async () => {
    const store = world.services.supervised.get("store");
    const before = store?.pid();
    process.kill(before ?? 0, "SIGKILL");
    await until("a new store process", async () => (store?.pid() ?? before) !== before);
    expect(await until("the status", () => world.api("status"))).toMatchObject({ unpublished: 0 });
  });

  it("stay down when a test kills one, until it starts it again", async () => {
    await world.kill("gateway");
    expect(world.services.supervised.get("gateway")?.pid()).toBeNull();
    await expect(world.api("status")).rejects.toThrow("fetch failed");
    await world.start("gateway");
    expect(await until("the status", () => world.api("status"))).toMatchObject({ unpublished: 0 });
  });
});
