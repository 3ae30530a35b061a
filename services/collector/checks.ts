import { setTimeout as sleep } from "node:timers/promises";
import { v7 as uuid } from "uuid";
import type { z } from "zod";
import { collectorRpc } from "#contracts/store.ts";
import type { DueJob, StoreReply } from "#contracts/store.ts";
import { laneDurable, messageIds, resourceId, streams, subjects } from "#contracts/subjects.ts";
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
  /** How long a check waits for a look in hand to give way. */
  mostWaitMs?: number;
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
        const job = checkJob(watched, messageIds.check(checkId));
        const isQueued = await publishCheck(job, epoch, parts);
        return isQueued
          ? { outcome: "queued", checkId, resourceId: id }
          : { outcome: "already_queued", checkId: null, resourceId: id };
      },
    },
  );
}

type Watched = NonNullable<StoreReply<"read.resource">>;

function checkJob({ module, resource, lane, source, revision }: Watched, messageId: string): Omit<DueJob, "id"> {
  return {
    operation: "observation",
    cause: "check",
    module,
    resource,
    lane,
    source,
    revision,
    jobClass: "now",
    messageId,
  };
}

/**
 * True when it is queued, false when one is that has yet to begin. A look that has ended may still hold its place in
 * the lane, for its host's sake: this check then comes after it.
 */
async function publishCheck(
  job: Omit<DueJob, "id">,
  epoch: number,
  { broker, mostWaitMs = 3000 }: CheckParts,
): Promise<boolean> {
  const endsAt = performance.now() + mostWaitMs;
  for (;;) {
    const { outcome } = await publishJob(broker, job, epoch);
    if (outcome === "published") return true;
    if (performance.now() > endsAt || !(await isInHand(job.lane, broker))) return false;
    await sleep(100);
  }
}

async function isInHand(lane: string, { jsm }: Broker): Promise<boolean> {
  return (await jsm.consumers.info(streams.jobs, laneDurable(lane, "now"))).num_ack_pending > 0;
}
