import type { ResourceState, StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { canLead } from "./confirmation.ts";
import type { Database, Statements } from "./database.ts";
import { isNewer } from "./job-order.ts";
import { addEdge, countBrought, isPersonal, lockGraph, lockSource, retireUnreachable } from "./provenance.ts";
import { lockOrMakeResource, lockResource, setCandidate, setUnwatched } from "./resource-rows.ts";
import type { ResourceRow } from "./resource-rows.ts";
import { everyMsOf, readSettings } from "./settings.ts";

type Request = StoreRequest<"write.suggestion">;
type Reply = StoreReply<"write.suggestion">;

/** Somebody proposed a resource to a module: a module while it discovered `parent`, or a source outside. */
export async function recordSuggestion(database: Database, request: Request): Promise<Reply> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, request.isInScope ? "growing" : "pruning");
    const settings = await readSettings(tx);
    if (request.configRevision < settings.revision) return { outcome: "stale", state: null };
    const parent = await findParent(tx, request);
    if (parent === "stale") return { outcome: "stale", state: null };
    await lockSource(tx, request.source);
    const child = await lockOrMakeResource(tx, {
      ...request,
      everyMs: everyMsOf(settings, request.module),
      ownEveryMs: null,
    });
    if (child.resourceKey !== parent?.resourceKey) {
      await addEdge(tx, {
        source: parent?.module ?? request.source,
        parentKey: parent?.resourceKey ?? null,
        childKey: child.resourceKey,
        configRevision: settings.revision,
      });
    }
    return { outcome: "recorded", state: await settle(tx, request, child) };
  });
}

/** The resource that led here, null for a source outside, or `stale` when it may not lead any more. */
async function findParent(tx: Statements, { parent, job }: Request): Promise<ResourceRow | null | "stale"> {
  if (!parent) return null;
  const row = await lockResource(tx, resourceId(parent.module, parent.resource));
  return row === null || !canLead(row) || (job && isNewer(row, job)) ? "stale" : row;
}

async function settle(
  tx: Statements,
  request: Request,
  child: ResourceRow & { isNew: boolean },
): Promise<ResourceState> {
  if (child.state === "refused") return child.state;
  const isSettled = !child.isNew && child.state !== "retired" && child.state !== "waiting";
  const refusal = await refusalOf(tx, request, child, isSettled);
  if (refusal === null) {
    if (isSettled) return child.state;
    await setCandidate(tx, child.resourceKey);
    return child.wasConfirmed ? "confirmed" : "candidate";
  }
  await setUnwatched(tx, child.resourceKey, { state: "waiting", refusal });
  if (isSettled) await retireUnreachable(tx);
  return "waiting";
}

/** Why a person must accept it first, or null. What is settled already was counted when it came. */
async function refusalOf(
  tx: Statements,
  { source, isInScope, perSource }: Request,
  child: ResourceRow,
  isSettled: boolean,
): Promise<string | null> {
  if (await isPersonal(tx, child.resourceKey)) return null;
  if (!isInScope) return "outside of the hosts and owners that the configuration's scope names";
  if (isSettled || (await countBrought(tx, source, child.resourceKey)) < perSource) return null;
  return `"${source}" has brought ${perSource} resources already, which is scope.perSource`;
}
