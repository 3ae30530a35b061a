import { z } from "zod";
import { existsAttribute } from "#contracts/messages.ts";
import type { Change } from "#contracts/messages.ts";
import { toJson, toText } from "./columns.ts";
import { only } from "./database.ts";
import type { Database, Statements } from "./database.ts";
import { lockLook } from "./look-row.ts";
import type { LookRow } from "./look-row.ts";
import { everyMsOf, readSettings } from "./settings.ts";

/** Any number: one import at a time, whichever store does it. */
const importLock = 7_269_014;

/**
 * Takes over a published change that this database does not know, under its own id and position; false if it knew it.
 * The event does not tell its job: it stands beside the last one known here, and before every job still to come, in the
 * order of feed positions.
 */
export async function importChange(database: Database, change: Change, isReplay: boolean): Promise<boolean> {
  return await database.transaction(async (tx) => {
    await tx.run("SELECT pg_advisory_xact_lock($1)", [importLock]);
    if (await isKnown(tx, change.id)) return false;
    await makeResource(tx, change);
    const look = only(await lockLook(tx, change.resourceId));
    const isStanding = change.kind !== "happened" && !change.isLate && !(await isOvertaken(tx, look, change));
    const revision = look.revision + (isStanding ? 1 : 0);
    if (change.kind !== "happened") await appendHistory(tx, look, change, revision);
    if (isStanding && change.attribute !== existsAttribute) await writeValue(tx, look, change);
    await advance(tx, look, change, { revision, isStanding });
    await insertImported(tx, look, change, isReplay);
    return true;
  });
}

async function isKnown(tx: Statements, id: string): Promise<boolean> {
  return (await tx.row(z.object({}), "SELECT FROM change WHERE id = $1", [id])) !== null;
}

/** Nothing leads to it here yet: it is watched again once the configuration or a discovery does. */
async function makeResource(tx: Statements, change: Change): Promise<void> {
  const everyMs = everyMsOf(await readSettings(tx), change.module);
  await tx.run(
    `WITH made AS (
      INSERT INTO resource (id, module, resource, host, lane, owner, source, state, state_before, confirmed_at, every_ms)
      VALUES ($1, $2, $3, $4, $4, $5, 'history', 'retired', 'confirmed', $6, $7)
      ON CONFLICT (id) DO NOTHING
      RETURNING resource_key
    )
    INSERT INTO look (resource_key) SELECT resource_key FROM made`,
    [change.resourceId, change.module, change.resource, change.host, change.owner, change.recordedAt, everyMs],
  );
}

/** Events need not stand in feed order on the stream: a later change of the attribute may be here already. */
async function isOvertaken(tx: Statements, look: LookRow, change: Change): Promise<boolean> {
  const later = await tx.row(
    z.object({}),
    `SELECT FROM change WHERE resource_key = $1 AND attribute = $2 AND position > $3 AND NOT is_late
        AND kind <> 'happened' LIMIT 1`,
    [look.resourceKey, change.attribute, change.position],
  );
  return later !== null;
}

/** A value that disappeared keeps standing as it was, and is not present. */
function standingOf({ kind, oldValue, newValue, attribute }: Change) {
  if (attribute === existsAttribute) return { value: newValue, wasPresent: oldValue !== null, isPresent: true };
  const isPresent = kind !== "disappeared";
  return { value: isPresent ? newValue : oldValue, wasPresent: kind !== "appeared", isPresent };
}

async function appendHistory(tx: Statements, look: LookRow, change: Change, revision: number): Promise<void> {
  const { value, wasPresent, isPresent } = standingOf(change);
  await tx.run(
    `INSERT INTO history (resource_key, attribute, revision, job_epoch, job_sequence, ordinal, old_value, new_value,
        was_present, is_present, is_late, observed_at, change_id)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      look.resourceKey,
      change.attribute,
      revision,
      look.fence.epoch,
      look.fence.sequence,
      change.position,
      toJson(change.oldValue),
      toJson(value),
      wasPresent,
      isPresent,
      change.isLate,
      change.observedAt,
      change.id,
    ],
  );
}

async function writeValue(tx: Statements, look: LookRow, change: Change): Promise<void> {
  const { value, isPresent } = standingOf(change);
  await tx.run(
    `INSERT INTO value (resource_key, attribute, value, is_present, first_seen_at, last_changed_at)
      VALUES ($1, $2, $3, $4, $5, $5)
      ON CONFLICT (resource_key, attribute) DO UPDATE SET
        value = excluded.value, is_present = excluded.is_present, last_changed_at = excluded.last_changed_at`,
    [look.resourceKey, change.attribute, toJson(value), isPresent, change.observedAt],
  );
}

async function advance(
  tx: Statements,
  look: LookRow,
  change: Change,
  to: { revision: number; isStanding: boolean },
): Promise<void> {
  const isThere = change.attribute === existsAttribute && to.isStanding ? change.newValue === true : look.isThere;
  await tx.run(
    `UPDATE look SET revision = $2, is_there = $3, fingerprint = NULL, is_imported = true WHERE resource_key = $1`,
    [look.resourceKey, to.revision, isThere],
  );
}

/** The feed's row is locked last, as by every other transaction. A position that is taken is replaced by the next. */
async function insertImported(tx: Statements, look: LookRow, change: Change, isReplay: boolean): Promise<void> {
  await tx.run(
    `WITH taken AS (
      SELECT EXISTS (SELECT FROM change WHERE position = $2) AS is_taken
    ), advanced AS (
      UPDATE feed SET position = CASE WHEN is_taken THEN position + 1 ELSE greatest(position, $2) END
      FROM taken RETURNING CASE WHEN is_taken THEN position ELSE $2 END AS place
    )
    INSERT INTO change (id, position, resource_key, host, owner, attribute, kind, old_value, new_value, severity, reason,
      is_late, observed_at, recorded_at, job_epoch, job_sequence, ordinal, fetcher, published_at, is_replay)
    SELECT $1, place, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $2, '', now(), $17 FROM advanced`,
    [
      change.id,
      change.position,
      look.resourceKey,
      change.host,
      change.owner,
      change.attribute,
      change.kind,
      toJson(change.oldValue),
      toJson(change.newValue),
      change.severity,
      toText(change.reason),
      change.isLate,
      change.observedAt,
      change.recordedAt,
      look.fence.epoch,
      look.fence.sequence,
      isReplay,
    ],
  );
}
