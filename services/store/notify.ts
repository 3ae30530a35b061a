import { z } from "zod";
import { Delivery, DeliveryState } from "#contracts/store.ts";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import type { Change, Health } from "#contracts/messages.ts";
import { ChangeRow, changeColumns } from "./changes.ts";
import { count, instant, toText } from "./columns.ts";
import { readCursor, toPage } from "./cursor.ts";
import { only } from "./database.ts";
import type { Database } from "./database.ts";
import { healthColumns, HealthRow } from "./failing.ts";

const Claim = z.object({ state: DeliveryState, attempts: count, heldForMs: count });

/** Takes a delivery for one attempt, unless it is final, handed out by its time, or held by another claimant. */
export async function claimDelivery(
  database: Database,
  { eventId, route, channel, claimant, leaseMs }: StoreRequest<"notify.claim">,
): Promise<StoreReply<"notify.claim">> {
  const claimed = await database.row(
    Claim,
    `INSERT INTO delivery AS d (event_id, route, channel, state, attempts, claimant, held_until)
      VALUES ($1, $2, $3, 'sending', 1, $4, now() + $5 * interval '1 millisecond')
      ON CONFLICT (event_id, route, channel) DO UPDATE
        SET state = 'sending', attempts = d.attempts + 1, claimant = excluded.claimant,
          held_until = excluded.held_until, updated_at = now()
        WHERE d.state IN ('sending', 'failed') AND d.due_at IS NULL
          AND (d.claimant = excluded.claimant OR d.held_until <= now())
      RETURNING state, attempts, 0 AS "heldForMs"`,
    [eventId, route, channel, claimant, leaseMs],
  );
  return claimed ?? (await readClaim(database, { eventId, route, channel }));
}

/** Why a delivery could not be taken. */
async function readClaim(
  database: Database,
  { eventId, route, channel }: Pick<Delivery, "eventId" | "route" | "channel">,
): Promise<StoreReply<"notify.claim">> {
  return only(
    await database.row(
      Claim,
      `SELECT CASE WHEN d.state IN ('delivered', 'given_up') THEN d.state WHEN d.due_at IS NULL THEN 'sending'
            ELSE 'failed' END AS state,
          d.attempts,
          CASE WHEN d.state IN ('delivered', 'given_up') OR d.due_at IS NOT NULL THEN 0
            ELSE greatest(1, ceil(extract(epoch FROM d.held_until - now()) * 1000))::bigint END AS "heldForMs"
        FROM delivery d WHERE d.event_id = $1 AND d.route = $2 AND d.channel = $3`,
      [eventId, route, channel],
    ),
  );
}

/** What came of an attempt. What is final stays as it is. */
export async function recordDelivery(
  database: Database,
  { eventId, route, channel, state, detail, retryAfterMs }: StoreRequest<"notify.record">,
): Promise<StoreReply<"notify.record">> {
  await database.run(
    `INSERT INTO delivery AS d (event_id, route, channel, state, attempts, detail, held_until, due_at)
      VALUES ($1, $2, $3, $4, 1, $5, now(), now() + $6 * interval '1 millisecond')
      ON CONFLICT (event_id, route, channel) DO UPDATE
        SET state = excluded.state, detail = excluded.detail, held_until = excluded.held_until,
          due_at = excluded.due_at, updated_at = now()
        WHERE d.state NOT IN ('delivered', 'given_up')`,
    [eventId, route, channel, state, toText(detail), state === "failed" ? retryAfterMs : null],
  );
  return {};
}

/** Hands out the failed deliveries of a route whose time has come, each to one caller until the lease is over. */
export async function takeDueDeliveries(
  database: Database,
  { route, channel, leaseMs, limit }: StoreRequest<"notify.due">,
): Promise<StoreReply<"notify.due">> {
  const taken = await database.rows(
    z.object({ eventId: z.string(), attempts: count }),
    `WITH ready AS (
      SELECT event_id FROM delivery WHERE route = $1 AND channel = $2 AND due_at <= now()
      ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery d SET state = 'sending', attempts = d.attempts + 1, updated_at = now(),
        due_at = now() + $3 * interval '1 millisecond'
      FROM ready WHERE d.event_id = ready.event_id AND d.route = $1 AND d.channel = $2
      RETURNING d.event_id AS "eventId", d.attempts`,
    [route, channel, leaseMs, limit],
  );
  const events = await readEvents(
    database,
    taken.map(({ eventId }) => eventId),
  );
  const oldest = await database.row(
    z.object({ oldestAt: instant.nullable() }),
    `SELECT min(created_at) AS "oldestAt" FROM delivery
      WHERE route = $1 AND channel = $2 AND state IN ('sending', 'failed')`,
    [route, channel],
  );
  return {
    deliveries: taken.map((row) => ({ ...row, change: null, health: null, ...events.get(row.eventId) })),
    oldestAt: oldest?.oldestAt ?? null,
  };
}

type Event = { change: Change } | { health: Health };

/** The events with these ids, changes and health alike. */
async function readEvents(database: Database, ids: string[]): Promise<Map<string, Event>> {
  if (ids.length === 0) return new Map();
  const changes = await database.rows(
    ChangeRow,
    `SELECT ${changeColumns} FROM change c JOIN resource r USING (resource_key) WHERE c.id = ANY ($1)`,
    [ids],
  );
  const health = await database.rows(
    HealthRow,
    `SELECT ${healthColumns} FROM health h JOIN resource r USING (resource_key) WHERE h.id = ANY ($1)`,
    [ids],
  );
  return new Map<string, Event>([
    ...changes.map((change) => [change.id, { change }] as const),
    ...health.map((event) => [event.id, { health: event }] as const),
  ]);
}

/** The delivery log, newest first. */
export async function readDeliveries(
  database: Database,
  { limit, cursor }: StoreRequest<"read.deliveries">,
): Promise<StoreReply<"read.deliveries">> {
  const place = readCursor(cursor, z.object({ us: count, id: z.uuid(), route: z.string() }));
  const rows = await database.rows(
    Delivery.extend({ updatedAt: instant, us: count }),
    `SELECT event_id AS "eventId", route, channel, state, attempts, detail, updated_at AS "updatedAt",
        (extract(epoch FROM updated_at) * 1000000)::bigint AS us
      FROM delivery
      WHERE $1::bigint IS NULL
        OR (updated_at, event_id, route) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2, $3)
      ORDER BY updated_at DESC, event_id DESC, route DESC LIMIT $4`,
    [place?.us ?? null, place?.id ?? null, place?.route ?? null, limit + 1],
  );
  return toPage(
    rows,
    limit,
    ({ us: _us, ...delivery }) => delivery,
    ({ us, eventId, route }) => ({ us, id: eventId, route }),
  );
}
