import { setTimeout as sleep } from "node:timers/promises";
import type { JsMsg } from "@nats-io/jetstream";
import { Job } from "#contracts/messages.ts";
import type { Outcome } from "#contracts/messages.ts";
import { hostToken, streams } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { decode } from "#runtime/codec.ts";
import { MalformedMessageError } from "#runtime/errors.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import { optionsFingerprint } from "#runtime/load-modules.ts";
import type { Logger } from "#runtime/log.ts";
import { acknowledge, bury } from "#runtime/settle.ts";
import { isOvertaken, noBasis, unchangedFingerprint } from "./basis.ts";
import type { Basis, createBasisCache } from "./basis.ts";
import type { LookCost, OpenedIo } from "./io/open-io.ts";
import { longestRestMs } from "./lane-settings.ts";
import type { LaneLimit, LaneSettings } from "./lane-settings.ts";
import { discoverResource, observeResource } from "./look.ts";
import type { Discovered, Observed } from "./look.ts";
import { publishFound, publishOutcome } from "./publish-outcome.ts";

export interface FetcherParts {
  broker: Broker;
  log: Logger;
  /** Names this fetcher in outcomes. */
  id: string;
  config(): LoadedConfig;
  basis: ReturnType<typeof createBasisCache>;
  settings: LaneSettings;
  /** The capability object of one look, and what the look has cost so far. */
  openIo(job: Job, time: { signal: AbortSignal; deadlineMs: number }): OpenedIo;
  /** Two looks at one resource at the same time could be recorded in the other order. */
  oneAtATime<Result>(resource: string, look: () => Promise<Result>): Promise<Result>;
  /** Runs a look within the process's own cap. */
  withinCap<Result>(look: () => Promise<Result>): Promise<Result>;
  onLook(facts: { module: string; status: string; errorKind: string | null; durationMs: number }): void;
  /** Aborted when looks in hand are to be given up at shutdown. */
  abandon: AbortSignal;
}

/** Past this many deliveries a look has taken its fetcher down that often. */
const maxJobDeliveries = 5;
const normalDeadlineMs = 60_000;
const slowDeadlineMs = 600_000;
const shortestRestMs = 1000;

/**
 * One job from its message to its acknowledgement. The message is the permit: its acknowledgement is held until
 * concurrency ÷ rate after the answer, so that the host sees the limit whatever happens here.
 */
export async function runJob(message: JsMsg, limit: LaneLimit, parts: FetcherParts): Promise<void> {
  const job = readJob(message);
  if (job === null) return await reject(message, "not a job", parts);
  const log = parts.log.child({ module: job.module, resource: job.resource, job: message.seq });
  if (message.info.deliveryCount > maxJobDeliveries) return await rejectPoison(message, job, parts);
  // A crash of several fetchers by the same job is broken up by a random wait.
  await sleep(Math.random() * 500 * (message.info.deliveryCount - 1));
  const looked = await parts.oneAtATime(`${job.operation}|${job.module}|${job.resource}`, async () => {
    const basis = await basisOf(message, job, parts);
    const reason = reasonToDrop(message, job, basis);
    if (reason === null) return await lookAndTell(message, job, basis, parts);
    log.info({ reason }, "job dropped");
    return null;
  });
  if (parts.abandon.aborted) return;
  if (looked === null) return await acknowledge(message, log);
  const { outcome, answeredAt } = looked;
  const permitMs = hasTouchedHost(job, outcome, parts) ? (1000 * limit.concurrency) / limit.perSecond : 0;
  const heldMs = Math.max(0, answeredAt + permitMs - performance.now());
  // Given up at a stop: the job comes again once its ack wait is over, and is then known to be done.
  await sleep(heldMs, undefined, { signal: parts.abandon }).catch(() => {});
  if (!parts.abandon.aborted) await acknowledge(message, log);
}

/** Most discoveries ask nobody; a command uses the network unseen. */
function hasTouchedHost({ operation, module }: Job, outcome: Outcome, parts: FetcherParts): boolean {
  const isSeen = parts.config().modules.get(module)?.isCommand === false;
  return operation === "observation" || outcome.requests > 0 || !isSeen;
}

async function basisOf(message: JsMsg, job: Job, parts: FetcherParts): Promise<Basis> {
  if (job.operation === "discovery") return noBasis;
  return await parts.basis.get(job, definitionOf(job, parts), message.info.deliveryCount > 1);
}

function reasonToDrop(message: JsMsg, job: Job, basis: Basis): string | null {
  if (!basis.isWatched) return "the resource is not watched any more";
  const position = { epoch: job.epoch, sequence: message.seq };
  return job.operation === "observation" && isOvertaken(position, basis) ? "a newer look has been made" : null;
}

async function lookAndTell(message: JsMsg, job: Job, basis: Basis, parts: FetcherParts) {
  const outcome = await lookAt(message, job, basis, parts);
  const answeredAt = performance.now();
  if (parts.abandon.aborted) return { outcome, answeredAt };
  await restIfLimited(job, outcome, parts);
  await publishOutcome(outcome, parts);
  if (job.operation === "observation") parts.basis.saveFence(job, outcome.job);
  return { outcome, answeredAt };
}

function readJob(message: JsMsg): Job | null {
  try {
    return decode(message, Job);
  } catch (error) {
    if (error instanceof MalformedMessageError) return null;
    throw error;
  }
}

