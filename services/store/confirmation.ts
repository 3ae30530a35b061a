import type { ResourceState, StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import type { Database, Statements } from "./database.ts";
import { clearFailures } from "./failing.ts";
import { isNewer } from "./job-order.ts";
import { addEdge, isPersonal, isSameResource, lockGraph, retireUnreachable } from "./provenance.ts";
import { lockOrMakeResource, lockResource, setConfirmed, setUnwatched } from "./resource-rows.ts";
import type { ResourceRow } from "./resource-rows.ts";
import { everyMsOf, readSettings } from "./settings.ts";
import type { Settings } from "./settings.ts";

type Request = StoreRequest<"write.confirmation">;
type Reply = StoreReply<"write.confirmation">;

/** Why a confirmed resource is not watched: the words that people read. */
const outOfScope = "outside of the hosts and owners that the configuration's scope names";

/** A module said, while `parent` was discovered, that a resource is one of its own. */
export async function recordConfirmation(database: Database, request: Request): Promise<Reply> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, request.isInScope ? "growing" : "pruning");
    const settings = await readSettings(tx);
    if (request.configRevision < settings.revision) return { outcome: "stale", state: null };
    const parent = await lockResource(tx, resourceId(request.parent.module, request.parent.resource));
    if (parent === null || !canLead(parent) || isNewer(parent, request.job)) {
      return { outcome: "stale", state: parent?.state ?? null };
    }
    const state = isSameResource(request, request.parent)
      ? await confirm(tx, request, parent)
      : await confirmChild(tx, request, parent, settings);
    return { outcome: "recorded", state };
  });
}

/** May what this resource's discovery says be followed? */
export function canLead(parent: ResourceRow): boolean {
  return parent.state !== "retired" && parent.state !== "waiting" && !parent.isRefusedByPerson;
}

async function confirm(tx: Statements, request: Request, resource: ResourceRow): Promise<ResourceState> {
  const { lane, owner, job } = request;
  const isSelf = isSameResource(request, request.parent);
  const isFirst = resource.state !== "confirmed";
  await setConfirmed(tx, resource.resourceKey, { lane, owner, isDiscoveredNext: isFirst && !isSelf });
  if (isFirst) {
    // Until now only discoveries could fail.
    const observedAt = new Date().toISOString();
    await clearFailures(tx, [{ ...resource, job, observedAt, lastSeenAt: null }]);
  }
  return "confirmed";
}

async function confirmChild(
  tx: Statements,
  request: Request,
  parent: ResourceRow,
  settings: Settings,
): Promise<ResourceState> {
  const child = await lockOrMakeResource(tx, {
    ...request,
    source: parent.module,
    everyMs: everyMsOf(settings, request.module),
    ownEveryMs: parent.ownEveryMs,
  });
  await addEdge(tx, {
    source: parent.module,
    parentKey: parent.resourceKey,
    childKey: child.resourceKey,
    configRevision: settings.revision,
  });
  if (child.isRefusedByPerson) return child.state;
  if (request.isInScope || (await isPersonal(tx, child.resourceKey))) return await confirm(tx, request, child);
  // The module has said yes already: once a person accepts it, it is watched.
  await setConfirmed(tx, child.resourceKey, { ...request, isDiscoveredNext: false });
  await setUnwatched(tx, child.resourceKey, { state: "waiting", refusal: outOfScope });
  await retireUnreachable(tx);
  return "waiting";
}
