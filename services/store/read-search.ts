import { z } from "zod";
import type { SearchHit, StoreReply, StoreRequest } from "#contracts/store.ts";
import { instant } from "./columns.ts";
import { readCursor, toPage } from "./cursor.ts";
import type { Database } from "./database.ts";
import { containing } from "./like.ts";
import { snippetAround } from "./snippet.ts";

type Request = StoreRequest<"read.search">;

/** The kinds of hits, in the order in which they are paged. */
const sections = ["resource", "value", "change"] as const;
type Section = (typeof sections)[number];

const Place = z.object({ section: z.enum(sections), key: z.number().int() });
type Place = z.infer<typeof Place>;

const Hit = z.object({
  key: z.number().int(),
  resourceId: z.string(),
  module: z.string(),
  resource: z.string(),
  attribute: z.string().nullable(),
  changeId: z.string().nullable(),
  /** All that was searched, of which the snippet is cut. */
  texts: z.array(z.string()),
  at: instant,
});
type Hit = z.infer<typeof Hit> & { section: Section };

/** Finds a text anywhere in names, values, and what changed; letters match in either case. */
export async function search(database: Database, request: Request): Promise<StoreReply<"read.search">> {
  const place = readCursor(request.cursor, Place);
  const hits: Hit[] = [];
  for (const section of sections.slice(place ? sections.indexOf(place.section) : 0)) {
    const limit = request.limit + 1 - hits.length;
    if (limit <= 0) break;
    const after = place?.section === section ? place.key : null;
    const rows = await database.rows(Hit, statements[section], [containing(request.query), after, limit]);
    hits.push(...rows.map((row) => ({ ...row, section })));
  }
  return toPage(
    hits,
    request.limit,
    (hit) => toSearchHit(hit, request.query),
    ({ section, key }): Place => ({ section, key }),
  );
}

/** $1 the pattern, $2 the key to go on after, $3 the limit. Values and changes come newest first. */
const statements: Record<Section, string> = {
  resource: `SELECT r.resource_key AS key, r.id AS "resourceId", r.module, r.resource, NULL AS attribute,
      NULL AS "changeId", ARRAY[r.resource] AS texts, r.created_at AS at
    FROM resource r WHERE r.resource ILIKE $1 AND ($2::bigint IS NULL OR r.resource_key > $2)
    ORDER BY r.resource_key LIMIT $3`,
  value: `SELECT v.value_key AS key, r.id AS "resourceId", r.module, r.resource, v.attribute, NULL AS "changeId",
      ARRAY[v.value::text, v.attribute] AS texts, v.last_changed_at AS at
    FROM value v JOIN resource r USING (resource_key)
    WHERE v.is_present AND (v.value::text ILIKE $1 OR v.attribute ILIKE $1)
      AND ($2::bigint IS NULL OR v.value_key < $2)
    ORDER BY v.value_key DESC LIMIT $3`,
  change: `SELECT c.position AS key, r.id AS "resourceId", r.module, r.resource, c.attribute, c.id AS "changeId",
      ARRAY[c.new_value::text, c.old_value::text, c.reason, c.attribute] AS texts, c.recorded_at AS at
    FROM change c JOIN resource r USING (resource_key)
    WHERE (c.attribute || ' ' || c.reason || ' ' || c.old_value::text || ' ' || c.new_value::text) ILIKE $1
      AND ($2::bigint IS NULL OR c.position < $2)
    ORDER BY c.position DESC LIMIT $3`,
};

function toSearchHit({ section, key: _key, texts, ...hit }: Hit, query: string): SearchHit {
  return { kind: section, ...hit, snippet: snippetAround(texts, query) };
}
