import { lookErrorKinds } from "#contracts/messages.ts";
import type { LookErrorKind } from "#contracts/messages.ts";
import { rpcErrors, startErrors } from "#runtime/error-codes.ts";
import { problems } from "../../services/gateway/problems.ts";

const lookErrorMeanings: Record<LookErrorKind, string> = {
  unreachable: "No connection, no DNS answer but an error, or a server error (5xx).",
  timeout: "No answer in time, or the look did not end before its deadline.",
  refused:
    "The egress guard: an address in a private network that `egress.allow` does not name, or one in `egress.deny`.",
  denied: "The host asks for credentials, or refuses those it got.",
  limited: "The host asks to be left alone for a while (429, `Retry-After`, an exhausted quota): its lane rests.",
  malformed: "An answer that its protocol does not allow, a truncated one among them.",
  too_large: "An answer beyond the caps. It is never cut short silently.",
  module: "The module, or the command it runs, failed: a bug, or an answer it does not understand.",
};

/** docs/errors.md. */
export function errorsPage(): string {
  return [
    "# Errors",
    "",
    "Every code, what it means and what to do. Messages say more: what was wrong, where, and what to do. This page is made from",
    "the code.",
    "",
    "## A start or a command that cannot succeed (exit code 2)",
    "",
    ...table(Object.entries(startErrors)),
    "",
    "## A look that could not be made",
    "",
    "Never a value: it is shown on the resource with its age, retried with backoff, and announced once on `paintdry.health.>` when",
    "it persists and once when it is over.",
    "",
    ...table(lookErrorKinds.map((kind) => [kind, lookErrorMeanings[kind]])),
    "",
    "## Answers of the API",
    "",
    'The body is `{"error": {"code": …, "message": …}}`.',
    "",
    "| code | status | meaning |",
    "|---|---|---|",
    ...Object.entries(problems).map(([code, { status, sentence }]) => `| \`${code}\` | ${status} | ${sentence} |`),
    "",
    "## Requests between services",
    "",
    ...table(Object.entries(rpcErrors)),
    "",
  ].join("\n");
}

function table(rows: [string, string][]): string[] {
  return ["| code | meaning |", "|---|---|", ...rows.map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)];
}
