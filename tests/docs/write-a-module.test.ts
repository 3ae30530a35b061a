import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ModuleDefinition } from "#contracts/module.ts";
import { loadModules } from "#runtime/load-modules.ts";
import { projectFolder } from "../../cli/embedded/folders.ts";
import { createHttpFixture } from "../../services/fetcher/io/http-fixture.ts";
import { observeResource } from "../../services/fetcher/look.ts";
import { expectedOf, replayExample } from "../support/module-examples.ts";

/** The guide's module, saved as it stands. Inside the project, since it imports by the project's own names. */
const folder = join(projectFolder, ".paintdry", `test-guide-${process.pid}`);
const fixture = createHttpFixture();
let robots: ModuleDefinition;

beforeAll(async () => {
  const guide = readFileSync(join(projectFolder, "docs/write-a-module.md"), "utf8");
  const source = /```ts\n(.*?)```/s.exec(guide)?.[1];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "robots.ts"), source ?? "");
  robots = (await loadModules({}, folder)).get("robots")?.definition as ModuleDefinition;
});
afterAll(async () => {
  await fixture.close();
  rmSync(folder, { recursive: true, force: true });
});

async function look(url: string) {
  const resource = robots.resource.parse(url);
  const { http } = fixture.look();
  const io = { http, signal: new AbortController().signal } as never;
  const target = { definition: robots, options: robots.options.parse({}), resource };
  return await observeResource(target, { previous: [], state: null, known: [] }, io);
}

describe("the module of the guide", () => {
  it("is found by its file alone", () => {
    expect(robots.name).toBe("robots");
  });

  it("stands by its examples", async () => {
    expect(robots.examples.length).toBeGreaterThan(0);
    for (const example of robots.examples) expect(await replayExample(robots, example)).toEqual(expectedOf(example));
  });

  it("observes a real site", async () => {
    const site = await fixture.serve((_request, response) => {
      response.end("User-agent: *\nDisallow: /b # why\nDisallow: /a\nSitemap: https://example.com/map.xml\n");
    });
    expect(await look(`${site}/page`)).toMatchObject({
      status: "seen",
      report: {
        observations: [
          { attribute: "disallow", value: ["/a", "/b"] },
          { attribute: "sitemaps", value: ["https://example.com/map.xml"] },
        ],
      },
    });
  });

  it("tells a site without one from a site that cannot be looked at", async () => {
    const without = await fixture.serve((_request, response) => void response.writeHead(404).end());
    expect(await look(without)).toMatchObject({ status: "gone" });
    const broken = await fixture.serve((_request, response) => void response.writeHead(500).end());
    expect(await look(broken)).toMatchObject({ status: "failed", error: { kind: "unreachable" } });
  });
});
