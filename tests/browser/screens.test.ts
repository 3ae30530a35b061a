import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceId } from "#contracts/subjects.ts";
import { createHttpFixture } from "../../services/fetcher/io/http-fixture.ts";
import { allItems, resourcesByName } from "../support/ask.ts";
import { accessibilityFaults, type OpenPage, startBrowser, type TestBrowser } from "../support/browser.ts";
import { type GitServer, startGitServer } from "../support/git-server.ts";
import { isMissing } from "../support/peers.ts";
import { quickly } from "../support/watched.ts";
import { startWorld, until, type World } from "../support/world.ts";

/** Each would say so in the page's own world if it ever ran. */
const attack = `"><img src=x onerror="globalThis.isTakenOver=true"><script>globalThis.isTakenOver=true</script>`;
const bidi = "\u202Egnp.exe\u2066";
const long = `${attack} `.repeat(60);

const fixture = createHttpFixture();
const served = { policy: "default-src 'self'" };
let url: string;
let git: GitServer;
let world: World;
let browser: TestBrowser;
let shown: OpenPage;

beforeAll(async () => {
  url = await fixture.serve((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.setHeader("referrer-policy", attack);
    response.setHeader("permissions-policy", long);
    response.setHeader("x-frame-options", served.policy);
    response.end(`<script src='https://evil.example/${attack}'></script><base href="javascript:${attack}">`);
  });
  git = await startGitServer();
  const repository = await git.createRepository("acme/hostile");
  const commit = await repository.commit("main", "first");
  await repository.tag("<img/src=x/onerror=globalThis.isTakenOver=1>", commit);
  await repository.tag(`v1.0.0${bidi}`, commit);
  world = await startWorld({
    config: {
      ...quickly,
      targets: [
        { modules: ["http"], resources: [`${url}/?q=<script>globalThis.isTakenOver=true</script>${bidi}`] },
        { modules: ["http"], resources: [`${url}/plain`] },
        { modules: ["git"], resources: [`${git.url}/acme/hostile`] },
      ],
    },
  });
  await until("a baseline of each resource", async () => {
    const rows = Object.values(await resourcesByName(world));
    return rows.length === 3 && rows.every(({ revision }) => revision >= 1);
  });
  served.policy = attack;
  await repository.tag("v2.0.0<svg/onload=globalThis.isTakenOver=1>", commit);
  await until("a change of each resource", async () => (await allItems(world, "changes")).length === 3);
  browser = await startBrowser();
  shown = await browser.open(world.url);
});

afterAll(async () => {
  await browser?.close();
  await world?.stop();
  await git?.stop();
  await fixture.close();
});

/** What each screen shows once it has loaded. */
const screens: { name: string; path(): Promise<string> | string; shows: string; least: number }[] = [
  { name: "feed", path: () => "/", shows: "change", least: 3 },
  { name: "change", path: async () => `/changes/${await newestChange()}`, shows: "change-page", least: 1 },
  { name: "findings", path: () => "/findings", shows: "finding", least: 4 },
  { name: "resources", path: () => "/resources", shows: "resource", least: 3 },
  { name: "resource", path: () => `/resources/${plainId()}`, shows: "value", least: 10 },
  { name: "history", path: () => `/resources/${plainId()}?tab=history`, shows: "diff", least: 11 },
  { name: "changes of a resource", path: () => `/resources/${plainId()}?tab=changes`, shows: "change", least: 1 },
  { name: "a repository", path: () => `/resources/${repositoryId()}`, shows: "value", least: 3 },
  { name: "search", path: () => "/search?q=onerror", shows: "hit", least: 2 },
  { name: "system", path: () => "/system", shows: "module", least: 4 },
];

describe.skipIf(isMissing("git"))("every screen, with hostile values on it", { timeout: 60_000 }, () => {
  it.each(screens)("loads, runs nothing that was observed, and is accessible: $name", async (screen) => {
    await visit(await screen.path());
    const found = shown.page.getByTestId(screen.shows);
    await until(`${screen.least} of ${screen.shows}`, async () => (await found.count()) >= screen.least);
    expect(await shown.page.evaluate("globalThis.isTakenOver === true")).toBe(false);
    expect(await shown.page.locator("main img, main script, main iframe, main [onerror]").count()).toBe(0);
    expect(await accessibilityFaults(shown.page)).toEqual([]);
    const light = await ground();
    await shown.page.emulateMedia({ colorScheme: "dark" });
    expect(await ground()).not.toBe(light);
    expect(await accessibilityFaults(shown.page, ["color-contrast"])).toEqual([]);
    await shown.page.emulateMedia({ colorScheme: "light" });
    expect(shown.complaints).toEqual([]);
  });

  it("tells old and new value apart in the history", async () => {
    await visit(`/resources/${plainId()}?tab=history&attribute=header/x-frame-options`);
    const newest = shown.page.getByTestId("history").first();
    await newest.waitFor();
    expect(await newest.locator("[data-side=removed]").textContent()).toContain("default-src 'self'");
    expect(await newest.locator("[data-side=added]").textContent()).toContain(attack);
  });

  it("shows control characters instead of obeying them", async () => {
    await visit(`/resources/${repositoryId()}`);
    await shown.page.getByTestId("value").first().waitFor();
    const text = (await shown.page.locator("main").textContent()) ?? "";
    expect(text).toContain("v1.0.0");
    expect(text).not.toContain("\u202E");
  });

  it("leads from the feed to a change and its resource", async () => {
    await visit("/");
    await shown.page.getByTestId("change").first().getByRole("link").first().click();
    await shown.page.getByTestId("resource-link").click();
    await shown.page.getByTestId("resource-page").waitFor();
    expect(shown.page.url()).toMatch(/\/resources\/[0-9a-f]{32}$/);
  });

  it("would say so if anything ran: the policy stops it and the test hears of it", async () => {
    await visit("/");
    await shown.page.evaluate(
      `document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="globalThis.isTakenOver=true">')`,
    );
    await until("the policy's complaint", async () => shown.complaints.length > 0);
    expect(await shown.page.evaluate("globalThis.isTakenOver === true")).toBe(false);
  });
});

async function ground(): Promise<unknown> {
  return await shown.page.evaluate(
    "[document.documentElement, document.body].map((element) => getComputedStyle(element).backgroundColor).join()",
  );
}

async function visit(path: string): Promise<void> {
  await shown.page.goto(`${world.url}${path}`);
}

async function newestChange(): Promise<string> {
  return (await allItems(world, "changes"))[0]?.id ?? "";
}

function plainId(): string {
  return resourceId("http", `${url}/plain`);
}

function repositoryId(): string {
  return resourceId("git", `${git.url}/acme/hostile`);
}
