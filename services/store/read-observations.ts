import { z } from "zod";
import { severities, severitiesAtLeast, Severity } from "#contracts/severity.ts";
import type { StoreReply, StoreRequest, ValueRow } from "#contracts/store.ts";
import { count, instant, json, key } from "./columns.ts";
import { readCursor, toPage } from "./cursor.ts";
import type { Database, Statements } from "./database.ts";

/** `v` is the value, `r` its resource. */
const valueColumns = `v.value_key AS "valueKey", r.id AS "resourceId", r.module, r.resource, v.attribute, v.value,
  v.is_present AS "isPresent", v.severity, v.reason, v.first_seen_at AS "firstSeenAt",
  v.last_changed_at AS "lastChangedAt"`;

const KeyedValue = z.object({
  valueKey: key,
  resourceId: z.string(),
  module: z.string(),
  resource: z.string(),
  attribute: z.string(),
  value: json,
  isPresent: z.boolean(),
  severity: Severity.nullable(),
  reason: z.string().nullable(),
  firstSeenAt: instant,
  lastChangedAt: instant,
});
type KeyedValue = z.infer<typeof KeyedValue>;

/** All values of one resource, those that disappeared too. */
export async function readValuesOf(tx: Statements, resourceKey: number): Promise<ValueRow[]> {
  const rows = await tx.rows(
    KeyedValue,
    `SELECT ${valueColumns} FROM value v JOIN resource r USING (resource_key)
      WHERE v.resource_key = $1 ORDER BY v.attribute`,
    [resourceKey],
  );
  return rows.map(toValueRow);
}

/** The values of what is watched, those that disappeared too; by resource and attribute. */
export async function readObservations(
  database: Database,
  request: StoreRequest<"read.observations">,
): Promise<StoreReply<"read.observations">> {
  const after = readCursor(request.cursor, z.object({ key: z.number().int() }));
  const rows = await database.rows(
    KeyedValue,
    `SELECT ${valueColumns} FROM value v JOIN resource r USING (resource_key)
      WHERE ($1::text IS NULL OR r.id = $1) AND ($2::text IS NULL OR r.module = $2)
        AND ($3::text IS NULL OR v.attribute = $3) AND ($1::text IS NOT NULL OR r.state = 'confirmed')
        AND ($4::bigint IS NULL OR (v.resource_key, v.attribute)
          > (SELECT p.resource_key, p.attribute FROM value p WHERE p.value_key = $4))
      ORDER BY v.resource_key, v.attribute LIMIT $5`,
    [
      request.resourceId ?? null,
      request.module ?? null,
      request.attribute ?? null,
      after?.key ?? null,
      request.limit + 1,
    ],
  );
  return toPage(rows, request.limit, toValueRow, ({ valueKey }) => ({ key: valueKey }));
}

/** Standing findings of what is watched and exists: worst first, then what changed last. */
export async function readFindings(
  database: Database,
  request: StoreRequest<"read.findings">,
): Promise<StoreReply<"read.findings">> {
  const after = readCursor(request.cursor, z.object({ rank: count, changedUs: count, key: z.number().int() }));
  const rows = await database.rows(
    KeyedValue.extend({ rank: count, changedUs: count }),
    `SELECT * FROM (
      SELECT ${valueColumns}, array_position($1::text[], v.severity) AS rank,
        (extract(epoch FROM v.last_changed_at) * 1000000)::bigint AS "changedUs"
      FROM value v JOIN resource r USING (resource_key) JOIN look l USING (resource_key)
      WHERE v.is_present AND v.severity IS NOT NULL AND v.severity <> 'none' AND r.state = 'confirmed'
        AND l.is_there IS NOT FALSE AND v.severity = ANY ($2) AND ($3::text IS NULL OR r.module = $3)
    ) finding
    WHERE $4::bigint IS NULL OR (rank, -"changedUs", "valueKey") > ($4, -$5::bigint, $6::bigint)
    ORDER BY rank, "changedUs" DESC, "valueKey" LIMIT $7`,
    [
      severities,
      severitiesAtLeast(request.least ?? "unknown"),
      request.module ?? null,
      after?.rank ?? null,
      after?.changedUs ?? null,
      after?.key ?? null,
      request.limit + 1,
    ],
  );
  return toPage(
    rows,
    request.limit,
    ({ rank: _rank, changedUs: _us, ...row }) => toValueRow(row),
    ({ rank, changedUs, valueKey }) => ({ rank, changedUs, key: valueKey }),
  );
}

function toValueRow({ valueKey: _key, ...row }: KeyedValue): ValueRow {
  return row;
}
