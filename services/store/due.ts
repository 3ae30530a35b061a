import { z } from "zod";
import type { DueJob, StoreReply, StoreRequest } from "#contracts/store.ts";
import { messageIds } from "#contracts/subjects.ts";
import { count, key } from "./columns.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import type { Database, Statements } from "./database.ts";
import { phasesBetween, slotAt } from "./slots.ts";

type Request = StoreRequest<"read.due">;
type Reply = StoreReply<"read.due">;

/** The kinds of due work, in the order in which they are paged. */
const sections = ["early", "first", "discovery", "scheduled"] as const;

const Place = z.object({
  section: z.enum(sections),
  /** Of the last row: when it was due in µs since 1970 (or its phase), and its key. The rest is the schedule's. */
  at: z.number(),
  key: z.number().int(),
  every: z.number().optional(),
  range: z.number().int().optional(),
});
type Place = z.infer<typeof Place>;

interface Found {
  job: DueJob;
  place: Place;
}

/** The jobs whose time comes in (from, to], with retries and discoveries that wait since. Nothing is written. */
export async function readDue(database: Database, request: Request): Promise<Reply> {
  const place = readCursor(request.cursor, Place);
  const found: Found[] = [];
  for (const section of sections.slice(place ? sections.indexOf(place.section) : 0)) {
    const after = place?.section === section ? place : null;
    const limit = request.limit - found.length;
    found.push(...(await readers[section](database, request, after, limit)));
    if (found.length >= request.limit) break;
  }
  const last = found.at(-1);
  return {
    jobs: found.map(({ job }) => job),
    cursor: found.length >= request.limit && last ? writeCursor(last.place) : null,
  };
}

type Reader = (tx: Statements, request: Request, after: Place | null, limit: number) => Promise<Found[]>;

const readers: Record<(typeof sections)[number], Reader> = {
  early: readEarly,
  first: readFirst,
  discovery: readDiscoveries,
  scheduled: readScheduled,
};

/** Columns of every job; `r` is the resource, `l` its look. */
const jobColumns = `r.resource_key AS "resourceKey", r.id, r.module, r.resource, r.lane, r.source,
  r.every_ms AS "everyMs", r.phase_ms AS "phaseMs", l.revision`;

const JobRow = z.object({
  resourceKey: key,
  id: z.string(),
  module: z.string(),
  resource: z.string(),
  lane: z.string(),
  source: z.string(),
  everyMs: count,
  phaseMs: count,
  revision: count,
});
type JobRow = z.infer<typeof JobRow>;

/** The job of a resource's slot that holds at `nowMs`. */
export function scheduledJob(row: JobRow, nowMs: number): DueJob {
  const messageId = messageIds.scheduled(row.id, slotAt(nowMs, row.everyMs, row.phaseMs));
  return toJob(row, { operation: "observation", cause: "schedule", jobClass: "due", messageId });
}

function toJob(row: JobRow, kind: Pick<DueJob, "operation" | "cause" | "jobClass" | "messageId">): DueJob {
  const { id, module, resource, lane, source, revision } = row;
  return { id, module, resource, lane, source, revision, ...kind };
}

async function readEarly(tx: Statements, request: Request, after: Place | null, limit: number): Promise<Found[]> {
  const rows = await tx.rows(
    JobRow.extend({ cause: z.enum(["retry", "after_change"]), dueUs: count, failures: count }),
    `SELECT ${jobColumns}, e.cause, (extract(epoch FROM e.due_at) * 1000000)::bigint AS "dueUs",
        coalesce(f.failures, 0) AS failures
      FROM early_look e
      JOIN resource r USING (resource_key)
      JOIN look l USING (resource_key)
      LEFT JOIN failure f USING (resource_key)
      WHERE r.state = 'confirmed' AND e.due_at <= to_timestamp($1::float8 / 1000)
        AND (e.due_at, e.resource_key) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3)
      ORDER BY e.due_at, e.resource_key LIMIT $4`,
    [request.to, after?.at ?? 0, after?.key ?? 0, limit],
  );
  return rows.map((row) => ({ job: earlyJob(row), place: { section: "early", at: row.dueUs, key: row.resourceKey } }));
}

function earlyJob(row: JobRow & { cause: "retry" | "after_change"; dueUs: number; failures: number }): DueJob {
  const { id, cause } = row;
  return cause === "retry"
    ? toJob(row, {
        operation: "observation",
        cause,
        jobClass: "due",
        messageId: messageIds.retry(id, Math.floor(row.dueUs / 1000), row.failures),
      })
    : toJob(row, {
        operation: "observation",
        cause,
        jobClass: "now",
        messageId: messageIds.afterChange(id, row.revision, Math.floor(row.dueUs / 1000)),
      });
}

/**
 * What became watched is looked at without waiting for its next slot: the slot that holds now is done at once. In that
 * slot it may have been looked at before, when it was watched earlier.
 */
