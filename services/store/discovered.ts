import { z } from "zod";
import type { LookFailure } from "#contracts/messages.ts";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { canLead } from "./confirmation.ts";
import type { Database, Statements } from "./database.ts";
import { clearFailures, recordFailure, retryAfterMs, unpublishedHealthOf } from "./failing.ts";
import { isNewer } from "./job-order.ts";
import { dropEdgesBut, isSameResource, lockGraph, retireUnreachable } from "./provenance.ts";
import { lockResource, setDiscoveryFence, setUnwatched } from "./resource-rows.ts";
import type { ResourceRow } from "./resource-rows.ts";
import { readSettings } from "./settings.ts";
import type { Settings } from "./settings.ts";

type Request = StoreRequest<"write.discovered">;
type Reply = StoreReply<"write.discovered">;
type Found = Extract<Request["result"], { status: "discovered" }>;

/** The longest wait before a discovery that could not be made is tried again. */
export const mostDiscoveryWaitMs = 3_600_000;

/** Records what came of a discovery, at most once. */
export async function recordDiscovered(database: Database, request: Request): Promise<Reply> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, "pruning");
    const parent = await lockResource(tx, resourceId(request.module, request.resource));
    if (parent === null || !canLead(parent)) return { retired: 0, health: [] };
    const retired = isNewer(request.job, parent) ? await record(tx, request, parent) : 0;
    return { retired, health: await unpublishedHealthOf(tx, parent.resourceKey, request.job) };
  });
}

async function record(tx: Statements, request: Request, parent: ResourceRow): Promise<number> {
  const settings = await readSettings(tx);
  const { result } = request;
  if (result.status === "failed") {
    await recordFailedDiscovery(tx, request, parent, result.error, settings);
    return 0;
  }
  const isRefused = result.status === "not_mine" || result.confirmed.length + result.suggested.length === 0;
  const next = isRefused ? askAgain(parent, settings) : { inMs: settings.rediscoverEveryMs, attempts: 0 };
  await setDiscoveryFence(tx, parent.resourceKey, request.job, next);
  // What has been seen there is not let go unnoticed: its looks will say that it is gone.
  if (isRefused && parent.state === "confirmed" && (await hasBeenSeen(tx, parent.resourceKey))) return 0;
  if (parent.state !== "confirmed") {
    const observedAt = new Date().toISOString();
    await clearFailures(tx, [{ ...parent, job: request.job, observedAt, lastSeenAt: null }]);
  }
  if (result.status === "not_mine") {
    await setUnwatched(tx, parent.resourceKey, { state: "refused", refusal: result.reason });
    await dropEdgesBut(tx, parent.resourceKey, []);
    return await retireUnreachable(tx);
  }
  return await recordFound(tx, request, parent, result);
}

/** What is none of the module's now may become so, such as a repository that is yet to be made. */
function askAgain({ discoverAttempts }: ResourceRow, settings: Settings): { inMs: number; attempts: number } {
  const attempts = Math.max(1, discoverAttempts);
  const inMs = Math.min(settings.rediscoverEveryMs, settings.retryAfterMs * 2 ** Math.min(attempts - 1, 30));
  return { inMs, attempts };
}

async function hasBeenSeen(tx: Statements, resourceKey: number): Promise<boolean> {
  const row = await tx.row(
    z.object({ isSeen: z.boolean() }),
    `SELECT seen_at IS NOT NULL AS "isSeen" FROM look WHERE resource_key = $1`,
    [resourceKey],
  );
  return row?.isSeen ?? false;
}

async function recordFound(tx: Statements, request: Request, parent: ResourceRow, found: Found): Promise<number> {
  const ids = [...found.confirmed, ...found.suggested].map(({ module, resource }) => resourceId(module, resource));
  const dropped = await dropEdgesBut(tx, parent.resourceKey, ids);
  if (!found.confirmed.some((ref) => isSameResource(ref, request))) {
    await setUnwatched(
      tx,
      parent.resourceKey,
      ids.length > 0
        ? { state: "alias", refusal: null }
        : { state: "refused", refusal: `${request.module} found nothing of its own there` },
    );
  }
  return dropped > 0 ? await retireUnreachable(tx) : 0;
}

/** A candidate shows why it is none yet; a resource already watched shows what its looks say. */
async function recordFailedDiscovery(
  tx: Statements,
  { job }: Request,
  parent: ResourceRow,
  error: LookFailure,
  settings: Settings,
): Promise<void> {
  // Counted when it was published.
  const attempts = Math.max(1, parent.discoverAttempts);
  const inMs = retryAfterMs(error, attempts, settings, mostDiscoveryWaitMs);
  await setDiscoveryFence(tx, parent.resourceKey, job, { inMs, attempts });
  if (parent.state !== "candidate") return;
  const observedAt = new Date().toISOString();
  await recordFailure(tx, { ...parent, job, observedAt, lastSeenAt: null }, error, settings);
}
