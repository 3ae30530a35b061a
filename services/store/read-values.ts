import { z } from "zod";
import { existsAttribute } from "#contracts/messages.ts";
import type { JobPosition } from "#contracts/messages.ts";
import { Severity } from "#contracts/severity.ts";
import { ResourceState } from "#contracts/store.ts";
import type { StoredValue, StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { count, json, key } from "./columns.ts";
import type { Database, Statements } from "./database.ts";

type Request = StoreRequest<"read.values">;
type Reply = StoreReply<"read.values">;

const Standing = z.object({
  resourceKey: key,
  id: z.string(),
  state: ResourceState,
  owner: z.string(),
  lane: z.string(),
  revision: count,
  fingerprint: z.string().nullable(),
  exists: z.boolean().nullable(),
  moduleVersion: count.nullable(),
  optionsFingerprint: z.string().nullable(),
});

const ValueColumns = z.object({
  attribute: z.string(),
  value: json,
  isPresent: z.boolean(),
  severity: Severity.nullable(),
  reason: z.string().nullable(),
});

/** A moment in a resource's history: after a revision, or just before a job. */
interface Moment {
  revision: number | null;
  job: JobPosition | null;
}

/** What a report is compared with: the values now, as a revision left them, or as they were just before a job. */
export async function readValues(database: Database, request: Request): Promise<Reply> {
  return await database.snapshot(async (tx) => {
    const standing = await readStanding(tx, resourceId(request.module, request.resource));
    if (standing === null) return null;
    const { resourceKey, ...reply } = standing;
    const moment: Moment = { revision: request.atRevision ?? null, job: request.before ?? null };
    if (moment.job === null && (moment.revision === null || moment.revision === reply.revision)) {
      return { ...reply, values: await readCurrent(tx, resourceKey), following: [] };
    }
    const existence = await readExistence(tx, resourceKey, moment);
    return {
      ...reply,
      exists: existence ? existence.value : reply.exists,
      values: await readPast(tx, resourceKey, moment),
      following: moment.job ? await readFollowing(tx, resourceKey, moment.job) : [],
    };
  });
}

async function readStanding(tx: Statements, id: string) {
  return await tx.row(
    Standing,
    `SELECT r.resource_key AS "resourceKey", r.id, r.state, r.owner, r.lane, l.revision, l.fingerprint,
        l.is_there AS exists, l.module_version AS "moduleVersion", l.options_fingerprint AS "optionsFingerprint"
      FROM resource r JOIN look l USING (resource_key) WHERE r.id = $1`,
    [id],
  );
}

async function readCurrent(tx: Statements, resourceKey: number): Promise<StoredValue[]> {
  return await tx.rows(
    ValueColumns,
    `SELECT attribute, value, is_present AS "isPresent", severity, reason FROM value
      WHERE resource_key = $1 ORDER BY attribute`,
    [resourceKey],
  );
}

/** Is a history row, `h`, from before the moment in $3 (revision) or $4 and $5 (job)? */
const isBefore = `(h.revision <= $3 OR $3::bigint IS NULL)
  AND ((h.job_epoch, h.job_sequence) < ($4, $5) OR $4::bigint IS NULL)`;

function momentParameters(resourceKey: number, { revision, job }: Moment): unknown[] {
  return [resourceKey, existsAttribute, revision, job?.epoch ?? null, job?.sequence ?? null];
}

/** Late looks touched no values, so their rows do not count here. */
async function readPast(tx: Statements, resourceKey: number, moment: Moment): Promise<StoredValue[]> {
  return await tx.rows(
    ValueColumns,
    `SELECT DISTINCT ON (h.attribute) h.attribute, h.new_value AS value, h.is_present AS "isPresent", h.severity,
        h.reason
      FROM history h
      WHERE h.resource_key = $1 AND NOT h.is_late AND h.attribute <> $2 AND ${isBefore}
      ORDER BY h.attribute, h.job_epoch DESC, h.job_sequence DESC, h.ordinal DESC`,
    momentParameters(resourceKey, moment),
  );
}

async function readFollowing(tx: Statements, resourceKey: number, job: JobPosition): Promise<StoredValue[]> {
  return await tx.rows(
    ValueColumns,
    `SELECT DISTINCT ON (h.attribute) h.attribute, h.new_value AS value, h.is_present AS "isPresent", h.severity,
        h.reason
      FROM history h
      WHERE h.resource_key = $1 AND NOT h.is_late AND h.attribute <> $2 AND (h.job_epoch, h.job_sequence) > ($3, $4)
      ORDER BY h.attribute, h.job_epoch, h.job_sequence, h.ordinal`,
    [resourceKey, existsAttribute, job.epoch, job.sequence],
  );
}

/** Whether the resource existed then, where its history tells: by the row before, or what the row after replaced. */
async function readExistence(tx: Statements, resourceKey: number, moment: Moment) {
  return await tx.row(
    z.object({ value: z.boolean().nullable() }),
    `SELECT value FROM (
      (SELECT 1 AS choice, h.new_value AS value FROM history h
        WHERE h.resource_key = $1 AND NOT h.is_late AND h.attribute = $2 AND ${isBefore}
        ORDER BY h.job_epoch DESC, h.job_sequence DESC, h.ordinal DESC LIMIT 1)
      UNION ALL
      (SELECT 2, h.old_value FROM history h
        WHERE h.resource_key = $1 AND NOT h.is_late AND h.attribute = $2 AND NOT (${isBefore})
        ORDER BY h.job_epoch, h.job_sequence, h.ordinal LIMIT 1)
    ) known ORDER BY choice LIMIT 1`,
    momentParameters(resourceKey, moment),
  );
}