function definitionOf(job: Job, parts: FetcherParts) {
  const loaded = parts.config().modules.get(job.module);
  // The file may have changed since: the collector retires what it no longer names.
  if (!loaded) throw new Error(`no module ${job.module} is configured here`);
  return loaded.definition;
}

async function reject(message: JsMsg, reason: string, { broker, log }: FetcherParts): Promise<void> {
  await bury(broker.js, message, { kind: "job", stream: streams.jobs, reason });
  message.term(reason);
  log.error({ subject: message.subject, reason }, "job rejected");
}

/** The resource shows why it is not looked at; then the message goes, since it would block the resource for good. */
async function rejectPoison(message: JsMsg, job: Job, parts: FetcherParts): Promise<void> {
  const reason = `the look was begun ${message.info.deliveryCount - 1} times and never ended`;
  const now = new Date().toISOString();
  await publishOutcome(
    {
      ...factsOf(message, job, parts, { startedAt: now, basis: 0, cost: { requests: 0, bodyBytes: 0 } }),
      status: "failed",
      error: { kind: "module", message: reason },
    },
    parts,
  );
  await reject(message, reason, parts);
}

async function lookAt(message: JsMsg, job: Job, basis: Basis, parts: FetcherParts): Promise<Outcome> {
  return await parts.withinCap(async () => {
    const { deadline, slow } = parts.config().config.modules[job.module] ?? {};
    const deadlineMs = deadline ?? (slow === true ? slowDeadlineMs : normalDeadlineMs);
    const signal = AbortSignal.any([AbortSignal.timeout(deadlineMs), parts.abandon]);
    const { io, cost } = parts.openIo(job, { signal, deadlineMs });
    const startedAt = new Date();
    const target = {
      definition: definitionOf(job, parts),
      options: parts.config().options.get(job.module),
      resource: job.resource,
    };
    const result =
      job.operation === "discovery"
        ? await discoverResource(target, job.source, io)
        : await observeResource(target, basis, io);
    const facts = factsOf(message, job, parts, {
      startedAt: startedAt.toISOString(),
      basis: basis.revision,
      cost: cost(),
    });
    parts.onLook({
      module: job.module,
      status: result.status,
      errorKind: result.status === "failed" ? result.error.kind : null,
      durationMs: Date.now() - startedAt.getTime(),
    });
    if (result.status === "discovered")
      await publishFound({ job, position: facts.job, definition: target.definition }, result, parts.broker);
    return toOutcome(facts, result, basis, parts, job);
  });
}

type Facts = Omit<Extract<Outcome, { status: "failed" }>, "status" | "error">;

function factsOf(
  message: JsMsg,
  job: Job,
  parts: FetcherParts,
  { startedAt, basis, cost }: { startedAt: string; basis: number; cost: LookCost },
): Facts {
  return {
    module: job.module,
    resource: job.resource,
    operation: job.operation,
    cause: job.cause,
    job: { epoch: job.epoch, sequence: message.seq },
    deliveryCount: message.info.deliveryCount,
    fetcher: parts.id,
    moduleVersion: parts.config().modules.get(job.module)?.definition.version ?? 0,
    optionsFingerprint: optionsFingerprint(parts.config().options.get(job.module)),
    basis,
    startedAt,
    finishedAt: new Date().toISOString(),
    requests: cost.requests,
    bodyBytes: cost.bodyBytes,
  };
}

function toOutcome(facts: Facts, result: Observed | Discovered, basis: Basis, parts: FetcherParts, job: Job): Outcome {
  if (result.status !== "seen") return { ...facts, ...result };
  const isSameShape =
    basis.moduleVersion === facts.moduleVersion && basis.optionsFingerprint === facts.optionsFingerprint;
  const fingerprint = isSameShape ? unchangedFingerprint(basis, result.report) : null;
  if (fingerprint === null) return { ...facts, ...result, report: withoutOldEvidence(basis, result) };
  const hasNewState = result.state !== undefined && JSON.stringify(result.state) !== JSON.stringify(basis.state);
  if (hasNewState && result.state !== undefined) parts.basis.saveState(job, basis, result.state);
  return { ...facts, status: "unchanged", fingerprint, ...(hasNewState ? { state: result.state } : {}) };
}

/** Evidence and context serve only a change: they do not travel with values that are what they were. */
function withoutOldEvidence(basis: Basis, { report }: Extract<Observed, { status: "seen" }>) {
  const before = new Map(basis.previous.map(({ attribute, value }) => [attribute, JSON.stringify(value)]));
  const observations = report.observations.map((observation) => {
    if (before.get(observation.attribute) !== JSON.stringify(observation.value)) return observation;
    const { evidence: _evidence, context: _context, ...rest } = observation;
    return rest;
  });
  return { ...report, observations };
}

/** 429, `Retry-After` or an exhausted quota: the whole lane rests, for every fetcher. */
async function restIfLimited(job: Job, outcome: Outcome, { settings, log }: FetcherParts): Promise<void> {
  if (outcome.status !== "failed" || outcome.error.kind !== "limited") return;
  const asked = outcome.error.retryAfterMs ?? 60_000;
  const forMs = Math.min(longestRestMs, Math.max(shortestRestMs, asked));
  await settings.rest(hostToken(job.lane), forMs);
  log.warn({ lane: job.lane, forMs }, "lane rests");
}
