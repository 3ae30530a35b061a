import { z } from "zod";
import { isSameValue } from "#contracts/canonical.ts";
import type { JobPosition } from "#contracts/messages.ts";
import type { ChangeDraft } from "#contracts/store.ts";
import { json, toJson } from "./columns.ts";
import type { Statements } from "./database.ts";
import type { Writing } from "./values.ts";

const Neighbour = z.object({ attribute: z.string(), value: json, isPresent: z.boolean() });

/**
 * The changes of a late look whose value nobody recorded yet: neither the look before it nor the one after it left the
 * same, late ones included, so that of two late looks at one intermediate value only one is told.
 */
export async function onlyUnknown(
  tx: Statements,
  resourceKey: number,
  job: JobPosition,
  drafts: ChangeDraft[],
): Promise<ChangeDraft[]> {
  const standing = drafts.filter(({ kind }) => kind !== "happened");
  if (standing.length === 0) return drafts;
  const neighbours = await tx.rows(
    Neighbour,
    `SELECT n.attribute, n.value, n.is_present AS "isPresent"
      FROM unnest($4::text[]) AS d (attribute)
      CROSS JOIN LATERAL (
        (SELECT h.attribute, h.new_value AS value, h.is_present FROM history h
          WHERE h.resource_key = $1 AND h.attribute = d.attribute AND (h.job_epoch, h.job_sequence) < ($2, $3)
          ORDER BY h.job_epoch DESC, h.job_sequence DESC, h.ordinal DESC LIMIT 1)
        UNION ALL
        (SELECT h.attribute, h.new_value, h.is_present FROM history h
          WHERE h.resource_key = $1 AND h.attribute = d.attribute AND (h.job_epoch, h.job_sequence) > ($2, $3)
          ORDER BY h.job_epoch, h.job_sequence, h.ordinal LIMIT 1)
      ) n`,
    [resourceKey, job.epoch, job.sequence, standing.map(({ attribute }) => attribute)],
  );
  return drafts.filter((draft) => {
    if (draft.kind === "happened") return true;
    const isPresent = draft.kind !== "disappeared";
    return !neighbours.some(
      (known) =>
        known.attribute === draft.attribute &&
        known.isPresent === isPresent &&
        (!isPresent || isSameValue(known.value, draft.newValue)),
    );
  });
}

/** History of a look that came late: it stands in the history, and nowhere else. */
export async function appendLateHistory(tx: Statements, writing: Writing): Promise<void> {
  const standing = writing.changes.filter(({ kind, ordinal }) => kind !== "happened" && ordinal === 0);
  if (standing.length === 0) return;
  await tx.run(
    `INSERT INTO history (resource_key, attribute, revision, job_epoch, job_sequence, old_value, new_value, was_present,
        is_present, severity, reason, is_late, observed_at, change_id)
      SELECT $1, w.attribute, $2, $3, $4, w.old_value::json, w.new_value::json, w.kind <> 'appeared',
        w.kind <> 'disappeared', NULL, NULL, true, $5, w.change_id
      FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[])
        AS w (attribute, old_value, new_value, kind, change_id)
      ORDER BY w.attribute`,
    [
      writing.resourceKey,
      writing.revision,
      writing.job.epoch,
      writing.job.sequence,
      writing.observedAt,
      standing.map(({ attribute }) => attribute),
      standing.map(({ oldValue }) => toJson(oldValue)),
      standing.map(({ newValue }) => toJson(newValue)),
      standing.map(({ kind }) => kind),
      standing.map(({ id }) => id),
    ],
  );
}
