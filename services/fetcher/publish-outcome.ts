import { Outcome } from "#contracts/messages.ts";
import type { Confirmation, Job, JobPosition, Suggestion } from "#contracts/messages.ts";
import type { ModuleDefinition } from "#contracts/module.ts";
import { messageIds, streams, subjects } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { errorMessage } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import { publish } from "#runtime/publish.ts";
import type { Discovered } from "./look.ts";

/**
 * Exactly one outcome a job: a second one of the same job falls to the stream's duplicate window or the fence. While the
 * stream is full or the broker away, the job is held: that is what keeps fetchers back.
 */
export async function publishOutcome(
  outcome: Outcome,
  { broker, log, abandon }: { broker: Broker; log: Logger; abandon: AbortSignal },
): Promise<void> {
  const untilAbandoned = { signal: abandon, forMs: Number.POSITIVE_INFINITY };
  const publication = {
    stream: streams.observations,
    subject: subjects.observation(outcome.module, outcome.resource),
    messageId: messageIds.outcome(outcome.job.epoch, outcome.job.sequence),
  };
  try {
    await publish(broker.js, { ...publication, body: outcome }, untilAbandoned);
  } catch (error) {
    if (!/payload/i.test(errorMessage(error))) throw error;
    log.error({ err: error, resource: outcome.resource }, "report too large for the broker");
    const failure = { kind: "too_large", message: "the report does not fit into one message" };
    // The schema keeps the facts of the look alone.
    const failed = Outcome.parse({ ...outcome, status: "failed", error: failure });
    await publish(broker.js, { ...publication, body: failed }, untilAbandoned);
  }
}

/** What a discovery found, each under an id of its own, so that a repeat adds nothing. */
export async function publishFound(
  { job, position, definition }: { job: Job; position: JobPosition; definition: ModuleDefinition },
  found: Extract<Discovered, { status: "discovered" }>,
  { js }: Broker,
): Promise<void> {
  const parent = { module: job.module, resource: job.resource };
  const idOf = (kind: string, index: number) => `${kind}:${position.epoch}:${position.sequence}:${index}`;
  for (const [index, { module, resource }] of found.confirmed.entries()) {
    const body: Confirmation = {
      module,
      resource,
      lane: definition.lane(resource),
      owner: definition.owner(resource),
      parent,
      source: job.source,
      job: position,
    };
    const subject = subjects.confirmation(module, resource);
    await publish(js, { stream: streams.confirmations, subject, body, messageId: idOf("confirmation", index) });
  }
  for (const [index, { module, resource }] of found.suggested.entries()) {
    const body: Suggestion = { module, resource, parent, job: position };
    const subject = subjects.suggestion(job.module, module, resource);
    await publish(js, { stream: streams.suggestions, subject, body, messageId: idOf("suggestion", index) });
  }
}
