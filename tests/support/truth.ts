import { expect } from "vitest";
import { isSameValue } from "#contracts/canonical.ts";
import { durables, streams } from "#contracts/subjects.ts";
import { servedAttribute } from "./changing-world.ts";
import type { Site } from "./changing-world.ts";
import { readChangesStream } from "./witnesses.ts";
import { until } from "./world.ts";
import type { World } from "./world.ts";

export interface RecordedChange {
  id: string;
  position: number;
  url: string;
  kind: string;
  oldValue: unknown;
  newValue: unknown;
  isLate: boolean;
  /** Of the job whose look saw it. */
  epoch: number;
  sequence: number;
  isPublished: boolean;
}

/** All changes that PostgreSQL holds, in feed order. */
export async function readRecorded({ database }: World): Promise<RecordedChange[]> {
  const { rows } = await database.query<RecordedChange>(
    `SELECT c.id, c.position::int, r.resource AS url, c.kind, c.old_value AS "oldValue", c.new_value AS "newValue",
        c.is_late AS "isLate", c.job_epoch::float8 AS epoch, c.job_sequence::float8 AS sequence, c.published_at IS NOT NULL AS "isPublished"
      FROM change c JOIN resource r USING (resource_key) ORDER BY c.position`,
  );
  return rows;
}

/** The values PostgreSQL holds now, by URL. */
export async function readValues({ database }: World): Promise<Map<string, unknown>> {
  const { rows } = await database.query<{ url: string; value: unknown }>(
    "SELECT r.resource AS url, v.value FROM value v JOIN resource r USING (resource_key) WHERE v.attribute = $1",
    [servedAttribute],
  );
  return new Map(rows.map(({ url, value }) => [url, value]));
}

export async function isUpToDate(world: World, sites: readonly Site[]): Promise<boolean> {
  const values = await readValues(world);
  return sites.every(({ url, value }) => values.get(url) === value);
}

/** Until every outcome that stands on the bus now is settled: those in the hands of the dead come again after 30 s. */
export async function outcomesSettled({ jsm }: World): Promise<void> {
  const { state } = await jsm.streams.info(streams.observations);
  await until(
    "outcomes settled",
    async () => {
      const { ack_floor: floor } = await jsm.consumers.info(streams.observations, durables.assessor);
      return floor.stream_seq >= state.last_seq;
    },
    90_000,
  );
}

/**
 * What PostgreSQL holds is what was served: every value that was answered, in its order, once. Looks that a newer one
 * overtook on the way may stand as late changes; what follows one may then be the value that stands anyway.
 */
export async function expectTruth(world: World, sites: readonly Site[]): Promise<RecordedChange[]> {
  const recorded = await readRecorded(world);
  expect(recorded.map(({ position }) => position)).toEqual(recorded.map((_, index) => index + 1));
  const problems = sites.flatMap((site) => compareWithServed(site, recorded));
  expect(problems).toEqual([]);
  expect(await isUpToDate(world, sites)).toBe(true);
  return recorded;
}

/** Each of them once, and nothing else, on CHANGES. */
export async function expectPublishedOnce(world: World, recorded: readonly RecordedChange[]): Promise<void> {
  const events = await readChangesStream(world);
  expect(events.map(({ id }) => id).toSorted()).toEqual(recorded.map(({ id }) => id).toSorted());
  const byId = new Map(recorded.map((change) => [change.id, change]));
  const different = events.filter(({ id, data }) => {
    const row = byId.get(id);
    return row?.position !== data.position || !isSameValue(row.newValue as never, data.newValue);
  });
  expect(different).toEqual([]);
}

function compareWithServed(site: Site, recorded: readonly RecordedChange[]): string[] {
  const changes = recorded.filter(({ url }) => url === site.url);
  return [...brokenLinks(site, changes), ...missingOrExtra(site, changes)];
}

/** Changes that are not late form a chain. */
function brokenLinks(site: Site, changes: readonly RecordedChange[]): string[] {
  let standing: unknown = site.served[0];
  const broken: string[] = [];
  for (const { id, oldValue, newValue, isLate } of changes) {
    if (isLate) continue;
    if (oldValue !== standing)
      broken.push(`${site.url}: ${id} is from ${String(oldValue)}, but ${String(standing)} stood`);
    standing = newValue;
  }
  return broken;
}

function missingOrExtra(site: Site, changes: readonly RecordedChange[]): string[] {
  const inOrder = changes.toSorted((a, b) => a.epoch - b.epoch || a.sequence - b.sequence);
  if (isTruth(site.served, inOrder)) return [];
  const recorded = inOrder.map(({ newValue, isLate }) => `${String(newValue)}${isLate ? " (late)" : ""}`);
  return [`${site.url} served ${site.served.join(", ")}; recorded were ${recorded.join(", ")}`];
}

/** In the order of their looks the changes tell what was served; after a late one stands what stood before it. */
function isTruth([first, ...served]: readonly string[], changes: readonly RecordedChange[]): boolean {
  const told = [...changes];
  let standing: unknown = first;
  for (const value of served) {
    if (told[0]?.newValue === value) standing = told.shift()?.isLate ? standing : value;
    else if (value !== standing) return false;
  }
  return told.length === 0;
}
