import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { ChangeKind } from "#contracts/messages.ts";
import type { Change, Evidence, JobPosition } from "#contracts/messages.ts";
import { sha256Hex } from "#contracts/canonical.ts";
import { Severity } from "#contracts/severity.ts";
import type { ChangeDraft } from "#contracts/store.ts";
import { count, instant, json, toJson, toText } from "./columns.ts";
import type { Statements } from "./database.ts";

/** Columns of a change for `ChangeRow`; `c` is the change, `r` its resource. */
export const changeColumns = `c.id, c.position, r.id AS "resourceId", r.module, r.resource, c.host, c.owner,
  c.attribute, c.kind, c.old_value AS "oldValue", c.new_value AS "newValue", c.severity, c.reason,
  c.is_late AS "isLate", c.observed_at AS "observedAt", c.recorded_at AS "recordedAt"`;

/** A row as `Change`. */
export const ChangeRow = z.object({
  id: z.uuid(),
  position: count,
  resourceId: z.string(),
  module: z.string(),
  resource: z.string(),
  host: z.string(),
  owner: z.string(),
  attribute: z.string(),
  kind: ChangeKind,
  oldValue: json,
  newValue: json,
  severity: Severity.nullable(),
  reason: z.string(),
  isLate: z.boolean(),
  observedAt: instant,
  recordedAt: instant,
});

/** A change that has its id, and not yet its place in the feed. */
export interface PlannedChange extends ChangeDraft {
  id: string;
  /** How many of the same attribute stand before it in the same look. */
  ordinal: number;
}

/** Whose changes are inserted. */
export interface ChangedLook {
  resourceKey: number;
  host: string;
  owner: string;
  job: JobPosition;
  fetcher: string;
  observedAt: string;
}

/** Gives each draft its id, and its number among those of the same attribute. */
export function planChanges(drafts: ChangeDraft[]): PlannedChange[] {
  const seen = new Map<string, number>();
  return drafts.map((draft) => {
    const ordinal = seen.get(draft.attribute) ?? 0;
    seen.set(draft.attribute, ordinal + 1);
    return { ...draft, id: uuidv7(), ordinal };
  });
}

/**
 * Inserts changes with the next feed positions. Must be the last statement of its transaction: the feed's row stays
 * locked until the commit, and everybody else's changes wait.
 */
export async function insertChanges(
  tx: Statements,
  look: ChangedLook,
  changes: PlannedChange[],
  isLate: boolean,
): Promise<Change[]> {
  if (changes.length === 0) return [];
  const evidence = await insertEvidence(tx, changes);
  return await tx.rows(
    ChangeRow,
    `WITH advanced AS (UPDATE feed SET position = position + $1 RETURNING position - $1 AS base), inserted AS (
      INSERT INTO change (id, position, resource_key, host, owner, attribute, kind, old_value, new_value, severity,
      reason, is_late, observed_at, job_epoch, job_sequence, ordinal, fetcher, evidence_sha256)
    SELECT d.id, advanced.base + d.place, $2, $3, $4, d.attribute, d.kind, d.old_value::json, d.new_value::json,
      d.severity, d.reason, $5, $6, $7, $8, d.ordinal, $9, d.evidence
    FROM advanced, unnest($10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
        $17::bigint[], $18::text[]) WITH ORDINALITY
      AS d (id, attribute, kind, old_value, new_value, severity, reason, ordinal, evidence, place)
      RETURNING *
    )
    SELECT ${changeColumns} FROM inserted c JOIN resource r USING (resource_key) ORDER BY c.position`,
    [
      changes.length,
      look.resourceKey,
      look.host,
      look.owner,
      isLate,
      look.observedAt,
      look.job.epoch,
      look.job.sequence,
      toText(look.fetcher),
      changes.map(({ id }) => id),
      changes.map(({ attribute }) => attribute),
      changes.map(({ kind }) => kind),
      changes.map(({ oldValue }) => toJson(oldValue)),
      changes.map(({ newValue }) => toJson(newValue)),
      changes.map(({ severity }) => severity),
      changes.map(({ reason }) => toText(reason)),
      changes.map(({ ordinal }) => ordinal),
      evidence,
    ],
  );
}

/** Puts the bodies away, once each; the hash of each change's evidence, or null. */
async function insertEvidence(tx: Statements, changes: PlannedChange[]): Promise<(string | null)[]> {
  const bodies = new Map<string, Evidence>();
  const hashes = changes.map(({ evidence }) => {
    if (!evidence) return null;
    const hash = sha256Hex(`${evidence.mediaType}\n${evidence.text}`);
    bodies.set(hash, evidence);
    return hash;
  });
  if (bodies.size === 0) return hashes;
  await tx.run(
    `INSERT INTO evidence (sha256, media_type, text)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ORDER BY 1
      ON CONFLICT DO NOTHING`,
    [
      [...bodies.keys()],
      [...bodies.values()].map(({ mediaType }) => toText(mediaType)),
      [...bodies.values()].map(({ text }) => toText(text)),
    ],
  );
  return hashes;
}

/** The changes of one job that CHANGES does not have yet, in feed order. */
export async function unpublishedChangesOf(tx: Statements, resourceKey: number, job: JobPosition): Promise<Change[]> {
  return await tx.rows(
    ChangeRow,
    `SELECT ${changeColumns} FROM change c JOIN resource r USING (resource_key)
      WHERE c.resource_key = $1 AND c.job_epoch = $2 AND c.job_sequence = $3 AND c.published_at IS NULL
      ORDER BY c.position`,
    [resourceKey, job.epoch, job.sequence],
  );
}
