import type { Job } from "#contracts/messages.ts";
import type { DueJob } from "#contracts/store.ts";
import { streams, subjects } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { publish } from "#runtime/publish.ts";
import type { Published } from "#runtime/publish.ts";

/**
 * Publishes one job. The stream itself refuses a second outstanding one of a resource and class. Never repeated for
 * long: a stream that is made anew meanwhile has another epoch, under which the job must be offered again.
 */
export async function publishJob(broker: Broker, due: Omit<DueJob, "id">, epoch: number): Promise<Published> {
  const { operation, module, resource, lane, source, cause, revision, jobClass, messageId } = due;
  const body: Job = {
    operation,
    module,
    resource,
    lane,
    source,
    cause,
    epoch,
    revision,
    publishedAt: new Date().toISOString(),
  };
  const subject = subjects.job(lane, jobClass, module, resource);
  return await publish(broker.js, { stream: streams.jobs, subject, body, messageId }, { forMs: 500 });
}
