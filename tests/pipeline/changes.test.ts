import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { subjects } from "#contracts/subjects.ts";
import type { Change, ResourceRef } from "#contracts/messages.ts";
import { type Alerts, startAlerts } from "../support/alerts.ts";
import { type OpenPage, startBrowser, type TestBrowser } from "../support/browser.ts";
import type { LocalRepository } from "../support/git-server.ts";
import type { Site } from "../support/nginx.ts";
import { isMissing } from "../support/peers.ts";
import { quickly, startWatched, type Watched } from "../support/watched.ts";
import { type Outsider, outsideUser, subscribeOutside } from "../support/outsider.ts";
import { startWorld, until, type World } from "../support/world.ts";
import { allItems, lookedAtTwice, resourcesByName } from "../support/ask.ts";

let watched: Watched;
let site: Site;
let repository: LocalRepository;
let doomed: LocalRepository;
let alerts: Alerts;
let world: World;
let outsider: Outsider;
let browser: TestBrowser;
let feed: OpenPage;

const records = "www A 192.0.2.10\nwww MX 10 mail.watched.test.\n";
const shop = "<html><title>Shop</title><script src='/shop.js'></script></html>";
const safe = { "x-frame-options": "DENY", "content-security-policy": "default-src 'self'" };

interface Tampering {
  title: string;
  resource(): ResourceRef;
  tamper(): Promise<void>;
  change: { attribute: string; kind: string; severity: string; reason: RegExp };
}

const tamperings: Tampering[] = [
  {
    title: "a moved tag",
    resource: () => ({ module: "git", resource: `${watched.git.url}/acme/app` }),
    tamper: async () => await repository.tag("v1.0.0", await repository.strayCommit("injected")),
    change: {
      attribute: "tag/v1.0.0",
      kind: "changed",
      severity: "critical",
      reason: /^tag v1\.0\.0 moved from \w{7} to \w{7}, which is on no branch$/,
    },
  },
  {
    title: "a lost DNS record",
    resource: () => ({ module: "dns", resource: "www.watched.test" }),
    tamper: async () => await watched.dns.setZone("watched.test", "www A 192.0.2.10\n"),
    change: { attribute: "mx", kind: "disappeared", severity: "high", reason: /lost its mail servers/ },
  },
  {
    title: "a new script host",
    resource: () => ({ module: "http", resource: `${site.url}/shop` }),
    tamper: async () => {
      const html = shop.replace("</html>", "<script src='https://evil.example/skim.js'></script></html>");
      await watched.web.answer(site, "/shop", { html, headers: safe });
    },
    change: { attribute: "scripts", kind: "changed", severity: "high", reason: /evil\.example/ },
  },
  {
    title: "a removed header",
    resource: () => ({ module: "http", resource: `${site.url}/account` }),
    tamper: async () => {
      const { "x-frame-options": _, ...headers } = safe;
      await watched.web.answer(site, "/account", { html: shop, headers });
    },
    change: {
      attribute: "header/x-frame-options",
      kind: "disappeared",
      severity: "medium",
      reason: /x-frame-options.* is no longer sent/,
    },
  },
  {
    title: "a deleted repository",
    resource: () => ({ module: "git", resource: `${watched.git.url}/acme/doomed` }),
    tamper: async () => await doomed.remove(),
    change: { attribute: "exists", kind: "disappeared", severity: "high", reason: /the repository is gone/ },
  },
  {
    title: "a swapped certificate",
    resource: () => ({ module: "tls", resource: `127.0.0.1:${watched.tls.port}` }),
    tamper: async () => {
      watched.tls.swap(await watched.authority.issue({ names: ["127.0.0.1"], isSelfSigned: true }));
    },
    change: { attribute: "certificate", kind: "changed", severity: "high", reason: /its key is new/ },
  },
];

