import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { LookFailure } from "#contracts/messages.ts";
import type { Health, JobPosition } from "#contracts/messages.ts";
import { count, instant, toJson, toText } from "./columns.ts";
import type { Statements } from "./database.ts";
import type { Settings } from "./settings.ts";

/** The resource that cannot be looked at, and the job that found out. */
export interface FailedLook {
  resourceKey: number;
  host: string;
  owner: string;
  job: JobPosition;
  observedAt: string;
  lastSeenAt: string | null;
}

const Failure = z.object({
  failures: count,
  failingSince: instant,
  error: LookFailure,
  isAnnounced: z.boolean(),
});
type Failure = z.infer<typeof Failure>;

const failureColumns = `failures, failing_since AS "failingSince", error, is_announced AS "isAnnounced"`;

/** Counts one more failed look and announces it once when it persists: how many there were in a row, and the event. */
export async function recordFailure(
  tx: Statements,
  look: FailedLook,
  error: LookFailure,
  settings: Settings,
): Promise<{ failures: number; health: Health[] }> {
  const failure = await countFailure(tx, look, error);
  const { failures } = failure;
  if (failures < settings.announceAfter || failure.isAnnounced) return { failures, health: [] };
  await tx.run("UPDATE failure SET is_announced = true WHERE resource_key = $1", [look.resourceKey]);
  const times = failure.failures === 1 ? "the look" : `${failure.failures} looks in a row`;
  await insertHealth(tx, look, "failing", failure, `${times} failed: ${error.kind}: ${error.message}`);
  return { failures, health: await unpublishedHealthOf(tx, look.resourceKey, look.job) };
}

/** A good look ends a failure; one that had been announced is announced as recovered: those events. */
export async function clearFailures(tx: Statements, looks: FailedLook[]): Promise<Health[]> {
  const byKey = new Map(looks.map((look) => [look.resourceKey, look]));
  const ended = await tx.rows(
    Failure.extend({ resourceKey: count }),
    `DELETE FROM failure WHERE resource_key = ANY ($1) RETURNING resource_key AS "resourceKey", ${failureColumns}`,
    [[...byKey.keys()]],
  );
  const events: Health[] = [];
  for (const failure of ended) {
    const look = byKey.get(failure.resourceKey);
    if (!look || !failure.isAnnounced) continue;
    await insertHealth(tx, look, "recovered", failure, `looks succeed again after ${failure.failures} failed ones`);
    events.push(...(await unpublishedHealthOf(tx, look.resourceKey, look.job)));
  }
  return events;
}

/** The wait before a failed look is repeated: doubling, or what the other side asked for. */
export function retryAfterMs(error: LookFailure, failures: number, settings: Settings, mostMs: number): number {
  if (error.kind === "limited" && error.retryAfterMs !== undefined) return error.retryAfterMs;
  return Math.min(mostMs, settings.retryAfterMs * 2 ** Math.min(failures - 1, 30));
}

/** The health events of one job that HEALTH does not have yet. */
export async function unpublishedHealthOf(tx: Statements, resourceKey: number, job: JobPosition): Promise<Health[]> {
  return await tx.rows(
    HealthRow,
    `SELECT ${healthColumns} FROM health h JOIN resource r USING (resource_key)
      WHERE h.resource_key = $1 AND h.job_epoch = $2 AND h.job_sequence = $3 AND h.published_at IS NULL
      ORDER BY h.id`,
    [resourceKey, job.epoch, job.sequence],
  );
}

/** Columns of a health event for `HealthRow`; `h` is the event, `r` its resource. */
export const healthColumns = `h.id, h.kind, r.id AS "resourceId", r.module, r.resource, h.host, h.owner, h.error,
  h.failures, h.failing_since AS "failingSince", h.last_seen_at AS "lastSeenAt", h.reason,
  h.recorded_at AS "recordedAt"`;

/** A row as `Health`. */
export const HealthRow = z.object({
  id: z.uuid(),
  kind: z.enum(["failing", "recovered"]),
  resourceId: z.string(),
  module: z.string(),
  resource: z.string(),
  host: z.string(),
  owner: z.string(),
  error: LookFailure.nullable(),
  failures: count,
  failingSince: instant,
  lastSeenAt: instant.nullable(),
  reason: z.string(),
  recordedAt: instant,
});

async function countFailure(tx: Statements, look: FailedLook, error: LookFailure): Promise<Failure> {
  const [row] = await tx.rows(
    Failure,
    `INSERT INTO failure (resource_key, failures, failing_since, error) VALUES ($1, 1, $2, $3)
      ON CONFLICT (resource_key) DO UPDATE SET failures = failure.failures + 1, error = excluded.error
      RETURNING ${failureColumns}`,
    [look.resourceKey, look.observedAt, toJson(error)],
  );
  return row as Failure;
}

async function insertHealth(
  tx: Statements,
  look: FailedLook,
  kind: Health["kind"],
  failure: Failure,
  reason: string,
): Promise<void> {
  await tx.run(
    `INSERT INTO health (id, kind, resource_key, host, owner, error, failures, failing_since, last_seen_at, reason,
        job_epoch, job_sequence)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
      ON CONFLICT (resource_key, job_epoch, job_sequence, kind) DO NOTHING`,
    [
      uuidv7(),
      kind,
      look.resourceKey,
      look.host,
      look.owner,
      kind === "failing" ? toJson(failure.error) : null,
      failure.failures,
      failure.failingSince,
      look.lastSeenAt,
      toText(reason),
      look.job.epoch,
      look.job.sequence,
    ],
  );
}
