import { isSameValue } from "#contracts/canonical.ts";
import type { FingerprintedValue, Json } from "#contracts/canonical.ts";
import { existsAttribute, standsFor } from "#contracts/messages.ts";
import type { ChangeKind, Evidence, Observation, Report } from "#contracts/messages.ts";
import type { Severity } from "#contracts/severity.ts";
import type { StoredValue } from "#contracts/store.ts";

/** A difference before anybody has said how bad it is. */
export interface Difference {
  attribute: string;
  kind: ChangeKind;
  oldValue: Json;
  newValue: Json;
  oldSeverity: Severity | null;
  newSeverity: Severity | null;
  /** The new value's standing reason. */
  newReason: string | null;
  context: Json;
  evidence?: Evidence;
}

export interface Comparison {
  differences: Difference[];
  /** The rows that are to be written, and only those. */
  writes: StoredValue[];
  /** All values that are present afterwards. */
  present: FingerprintedValue[];
}

export interface Baseline {
  values: StoredValue[];
  /** No report came before this one: nothing it brings is a change. */
  isFirst: boolean;
  /** Module version or options are not the last report's: what appears or disappears is baseline. */
  isReshaped: boolean;
  exists: boolean | null;
}

/** What a complete report changes. Pure. */
export function compare(baseline: Baseline, report: Report): Comparison {
  const stored = new Map(baseline.values.map((value) => [value.attribute, value]));
  const differences: Difference[] = [];
  const writes: StoredValue[] = [];
  const present: FingerprintedValue[] = [];
  if (baseline.exists === false) differences.push(returned);
  // What was never there before has its baseline in the first report after all.
  const isFirst = baseline.isFirst || (baseline.exists === false && baseline.values.length === 0);
  for (const observation of report.observations) {
    const before = stored.get(observation.attribute);
    stored.delete(observation.attribute);
    present.push(observation);
    const difference = compareOne(before, observation);
    if (difference === null) continue;
    writes.push(toStored(observation));
    if (isNews(difference, { ...baseline, isFirst }, report)) differences.push(difference);
  }
  for (const before of stored.values()) {
    if (!before.isPresent) continue;
    if (isUnseen(before.attribute, report)) {
      present.push(before);
      continue;
    }
    writes.push({ ...before, isPresent: false });
    const difference = disappearance(before);
    if (isNews(difference, { ...baseline, isFirst }, report)) differences.push(difference);
  }
  for (const { name, detail, severity, reason, evidence } of report.happenings) {
    differences.push({
      ...nothing,
      attribute: name,
      kind: "happened",
      newValue: detail,
      newSeverity: severity,
      newReason: reason,
      ...(evidence ? { evidence } : {}),
    });
  }
  return { differences, writes, present };
}

const nothing = {
  oldValue: null,
  newValue: null,
  oldSeverity: null,
  newSeverity: null,
  newReason: null,
  context: null,
} as const;

const returned: Difference = {
  ...nothing,
  attribute: existsAttribute,
  kind: "appeared",
  oldValue: false,
  newValue: true,
};

/** The one difference of a definitive "does not exist", or none when that was known or nothing came before. */
export function compareGone(baseline: Baseline, reason: string): Difference[] {
  if (baseline.isFirst || baseline.exists === false) return [];
  return [
    {
      ...nothing,
      attribute: existsAttribute,
      kind: "disappeared",
      oldValue: true,
      newValue: false,
      newReason: reason,
    },
  ];
}

/** A difference whose kind is not reported (`null`) is only a reworded reason. */
function compareOne(before: StoredValue | undefined, now: Observation): Difference | null {
  const after = {
    attribute: now.attribute,
    newValue: now.value,
    newSeverity: now.severity,
    newReason: now.reason,
    context: now.context ?? null,
    ...(now.evidence ? { evidence: now.evidence } : {}),
  };
  if (before === undefined || !before.isPresent) {
    return { ...after, kind: "appeared", oldValue: null, oldSeverity: null };
  }
  const old = { oldValue: before.value, oldSeverity: before.severity };
  if (!isSameValue(before.value, now.value)) return { ...after, ...old, kind: "changed" };
  if (before.severity !== now.severity || before.reason !== now.reason) return { ...after, ...old, kind: "rated" };
  return null;
}

function disappearance(before: StoredValue): Difference {
  return {
    ...nothing,
    attribute: before.attribute,
    kind: "disappeared",
    oldValue: before.value,
    oldSeverity: before.severity,
  };
}

function isNews(difference: Difference, { isFirst, isReshaped }: Baseline, report: Report): boolean {
  if (isFirst) return false;
  // A standing reason that is only worded anew is written, and is no change.
  if (difference.kind === "rated") return difference.oldSeverity !== difference.newSeverity;
  if (difference.kind === "changed") return true;
  return !isReshaped && !(report.baseline ?? []).some((name) => standsFor(name, difference.attribute));
}

function toStored({ attribute, value, severity, reason }: Observation): StoredValue {
  return { attribute, value, isPresent: true, severity, reason };
}

function isUnseen(attribute: string, report: Report): boolean {
  return report.unseen.some((unseen) => standsFor(unseen.attribute, attribute));
}

/**
 * What a late report saw between two recorded ones and nobody recorded: a value that is neither the one before it nor
 * the one that followed.
 */
export function compareLate(baseline: Baseline, following: StoredValue[], report: Report): Difference[] {
  const next = new Map(following.map((value) => [value.attribute, value]));
  return compare(baseline, report).differences.filter(({ attribute, kind, newValue }) => {
    if (kind === "happened") return true;
    if (kind === "rated") return false;
    const known = next.get(attribute);
    if (known === undefined) return true;
    return kind === "disappeared" ? known.isPresent : !known.isPresent || !isSameValue(known.value, newValue);
  });
}
