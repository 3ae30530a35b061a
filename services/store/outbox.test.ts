import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { committed, draft, seen, startTestStore, watch } from "./testing/store.ts";
import type { TestStore } from "./testing/store.ts";

let test: TestStore;
beforeAll(async () => {
  test = await startTestStore();
});
afterAll(async () => {
  await test.stop();
});
beforeEach(async () => {
  await test.database.run("UPDATE change SET published_at = now() WHERE published_at IS NULL");
});

let resources = 0;

async function makeChange(): Promise<string> {
  resources += 1;
  const root = `http|https://outbox-${resources}.example/`;
  await watch(test, [root]);
  committed(await test.store["write.commit"](seen(root, 1, 0)));
  const { changes } = committed(await test.store["write.commit"](seen(root, 2, 1, { changes: [draft("a", 1, 2)] })));
  return changes[0]?.id ?? "";
}

async function unpublished(olderThanMs = 0) {
  const { changes } = await test.store["read.unpublished"]({ olderThanMs, limit: 1000 });
  return changes.map(({ change, isReplay }) => ({ id: change.id, isReplay }));
}

describe("the outbox", () => {
  it("holds each change until it is published, in feed order, and leaves the young to who made them", async () => {
    const ids = [await makeChange(), await makeChange()];
    expect(await unpublished(60_000)).toEqual([]);
    expect(await unpublished()).toEqual(ids.map((id) => ({ id, isReplay: false })));
    expect((await test.store["read.status"]({})).unpublished).toBe(2);
    await test.store["write.published"]({ changes: ids.slice(0, 1), health: [] });
    await test.store["write.published"]({ changes: ids.slice(0, 1), health: [] });
    expect((await unpublished()).map(({ id }) => id)).toEqual(ids.slice(1));
    expect((await test.store["read.change"]({ id: ids[0] ?? "" }))?.publishedAt).not.toBeNull();
  });
});

describe("the stream of jobs", () => {
  const at = (second: number) => new Date(1_700_000_000_000 + second * 1000).toISOString();
  const stand = async (second: number) => await test.store["write.stream"]({ stream: "JOBS", createdAt: at(second) });

  it("has one epoch as long as it stands, whoever asks", async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => stand(0)));
    expect(new Set(replies.map(({ epoch }) => epoch))).toEqual(new Set([1_700_000_000]));
    expect(replies.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  it("has a higher epoch each time it is made anew, also by a clock that was set back", async () => {
    const epochs = [];
    for (const second of [100, 100, 50, 49, 100]) epochs.push((await stand(second)).epoch);
    expect(epochs).toEqual([1_700_000_100, 1_700_000_100, 1_700_000_101, 1_700_000_102, 1_700_000_103]);
  });

  it("is the same one however precisely its time is told", async () => {
    const first = await test.store["write.stream"]({ stream: "JOBS", createdAt: "2026-05-05T05:05:05.123456789Z" });
    const second = await test.store["write.stream"]({ stream: "JOBS", createdAt: "2026-05-05T05:05:05.123Z" });
    expect(second).toEqual({ ...first, isNew: false });
  });
});

describe("the stream of changes", () => {
  const stand = async (createdAt: string) => await test.store["write.stream"]({ stream: "CHANGES", createdAt });
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();

  it("replays nothing when it is met first and no change is older", async () => {
    await makeChange();
    expect(await stand(inMinutes(-60))).toMatchObject({ isNew: true, replayed: 0 });
  });

  it("gets what an earlier one had, marked as replays, when it is made anew; the unpublished stays news", async () => {
    const published = await makeChange();
    await test.store["write.published"]({ changes: [published], health: [] });
    const ancient = await makeChange();
    await test.store["write.published"]({ changes: [ancient], health: [] });
    await test.database.run("UPDATE change SET recorded_at = now() - interval '91 days' WHERE id = $1", [ancient]);
    const news = await makeChange();
    const createdAt = inMinutes(60);
    const reply = await stand(createdAt);
    expect(reply.isNew).toBe(true);
    const waiting = await unpublished();
    expect(waiting).toContainEqual({ id: published, isReplay: true });
    expect(waiting).toContainEqual({ id: news, isReplay: false });
    expect(waiting.map(({ id }) => id)).not.toContain(ancient);
    expect(reply.replayed).toBe(waiting.length - 1);
    expect(await stand(createdAt)).toMatchObject({ isNew: false, replayed: 0 });
    expect(await unpublished()).toEqual(waiting);
  });
});
