import type { FastifySchemaCompiler } from "fastify";
import type { z } from "zod";
import { ProblemError } from "./problems.ts";

const partNames: Record<string, string> = { querystring: "query parameter", params: "path parameter", body: "field" };
const maxFaults = 5;

/** Checks one part of a request; what is wrong is named with what was found and what is allowed. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const partName = partNames[httpPart ?? ""] ?? "field";
  return (received: unknown) => {
    const parsed = schema.safeParse(received);
    const faults = parsed.success ? textFaults(parsed.data, partName) : schemaFaults(parsed.error, received, partName);
    if (faults.length > 0) return { error: new ProblemError("bad_parameter", `${faults.join("; ")}.`) };
    return { value: parsed.data };
  };
};

function schemaFaults(error: z.ZodError, received: unknown, partName: string): string[] {
  return error.issues.slice(0, maxFaults).map((issue) => {
    if (issue.code === "unrecognized_keys") {
      return `There is no ${partName} ${issue.keys.slice(0, maxFaults).map(quote).join(", ")}`;
    }
    if (issue.path.length === 0) return `The ${partName === "field" ? "body" : "query"}: ${issue.message}`;
    const found = valueAt(received, issue.path);
    const where = `The ${partName} ${quote(issue.path.join("."))}`;
    return found === undefined ? `${where} is missing` : `${where} is ${quote(found)}: ${issue.message}`;
  });
}

/** PostgreSQL holds neither NUL nor half a surrogate pair, so no stored text can equal one that has them. */
function textFaults(parsed: unknown, partName: string): string[] {
  return Object.entries(parsed ?? {})
    .filter(([, value]) => typeof value === "string" && (value.includes("\0") || !value.isWellFormed()))
    .map(([name]) => `The ${partName} ${quote(name)} holds a character that text cannot have`);
}

function valueAt(received: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], received);
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
