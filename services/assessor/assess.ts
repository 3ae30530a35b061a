import { fingerprint } from "#contracts/canonical.ts";
import { Outcome } from "#contracts/messages.ts";
import type { FailedOutcome, Report, SeenOutcome } from "#contracts/messages.ts";
import type { Commit, CommitReply, StoreReply } from "#contracts/store.ts";
import type { Broker } from "#runtime/broker.ts";
import { decode } from "#runtime/codec.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { done, isForGood } from "#runtime/settle.ts";
import type { Delivery, Settlement } from "#runtime/settle.ts";
import { announce } from "./announce.ts";
import { compare, compareGone, compareLate } from "./compare.ts";
import type { Baseline } from "./compare.ts";
import { judge } from "./rules.ts";
import type { Judge } from "./rules.ts";
import { readEarlier } from "./earlier.ts";
import type { createUnchangedBatch } from "./unchanged.ts";

export interface AssessorParts {
  broker: Broker;
  store: StoreClient;
  log: Logger;
  config(): LoadedConfig;
  commitUnchanged: ReturnType<typeof createUnchangedBatch>;
  onOutcome(status: string): void;
}

type UnchangedOutcome = Extract<Outcome, { status: "unchanged" }>;
type GoneOutcome = Extract<Outcome, { status: "gone" }>;
type ObservationOutcome = SeenOutcome | UnchangedOutcome | GoneOutcome | FailedOutcome;
type StoredResource = NonNullable<StoreReply<"read.values">>;

/**
 * One outcome, from the bus to the store and the change subjects. Repeating it adds nothing. What was seen before it
 * and is still in the hands of an assessor, which may be dead, is assessed first: values come in the order in which
 * they stood.
 */
export async function assess(message: Delivery, parts: AssessorParts): Promise<Settlement> {
  const outcome = decode(message, Outcome);
  parts.onOutcome(outcome.status);
  if (outcome.operation === "observation") {
    for await (const earlier of readEarlier(message, parts.broker)) await assessEarlier(earlier, parts);
  }
  return await assessInTurn(outcome, parts);
}

/** One that can never be recorded is rejected by whoever it was delivered to, and keeps no later one out. */
async function assessEarlier(earlier: Outcome, parts: AssessorParts): Promise<void> {
  try {
    await assessInTurn(earlier, parts);
  } catch (error) {
    if (!isForGood(error)) throw error;
    parts.log.warn({ err: error, module: earlier.module, resource: earlier.resource }, "earlier outcome passed over");
  }
}

async function assessInTurn(outcome: Outcome, parts: AssessorParts): Promise<Settlement> {
  if (outcome.operation === "discovery" || outcome.status === "discovered" || outcome.status === "not_mine") {
    await recordDiscovery(outcome, parts);
    return done;
  }
  if (outcome.status === "unchanged") await assessUnchanged(outcome, parts);
  else await assessOutcome(outcome, parts);
  return done;
}

async function recordDiscovery(outcome: Outcome, { store, broker, log }: AssessorParts): Promise<void> {
  const { module, resource, job } = outcome;
  const result = discoveryResult(outcome);
  if (result === null) {
    log.error({ module, resource, status: outcome.status }, "discovery ended with an observation's outcome");
    return;
  }
  const { health, retired } = await store.call("write.discovered", { module, resource, job, result });
  if (retired > 0) log.info({ module, resource, retired }, "resources retired");
  await announce({ broker, store }, { changes: [], health });
}

function discoveryResult(outcome: Outcome) {
  switch (outcome.status) {
    case "discovered":
      return { status: outcome.status, confirmed: outcome.confirmed, suggested: outcome.suggested };
    case "not_mine":
      return { status: outcome.status, reason: outcome.reason };
    case "failed":
      return { status: outcome.status, error: outcome.error };
    default:
      return null;
  }
}

async function assessUnchanged(outcome: UnchangedOutcome, parts: AssessorParts): Promise<void> {
  const recorded = await parts.commitUnchanged({
    look: lookOf(outcome),
    basis: outcome.basis,
    fingerprint: outcome.fingerprint,
    ...(outcome.state === undefined ? {} : { state: outcome.state }),
  });
  if (recorded === "dropped") return drop(outcome, parts);
  if (recorded === "committed" || recorded === "repeated") return;
  // Somebody else moved the values meanwhile: spell out what this look saw, and compare that.
  const report = await reportOf(outcome, parts);
  if (report === null) return;
  const { fingerprint: _, ...facts } = outcome;
  await assessOutcome({ ...facts, status: "seen", report }, parts);
}

