import { afterAll, beforeAll, expect, it } from "vitest";
import { createHttpFixture } from "../../services/fetcher/io/http-fixture.ts";
import { allItems, resourcesByName } from "../support/ask.ts";
import { type OpenPage, startBrowser, type TestBrowser } from "../support/browser.ts";
import { quickly } from "../support/watched.ts";
import { startWorld, until, type World } from "../support/world.ts";

const pageCount = 5;
const fixture = createHttpFixture();
const served = { policy: "first" };
let world: World;
let browser: TestBrowser;
let feed: OpenPage;

beforeAll(async () => {
  const url = await fixture.serve((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.setHeader("x-frame-options", served.policy);
    response.end("<p>A page</p>");
  });
  const resources = Array.from({ length: pageCount }, (_, index) => `${url}/${index}`);
  world = await startWorld({ config: { ...quickly, targets: [{ modules: ["http"], resources }] } });
  await until("a baseline of each page", async () => {
    const rows = Object.values(await resourcesByName(world));
    return rows.length === pageCount && rows.every(({ revision }) => revision >= 1);
  });
  browser = await startBrowser();
  feed = await browser.open(world.url);
  await feed.page.evaluate("globalThis.isSamePage = true");
});

afterAll(async () => {
  await browser?.close();
  await world?.stop();
  await fixture.close();
});

it("the feed loses nothing and repeats nothing when the gateway goes and comes back", { timeout: 90_000 }, async () => {
  await untilConnection("live");
  served.policy = "second";
  await untilShown(pageCount);

  await world.kill("gateway");
  await feed.page.locator("[data-testid=connection]:not([data-state=live])").waitFor();
  served.policy = "third";
  await until("changes while nobody can tell", async () => (await recordedIds()).length === 2 * pageCount);
  await world.start("gateway");
  await untilConnection("live");
  await untilShown(2 * pageCount);

  served.policy = "fourth";
  await untilShown(3 * pageCount);
  expect(await shownIds()).toEqual(await recordedIds());
  expect((await allItems(world, "changes")).map(({ id }) => id)).toEqual(await recordedIds());
  expect(await feed.page.evaluate("globalThis.isSamePage")).toBe(true);
  expect(feed.complaints).toEqual([]);
});

async function untilConnection(state: string): Promise<void> {
  await feed.page.locator(`[data-testid=connection][data-state=${state}]`).waitFor();
}

async function untilShown(count: number): Promise<void> {
  await until(`${count} changes in the feed`, async () => (await shownIds()).length === count);
}

/** Newest first, as they stand on the screen. */
async function shownIds(): Promise<string[]> {
  const rows = await feed.page.getByTestId("change").all();
  return await Promise.all(rows.map(async (row) => (await row.getAttribute("data-change-id")) ?? ""));
}

/** Newest first. */
async function recordedIds(): Promise<string[]> {
  const { rows } = await world.database.query<{ id: string }>("SELECT id FROM change ORDER BY position DESC");
  return rows.map(({ id }) => id);
}
