import { z } from "zod";
import { severitiesAtLeast } from "#contracts/severity.ts";
import { ChangeDetail } from "#contracts/store.ts";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { ChangeRow, changeColumns } from "./changes.ts";
import { count, instant, json, key } from "./columns.ts";
import { readCursor, toPage } from "./cursor.ts";
import type { Database } from "./database.ts";

const Before = z.object({ before: z.number().int() });

/** Changes, newest first. */
export async function readChanges(
  database: Database,
  request: StoreRequest<"read.changes">,
): Promise<StoreReply<"read.changes">> {
  const place = readCursor(request.cursor, Before);
  const rows = await database.rows(
    ChangeRow,
    `SELECT ${changeColumns} FROM change c JOIN resource r USING (resource_key)
      WHERE ($1::bigint IS NULL OR c.position < $1) AND ($2::text[] IS NULL OR coalesce(c.severity, 'unknown') = ANY ($2))
        AND ($3::text IS NULL OR r.module = $3) AND ($4::text IS NULL OR r.id = $4) AND ($5::text IS NULL OR c.kind = $5)
      ORDER BY c.position DESC LIMIT $6`,
    [
      place?.before ?? null,
      request.least === undefined ? null : severitiesAtLeast(request.least),
      request.module ?? null,
      request.resourceId ?? null,
      request.kind ?? null,
      request.limit + 1,
    ],
  );
  return toPage(
    rows,
    request.limit,
    (change) => change,
    ({ position }) => ({ before: position }),
  );
}

/** One change with its evidence and what became of it. */
export async function readChange(
  database: Database,
  { id }: StoreRequest<"read.change">,
): Promise<StoreReply<"read.change">> {
  const row = await database.row(
    ChangeRow.extend({
      mediaType: z.string().nullable(),
      text: z.string().nullable(),
      triage: ChangeDetail.shape.triage,
      publishedAt: instant.nullable(),
      epoch: count,
      sequence: count,
      fetcher: z.string(),
    }),
    `SELECT ${changeColumns}, v.media_type AS "mediaType", v.text, c.triage, c.published_at AS "publishedAt",
        c.job_epoch AS epoch, c.job_sequence AS sequence, c.fetcher
      FROM change c JOIN resource r USING (resource_key) LEFT JOIN evidence v ON v.sha256 = c.evidence_sha256
      WHERE c.id = $1`,
    [id],
  );
  if (row === null) return null;
  const { mediaType, text, triage, publishedAt, epoch, sequence, fetcher, ...change } = row;
  return {
    change,
    evidence: mediaType === null || text === null ? [] : [{ mediaType, text }],
    triage,
    publishedAt,
    look: { job: { epoch, sequence }, fetcher },
  };
}

/**
 * The feed after a position, oldest first. The counter is read first: all up to it is visible, since positions
 * become visible in their order.
 */
export async function readFeed(
  database: Database,
  { after, limit }: StoreRequest<"read.feed">,
): Promise<StoreReply<"read.feed">> {
  const position = await readFeedPosition(database);
  const changes = await database.rows(
    ChangeRow,
    `SELECT ${changeColumns} FROM change c JOIN resource r USING (resource_key)
      WHERE c.position > $1 AND c.position <= $2 ORDER BY c.position LIMIT $3`,
    [after, position, limit],
  );
  return { changes, position };
}

/** The position of the newest change. */
export async function readFeedPosition(database: Database): Promise<number> {
  const row = await database.row(z.object({ position: count }), "SELECT position FROM feed");
  return row?.position ?? 0;
}

/** What one resource's values were, newest first. */
export async function readHistory(
  database: Database,
  request: StoreRequest<"read.history">,
): Promise<StoreReply<"read.history">> {
  const place = readCursor(request.cursor, Before);
  const rows = await database.rows(
    z.object({
      historyKey: key,
      resourceId: z.string(),
      attribute: z.string(),
      revision: count,
      oldValue: json,
      newValue: json,
      wasPresent: z.boolean(),
      isPresent: z.boolean(),
      isLate: z.boolean(),
      observedAt: instant,
      changeId: z.string().nullable(),
    }),
    `SELECT h.history_key AS "historyKey", r.id AS "resourceId", h.attribute, h.revision, h.old_value AS "oldValue",
        h.new_value AS "newValue", h.was_present AS "wasPresent", h.is_present AS "isPresent", h.is_late AS "isLate",
        h.observed_at AS "observedAt", h.change_id AS "changeId"
      FROM history h JOIN resource r USING (resource_key)
      WHERE r.id = $1 AND ($2::text IS NULL OR h.attribute = $2) AND ($3::bigint IS NULL OR h.history_key < $3)
      ORDER BY h.history_key DESC LIMIT $4`,
    [request.resourceId, request.attribute ?? null, place?.before ?? null, request.limit + 1],
  );
  return toPage(
    rows,
    request.limit,
    ({ historyKey: _key, ...row }) => row,
    ({ historyKey }) => ({ before: historyKey }),
  );
}