beforeAll(async () => {
  [watched, alerts, browser] = await Promise.all([startWatched(), startAlerts(), startBrowser()]);
  site = await watched.web.addSite({
    "/": { html: shop },
    "/shop": { html: shop, headers: safe },
    "/account": { html: shop, headers: safe },
    "/gone": { html: shop, headers: safe },
  });
  await watched.dns.setZone("watched.test", records);
  repository = await watched.git.createRepository("acme/app");
  await repository.tag("v1.0.0", await repository.commit("main", "first"));
  doomed = await watched.git.createRepository("acme/doomed");
  await doomed.tag("v1.0.0", await doomed.commit("main", "first"));
  world = await startWorld({
    config: {
      ...quickly,
      targets: [
        ...tamperings.map((tampering) => tampering.resource()),
        { module: "http", resource: `${site.url}/` },
        { module: "http", resource: `${site.url}/gone` },
      ].map(({ module, resource }) => ({ modules: [module], resources: [resource] })),
      modules: { http: { knownPaths: false } },
      dns: { servers: [watched.dns.server] },
      notify: alerts.config,
    },
    outsideUsers: [outsideUser.block],
  });
  outsider = await subscribeOutside(world, "paintdry.change.>");
  feed = await browser.open(world.url);
});

afterAll(async () => {
  await outsider?.close();
  await world?.stop();
  await browser?.close();
  await alerts?.stop();
  await watched?.stop();
});

const isImpossible = isMissing("nginx", "bind", "git", "openssl");

describe.skipIf(isImpossible)("the first looks", () => {
  it("raise nothing, and what is wrong from the start is a finding at once", async () => {
    await until("a baseline of each resource", async () => {
      const resources = Object.values(await resourcesByName(world));
      return resources.length === tamperings.length + 2 && resources.every(({ revision }) => revision >= 1);
    });
    const findings = await allItems(world, "findings");
    const open = findings.filter(({ resource }) => resource === `${site.url}/`);
    expect(Object.fromEntries(open.map(({ attribute, severity }) => [attribute, severity]))).toEqual({
      status_code: "medium",
      "header/content-security-policy": "recommendation",
      "header/x-content-type-options": "recommendation",
    });
    const unverified = findings.filter(({ module }) => module === "tls");
    expect(unverified).toMatchObject([{ attribute: "certificate", severity: "high" }]);
    await lookedAtTwice(world);
    expect(await allItems(world, "changes")).toEqual([]);
    expect((await world.database.query("SELECT id FROM change")).rows).toEqual([]);
    expect(outsider.events).toEqual([]);
    await feed.page.getByTestId("connection").and(feed.page.locator("[data-state=live]")).waitFor();
    expect(await feed.page.getByTestId("change").count()).toBe(0);
  });
});

