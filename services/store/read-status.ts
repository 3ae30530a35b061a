import { z } from "zod";
import type { Severity } from "#contracts/severity.ts";
import { severities } from "#contracts/severity.ts";
import { ResourceState } from "#contracts/store.ts";
import type { StoreReply } from "#contracts/store.ts";
import { count, instant } from "./columns.ts";
import { only } from "./database.ts";
import type { Database, Statements } from "./database.ts";

/** How the whole stands, all of one moment. */
export async function readStatus(database: Database): Promise<StoreReply<"read.status">> {
  return await database.snapshot(async (tx) => ({
    resources: await countResources(tx),
    findings: await countFindings(tx),
    ...(await countLooks(tx)),
    ...(await countEvents(tx)),
  }));
}

async function countResources(tx: Statements): Promise<Record<ResourceState, number>> {
  const rows = await tx.rows(
    z.object({ state: ResourceState, resources: count }),
    "SELECT state, count(*) AS resources FROM resource GROUP BY state",
  );
  return countsBy(
    ResourceState.options,
    rows.map(({ state, resources }) => [state, resources]),
  );
}

async function countFindings(tx: Statements): Promise<Record<Severity, number>> {
  const rows = await tx.rows(
    z.object({ severity: z.enum(severities), findings: count }),
    `SELECT v.severity, count(*) AS findings
      FROM value v JOIN resource r USING (resource_key) JOIN look l USING (resource_key)
      WHERE v.is_present AND v.severity IS NOT NULL AND v.severity <> 'none' AND r.state = 'confirmed'
        AND l.is_there IS NOT FALSE
      GROUP BY v.severity`,
  );
  return countsBy(
    severities,
    rows.map(({ severity, findings }) => [severity, findings]),
  );
}

async function countLooks(tx: Statements) {
  return only(
    await tx.row(
      z.object({ failing: count, oldestSeenAt: instant.nullable(), neverSeen: count }),
      `SELECT count(f.resource_key) AS failing, min(l.seen_at) AS "oldestSeenAt",
          count(*) FILTER (WHERE l.seen_at IS NULL) AS "neverSeen"
        FROM resource r JOIN look l USING (resource_key) LEFT JOIN failure f USING (resource_key)
        WHERE r.state = 'confirmed'`,
    ),
  );
}

async function countEvents(tx: Statements) {
  return only(
    await tx.row(
      z.object({ changesLastDay: count, feedPosition: count, unpublished: count, schemaVersion: count }),
      `SELECT (SELECT count(*) FROM change WHERE recorded_at > now() - interval '1 day') AS "changesLastDay",
          (SELECT position FROM feed) AS "feedPosition",
          (SELECT count(*) FROM change WHERE published_at IS NULL)
            + (SELECT count(*) FROM health WHERE published_at IS NULL) AS unpublished,
          (SELECT max(version) FROM schema_version) AS "schemaVersion"`,
    ),
  );
}

function countsBy<Name extends string>(names: readonly Name[], counts: [Name, number][]): Record<Name, number> {
  const zeros = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  return { ...zeros, ...(Object.fromEntries(counts) as Partial<Record<Name, number>>) };
}
