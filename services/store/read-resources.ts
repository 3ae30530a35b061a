import { z } from "zod";
import { LookFailure } from "#contracts/messages.ts";
import { Severity, severities } from "#contracts/severity.ts";
import { ResourceState } from "#contracts/store.ts";
import type { Provenance, ResourceDetail, ResourceSummary, StoreReply, StoreRequest } from "#contracts/store.ts";
import { count, instant, key } from "./columns.ts";
import { readCursor, toPage } from "./cursor.ts";
import type { Database, Statements } from "./database.ts";
import { containing } from "./like.ts";
import { readValuesOf } from "./read-observations.ts";
import { slotAt } from "./slots.ts";

const SummaryRow = z.object({
  resourceKey: key,
  phaseMs: count,
  earlyAt: instant.nullable(),
  refusal: z.string().nullable(),
  id: z.string(),
  module: z.string(),
  resource: z.string(),
  host: z.string(),
  lane: z.string(),
  owner: z.string(),
  state: ResourceState,
  source: z.string(),
  everyMs: count,
  revision: count,
  exists: z.boolean().nullable(),
  createdAt: instant,
  lastLookAt: instant.nullable(),
  lastSeenAt: instant.nullable(),
  failures: count,
  failingSince: instant.nullable(),
  error: LookFailure.nullable(),
  findings: count,
  worstSeverity: Severity.nullable(),
});
type SummaryRow = z.infer<typeof SummaryRow>;

/** $1 are the severities, worst first. What is gone or no longer watched has no standing findings. */
const selectSummaries = `SELECT r.resource_key AS "resourceKey", r.phase_ms AS "phaseMs", e.due_at AS "earlyAt",
    r.refusal, r.id, r.module, r.resource, r.host, r.lane, r.owner, r.state, r.source, r.every_ms AS "everyMs",
    l.revision, l.is_there AS exists, r.created_at AS "createdAt", l.looked_at AS "lastLookAt",
    l.seen_at AS "lastSeenAt", coalesce(f.failures, 0) AS failures, f.failing_since AS "failingSince", f.error,
    found.findings, ($1::text[])[found.worst] AS "worstSeverity"
  FROM resource r
  JOIN look l USING (resource_key)
  LEFT JOIN failure f USING (resource_key)
  LEFT JOIN early_look e USING (resource_key)
  CROSS JOIN LATERAL (
    SELECT count(*) AS findings, min(array_position($1::text[], v.severity)) AS worst FROM value v
    WHERE v.resource_key = r.resource_key AND v.is_present AND v.severity IS NOT NULL AND v.severity <> 'none'
      AND r.state = 'confirmed' AND l.is_there IS NOT FALSE
  ) found`;

const Place = z.object({ key: z.number().int() });

/** What is watched, and what is not and why; by name. */
export async function readResources(
  database: Database,
  request: StoreRequest<"read.resources">,
): Promise<StoreReply<"read.resources">> {
  const after = readCursor(request.cursor, Place);
  const rows = await database.rows(
    SummaryRow,
    `${selectSummaries}
      WHERE ($2::text IS NULL OR r.module = $2) AND ($3::text IS NULL OR r.state = $3)
        AND ($4::text IS NULL OR r.host = $4) AND ($5::bool IS NULL OR (f.resource_key IS NOT NULL) = $5)
        AND ($6::text IS NULL OR r.resource ILIKE $6)
        AND ($7::bigint IS NULL OR (left(r.resource, 256), r.resource_key)
          > ((SELECT left(p.resource, 256) FROM resource p WHERE p.resource_key = $7), $7))
      ORDER BY left(r.resource, 256), r.resource_key LIMIT $8`,
    [
      severities,
      request.module ?? null,
      request.state ?? null,
      request.host ?? null,
      request.isFailing ?? null,
      request.text === undefined ? null : containing(request.text),
      after?.key ?? null,
      request.limit + 1,
    ],
  );
  return toPage(rows, request.limit, toSummary, ({ resourceKey }) => ({ key: resourceKey }));
}

/** All there is to know of one resource. */
export async function readResource(
  database: Database,
  { id }: StoreRequest<"read.resource">,
): Promise<ResourceDetail | null> {
  return await database.snapshot(async (tx) => {
    const row = await tx.row(SummaryRow, `${selectSummaries} WHERE r.id = $2`, [severities, id]);
    if (row === null) return null;
    return {
      ...toSummary(row),
      values: await readValuesOf(tx, row.resourceKey),
      provenance: await readProvenance(tx, row.resourceKey),
      nextLookAt: nextLookAt(row, Date.now()),
      refusal: row.refusal,
    };
  });
}

/** The lanes of what is watched or waits for its discovery. */
export async function readLanes(
  database: Database,
  { limit, cursor }: StoreRequest<"read.lanes">,
): Promise<StoreReply<"read.lanes">> {
  const after = readCursor(cursor, Place);
  const rows = await database.rows(
    z.object({ lane: z.string(), resources: count, key }),
    // A lane's name may be too long for a cursor, so that one of its resources stands for it.
    `SELECT lane, count(*) AS resources, max(resource_key) AS key FROM resource
      WHERE (state = 'confirmed' OR discover_at IS NOT NULL)
        AND ($1::bigint IS NULL OR lane > (SELECT p.lane FROM resource p WHERE p.resource_key = $1))
      GROUP BY lane ORDER BY lane LIMIT $2`,
    [after?.key ?? null, limit + 1],
  );
  return toPage(
    rows,
    limit,
    ({ lane, resources }) => ({ lane, resources }),
    (row) => ({ key: row.key }),
  );
}

function toSummary(row: SummaryRow): ResourceSummary {
  const { resourceKey: _key, phaseMs: _phase, earlyAt: _early, refusal: _refusal, ...summary } = row;
  return summary;
}

function nextLookAt(row: SummaryRow, nowMs: number): string | null {
  if (row.state !== "confirmed") return null;
  const slotMs = (slotAt(nowMs, row.everyMs, row.phaseMs) + 1) * row.everyMs + row.phaseMs;
  const earlyMs = row.earlyAt === null ? slotMs : Math.max(nowMs, Date.parse(row.earlyAt));
  return new Date(Math.min(slotMs, earlyMs)).toISOString();
}

async function readProvenance(tx: Statements, resourceKey: number): Promise<Provenance[]> {
  const rows = await tx.rows(
    z.object({
      source: z.string(),
      id: z.string().nullable(),
      module: z.string().nullable(),
      resource: z.string().nullable(),
      since: instant,
    }),
    `SELECT e.source, p.id, p.module, p.resource, e.since
      FROM edge e LEFT JOIN resource p ON p.resource_key = e.parent_key
      WHERE e.child_key = $1 ORDER BY e.since, e.edge_key LIMIT 100`,
    [resourceKey],
  );
  return rows.map(({ source, id, module, resource, since }) => ({
    source,
    parent: id !== null && module !== null && resource !== null ? { id, module, resource } : null,
    since,
  }));
}
