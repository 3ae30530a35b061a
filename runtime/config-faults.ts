import type { z } from "zod";
import type { ConfigFault } from "#contracts/config.ts";

type Issue = z.core.$ZodIssue;

/** Everything that is wrong, in plain words: the path, what was found there and what is allowed. */
export function configFaults(error: z.ZodError, document: unknown, prefix: PropertyKey[] = []): ConfigFault[] {
  return error.issues.flatMap((issue) => issueFaults(issue, document, prefix));
}

function issueFaults(issue: Issue, document: unknown, prefix: PropertyKey[]): ConfigFault[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: formatPath([...path, key]),
      found: `the key ${JSON.stringify(key)}`,
      allowed: "no such key here; check its spelling",
    }));
  }
  return [{ path: formatPath(path), found: describe(document, path), allowed: allowedBy(issue) }];
}

function allowedBy(issue: Issue): string {
  switch (issue.code) {
    case "invalid_value":
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "invalid_type":
      return `a value of type ${issue.expected}`;
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number of at least ${issue.minimum}`
        : `at least ${issue.minimum} of them`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number of at most ${issue.maximum}`
        : `at most ${issue.maximum} of them`;
    case "invalid_union":
      return [...new Set(issue.errors.flat().map(allowedBy))].join(", or ");
    case "invalid_key":
      return `a key that is ${[...new Set(issue.issues.map(allowedBy))].join(", ")}`;
    default:
      return issue.message;
  }
}

/** Such as `targets[0].modules[1]`. */
function formatPath(path: PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`))
    .join("");
}

/** Parts of the configuration beside which somebody may have written a secret by mistake: never repeated. */
const secretParts = new Set(["credentials", "password", "secret", "token"]);

function describe(document: unknown, path: PropertyKey[]): string {
  let found: unknown = document;
  for (const part of path) found = (found as Record<PropertyKey, unknown> | null | undefined)?.[part];
  if (found === undefined) return "nothing";
  if (path.some((part) => secretParts.has(String(part)))) return `a ${found === null ? "null" : typeof found}`;
  const text = JSON.stringify(found);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
