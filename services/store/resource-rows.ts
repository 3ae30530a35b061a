import { z } from "zod";
import type { JobPosition, ResourceRef } from "#contracts/messages.ts";
import { ResourceState } from "#contracts/store.ts";
import { laneHost, resourceId } from "#contracts/subjects.ts";
import { count, key, toTextOrNull } from "./columns.ts";
import { only } from "./database.ts";
import type { Statements } from "./database.ts";

const ResourceRow = z.object({
  resourceKey: key,
  module: z.string(),
  state: ResourceState,
  stateBefore: ResourceState.nullable(),
  isRefusedByPerson: z.boolean(),
  wasConfirmed: z.boolean(),
  host: z.string(),
  owner: z.string(),
  ownEveryMs: count.nullable(),
  discoverAttempts: count,
  epoch: count,
  sequence: count,
});
/** Where a resource stands in being watched; `epoch` and `sequence` are the fence of its discoveries. */
export type ResourceRow = z.infer<typeof ResourceRow>;

/** Locks a resource's row until the transaction ends; null for one never heard of. */
export async function lockResource(tx: Statements, id: string): Promise<ResourceRow | null> {
  return await tx.row(
    ResourceRow,
    `SELECT resource_key AS "resourceKey", module, state, state_before AS "stateBefore",
        is_refused_by_person AS "isRefusedByPerson", confirmed_at IS NOT NULL AS "wasConfirmed", host, owner,
        own_every_ms AS "ownEveryMs", discover_attempts AS "discoverAttempts", discovery_epoch AS epoch,
        discovery_sequence AS sequence
      FROM resource WHERE id = $1 FOR UPDATE`,
    [id],
  );
}

export interface NewResource extends ResourceRef {
  lane: string;
  owner: string;
  source: string;
  everyMs: number;
  ownEveryMs: number | null;
}

/** Locks a resource's row, which is made as a candidate where there is none. */
export async function lockOrMakeResource(tx: Statements, made: NewResource): Promise<ResourceRow & { isNew: boolean }> {
  const id = resourceId(made.module, made.resource);
  const inserted = await tx.run(
    `INSERT INTO resource (id, module, resource, host, lane, owner, source, state, own_every_ms, every_ms)
      VALUES ($1, $2, $3, $4, $5, $6, $7, 'candidate', $8, $9)
      ON CONFLICT (id) DO NOTHING`,
    [
      id,
      made.module,
      made.resource,
      laneHost(made.lane),
      made.lane,
      made.owner,
      made.source,
      made.ownEveryMs,
      made.ownEveryMs ?? made.everyMs,
    ],
  );
  const row = only(await lockResource(tx, id));
  if (inserted > 0) await tx.run("INSERT INTO look (resource_key) VALUES ($1)", [row.resourceKey]);
  return { ...row, isNew: inserted > 0 };
}

/** A module says that the resource is one of its own: it is watched from now on. */
export async function setConfirmed(
  tx: Statements,
  resourceKey: number,
  facts: { lane: string; owner: string; isDiscoveredNext: boolean },
): Promise<void> {
  await tx.run(
    `UPDATE resource SET state = 'confirmed', state_before = NULL, refusal = NULL, host = $2, lane = $3, owner = $4,
        confirmed_at = coalesce(confirmed_at, now()),
        first_look_at = CASE WHEN state = 'confirmed' THEN first_look_at ELSE now() + interval '1 second' END,
        discover_at = CASE WHEN $5 THEN now() ELSE discover_at END
      WHERE resource_key = $1`,
    [resourceKey, laneHost(facts.lane), facts.lane, facts.owner, facts.isDiscoveredNext],
  );
}

/** It is (again) for its module to say whether it is one of its own; one confirmed before is watched meanwhile. */
export async function setCandidate(tx: Statements, resourceKey: number): Promise<void> {
  await tx.run(
    `UPDATE resource SET state = CASE WHEN confirmed_at IS NULL THEN 'candidate' ELSE 'confirmed' END,
        state_before = NULL, refusal = NULL, is_refused_by_person = false, discover_at = now(), discover_attempts = 0,
        first_look_at = now() + interval '1 second'
      WHERE resource_key = $1`,
    [resourceKey],
  );
}

/** It is not watched, until something else is said. */
export async function setUnwatched(
  tx: Statements,
  resourceKey: number,
  to: { state: "waiting" | "alias" | "refused"; refusal: string | null },
): Promise<void> {
  await tx.run(
    `UPDATE resource SET state = $2, state_before = NULL, refusal = $3,
        discover_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE discover_at END
      WHERE resource_key = $1`,
    [resourceKey, to.state, toTextOrNull(to.refusal)],
  );
  await dropLookPlans(tx, [resourceKey]);
}

/** What no longer is looked at neither fails nor waits for a look. */
export async function dropLookPlans(tx: Statements, resourceKeys: number[]): Promise<void> {
  if (resourceKeys.length === 0) return;
  await tx.run("DELETE FROM failure WHERE resource_key = ANY ($1)", [resourceKeys]);
  await tx.run("DELETE FROM early_look WHERE resource_key = ANY ($1)", [resourceKeys]);
}

/** Only discoveries that come later count from now on. */
export async function setDiscoveryFence(
  tx: Statements,
  resourceKey: number,
  job: JobPosition,
  next: { inMs: number; attempts: number },
): Promise<void> {
  await tx.run(
    `UPDATE resource SET discovery_epoch = $2, discovery_sequence = $3, discover_attempts = $5,
        discover_at = now() + $4 * interval '1 millisecond'
      WHERE resource_key = $1`,
    [resourceKey, job.epoch, job.sequence, next.inMs, next.attempts],
  );
}