describe.skipIf(isImpossible)("what is tampered with", () => {
  const raised = new Map<string, Change>();

  beforeAll(async () => {
    // The page must live to show them all: a reload would lose this.
    await feed.page.evaluate(() => Object.assign(globalThis, { isSamePage: true }));
    await Promise.all(tamperings.map(({ tamper }) => tamper()));
    await until("each tampering told on the bus", async () => outsider.events.length >= tamperings.length);
    await lookedAtTwice(world);
    for (const { event } of outsider.events) raised.set(`${event.data.module}|${event.data.resource}`, event.data);
  });

  function changeOf({ resource }: Tampering): Change {
    const change = raised.get(`${resource().module}|${resource().resource}`);
    if (change === undefined) throw new Error("nothing was told on the bus");
    return change;
  }

  it.each(tamperings)("is one change on the bus: $title", (tampering) => {
    const ref = tampering.resource();
    const events = outsider.events.filter(({ event: { data } }) => data.resource === ref.resource);
    expect(events.map(({ event }) => event.data)).toMatchObject([
      { ...ref, ...tampering.change, reason: expect.stringMatching(tampering.change.reason) as unknown, isLate: false },
    ]);
    for (const { subject, event } of events) {
      expect(event.id).toBe(event.data.id);
      expect(subject).toBe(subjects.change(event.data));
    }
  });

  it.each(tamperings)("is one change in PostgreSQL and in the API: $title", async (tampering) => {
    const change = changeOf(tampering);
    const { rows } = await world.database.query(
      "SELECT c.id, c.attribute, c.kind, c.severity FROM change c JOIN resource r USING (resource_key) WHERE r.id = $1",
      [change.resourceId],
    );
    const { attribute, kind, severity } = tampering.change;
    expect(rows).toEqual([{ id: change.id, attribute, kind, severity }]);
    const listed = (await allItems(world, "changes")).filter(({ resourceId }) => resourceId === change.resourceId);
    expect(listed).toEqual([change]);
    expect(await world.api(`changes/${change.id}`)).toMatchObject({
      change,
      publishedAt: expect.any(String) as unknown,
    });
  });

  it.each(tamperings)("appears live in the browser, once: $title", async (tampering) => {
    const change = changeOf(tampering);
    const row = feed.page.locator(`[data-testid=change][data-change-id="${change.id}"]`);
    await row.waitFor();
    expect(await row.count()).toBe(1);
    expect(await row.getAttribute("data-severity")).toBe(tampering.change.severity);
    expect(await row.textContent()).toContain(change.reason);
  });

  it.each(tamperings)("is one signed webhook and one mail: $title", async (tampering) => {
    const change = changeOf(tampering);
    const calls = await until("the webhook", async () => callsOf(change));
    expect(calls.map(({ body }) => (JSON.parse(body) as { data: Change }).data)).toEqual([change]);
    expect(calls.every((call) => alerts.isSigned(call))).toBe(true);
    const mails = await until("the mail", async () => mailsOf(change));
    expect(mails).toHaveLength(1);
    expect(mails[0]?.recipients).toEqual(["ops@example.org"]);
    expect(mails[0]?.mail.subject).toContain(tampering.change.severity);
    expect(mails[0]?.mail.text).toContain(change.reason);
    expect(mails[0]?.mail.text).toContain(`https://paintdry.example.org/changes/${change.id}`);
  });

  it("is all that was told anywhere", async () => {
    const ids = [...raised.values()].map(({ id }) => id).toSorted();
    expect(ids).toHaveLength(tamperings.length);
    expect(outsider.events.map(({ event }) => event.id).toSorted()).toEqual(ids);
    expect((await allItems(world, "changes")).map(({ id }) => id).toSorted()).toEqual(ids);
    expect(await shownIds()).toEqual(ids);
    expect(alerts.receiver.calls.map(({ headers }) => String(headers["idempotency-key"])).toSorted()).toEqual(ids);
    expect(alerts.mailbox.mails).toHaveLength(ids.length);
    expect(await feed.page.evaluate(() => "isSamePage" in globalThis)).toBe(true);
    expect(feed.complaints).toEqual([]);
  });
});

describe.skipIf(isImpossible)("a page that is not found any more", () => {
  const page = () => `${site.url}/gone`;
  const changesOfPage = async () => (await allItems(world, "changes")).filter(({ resource }) => resource === page());

  it("is one change, and its return is one more; its values are as they were", async () => {
    await watched.web.answer(site, "/gone", { status: 404 });
    await until("the page is gone", async () => (await changesOfPage()).length > 0);
    await lookedAtTwice(world);
    const loss = { attribute: "exists", kind: "disappeared", severity: "medium", oldValue: true, newValue: false };
    expect(await changesOfPage()).toMatchObject([loss]);
    expect((await resourcesByName(world))[`http|${page()}`]).toMatchObject({ exists: false, error: null });

    await watched.web.answer(site, "/gone", { html: shop, headers: safe });
    await until("the page is back", async () => (await changesOfPage()).length > 1);
    await lookedAtTwice(world);
    const back = { attribute: "exists", kind: "appeared", severity: "notice", newValue: true };
    expect(await changesOfPage()).toMatchObject([back, loss]);
    expect((await resourcesByName(world))[`http|${page()}`]).toMatchObject({ exists: true, error: null });
  });
});

function callsOf({ id }: Change) {
  const calls = alerts.receiver.calls.filter(({ headers }) => headers["webhook-id"] === id);
  return calls.length > 0 ? calls : null;
}

function mailsOf({ id }: Change) {
  const mails = alerts.mailbox.mails.filter(({ mail }) => mail.messageId?.startsWith(`<${id}.`));
  return mails.length > 0 ? mails : null;
}

async function shownIds(): Promise<string[]> {
  const rows = await feed.page.getByTestId("change").all();
  const ids = await Promise.all(rows.map(async (row) => (await row.getAttribute("data-change-id")) ?? ""));
  return ids.toSorted();
}
