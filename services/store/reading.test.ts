import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fingerprint } from "#contracts/canonical.ts";
import { resourceId } from "#contracts/subjects.ts";
import {
  committed,
  configure,
  confirmation,
  draft,
  lookAt,
  placeOf,
  present,
  refOf,
  seen,
  startTestStore,
} from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

const sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const site = "http|https://www.example.org/100%_real";
const repository = "git|https://git.example.org/tool";
const roots = [site, repository, ...Array.from({ length: 5 }, (_, index) => `dns|host-${index}.example.org`)];
const idOf = (root: string) => resourceId(refOf(root).module, refOf(root).resource);

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
  await configure(test, [], {
    roots: roots.map((root) => ({
      ...refOf(root),
      ...placeOf(root),
      lane: `${refOf(root).module}.example`,
      everyMs: null,
    })),
  });
  for (const root of roots) {
    const lane = `${refOf(root).module}.example`;
    await test.store["write.confirmation"]({ ...confirmation(root, root, 0), lane });
  }
  await commitSite();
  await commitRepository();
});
afterAll(async () => {
  await test.stop();
});

async function commitSite(): Promise<void> {
  const writes = [
    present("header/csp", null, { severity: "medium", reason: "there is no policy" }),
    present("cookie/id", "unsafe", { severity: "low", reason: "not HttpOnly" }),
    present("status", 200, { severity: "none" }),
    present("script_count", 3),
  ];
  committed(await test.store["write.commit"](seen(site, 1, 0, { writes, fingerprint: fingerprint(writes) })));
  for (let count = 4; count < 9; count++) {
    committed(
      await test.store["write.commit"](
        seen(site, count, count - 3, {
          writes: [present("script_count", count)],
          changes: [draft("script_count", count - 1, count, { severity: count === 8 ? "critical" : "low" })],
        }),
      ),
    );
  }
}

async function commitRepository(): Promise<void> {
  committed(
    await test.store["write.commit"](
      seen(repository, 1, 0, { writes: [present("tag/v1", sha, { severity: "high", reason: "moved" })] }),
    ),
  );
  committed(
    await test.store["write.commit"](
      seen(repository, 2, 1, {
        changes: [draft("tag/v1", "0".repeat(64), sha, { severity: null, reason: "the tag moved" })],
      }),
    ),
  );
}

/** All items of a list, page by page. */
async function readAll<Item>(
  page: (cursor: string | null) => Promise<{ items: Item[]; next: string | null }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const read: { items: Item[]; next: string | null } = await page(cursor);
    items.push(...read.items);
    cursor = read.next;
  } while (cursor !== null);
  return items;
}

