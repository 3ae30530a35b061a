import { z } from "zod";

/** The fixed vocabulary, worst first. `null` elsewhere means "not assessed yet". */
export const severities = ["critical", "high", "medium", "low", "recommendation", "notice", "unknown", "none"] as const;

export const Severity = z.enum(severities);
export type Severity = z.infer<typeof Severity>;

/** What each severity means, as shown to people. */
export const severityMeanings: Record<Severity, string> = {
  critical: "urgent, definitely bad",
  high: "severe, little doubt",
  medium: "could be bad",
  low: "not generally exploitable",
  recommendation: "should be improved",
  notice: "rare, a human must judge",
  unknown: "the module tried and cannot tell",
  none: "not an issue",
};

/** Is `severity` as bad as `least`, or worse? `null` (not assessed) counts as `unknown`. */
export function isAtLeast(severity: Severity | null, least: Severity): boolean {
  return severities.indexOf(severity ?? "unknown") <= severities.indexOf(least);
}

/** The severities that are at least as bad as `least`, worst first. */
export function severitiesAtLeast(least: Severity): Severity[] {
  return severities.slice(0, severities.indexOf(least) + 1);
}

/** A standing severity that makes a value a finding. */
export function isFinding(severity: Severity | null): boolean {
  return severity !== null && severity !== "none";
}
