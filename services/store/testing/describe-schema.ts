import { Client } from "pg";

/** A database's schema as text, the same from every version of PostgreSQL: what `schema.sql` is made of. */
export async function describeSchema(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const parts: string[] = [];
    for (const statement of [tables, indexes, functions, triggers]) {
      const { rows } = await client.query<{ text: string }>(statement);
      parts.push(...rows.map(({ text }) => text.trim()));
    }
    return `${parts.join("\n\n")}\n`;
  } finally {
    await client.end();
  }
}

const tables = `
  SELECT 'CREATE TABLE ' || c.relname || E' (\\n' || (
    SELECT string_agg('  ' || line, E',\\n' ORDER BY part, number, place) FROM (
      SELECT 1 AS part, '' AS place, a.attnum AS number, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
             WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
             WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
             ELSE '' END
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END AS line
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT 2, o.conname, 0, pg_get_constraintdef(o.oid) FROM pg_constraint o
      WHERE o.conrelid = c.oid AND o.contype IN ('p', 'u', 'c', 'f')
    ) lines
  ) || E'\\n)' || coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', '') || ';' AS text
  FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname`;

const indexes = `
  SELECT pg_get_indexdef(i.indexrelid) || ';' AS text
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)
  ORDER BY c.relname`;

const functions = `
  SELECT pg_get_functiondef(p.oid) || ';' AS text
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.pronamespace = 'public'::regnamespace AND l.lanname IN ('plpgsql', 'sql')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  ORDER BY p.proname`;

const triggers = `
  SELECT pg_get_triggerdef(t.oid) || ';' AS text
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace ORDER BY t.tgname`;
