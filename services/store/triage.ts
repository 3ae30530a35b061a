import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { toJson } from "./columns.ts";
import type { Database, Statements } from "./database.ts";
import { addEdge, lockGraph } from "./provenance.ts";
import { lockResource, setCandidate } from "./resource-rows.ts";
import { readSettings } from "./settings.ts";

/** A person lets a waiting resource in: from now on it is watched because of that person. */
export async function acceptResource(
  database: Database,
  { id }: StoreRequest<"triage.accept">,
): Promise<StoreReply<"triage.accept">> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, "growing");
    const resource = await lockResource(tx, id);
    if (resource === null) return { outcome: "unknown" };
    if (resource.state !== "waiting") return { outcome: "not_waiting" };
    const { revision } = await readSettings(tx);
    await addEdge(tx, {
      source: "person",
      parentKey: null,
      childKey: resource.resourceKey,
      configRevision: revision,
    });
    await setCandidate(tx, resource.resourceKey);
    await appendAudit(tx, "accept", resource.resourceKey);
    return { outcome: "accepted" };
  });
}

/** A person keeps a waiting resource out, whoever suggests it again. */
export async function refuseResource(
  database: Database,
  { id }: StoreRequest<"triage.refuse">,
): Promise<StoreReply<"triage.refuse">> {
  return await database.transaction(async (tx) => {
    await lockGraph(tx, "growing");
    const resource = await lockResource(tx, id);
    if (resource === null) return { outcome: "unknown" };
    if (resource.state !== "waiting") return { outcome: "not_waiting" };
    await tx.run(
      `UPDATE resource SET state = 'refused', is_refused_by_person = true, refusal = 'refused by a person',
          discover_at = NULL
        WHERE resource_key = $1`,
      [resource.resourceKey],
    );
    await appendAudit(tx, "refuse", resource.resourceKey);
    return { outcome: "refused" };
  });
}

async function appendAudit(tx: Statements, action: "accept" | "refuse", resourceKey: number): Promise<void> {
  await tx.run("INSERT INTO audit (who, action, resource_key, detail) VALUES ('person', $1, $2, $3)", [
    action,
    resourceKey,
    toJson({}),
  ]);
}
