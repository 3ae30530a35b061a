import { z } from "zod";
import type { ConfigRoot, StoreReply, StoreRequest } from "#contracts/store.ts";
import { laneHost, resourceId } from "#contracts/subjects.ts";
import { ConfigFaultRow } from "#contracts/store.ts";
import { count, instant, json, toJson } from "./columns.ts";
import type { Database, Statements } from "./database.ts";
import { lockGraph, retireUnreachable, reviveReachable } from "./provenance.ts";
import { readSettings } from "./settings.ts";

type Request = StoreRequest<"write.config">;
type Reply = StoreReply<"write.config">;

/** Puts a configuration in force: its roots, its periods, and what it no longer reaches. */
export async function applyConfig(database: Database, request: Request): Promise<Reply> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, "pruning");
    const { revision, hash } = await readSettings(tx);
    if (hash === request.hash) {
      await clearRefusal(tx);
      return { outcome: "same", revision, retired: 0 };
    }
    if (await isOlder(tx, request)) return { outcome: "older", revision, retired: 0 };
    await insertRevision(tx, request, revision + 1);
    await clearRefusal(tx);
    await replaceRoots(tx, request, revision + 1);
    await setPeriods(tx, request);
    await reviveReachable(tx);
    return { outcome: "applied", revision: revision + 1, retired: await retireUnreachable(tx) };
  });
}

/** Remembers what is wrong with the newest file; the configuration in force stays. */
export async function refuseConfig(
  database: Database,
  { faults }: StoreRequest<"write.refused_config">,
): Promise<StoreReply<"write.refused_config">> {
  await database.run(
    `INSERT INTO config_refusal (refused_at, faults) VALUES (now(), $1)
      ON CONFLICT (is_only) DO UPDATE SET refused_at = excluded.refused_at, faults = excluded.faults`,
    [toJson(faults)],
  );
  return {};
}

/** The configuration in force, and whether a newer file was refused. */
export async function readConfig(database: Database): Promise<StoreReply<"read.config">> {
  const row = await database.row(
    z.object({
      revision: count,
      appliedAt: instant.nullable(),
      document: json,
      refusedAt: instant.nullable(),
      faults: z.array(ConfigFaultRow).nullable(),
    }),
    `SELECT coalesce(c.revision, 0) AS revision, c.applied_at AS "appliedAt", coalesce(c.document, '{}') AS document,
        f.refused_at AS "refusedAt", f.faults
      FROM (SELECT true) one
      LEFT JOIN (SELECT * FROM config_revision ORDER BY revision DESC LIMIT 1) c ON true
      LEFT JOIN config_refusal f ON true`,
  );
  const { refusedAt = null, faults = null, ...config } = row ?? { revision: 0, appliedAt: null, document: {} };
  return { ...config, refused: refusedAt !== null && faults !== null ? { at: refusedAt, faults } : null };
}

/** Was this very file in force before, and replaced by one that was written later? */
async function isOlder(tx: Statements, { hash, modifiedAt }: Request): Promise<boolean> {
  const row = await tx.row(
    z.object({ isOlder: z.boolean() }),
    `SELECT EXISTS (SELECT FROM config_revision WHERE hash = $1)
        AND $2::timestamptz <= (SELECT modified_at FROM config_revision ORDER BY revision DESC LIMIT 1) AS "isOlder"`,
    [hash, modifiedAt],
  );
  return row?.isOlder ?? false;
}

