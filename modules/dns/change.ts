import { maxReasonLength } from "#contracts/messages.ts";
import type { Assessment, ChangeRequest } from "#contracts/module.ts";
import type { Severity } from "#contracts/severity.ts";
import type { Json } from "#contracts/canonical.ts";
import { loosenedPolicy } from "./mail-policy.ts";
import { forgetAfterLooks, PoolLook } from "./pool.ts";

interface Wording {
  /** What the records are, such as "the addresses". */
  what: string;
  appeared: Severity;
  disappeared: Severity;
}

const wordings: Record<string, Wording> = {
  a: { what: "IPv4 addresses (A)", appeared: "medium", disappeared: "high" },
  aaaa: { what: "IPv6 addresses (AAAA)", appeared: "notice", disappeared: "high" },
  cname: { what: "alias (CNAME)", appeared: "medium", disappeared: "high" },
  ns: { what: "name servers (NS)", appeared: "medium", disappeared: "high" },
  mx: { what: "mail servers (MX)", appeared: "medium", disappeared: "high" },
  txt: { what: "texts (TXT)", appeared: "notice", disappeared: "notice" },
  caa: { what: "permitted certificate authorities (CAA)", appeared: "notice", disappeared: "high" },
  ds: { what: "DNSSEC keys at the parent (DS)", appeared: "notice", disappeared: "high" },
};

/** How bad it is that a name's records moved. */
export function assessChange(request: ChangeRequest): Assessment {
  const { severity, reason } = assess(request);
  return { severity, reason: reason.slice(0, maxReasonLength) };
}

function assess(request: ChangeRequest): Assessment {
  const { resource, attribute, kind } = request;
  if (attribute === "exists") return assessExistence(request);
  const wording = wordings[attribute] ?? { what: attribute, appeared: "notice", disappeared: "medium" };
  const before = readRecords(request.oldValue);
  const after = readRecords(request.newValue);
  if (kind === "appeared")
    return { severity: wording.appeared, reason: `${resource} now has ${wording.what}: ${list(after)}` };
  if (kind === "rated")
    return {
      severity: request.newSeverity ?? "none",
      reason: request.newReason ?? `${resource}: what was wrong with the ${wording.what} is over`,
    };
  const { severity, because } =
    kind === "disappeared" ? assessLoss(attribute, wording, before) : assessMove(request, before, after);
  const moved =
    kind === "disappeared"
      ? `${resource} lost its ${wording.what}, which were ${list(before)}`
      : `the ${wording.what} of ${resource} changed from ${list(before)} to ${list(after)}`;
  return { severity, reason: because === null ? moved : `${because}: ${moved}` };
}

function assessExistence({ resource, kind, newReason }: ChangeRequest): Assessment {
  return kind === "appeared"
    ? { severity: "medium", reason: `the name ${resource} exists again` }
    : { severity: "high", reason: newReason ?? `the name ${resource} does not exist any more` };
}

interface Judgement {
  severity: Severity;
  /** What stands out, if anything does. */
  because: string | null;
}

function assessLoss(attribute: string, wording: Wording, before: string[]): Judgement {
  const loosened = attribute === "txt" ? loosenedPolicy(before, []) : null;
  if (loosened !== null) return { severity: "medium", because: loosened };
  if (attribute === "caa")
    return { severity: wording.disappeared, because: "any authority may now issue certificates" };
  if (attribute === "ds") return { severity: wording.disappeared, because: "DNSSEC is off" };
  return { severity: wording.disappeared, because: null };
}

function assessMove({ attribute, context }: ChangeRequest, before: string[], after: string[]): Judgement {
  const isReplaced = !after.some((record) => before.includes(record));
  switch (attribute) {
    case "a":
    case "aaaa":
      return assessAddresses(context, isReplaced, before, after);
    case "ns":
      return isReplaced
        ? { severity: "critical", because: "every name server was replaced" }
        : { severity: "high", because: null };
    case "mx":
    case "cname":
      return { severity: "high", because: null };
    case "txt":
      return assessTexts(before, after);
    default:
      return { severity: "medium", because: null };
  }
}

function assessTexts(before: string[], after: string[]): Judgement {
  const loosened = loosenedPolicy(before, after);
  return { severity: loosened === null ? "notice" : "medium", because: loosened };
}

function assessAddresses(context: Json, isReplaced: boolean, before: string[], after: string[]): Judgement {
  const look = PoolLook.safeParse(context);
  if (!look.success)
    return isReplaced
      ? { severity: "high", because: "every address was replaced" }
      : { severity: "medium", because: null };
  if (look.data.isLearning) return { severity: "none", because: "the rotating pool is still being learned" };
  if (look.data.isAllNew)
    return { severity: "high", because: "no address of the answer was ever in the rotating pool" };
  return after.every((record) => before.includes(record))
    ? { severity: "none", because: `not answered in ${forgetAfterLooks} looks` }
    : { severity: "medium", because: "an address that was never in the rotating pool" };
}

function readRecords(value: Json): string[] {
  return Array.isArray(value) ? value.filter((record) => typeof record === "string") : [];
}

const shownRecords = 4;
const shownLength = 60;

/** A few records in one line: the values themselves stand beside the reason. */
function list(records: string[]): string {
  const shown = records.slice(0, shownRecords).map((record) => shorten(record));
  const more = records.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function shorten(record: string): string {
  return record.length > shownLength ? `${record.slice(0, shownLength)}…` : record;
}