/** The values of the revision an unchanged look was compared with, as the report it stands for. */
async function reportOf(outcome: UnchangedOutcome, { store, log }: AssessorParts): Promise<Report | null> {
  const { module, resource, basis } = outcome;
  const then = await store.call("read.values", { module, resource, atRevision: basis });
  const present = (then?.values ?? []).filter((value) => value.isPresent);
  if (then === null || fingerprint(present) !== outcome.fingerprint) {
    // After the restoration of an old database a revision may stand for other values: the next look tells.
    log.warn({ module, resource, basis }, "unchanged look names values that are not known; dropped");
    return null;
  }
  const observations = present.map(({ isPresent: _, ...value }) => value);
  return { observations, happenings: [], unseen: [] };
}

async function assessOutcome(
  outcome: Exclude<ObservationOutcome, UnchangedOutcome>,
  parts: AssessorParts,
): Promise<void> {
  const { module, resource } = outcome;
  for (;;) {
    const stored = await parts.store.call("read.values", { module, resource });
    if (stored === null || stored.state !== "confirmed") return drop(outcome, parts);
    const reply = await commit(outcome, stored, await resultOf(outcome, stored, parts), parts);
    if (reply.outcome === "conflict") continue;
    if (reply.outcome === "dropped") return drop(outcome, parts);
    if (reply.outcome === "stale") return await recordLate(outcome, stored, parts);
    return await announceCommitted(reply, parts);
  }
}

function drop({ module, resource, status }: ObservationOutcome, { log, onOutcome }: AssessorParts): void {
  onOutcome("dropped");
  log.info({ module, resource, status }, "outcome dropped: the resource is not watched any more");
}

async function resultOf(
  outcome: Exclude<ObservationOutcome, UnchangedOutcome>,
  stored: StoredResource,
  parts: AssessorParts,
): Promise<Commit["result"]> {
  if (outcome.status === "failed") return { status: "failed", error: outcome.error };
  const baseline = baselineOf(outcome, stored);
  if (outcome.status === "gone") {
    const changes = await judge(compareGone(baseline, outcome.reason), outcome, judgeOf(outcome.module, parts));
    return { status: "gone", changes };
  }
  const { differences, writes, present } = compare(baseline, outcome.report);
  return {
    status: "seen",
    writes,
    changes: await judge(differences, outcome, judgeOf(outcome.module, parts)),
    fingerprint: fingerprint(present),
    ...(outcome.state === undefined ? {} : { state: outcome.state }),
  };
}

function baselineOf(outcome: ObservationOutcome, stored: StoredResource): Baseline {
  return {
    values: stored.values,
    isFirst: stored.revision === 0,
    isReshaped:
      stored.moduleVersion !== null &&
      (stored.moduleVersion !== outcome.moduleVersion || stored.optionsFingerprint !== outcome.optionsFingerprint),
    exists: stored.exists,
  };
}

function judgeOf(module: string, { config, log }: AssessorParts): Judge {
  const { config: settings, modules, options } = config();
  return {
    rules: settings.rules,
    definition: modules.get(module)?.definition,
    options: options.get(module),
    log,
  };
}

async function commit(
  outcome: ObservationOutcome,
  stored: StoredResource,
  result: Commit["result"],
  { store }: AssessorParts,
): Promise<CommitReply> {
  return await store.call("write.commit", { look: lookOf(outcome), expectedRevision: stored.revision, result });
}

function lookOf(outcome: ObservationOutcome): Commit["look"] {
  const { module, resource, job, fetcher, moduleVersion, optionsFingerprint, finishedAt } = outcome;
  return { module, resource, job, fetcher, moduleVersion, optionsFingerprint, observedAt: finishedAt };
}

/** A look that a newer one overtook: what only it saw is recorded as late, without touching current values. */
async function recordLate(
  outcome: Exclude<ObservationOutcome, UnchangedOutcome>,
  stored: StoredResource,
  parts: AssessorParts,
): Promise<void> {
  if (outcome.status !== "seen") return;
  const { module, resource, job } = outcome;
  const before = await parts.store.call("read.values", { module, resource, before: job });
  if (before === null) return;
  // Values before the first report of all have no predecessor to have changed from.
  const baseline: Baseline = {
    ...baselineOf(outcome, before),
    isFirst: before.values.length === 0,
    exists: null,
  };
  const differences = compareLate(baseline, before.following, outcome.report);
  if (differences.length === 0) return;
  const changes = await judge(differences, outcome, judgeOf(module, parts));
  const reply = await commit(outcome, stored, { status: "late", changes }, parts);
  if (reply.outcome === "committed") await announceCommitted(reply, parts);
}

async function announceCommitted(
  { changes, health }: Extract<CommitReply, { outcome: "committed" }>,
  parts: AssessorParts,
): Promise<void> {
  await announce(parts, { changes: changes.map((change) => ({ change, isReplay: false })), health });
}
