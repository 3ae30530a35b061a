import { canonical } from "#contracts/canonical.ts";
import type { Commit, CommitReply } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { insertChanges, planChanges, unpublishedChangesOf } from "./changes.ts";
import type { PlannedChange } from "./changes.ts";
import type { Database, Statements } from "./database.ts";
import { dropEarlyLooks, wantEarlyLook } from "./early-looks.ts";
import { clearFailures, recordFailure, retryAfterMs, unpublishedHealthOf } from "./failing.ts";
import { isNewer } from "./job-order.ts";
import { appendLateHistory, onlyUnknown } from "./late.ts";
import { withoutUnknown } from "./imported.ts";
import { isCommitted, lockLook } from "./look-row.ts";
import type { LookRow } from "./look-row.ts";
import { readSettings } from "./settings.ts";
import { appendExistence, writeSavedState, writeValues } from "./values.ts";
import type { Writing } from "./values.ts";

type Result<Status> = Extract<Commit["result"], { status: Status }>;

/**
 * Records the outcome of one look, at most once: values, history, changes with their feed positions, failures, and
 * when to look again, in one transaction under the lock of its resource.
 */
export async function commit(database: Database, request: Commit): Promise<CommitReply> {
  const id = resourceId(request.look.module, request.look.resource);
  return await database.transaction(async (tx) => {
    const look = await lockLook(tx, id);
    if (look === null) return { outcome: "dropped", reason: "unknown" };
    if (look.state !== "confirmed") return { outcome: "dropped", reason: "retired" };
    if (await isCommitted(tx, look, request.look.job)) return await readCommitted(tx, look, request);
    const isLate = !isNewer(request.look.job, look.fence);
    if (isLate !== (request.result.status === "late")) {
      return isLate ? { outcome: "stale" } : { outcome: "conflict", revision: look.revision };
    }
    return await record(tx, look, request);
  });
}

/** The reply to a job whose outcome stands: what of it is still to be published. */
async function readCommitted(tx: Statements, look: LookRow, { look: { job } }: Commit): Promise<CommitReply> {
  return {
    outcome: "committed",
    revision: look.revision,
    changes: await unpublishedChangesOf(tx, look.resourceKey, job),
    health: await unpublishedHealthOf(tx, look.resourceKey, job),
  };
}

/** What a commit made, in the words of its reply. */
type Recorded = Omit<Extract<CommitReply, { outcome: "committed" }>, "outcome">;

async function record(tx: Statements, look: LookRow, request: Commit): Promise<CommitReply> {
  const { result } = request;
  // A failed look compared nothing, and a late one compared with the past.
  const isCompared = result.status === "seen" || result.status === "gone";
  if (isCompared && request.expectedRevision !== look.revision) return { outcome: "conflict", revision: look.revision };
  return { outcome: "committed", ...(await recordResult(tx, look, request, result)) };
}

async function recordResult(
  tx: Statements,
  look: LookRow,
  request: Commit,
  result: Commit["result"],
): Promise<Recorded> {
  switch (result.status) {
    case "seen":
      return await recordSeen(tx, look, request, result);
    case "gone":
      return await recordGone(tx, look, request, result);
    case "failed":
      return await recordFailed(tx, look, request, result);
    case "late":
      return await recordLate(tx, look, request, result);
  }
}

async function recordSeen(tx: Statements, look: LookRow, request: Commit, result: Result<"seen">): Promise<Recorded> {
  const state = result.state === undefined ? null : canonical(result.state);
  const hasNewState = state !== null && state !== (look.savedState ?? "null");
  const hasReturned = look.isThere === false;
  const isWritten = look.revision === 0 || result.writes.length > 0 || hasNewState || hasReturned;
  const news = look.isImported ? await withoutUnknown(tx, look, result.changes) : result.changes;
  const writing = planWriting(look, request, planChanges(news), isWritten);
  await writeValues(tx, writing, result.writes);
  if (hasReturned) await appendExistence(tx, writing, false, true);
  if (hasNewState) await writeSavedState(tx, look.resourceKey, state);
  await advance(tx, look, request, { revision: writing.revision, fingerprint: result.fingerprint, isThere: true });
  return await finishGoodLook(tx, look, request, writing);
}

