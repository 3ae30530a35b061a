import { z } from "zod";
import type { ResourceRef } from "#contracts/messages.ts";
import { key } from "./columns.ts";
import type { Statements } from "./database.ts";
import { dropLookPlans } from "./resource-rows.ts";

/** Sources that a person stands behind: what they name needs no scope. */
export const personalSources = ["config.json", "person"];

/** Any number: the lock of the graph of who led to whom. */
const graphLock = 7_269_012;
/** Any number: the first half of the locks by source. */
const sourceLock = 7_269_013;

/** Until the transaction ends: `growing` beside others that only add; `pruning` alone. Taken before any row's lock. */
export async function lockGraph(tx: Statements, purpose: "growing" | "pruning"): Promise<void> {
  const text = purpose === "growing" ? "SELECT pg_advisory_xact_lock_shared($1)" : "SELECT pg_advisory_xact_lock($1)";
  await tx.run(text, [graphLock]);
}

/** One suggestion of a source at a time, so that its cap holds exactly. */
export async function lockSource(tx: Statements, source: string): Promise<void> {
  await tx.run("SELECT pg_advisory_xact_lock($1, hashtext($2))", [sourceLock, source]);
}

export interface Edge {
  source: string;
  parentKey: number | null;
  childKey: number;
  configRevision: number;
}

/** Remembers why a resource is watched. */
export async function addEdge(tx: Statements, edge: Edge): Promise<void> {
  await tx.run(
    `INSERT INTO edge (source, parent_key, child_key, config_revision) VALUES ($1, $2, $3, $4)
      ON CONFLICT (parent_key, child_key, source) DO NOTHING`,
    [edge.source, edge.parentKey, edge.childKey, edge.configRevision],
  );
}

/** Forgets what a parent led to, but for the children with these ids; how many were forgotten. */
export async function dropEdgesBut(tx: Statements, parentKey: number, childIds: string[]): Promise<number> {
  return await tx.run(
    `DELETE FROM edge e USING resource c
      WHERE e.parent_key = $1 AND c.resource_key = e.child_key AND c.id <> ALL ($2)`,
    [parentKey, childIds],
  );
}

/** Does the configuration or a person name the resource itself? */
export async function isPersonal(tx: Statements, resourceKey: number): Promise<boolean> {
  const row = await tx.row(
    z.object({ isThere: z.boolean() }),
    `SELECT EXISTS (
      SELECT FROM edge WHERE child_key = $1 AND parent_key IS NULL AND source = ANY ($2)
    ) AS "isThere"`,
    [resourceKey, personalSources],
  );
  return row?.isThere ?? false;
}

/** How many resources a source brought that are, or are about to be, watched. */
export async function countBrought(tx: Statements, source: string, except: number): Promise<number> {
  const row = await tx.row(
    z.object({ brought: z.number() }),
    `SELECT count(*) AS brought FROM resource
      WHERE source = $1 AND state IN ('candidate', 'confirmed', 'alias') AND resource_key <> $2`,
    [source, except],
  );
  return row?.brought ?? 0;
}

/**
 * From the roots, along the edges, but not past what is refused or waits: a chain that hangs only on itself, such as
 * two resources that suggest each other, is not reached.
 */
const reachable = `reachable (resource_key) AS (
  SELECT child_key FROM edge WHERE parent_key IS NULL
  UNION
  SELECT e.child_key
  FROM reachable p
  JOIN resource r ON r.resource_key = p.resource_key AND coalesce(r.state_before, r.state) NOT IN ('refused', 'waiting')
  JOIN edge e ON e.parent_key = p.resource_key
)`;

/** Retires what can no longer be reached; how many. Values and history stay. Wants the `pruning` lock. */
export async function retireUnreachable(tx: Statements): Promise<number> {
  const retired = await tx.rows(
    z.object({ resourceKey: key }),
    `WITH RECURSIVE ${reachable}
      UPDATE resource r SET state = 'retired', state_before = r.state, discover_at = NULL
      WHERE r.state <> 'retired' AND NOT r.is_refused_by_person
        AND NOT EXISTS (SELECT FROM reachable n WHERE n.resource_key = r.resource_key)
      RETURNING r.resource_key AS "resourceKey"`,
  );
  await dropLookPlans(
    tx,
    retired.map(({ resourceKey }) => resourceKey),
  );
  return retired.length;
}

/** What can be reached again becomes what it was. Wants the `pruning` lock. */
export async function reviveReachable(tx: Statements): Promise<void> {
  await tx.run(
    `WITH RECURSIVE ${reachable}
      UPDATE resource r SET state = CASE WHEN r.state_before = 'refused' THEN 'candidate' ELSE r.state_before END,
        state_before = NULL, discover_at = CASE WHEN r.state_before = 'waiting' THEN NULL ELSE now() END,
        discover_attempts = 0, first_look_at = now() + interval '1 second'
      FROM reachable n
      WHERE n.resource_key = r.resource_key AND r.state = 'retired'`,
  );
}

/** Is it one and the same resource? */
export function isSameResource(a: ResourceRef, b: ResourceRef): boolean {
  return a.module === b.module && a.resource === b.resource;
}
