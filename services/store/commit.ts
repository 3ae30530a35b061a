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
    if (await isCommitted(tx, look, request.look.job)) return await committed(tx, look, request, look.revision);
    const isLate = !isNewer(request.look.job, look.fence);
    if (isLate !== (request.result.status === "late")) {
      return isLate ? { outcome: "stale" } : { outcome: "conflict", revision: look.revision };
    }
    return await record(tx, look, request);
  });
}

/** The reply to a job whose outcome stands: what of it is still to be published. */
async function committed(tx: Statements, look: LookRow, { look: { job } }: Commit, revision: number) {
  return {
    outcome: "committed" as const,
    revision,
    changes: await unpublishedChangesOf(tx, look.resourceKey, job),
    health: await unpublishedHealthOf(tx, look.resourceKey, job),
  };
}

async function record(tx: Statements, look: LookRow, request: Commit): Promise<CommitReply> {
  const { result } = request;
  // A failed look compared nothing, and a late one compared with the past.
  const isCompared = result.status === "seen" || result.status === "gone";
  if (isCompared && request.expectedRevision !== look.revision) return { outcome: "conflict", revision: look.revision };
  let { revision } = look;
  switch (result.status) {
    case "seen":
      revision = await recordSeen(tx, look, request, result);
      break;
    case "gone":
      revision = await recordGone(tx, look, request, result);
      break;
    case "failed":
      await recordFailed(tx, look, request, result);
      break;
    case "late":
      await recordLate(tx, look, request, result);
      break;
  }
  return await committed(tx, look, request, revision);
}

async function recordSeen(tx: Statements, look: LookRow, request: Commit, result: Result<"seen">): Promise<number> {
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
  await finishGoodLook(tx, look, request, writing.changes);
  return writing.revision;
}

async function recordGone(tx: Statements, look: LookRow, request: Commit, result: Result<"gone">): Promise<number> {
  const hasGone = look.isThere !== false;
  const writing = planWriting(look, request, planChanges(result.changes), hasGone);
  if (hasGone) await appendExistence(tx, writing, look.isThere, false);
  await advance(tx, look, request, { revision: writing.revision, fingerprint: null, isThere: false });
  await finishGoodLook(tx, look, request, writing.changes);
  return writing.revision;
}

async function recordFailed(tx: Statements, look: LookRow, request: Commit, { error }: Result<"failed">) {
  const { job, observedAt } = request.look;
  const settings = await readSettings(tx);
  await tx.run("UPDATE look SET fence_epoch = $2, fence_sequence = $3, looked_at = $4 WHERE resource_key = $1", [
    look.resourceKey,
    job.epoch,
    job.sequence,
    observedAt,
  ]);
  await dropEarlyLooks(tx, [look.resourceKey]);
  const failures = await recordFailure(tx, { ...look, job, observedAt, lastSeenAt: look.seenAt }, error, settings);
  const waitMs = retryAfterMs(error, failures, settings, look.everyMs);
  // From a whole period on the schedule itself is the retry.
  if (waitMs >= look.everyMs && error.kind !== "limited") return;
  await wantEarlyLook(tx, look.resourceKey, "retry", new Date(Date.parse(observedAt) + waitMs));
}

async function recordLate(tx: Statements, look: LookRow, request: Commit, result: Result<"late">): Promise<void> {
  const unknown = await onlyUnknown(tx, look.resourceKey, request.look.job, result.changes);
  const writing = planWriting(look, request, planChanges(unknown), false);
  await appendLateHistory(tx, writing);
  await insertChanges(tx, { ...look, ...request.look }, writing.changes, true);
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
async function finishGoodLook(tx: Statements, look: LookRow, request: Commit, changes: PlannedChange[]): Promise<void> {
  const { job, observedAt } = request.look;
  await clearFailures(tx, [{ ...look, job, observedAt, lastSeenAt: look.seenAt }]);
  await dropEarlyLooks(tx, [look.resourceKey]);
  if (changes.length === 0) return;
  const { soonerAfterChangeMs } = await readSettings(tx);
  if (soonerAfterChangeMs < look.everyMs) {
    await wantEarlyLook(tx, look.resourceKey, "after_change", new Date(Date.now() + soonerAfterChangeMs));
  }
  await insertChanges(tx, { ...look, ...request.look }, changes, false);
}
