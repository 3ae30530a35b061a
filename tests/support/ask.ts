import type { Change } from "#contracts/messages.ts";
import type { ResourceSummary, ValueRow } from "#contracts/store.ts";
import { until, type World } from "./world.ts";

interface Lists {
  resources: ResourceSummary;
  findings: ValueRow;
  changes: Change;
}

/** The first 500 items of one of the API's lists. */
export async function allItems<Name extends keyof Lists>(world: World, name: Name): Promise<Lists[Name][]> {
  const { items } = (await world.api(`${name}?limit=500`)) as { items: Lists[Name][] };
  return items;
}

/** By `module|resource`, as the API tells it. */
export async function resourcesByName(world: World): Promise<Record<string, ResourceSummary>> {
  const resources = await allItems(world, "resources");
  return Object.fromEntries(resources.map((row) => [`${row.module}|${row.resource}`, row]));
}

/**
 * Until each watched resource, or those of them that `isMeant` names, has been looked at twice more: what the looks
 * now under way saw is then recorded.
 */
export async function lookedAtTwice(world: World, isMeant = (_row: ResourceSummary): boolean => true): Promise<void> {
  for (const time of ["once", "twice"]) {
    const before = new Date().toISOString();
    await until(`each resource looked at ${time} more`, async () => {
      const rows = (await allItems(world, "resources")).filter((row) => row.state === "confirmed" && isMeant(row));
      return rows.length > 0 && rows.every(({ lastLookAt }) => lastLookAt !== null && lastLookAt > before);
    });
  }
}