describe("lists", () => {
  it("show every resource once, by name, whatever the page's size", async () => {
    for (const limit of [1, 2, 1000]) {
      const items = await readAll((cursor) => test.store["read.resources"]({ limit, cursor }));
      expect(items.map(({ resource }) => resource)).toEqual(roots.map((root) => refOf(root).resource).toSorted());
    }
  });

  it("filter resources by module, state, host, failure and text taken literally", async () => {
    const count = async (filter: object) =>
      (await test.store["read.resources"]({ limit: 1000, cursor: null, ...filter })).items.length;
    expect(await count({ module: "dns" })).toBe(5);
    expect(await count({ host: "git.example" })).toBe(1);
    expect(await count({ state: "confirmed" })).toBe(7);
    expect(await count({ state: "retired" })).toBe(0);
    expect(await count({ isFailing: true })).toBe(0);
    expect(await count({ isFailing: false })).toBe(7);
    expect(await count({ text: "WWW.example" })).toBe(1);
    expect(await count({ text: "100%_r" })).toBe(1);
    expect(await count({ text: "1%r" })).toBe(0);
  });

  it("count a resource's findings and name the worst", async () => {
    const { items } = await test.store["read.resources"]({ limit: 1000, cursor: null, module: "http" });
    expect(items).toMatchObject([{ findings: 2, worstSeverity: "medium" }]);
  });

  it("show findings worst first, page by page", async () => {
    for (const limit of [1, 1000]) {
      const items = await readAll((cursor) => test.store["read.findings"]({ limit, cursor }));
      expect(items.map(({ severity, attribute }) => [severity, attribute])).toEqual([
        ["high", "tag/v1"],
        ["medium", "header/csp"],
        ["low", "cookie/id"],
      ]);
    }
    const { items } = await test.store["read.findings"]({ limit: 10, cursor: null, least: "medium", module: "http" });
    expect(items.map(({ attribute }) => attribute)).toEqual(["header/csp"]);
  });

  it("show observations by resource and attribute", async () => {
    const items = await readAll((cursor) =>
      test.store["read.observations"]({ limit: 1, cursor, resourceId: idOf(site) }),
    );
    expect(items.map(({ attribute }) => attribute)).toEqual(["cookie/id", "header/csp", "script_count", "status"]);
    expect(items[2]).toMatchObject({ value: 8, module: "http", resourceId: idOf(site) });
    const status = await test.store["read.observations"]({ limit: 10, cursor: null, attribute: "status" });
    expect(status.items).toHaveLength(1);
  });

  it("show changes and history newest first, page by page", async () => {
    const changes = await readAll((cursor) => test.store["read.changes"]({ limit: 2, cursor }));
    expect(changes.map(({ position }) => position)).toEqual([6, 5, 4, 3, 2, 1]);
    const history = await readAll((cursor) =>
      test.store["read.history"]({ limit: 2, cursor, resourceId: idOf(site), attribute: "script_count" }),
    );
    expect(history.map(({ newValue }) => newValue)).toEqual([8, 7, 6, 5, 4, 3]);
  });

  it("filter changes; one that is not assessed counts as unknown", async () => {
    const positions = async (filter: object) =>
      (await test.store["read.changes"]({ limit: 100, cursor: null, ...filter })).items.map(({ position }) => position);
    expect(await positions({ least: "high" })).toEqual([5]);
    expect(await positions({ least: "notice", module: "git" })).toEqual([]);
    expect(await positions({ least: "unknown", module: "git" })).toEqual([6]);
    expect(await positions({ resourceId: idOf(repository) })).toEqual([6]);
    expect(await positions({ kind: "disappeared" })).toEqual([]);
  });

  it("refuse a cursor of another list", async () => {
    const { next } = await test.store["read.changes"]({ limit: 1, cursor: null });
    await expect(test.store["read.findings"]({ limit: 1, cursor: next })).rejects.toMatchObject({ code: "bad_cursor" });
    await expect(test.store["read.search"]({ query: "a", limit: 1, cursor: "?" })).rejects.toMatchObject({
      code: "bad_cursor",
    });
  });

  it("show the lanes that have work", async () => {
    const lanes = await readAll((cursor) => test.store["read.lanes"]({ limit: 2, cursor }));
    expect(lanes).toEqual([
      { lane: "dns.example", resources: 5 },
      { lane: "git.example", resources: 1 },
      { lane: "http.example", resources: 1 },
    ]);
  });
});

describe("the feed", () => {
  it("goes on after a position, oldest first, and names the newest", async () => {
    const { changes, position } = await test.store["read.feed"]({ after: 4, limit: 1 });
    expect(changes.map((change) => change.position)).toEqual([5]);
    expect(position).toBe(6);
    expect(await test.store["read.feed"]({ after: 6, limit: 10 })).toEqual({ changes: [], position: 6 });
  });
});

