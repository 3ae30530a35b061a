import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import { checkConfig, readConfig, watchConfig } from "./load-config.ts";
import { createLog } from "./log.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function faultsOf(document: Json) {
  const result = await checkConfig(document);
  return result.isValid ? [] : result.faults;
}

describe("checkConfig", () => {
  it("takes an empty file for one that watches nothing, with every default", async () => {
    const result = await checkConfig({});
    expect(result).toMatchObject({
      isValid: true,
      loaded: { config: { targets: [], schedule: { every: 3_600_000 }, limits: { default: { perSecond: 1 } } } },
    });
  });

  it("takes the prototype's shape, with command and slow", async () => {
    const result = await checkConfig({
      targets: [{ modules: ["http", "mine"], resources: ["https://example.com"] }],
      modules: { mine: { command: "python3 /modules/modmine.py", slow: true } },
    });
    expect(result).toMatchObject({ isValid: true });
  });

  it("lists all faults, each with its path, what was found and what is allowed", async () => {
    const faults = await faultsOf({
      targets: [
        { modules: ["htp"], resources: ["https://example.com"] },
        { modules: [], resources: [7] },
      ],
      schedule: { every: "soon" },
      limits: { default: { perSecond: 0 } },
      notfy: {},
    });
    const paths = faults.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        "targets[1].modules",
        "targets[1].resources[0]",
        "schedule.every",
        "limits.default.perSecond",
        "notfy",
      ]),
    );
    expect(faults.find(({ path }) => path === "schedule.every")).toEqual({
      path: "schedule.every",
      found: '"soon"',
      allowed: 'a duration such as "30s", "15m", "1h" or "7d"',
    });
  });

  it("lists also what a module refuses beside what the schema refuses", async () => {
    const faults = await faultsOf({
      colour: "red",
      targets: [{ modules: ["http"], resources: ["ftp://example.com"] }],
      schedule: { evry: "1h" },
      notify: { routes: [{ name: "ops" }] },
    });
    const paths = faults.map(({ path }) => path).toSorted();
    expect(paths).toEqual(["colour", "notify.routes[0]", "schedule.evry", "targets[0].resources[0]"]);
    // A command that has a fault is still a module.
    const commands = { targets: [{ modules: ["mine"], resources: ["x"] }], modules: { mine: { command: "" } } };
    expect((await faultsOf(commands)).map(({ path }) => path)).toEqual(["modules.mine.command"]);
    expect(await faultsOf([])).toHaveLength(1);
  });

  it("names the modules there are, where one is not known", async () => {
    const [fault] = await faultsOf({ targets: [{ modules: ["htp"], resources: [] }] });
    expect(fault).toMatchObject({ path: "targets[0].modules[0]", found: '"htp"', allowed: /one of .*http/ });
  });

  it("says why a module refuses a resource", async () => {
    const [fault] = await faultsOf({ targets: [{ modules: ["http"], resources: ["ftp://example.com"] }] });
    expect(fault).toMatchObject({ path: "targets[0].resources[0]", found: '"ftp://example.com"' });
    expect(fault?.allowed).toContain("a resource of the module http: ");
  });

  it("refuses options a module does not have", async () => {
    const [fault] = await faultsOf({ modules: { http: { colour: "red" } } });
    expect(fault).toMatchObject({ path: "modules.http.colour" });
  });

  it("refuses resolvers that no question could be sent to, each by its place", async () => {
    const good = ["192.0.2.53", "127.0.0.1:5353", "2001:db8::53", "[2001:db8::53]:5353", "::1", "[::1]"];
    const bad = [
      "",
      "resolver.test",
      "resolver.test:53",
      "192.0.2.53:0",
      "192.0.2.53:70000",
      "[::1",
      "1.2.3:53",
      "::g",
    ];
    const faults = await faultsOf({ dns: { servers: [...good, ...bad] } });
    expect(faults.map(({ path }) => path)).toEqual(bad.map((_, index) => `dns.servers[${good.length + index}]`));
    expect(faults[1]).toMatchObject({ found: '"resolver.test"', allowed: /an address such as "192\.0\.2\.53"/ });
  });

  it("never repeats what stands where a secret may have been written", async () => {
    const faults = await faultsOf({ credentials: { "github.com": { token: "ghp_very_secret" } } });
    expect(faults.length).toBeGreaterThan(0);
    expect(JSON.stringify(faults)).not.toContain("ghp_very_secret");
  });

  it("wants a way for each route", async () => {
    expect(await faultsOf({ notify: { routes: [{ name: "ops" }] } })).toMatchObject([{ path: "notify.routes[0]" }]);
    const mail = { name: "ops", email: { to: ["a@example.com"] } };
    expect(await faultsOf({ notify: { routes: [mail] } })).toMatchObject([{ path: "notify.routes[0].email" }]);
  });
});

describe("readConfig", () => {
  it("tells a file that is not JSON from one that is not there", async () => {
    const path = join(folder, "config.json");
    writeFileSync(path, "{");
    expect(await readConfig(path)).toMatchObject({ isValid: false, faults: [{ allowed: "a file in JSON" }] });
    await expect(readConfig(join(folder, "other.json"))).rejects.toMatchObject({ code: "no_config" });
  });
});

describe("watchConfig", () => {
  it("follows the file, and keeps the configuration in force when the new one is refused", async () => {
    const path = join(folder, "config.json");
    writeFileSync(path, JSON.stringify({ schedule: { every: "1m" } }));
    const applied: number[] = [];
    const refused: string[] = [];
    const watch = await watchConfig(path, {
      log,
      everyMs: 20,
      onConfig: ({ config }) => void applied.push(config.schedule.every),
      onFaults: (faults) => void refused.push(...faults.map((fault) => fault.path)),
    });
    try {
      writeFileSync(path, JSON.stringify({ schedule: { every: "never" } }));
      await vi.waitFor(() => expect(refused).toEqual(["schedule.every"]), { timeout: 10_000 });
      expect(watch.current().config.schedule.every).toBe(60_000);
      writeFileSync(path, JSON.stringify({ schedule: { every: "2m" } }));
      await vi.waitFor(() => expect(applied).toEqual([60_000, 120_000]), { timeout: 10_000 });
      expect(watch.current().config.schedule.every).toBe(120_000);
    } finally {
      watch.stop();
    }
  });
});
