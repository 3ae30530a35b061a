import type { storeRpc } from "#contracts/store.ts";
import type { RpcHandlers } from "#runtime/rpc.ts";
import { commit } from "./commit.ts";
import { applyConfig, readConfig, refuseConfig } from "./config.ts";
import { recordConfirmation } from "./confirmation.ts";
import type { Database } from "./database.ts";
import { recordDiscovered } from "./discovered.ts";
import { readDue, readOverdue } from "./due.ts";
import { claimDelivery, readDeliveries, recordDelivery, takeDueDeliveries } from "./notify.ts";
import { readUnpublished, recordPublished } from "./outbox.ts";
import { recordQueued } from "./queued.ts";
import { readChange, readChanges, readFeed, readHistory } from "./read-changes.ts";
import { readLook } from "./read-look.ts";
import { readFindings, readObservations } from "./read-observations.ts";
import { readLanes, readResource, readResources } from "./read-resources.ts";
import { search } from "./read-search.ts";
import { readStatus } from "./read-status.ts";
import { readValues } from "./read-values.ts";
import { recordStream } from "./streams.ts";
import { recordSuggestion } from "./suggestion.ts";
import { acceptResource, refuseResource } from "./triage.ts";
import { recordUnchanged } from "./unchanged.ts";

/** What the store answers, request by request. Requests must have been validated. */
export function createStoreHandlers(database: Database): RpcHandlers<typeof storeRpc> {
  return {
    "read.look": (request) => readLook(database, request),
    "read.values": (request) => readValues(database, request),
    "read.due": (request) => readDue(database, request),
    "read.overdue": (request) => readOverdue(database, request),
    "read.lanes": (request) => readLanes(database, request),
    "read.config": () => readConfig(database),
    "read.resources": (request) => readResources(database, request),
    "read.resource": (request) => readResource(database, request),
    "read.observations": (request) => readObservations(database, request),
    "read.findings": (request) => readFindings(database, request),
    "read.history": (request) => readHistory(database, request),
    "read.changes": (request) => readChanges(database, request),
    "read.change": (request) => readChange(database, request),
    "read.feed": (request) => readFeed(database, request),
    "read.search": (request) => search(database, request),
    "read.status": () => readStatus(database),
    "read.deliveries": (request) => readDeliveries(database, request),
    "read.unpublished": (request) => readUnpublished(database, request),
    "write.commit": (request) => commit(database, request),
    "write.unchanged": (request) => recordUnchanged(database, request),
    "write.published": (request) => recordPublished(database, request),
    "write.discovered": (request) => recordDiscovered(database, request),
    "write.confirmation": (request) => recordConfirmation(database, request),
    "write.suggestion": (request) => recordSuggestion(database, request),
    "write.config": (request) => applyConfig(database, request),
    "write.refused_config": (request) => refuseConfig(database, request),
    "write.queued": (request) => recordQueued(database, request),
    "write.stream": (request) => recordStream(database, request),
    "triage.accept": (request) => acceptResource(database, request),
    "triage.refuse": (request) => refuseResource(database, request),
    "notify.claim": (request) => claimDelivery(database, request),
    "notify.record": (request) => recordDelivery(database, request),
    "notify.due": (request) => takeDueDeliveries(database, request),
  };
}