describe("search", () => {
  const find = async (query: string, limit = 100) =>
    await readAll((cursor) => test.store["read.search"]({ query, limit, cursor }));

  it("finds a hash in values and changes, and shows it in plain text", async () => {
    for (const limit of [1, 100]) {
      const hits = await find(sha, limit);
      expect(hits.map(({ kind }) => kind)).toEqual(["value", "change"]);
      expect(hits.every(({ snippet }) => snippet.includes(sha))).toBe(true);
      expect(hits[1]).toMatchObject({ attribute: "tag/v1", resourceId: idOf(repository) });
    }
    expect((await find("0".repeat(64))).map(({ kind }) => kind)).toEqual(["change"]);
  });

  it("finds resources, in either case, by any part, taken literally", async () => {
    expect((await find("GIT.example.ORG")).map(({ kind, resource }) => [kind, resource])).toEqual([
      ["resource", refOf(repository).resource],
    ]);
    expect(await find("%")).toHaveLength(1);
    expect(await find("host_1")).toEqual([]);
  });

  it("finds by index, not by reading all", async () => {
    const plan = await test.database.transaction(async (tx) => {
      await tx.run("SET LOCAL enable_seqscan = off");
      const { z } = await import("zod");
      const Row = z.object({ "QUERY PLAN": z.string() });
      return await tx.rows(Row, "EXPLAIN SELECT FROM value v WHERE v.value::text ILIKE '%9f86d081%'");
    });
    expect(plan.map((row) => row["QUERY PLAN"]).join("\n")).toContain("value_text");
  });
});

describe("what a look is handed", () => {
  it("is what stands now, and what it needs of other resources", async () => {
    const look = await test.store["read.look"]({
      ...refOf(site),
      needs: [
        { ...refOf(repository), attribute: "tag/v1" },
        { ...refOf(repository), attribute: "tag/none" },
      ],
    });
    expect(look).toMatchObject({ isWatched: true, revision: 6, moduleVersion: 1, optionsFingerprint: "options" });
    expect(look.previous).toHaveLength(4);
    expect(look.known).toEqual([{ ...refOf(repository), attribute: "tag/v1", value: sha }]);
  });

  it("is nothing for what nobody heard of", async () => {
    expect(
      await test.store["read.look"]({ module: "http", resource: "https://unheard.example/", needs: [] }),
    ).toMatchObject({
      isWatched: false,
      revision: 0,
      previous: [],
    });
    expect(await test.store["read.values"]({ module: "http", resource: "https://unheard.example/" })).toBeNull();
    expect(await test.store["read.resource"]({ id: "0".repeat(32) })).toBeNull();
    expect(await test.store["read.change"]({ id: "00000000-0000-7000-8000-000000000000" })).toBeNull();
  });

  it("can be asked for as any revision left it", async () => {
    const values = await test.store["read.values"]({ ...refOf(site), atRevision: 3 });
    expect(values?.values.find(({ attribute }) => attribute === "script_count")?.value).toBe(5);
    expect(values?.values).toHaveLength(4);
    expect((await test.store["read.values"]({ ...refOf(site), atRevision: 0 }))?.values).toEqual([]);
  });
});

describe("the status", () => {
  it("counts what is watched, found and waiting to be published", async () => {
    const status = await test.store["read.status"]({});
    expect(status).toMatchObject({
      resources: { confirmed: 7, candidate: 0, waiting: 0, alias: 0, refused: 0, retired: 0 },
      findings: { high: 1, medium: 1, low: 1, critical: 0, none: 0 },
      changesLastDay: 6,
      feedPosition: 6,
      unpublished: 6,
      neverSeen: 5,
      failing: 0,
      schemaVersion: 1,
    });
    expect(status.oldestSeenAt).not.toBeNull();
  });

  it("has no findings of what is gone", async () => {
    committed(
      await test.store["write.commit"]({
        look: lookAt(repository, 9),
        expectedRevision: 1,
        result: { status: "gone", changes: [] },
      }),
    );
    expect((await test.store["read.status"]({})).findings.high).toBe(0);
    expect((await test.store["read.findings"]({ limit: 9, cursor: null, module: "git" })).items).toEqual([]);
    const [summary] = (await test.store["read.resources"]({ limit: 9, cursor: null, module: "git" })).items;
    expect(summary).toMatchObject({ findings: 0, worstSeverity: null, exists: false });
  });
});