async function recordGone(tx: Statements, look: LookRow, request: Commit, result: Result<"gone">): Promise<Recorded> {
  const hasGone = look.isThere !== false;
  const writing = planWriting(look, request, planChanges(result.changes), hasGone);
  if (hasGone) await appendExistence(tx, writing, look.isThere, false);
  await advance(tx, look, request, { revision: writing.revision, fingerprint: null, isThere: false });
  return await finishGoodLook(tx, look, request, writing);
}

async function recordFailed(
  tx: Statements,
  look: LookRow,
  request: Commit,
  { error }: Result<"failed">,
): Promise<Recorded> {
  const { job, observedAt } = request.look;
  const settings = await readSettings(tx);
  await tx.run("UPDATE look SET fence_epoch = $2, fence_sequence = $3, looked_at = $4 WHERE resource_key = $1", [
    look.resourceKey,
    job.epoch,
    job.sequence,
    observedAt,
  ]);
  await dropEarlyLooks(tx, [look.resourceKey]);
  const failedLook = { ...look, job, observedAt, lastSeenAt: look.seenAt };
  const { failures, health } = await recordFailure(tx, failedLook, error, settings);
  const waitMs = retryAfterMs(error, failures, settings, look.everyMs);
  // From a whole period on the schedule itself is the retry.
  if (waitMs < look.everyMs || error.kind === "limited") {
    await wantEarlyLook(tx, look.resourceKey, "retry", new Date(Date.parse(observedAt) + waitMs));
  }
  return { revision: look.revision, changes: [], health };
}

async function recordLate(tx: Statements, look: LookRow, request: Commit, result: Result<"late">): Promise<Recorded> {
  const unknown = await onlyUnknown(tx, look.resourceKey, request.look.job, result.changes);
  const writing = planWriting(look, request, planChanges(unknown), false);
  await appendLateHistory(tx, writing);
  const changes = await insertChanges(tx, { ...look, ...request.look }, writing.changes, true);
  return { revision: look.revision, changes, health: [] };
}

function planWriting(look: LookRow, request: Commit, changes: PlannedChange[], isWritten: boolean): Writing {
  return {
    resourceKey: look.resourceKey,
    revision: look.revision + (isWritten ? 1 : 0),
    job: request.look.job,
    observedAt: request.look.observedAt,
    changes,
  };
}

/** Moves the resource to the revision that this look made, and its fence to this job. */
async function advance(
  tx: Statements,
  look: LookRow,
  { look: { job, observedAt, moduleVersion, optionsFingerprint } }: Commit,
  to: { revision: number; fingerprint: string | null; isThere: boolean },
): Promise<void> {
  await tx.run(
    `UPDATE look SET revision = $2, fingerprint = $3, is_there = $4, fence_epoch = $5, fence_sequence = $6,
        looked_at = $7, seen_at = $7, module_version = $8, options_fingerprint = $9, is_imported = is_imported AND NOT $4
      WHERE resource_key = $1`,
    [
      look.resourceKey,
      to.revision,
      to.fingerprint,
      to.isThere,
      job.epoch,
      job.sequence,
      observedAt,
      moduleVersion,
      optionsFingerprint,
    ],
  );
}

/** What follows from every good look; the changes come last, for they lock the feed. */
async function finishGoodLook(
  tx: Statements,
  look: LookRow,
  request: Commit,
  { revision, changes }: Writing,
): Promise<Recorded> {
  const { job, observedAt } = request.look;
  const health = await clearFailures(tx, [{ ...look, job, observedAt, lastSeenAt: look.seenAt }]);
  const sooner = changes.length > 0 ? (await readSettings(tx)).soonerAfterChangeMs : look.everyMs;
  if (sooner < look.everyMs) {
    await wantEarlyLook(tx, look.resourceKey, "after_change", new Date(Date.now() + sooner));
  } else await dropEarlyLooks(tx, [look.resourceKey]);
  return { revision, changes: await insertChanges(tx, { ...look, ...request.look }, changes, false), health };
}