async function readFirst(tx: Statements, request: Request, after: Place | null, limit: number): Promise<Found[]> {
  const rows = await tx.rows(
    JobRow.extend({ dueUs: count, isAgain: z.boolean() }),
    `SELECT ${jobColumns}, l.looked_at IS NOT NULL AS "isAgain", (extract(epoch FROM r.first_look_at) * 1000000)::bigint AS "dueUs"
      FROM resource r JOIN look l USING (resource_key)
      WHERE r.state = 'confirmed' AND r.first_look_at <= to_timestamp($1::float8 / 1000)
        AND r.first_look_at > to_timestamp($2::float8 / 1000)
        AND (r.first_look_at, r.resource_key) > (timestamptz 'epoch' + $3::bigint * interval '1 microsecond', $4)
      ORDER BY r.first_look_at, r.resource_key LIMIT $5`,
    [request.to, request.from, after?.at ?? 0, after?.key ?? 0, limit],
  );
  return rows.map((row) => ({
    job: firstJob(row, request.to),
    place: { section: "first", at: row.dueUs, key: row.resourceKey },
  }));
}

function firstJob(row: JobRow & { dueUs: number; isAgain: boolean }, nowMs: number): DueJob {
  const job = scheduledJob(row, nowMs);
  return row.isAgain ? { ...job, messageId: messageIds.again(row.id, Math.floor(row.dueUs / 1000)) } : job;
}

async function readDiscoveries(tx: Statements, request: Request, after: Place | null, limit: number): Promise<Found[]> {
  const rows = await tx.rows(
    JobRow.extend({ dueUs: count }),
    `SELECT ${jobColumns}, (extract(epoch FROM r.discover_at) * 1000000)::bigint AS "dueUs"
      FROM resource r JOIN look l USING (resource_key)
      WHERE r.discover_at <= to_timestamp($1::float8 / 1000)
        AND (r.discover_at, r.resource_key) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3)
      ORDER BY r.discover_at, r.resource_key LIMIT $4`,
    [request.to, after?.at ?? 0, after?.key ?? 0, limit],
  );
  return rows.map((row) => ({
    job: toJob(row, {
      operation: "discovery",
      cause: "discovery",
      jobClass: "due",
      // The same for two collectors that ask at once; another one after each attempt that was queued.
      messageId: messageIds.discovery(row.id, String(row.dueUs)),
    }),
    place: { section: "discovery", at: row.dueUs, key: row.resourceKey },
  }));
}

async function readScheduled(tx: Statements, request: Request, after: Place | null, limit: number): Promise<Found[]> {
  const found: Found[] = [];
  for (const everyMs of await readPeriods(tx, after?.every ?? 0)) {
    const isResumed = after?.every === everyMs;
    for (const [range, { after: lowest, upTo }] of phasesBetween(everyMs, request.from, request.to).entries()) {
      if (isResumed && range < (after.range ?? 0)) continue;
      const from = isResumed && range === after.range ? after : { at: lowest, key: Number.MAX_SAFE_INTEGER };
      const rows = await readPhases(tx, everyMs, from, upTo, limit - found.length);
      for (const row of rows) {
        const place: Place = { section: "scheduled", at: row.phaseMs, key: row.resourceKey, every: everyMs, range };
        found.push({ job: scheduledJob(row, request.to), place });
      }
      if (found.length >= limit) return found;
    }
  }
  return found;
}

/** The different periods there are, from `from` on, by leaps over the index. */
async function readPeriods(tx: Statements, from: number): Promise<number[]> {
  const rows = await tx.rows(
    z.object({ everyMs: count }),
    `WITH RECURSIVE period (every_ms) AS (
      SELECT min(every_ms) FROM resource WHERE state = 'confirmed' AND every_ms >= $1
      UNION ALL
      SELECT (SELECT min(r.every_ms) FROM resource r WHERE r.state = 'confirmed' AND r.every_ms > p.every_ms)
      FROM period p WHERE p.every_ms IS NOT NULL
    )
    SELECT every_ms AS "everyMs" FROM period WHERE every_ms IS NOT NULL ORDER BY every_ms`,
    [from],
  );
  return rows.map(({ everyMs }) => everyMs);
}

async function readPhases(
  tx: Statements,
  everyMs: number,
  from: { at: number; key: number },
  upTo: number,
  limit: number,
): Promise<JobRow[]> {
  return await tx.rows(
    JobRow,
    `SELECT ${jobColumns}
      FROM resource r JOIN look l USING (resource_key)
      WHERE r.state = 'confirmed' AND r.every_ms = $1 AND r.phase_ms <= $2
        AND (r.phase_ms, r.resource_key) > ($3, $4)
      ORDER BY r.phase_ms, r.resource_key LIMIT $5`,
    [everyMs, upTo, from.at, from.key, limit],
  );
}

/** The current slots that no look has reached since they began, by resource. */
export async function readOverdue(
  database: Database,
  { now, limit, cursor }: StoreRequest<"read.overdue">,
): Promise<StoreReply<"read.overdue">> {
  const after = readCursor(cursor, z.object({ key: z.number().int() }));
  const rows = await database.rows(
    JobRow,
    `SELECT ${jobColumns}
      FROM resource r JOIN look l USING (resource_key)
      WHERE r.state = 'confirmed' AND r.resource_key > $2
        AND (l.looked_at IS NULL OR extract(epoch FROM l.looked_at) * 1000
          < floor(($1 - r.phase_ms)::numeric / r.every_ms) * r.every_ms + r.phase_ms)
      ORDER BY r.resource_key LIMIT $3`,
    [now, after?.key ?? 0, limit],
  );
  const last = rows.at(-1);
  return {
    jobs: rows.map((row) => scheduledJob(row, now)),
    cursor: rows.length >= limit && last ? writeCursor({ key: last.resourceKey }) : null,
  };
}
