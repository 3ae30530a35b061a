import type { Json } from "#contracts/canonical.ts";
import { existsAttribute } from "#contracts/messages.ts";
import type { JobPosition } from "#contracts/messages.ts";
import type { StoredValue } from "#contracts/store.ts";
import { toJson, toTextOrNull } from "./columns.ts";
import type { Statements } from "./database.ts";
import type { PlannedChange } from "./changes.ts";

/** What stands behind the rows that one look writes. */
export interface Writing {
  resourceKey: number;
  /** The revision that the writes make. */
  revision: number;
  job: JobPosition;
  observedAt: string;
  /** The look's changes, to which history rows refer. */
  changes: PlannedChange[];
}

/** Appends one history row for each value, and then writes the values. */
export async function writeValues(tx: Statements, writing: Writing, values: StoredValue[]): Promise<void> {
  if (values.length === 0) return;
  await appendHistory(tx, writing, values);
  await upsertValues(tx, writing, values);
}

async function appendHistory(tx: Statements, writing: Writing, values: StoredValue[]): Promise<void> {
  const changeIds = changeIdsByAttribute(writing.changes);
  await tx.run(
    `INSERT INTO history (resource_key, attribute, revision, job_epoch, job_sequence, old_value, new_value, was_present,
        is_present, severity, reason, observed_at, change_id)
      SELECT $1, w.attribute, $2, $3, $4, coalesce(v.value, 'null'), w.value::json, coalesce(v.is_present, false),
        w.is_present, w.severity, w.reason, $5, w.change_id
      FROM unnest($6::text[], $7::text[], $8::bool[], $9::text[], $10::text[], $11::uuid[])
        AS w (attribute, value, is_present, severity, reason, change_id)
      LEFT JOIN value v ON v.resource_key = $1 AND v.attribute = w.attribute
      ORDER BY w.attribute`,
    [
      writing.resourceKey,
      writing.revision,
      writing.job.epoch,
      writing.job.sequence,
      writing.observedAt,
      ...valueColumns(values),
      values.map(({ attribute }) => changeIds.get(attribute) ?? null),
    ],
  );
}

async function upsertValues(tx: Statements, writing: Writing, values: StoredValue[]): Promise<void> {
  await tx.run(
    `INSERT INTO value AS v (resource_key, attribute, value, is_present, severity, reason, first_seen_at,
        last_changed_at)
      SELECT $1, w.attribute, w.value::json, w.is_present, w.severity, w.reason, $2, $2
      FROM unnest($3::text[], $4::text[], $5::bool[], $6::text[], $7::text[])
        AS w (attribute, value, is_present, severity, reason)
      ORDER BY w.attribute
      ON CONFLICT (resource_key, attribute) DO UPDATE SET
        value = excluded.value, is_present = excluded.is_present, severity = excluded.severity,
        reason = excluded.reason,
        last_changed_at = CASE
          WHEN v.value::text = excluded.value::text AND v.is_present = excluded.is_present THEN v.last_changed_at
          ELSE excluded.last_changed_at
        END`,
    [writing.resourceKey, writing.observedAt, ...valueColumns(values)],
  );
}

/** One history row of the built-in attribute `exists`. */
export async function appendExistence(
  tx: Statements,
  writing: Writing,
  was: boolean | null,
  is: boolean,
): Promise<void> {
  await tx.run(
    `INSERT INTO history (resource_key, attribute, revision, job_epoch, job_sequence, old_value, new_value, was_present,
        is_present, observed_at, change_id)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true, $9, $10)`,
    [
      writing.resourceKey,
      existsAttribute,
      writing.revision,
      writing.job.epoch,
      writing.job.sequence,
      toJson(was),
      toJson(is),
      was !== null,
      writing.observedAt,
      changeIdsByAttribute(writing.changes).get(existsAttribute) ?? null,
    ],
  );
}

/** Replaces what the module saved. */
export async function writeSavedState(tx: Statements, resourceKey: number, state: string): Promise<void> {
  await tx.run(
    `INSERT INTO saved_state (resource_key, state) VALUES ($1, $2)
      ON CONFLICT (resource_key) DO UPDATE SET state = excluded.state`,
    [resourceKey, state],
  );
}

/** Things that happened are no values, so no history row is theirs. */
function changeIdsByAttribute(changes: PlannedChange[]): Map<string, string> {
  return new Map(changes.filter(({ kind }) => kind !== "happened").map(({ attribute, id }) => [attribute, id]));
}

function valueColumns(values: StoredValue[]): unknown[][] {
  return [
    values.map(({ attribute }) => attribute),
    values.map(({ value }: { value: Json }) => toJson(value)),
    values.map(({ isPresent }) => isPresent),
    values.map(({ severity }) => severity),
    values.map(({ reason }) => toTextOrNull(reason)),
  ];
}
