import { matchesPattern } from "#contracts/config.ts";
import type { Config } from "#contracts/config.ts";
import type { ModuleDefinition } from "#contracts/module.ts";
import type { ChangeDraft } from "#contracts/store.ts";
import type { Severity } from "#contracts/severity.ts";
import { errorMessage } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import type { Difference } from "./compare.ts";

export interface Judge {
  rules: Config["rules"];
  definition: ModuleDefinition | undefined;
  options: unknown;
  log: Logger;
}

interface Subject {
  module: string;
  resource: string;
}

/** The differences as changes: what the user's rules ignore is left out, and each has a severity and a reason. */
export async function judge(differences: Difference[], subject: Subject, judge: Judge): Promise<ChangeDraft[]> {
  const drafts: ChangeDraft[] = [];
  for (const difference of differences) {
    const address = { ...subject, attribute: difference.attribute };
    if (judge.rules.ignore.some((rule) => matchesRule(rule, address))) continue;
    drafts.push({
      attribute: difference.attribute,
      kind: difference.kind,
      oldValue: difference.oldValue,
      newValue: difference.newValue,
      ...(await assess(difference, address, judge)),
      ...(difference.evidence ? { evidence: difference.evidence } : {}),
    });
  }
  return drafts;
}

interface RuleMatch {
  module?: string | undefined;
  resource?: string | undefined;
  attribute?: string | undefined;
}

function matchesRule(rule: RuleMatch, address: Subject & { attribute: string }): boolean {
  return (["module", "resource", "attribute"] as const).every((part) => {
    const pattern = rule[part];
    return pattern === undefined || matchesPattern(pattern, address[part]);
  });
}

interface Assessed {
  severity: Severity | null;
  reason: string;
}

async function assess(
  difference: Difference,
  address: Subject & { attribute: string },
  { rules, definition, options, log }: Judge,
): Promise<Assessed> {
  const rule = rules.severity.find((candidate) => matchesRule(candidate, address));
  if (rule) return { severity: rule.severity, reason: rule.reason };
  if (difference.kind === "happened") return { severity: difference.newSeverity, reason: difference.newReason ?? "" };
  if (difference.kind === "rated") return rating(difference);
  if (!definition) return { severity: "unknown", reason: `no module ${address.module} is configured any more` };
  try {
    const answer = await definition.change({ ...difference, resource: address.resource, options });
    return { severity: answer.severity, reason: answer.reason.slice(0, 500) };
  } catch (error) {
    log.error({ err: error, ...address }, "module could not assess a change");
    return { severity: "unknown", reason: `the module could not assess this: ${errorMessage(error).slice(0, 200)}` };
  }
}

function rating({ oldSeverity, newSeverity, newReason }: Difference): Assessed {
  const because = newReason === null ? "" : `: ${newReason}`;
  return {
    severity: newSeverity ?? "none",
    reason: `now rated ${newSeverity ?? "none"}, was ${oldSeverity ?? "none"}${because}`.slice(0, 500),
  };
}