async function insertRevision(tx: Statements, request: Request, revision: number): Promise<void> {
  await tx.run(
    `INSERT INTO config_revision (revision, hash, modified_at, document, every_ms, every_ms_by_module, retry_after_ms,
        sooner_after_change_ms, announce_after, rediscover_every_ms)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      revision,
      request.hash,
      request.modifiedAt,
      toJson(request.document),
      request.everyMs,
      toJson(request.everyMsByModule),
      request.retryAfterMs,
      request.soonerAfterChangeMs,
      request.announceAfter,
      request.rediscoverEveryMs,
    ],
  );
}

async function clearRefusal(tx: Statements): Promise<void> {
  await tx.run("DELETE FROM config_refusal");
}

async function replaceRoots(tx: Statements, request: Request, revision: number): Promise<void> {
  const roots = new Map(request.roots.map((root) => [resourceId(root.module, root.resource), root]));
  await insertRootResources(tx, roots, request.everyMs);
  await reviveRoots(tx, [...roots.keys()]);
  await tx.run(
    `DELETE FROM edge e USING resource r
      WHERE e.parent_key IS NULL AND e.source = 'config.json' AND r.resource_key = e.child_key AND r.id <> ALL ($1)`,
    [[...roots.keys()]],
  );
  await tx.run(
    `INSERT INTO edge (source, child_key, config_revision, every_ms)
      SELECT 'config.json', r.resource_key, $1, n.every_ms
      FROM unnest($2::text[], $3::bigint[]) AS n (id, every_ms) JOIN resource r USING (id)
      ON CONFLICT (parent_key, child_key, source) DO UPDATE SET every_ms = excluded.every_ms`,
    [revision, [...roots.keys()], [...roots.values()].map(({ everyMs }) => everyMs)],
  );
}

async function insertRootResources(tx: Statements, roots: Map<string, ConfigRoot>, everyMs: number): Promise<void> {
  const rows = [...roots.values()];
  await tx.run(
    `WITH made AS (
      INSERT INTO resource (id, module, resource, host, lane, owner, source, state, every_ms, discover_at)
      SELECT n.id, n.module, n.resource, n.host, n.lane, n.owner, 'config.json', 'candidate', $1, now()
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS n (id, module, resource, host, lane, owner)
      ON CONFLICT (id) DO NOTHING
      RETURNING resource_key
    )
    INSERT INTO look (resource_key) SELECT resource_key FROM made`,
    [
      everyMs,
      [...roots.keys()],
      rows.map(({ module }) => module),
      rows.map(({ resource }) => resource),
      rows.map(({ lane }) => laneHost(lane)),
      rows.map(({ lane }) => lane),
      rows.map(({ owner }) => owner),
    ],
  );
}

/**
 * What the configuration names is tried again whatever was said of it before: one that was confirmed is watched at
 * once, others are for their module to confirm.
 */
async function reviveRoots(tx: Statements, ids: string[]): Promise<void> {
  await tx.run(
    `UPDATE resource SET state = CASE WHEN confirmed_at IS NULL THEN 'candidate' ELSE 'confirmed' END,
        state_before = NULL, refusal = NULL, is_refused_by_person = false, discover_at = now(), discover_attempts = 0,
        first_look_at = now() + interval '1 second'
      WHERE id = ANY ($1) AND coalesce(state_before, state) <> 'alias' AND state IN ('retired', 'waiting', 'refused')`,
    [ids],
  );
}

/** A target's own period holds for what it names and for what the same module finds behind that. */
async function setPeriods(tx: Statements, { everyMs, everyMsByModule }: Request): Promise<void> {
  await tx.run(
    `WITH RECURSIVE inherited (resource_key, every_ms) AS (
      SELECT child_key, every_ms FROM edge WHERE parent_key IS NULL AND every_ms IS NOT NULL
      UNION
      SELECT e.child_key, i.every_ms
      FROM inherited i
      JOIN resource p ON p.resource_key = i.resource_key
      JOIN edge e ON e.parent_key = i.resource_key
      JOIN resource c ON c.resource_key = e.child_key AND c.module = p.module
    ), own AS (
      SELECT resource_key, min(every_ms) AS every_ms FROM inherited GROUP BY resource_key
    ), wanted AS (
      SELECT r.resource_key, own.every_ms AS own_every_ms,
        greatest(1, coalesce(own.every_ms, ($1::json ->> r.module)::bigint, $2)) AS every_ms
      FROM resource r LEFT JOIN own USING (resource_key)
    )
    UPDATE resource r SET own_every_ms = w.own_every_ms, every_ms = w.every_ms
      FROM wanted w
      WHERE w.resource_key = r.resource_key
        AND (r.own_every_ms, r.every_ms) IS DISTINCT FROM (w.own_every_ms, w.every_ms)`,
    [toJson(everyMsByModule), everyMs],
  );
}
