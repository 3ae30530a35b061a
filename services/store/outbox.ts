import { z } from "zod";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { ChangeRow, changeColumns } from "./changes.ts";
import type { Database } from "./database.ts";
import { healthColumns, HealthRow } from "./failing.ts";

/** What was committed a while ago and is not on its stream: for the sweeper, oldest first. */
export async function readUnpublished(
  database: Database,
  { olderThanMs, limit }: StoreRequest<"read.unpublished">,
): Promise<StoreReply<"read.unpublished">> {
  const changes = await database.rows(
    ChangeRow.extend({ isReplay: z.boolean() }),
    `SELECT ${changeColumns}, c.is_replay AS "isReplay" FROM change c JOIN resource r USING (resource_key)
      WHERE c.published_at IS NULL AND c.recorded_at <= now() - $1 * interval '1 millisecond'
      ORDER BY c.position LIMIT $2`,
    [olderThanMs, limit],
  );
  const health = await database.rows(
    HealthRow,
    `SELECT ${healthColumns} FROM health h JOIN resource r USING (resource_key)
      WHERE h.published_at IS NULL AND h.recorded_at <= now() - $1 * interval '1 millisecond'
      ORDER BY h.recorded_at, h.id LIMIT $2`,
    [olderThanMs, limit],
  );
  return { changes: changes.map(({ isReplay, ...change }) => ({ change, isReplay })), health };
}

/** These events are on their streams. */
export async function recordPublished(
  database: Database,
  { changes, health }: StoreRequest<"write.published">,
): Promise<StoreReply<"write.published">> {
  if (changes.length > 0) {
    await database.run("UPDATE change SET published_at = now() WHERE id = ANY ($1) AND published_at IS NULL", [
      changes,
    ]);
  }
  if (health.length > 0) {
    await database.run("UPDATE health SET published_at = now() WHERE id = ANY ($1) AND published_at IS NULL", [health]);
  }
  return {};
}
