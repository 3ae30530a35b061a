import { v7 as uuid } from "uuid";
import type { z } from "zod";
import { collectorRpc } from "#contracts/store.ts";
import { messageIds, resourceId, subjects } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { RpcError } from "#runtime/errors.ts";
import type { Modules } from "#runtime/load-modules.ts";
import type { Logger } from "#runtime/log.ts";
import { serveRpc } from "#runtime/rpc.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { publishJob } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";
import { place } from "./targets.ts";

interface CheckParts {
  broker: Broker;
  store: StoreClient;
  lanes: Lanes;
  log: Logger;
  modules(): Modules;
  epoch(): Promise<number | null>;
}

type CheckReply = z.infer<typeof collectorRpc.check.reply>;

/** Answers "look at this now": a job of the lane's urgent class, whose id is never a scheduled one's. */
export function answerChecks(parts: CheckParts): { stop(): Promise<void> } {
  return serveRpc(
    parts.broker.nc,
    { subjectOf: subjects.collectorRpc, queue: "collector", contract: collectorRpc, log: parts.log },
    {
      check: async ({ module, resource }): Promise<CheckReply> => {
        const placed = place(parts.modules(), module, resource);
        const id = resourceId(module, placed.isPlaced ? placed.resource : resource);
        const watched = await parts.store.call("read.resource", { id });
        if (watched?.state !== "confirmed") return { outcome: "not_watched", checkId: null, resourceId: id };
        const epoch = await parts.epoch();
        if (epoch === null) throw new RpcError("unavailable", "there is no JOBS stream yet", { isTemporary: true });
        await parts.lanes.ensure(watched.lane);
        const checkId = uuid();
        const published = await publishJob(
          parts.broker,
          {
            operation: "observation",
            cause: "check",
            module,
            resource: watched.resource,
            lane: watched.lane,
            source: watched.source,
            revision: watched.revision,
            jobClass: "now",
            messageId: messageIds.check(checkId),
          },
          epoch,
        );
        return published.outcome === "outstanding"
          ? { outcome: "already_queued", checkId: null, resourceId: id }
          : { outcome: "queued", checkId, resourceId: id };
      },
    },
  );
}
