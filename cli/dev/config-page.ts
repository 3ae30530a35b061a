import { z } from "zod";
import { Config } from "#contracts/config.ts";
import { loadModules } from "#runtime/load-modules.ts";
import type { LoadedModule } from "#runtime/load-modules.ts";

/** A node of a JSON Schema, as far as the page reads it. */
interface Schema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  additionalProperties?: Schema | boolean;
}

function schemaOf(type: z.ZodType): Schema {
  return z.toJSONSchema(type, { io: "input", unrepresentable: "any" }) as Schema;
}

/** The JSON Schema of `config.json` for editors, with each module's own options. */
export async function configSchemaText(): Promise<string> {
  const schema = schemaOf(Config);
  const section = schema.properties?.modules?.additionalProperties;
  const common = typeof section === "object" ? section : {};
  const properties: Record<string, Schema> = {};
  for (const [name, { definition }] of await nativeModules()) {
    const own = schemaOf(definition.options);
    properties[name] = {
      ...common,
      description: definition.summary,
      properties: { ...common.properties, ...own.properties },
    };
  }
  if (schema.properties?.modules) schema.properties.modules.properties = properties;
  return `${JSON.stringify(schema, null, 2)}\n`;
}

async function nativeModules(): Promise<[string, LoadedModule][]> {
  return [...(await loadModules())].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const example = [
  "{",
  '  "$schema": "./docs/generated/config.schema.json",',
  '  "targets": [',
  '    { "modules": ["http", "dns", "tls"], "resources": ["https://example.com"], "schedule": { "every": "30m" } },',
  '    { "modules": ["git"], "resources": ["https://github.com/actions/checkout"] }',
  "  ],",
  '  "modules": { "git": { "branches": ["main", "release/*"] } },',
  '  "limits": { "hosts": { "example.com": { "perSecond": 2, "concurrency": 1 } } }',
  "}",
];

/** docs/configuration.md. */
export async function configPage(): Promise<string> {
  const modules = await nativeModules();
  const sections = modules.map(([name, { definition }]) => {
    const rows = rowsOf(schemaOf(definition.options), `modules.${name}`);
    return [
      `### ${name}`,
      "",
      definition.summary,
      "",
      ...(rows.length > 0 ? table(rows) : ["No options of its own."]),
      "",
    ];
  });
  return [
    "# Configuration",
    "",
    "`config.json` says what is watched. A changed file is applied without a restart; one with faults is refused as a whole,",
    "every fault is listed (`paintdry validate`, the System screen), and the one in force stays. Editors read",
    "[its JSON Schema](generated/config.schema.json). This page is made from the schema.",
    "",
    "```json",
    ...example,
    "```",
    "",
    "Durations are written `30s`, `15m`, `1h` or `7d`. In patterns `*` stands for any run of characters. Secrets never stand in",
    'the file: where one is needed it is `{"env": "NAME"}` or `{"file": "/path"}`.',
    "",
    "## Keys",
    "",
    ...table(rowsOf(schemaOf(Config), "")),
    "",
    "## Options of the modules",
    "",
    "Besides the keys of `modules.<name>` above, each module has its own.",
    "",
    ...sections.flat(),
    "## Environment of the services",
    "",
    "| variable | who | meaning |",
    "|---|---|---|",
    "| `PAINTDRY_CONFIG` | collector, fetcher, assessor, notifier | where `config.json` is; default `config/config-override.json` where it exists, else `config.json` |",
    "| `PAINTDRY_NATS_URL` | all | `nats://user:password@host:4222`, or `tls://…`; `PAINTDRY_NATS_URL_FILE` names a file that holds it |",
    "| `PAINTDRY_NATS_CA` | all | a file with the CA of the broker's certificate |",
    "| `PAINTDRY_DATABASE_URL` | store | `postgres://user:password@host:5432/database`; `PAINTDRY_DATABASE_URL_FILE` likewise |",
    "| `PAINTDRY_PORT`, `PAINTDRY_HOST` | all | where `/healthz`, `/readyz` and `/metrics` are, and for the gateway the API and the page; default 127.0.0.1 |",
    "| `PAINTDRY_DATA_DIR` | fetcher | its own folder: the HTTP cache, and room for clones |",
    "| `PAINTDRY_HOSTS`, `PAINTDRY_ORIGINS` | gateway | further host names it answers to, and origins whose pages may use it |",
    "| `PAINTDRY_LOG_LEVEL` | all | least level of log lines; default `info` |",
    "",
  ].join("\n");
}

interface Row {
  path: string;
  allowed: string;
  fallback: string;
  meaning: string;
}

function table(rows: Row[]): string[] {
  return [
    "| key | allowed | default | meaning |",
    "|---|---|---|---|",
    ...rows.map(({ path, allowed, fallback, meaning }) => `| \`${path}\` | ${allowed} | ${fallback} | ${meaning} |`),
  ];
}

function rowsOf(schema: Schema, path: string): Row[] {
  if (schema.type === "array" && schema.items) return nested(schema, schema.items, `${path}[]`, path);
  const rows = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    if (key === "$schema") return [];
    const at = path === "" ? key : `${path}.${key}`;
    const isNested = value.properties !== undefined || value.items !== undefined || isMap(value);
    return isNested ? nestedRows(value, at) : [rowOf(value, at)];
  });
  return rows;
}

function nestedRows(schema: Schema, path: string): Row[] {
  if (schema.items) return nested(schema, schema.items, `${path}[]`, path);
  if (isMap(schema)) return nested(schema, schema.additionalProperties as Schema, `${path}.<name>`, path);
  return [...(schema.description ? [{ ...rowOf(schema, path), allowed: "an object" }] : []), ...rowsOf(schema, path)];
}

function nested(schema: Schema, inner: Schema, innerPath: string, path: string): Row[] {
  const own = rowOf(schema, path);
  if (!inner.properties) return [{ ...own, allowed: `${schema.items ? "a list of " : ""}${allowedBy(inner)}` }];
  return [own, ...rowsOf(inner, innerPath)];
}

function isMap(schema: Schema): boolean {
  return typeof schema.additionalProperties === "object" && schema.properties === undefined;
}

function rowOf(schema: Schema, path: string): Row {
  const isEmpty = JSON.stringify(schema.default) === "{}" || JSON.stringify(schema.default) === "[]";
  return {
    path,
    allowed: allowedBy(schema),
    fallback: schema.default === undefined || isEmpty ? "" : `\`${JSON.stringify(schema.default)}\``,
    meaning: (schema.description ?? "").replaceAll("|", "\\|"),
  };
}

function allowedBy(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  if (schema.pattern?.includes("(ms|s|m|h|d)")) return "a duration";
  if (schema.anyOf) return [...new Set(schema.anyOf.map(allowedBy))].join(" or ");
  if (schema.properties)
    return `{${Object.keys(schema.properties)
      .map((key) => `\`${key}\``)
      .join(", ")}}`;
  if (schema.items) return `a list of ${allowedBy(schema.items)}`;
  if (isMap(schema)) return "by name";
  return (
    { boolean: "true or false", integer: "a whole number", number: "a number", string: "text" }[schema.type ?? ""] ??
    "any"
  );
}
