import { setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { ConsumerConfig, JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { nanos } from "@nats-io/nats-core";
import { durables, lanesBucket, streams, subjects } from "#contracts/subjects.ts";
import type { Broker } from "./broker.ts";
import { errorMessage } from "./errors.ts";
import type { Logger } from "./log.ts";
import { retry } from "./retry.ts";
import { createStoreClient } from "./rpc.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

type StreamSettings = Partial<StreamConfig> & Pick<StreamConfig, "name" | "subjects">;

const workQueue = { retention: RetentionPolicy.Workqueue, discard: DiscardPolicy.New } as const;

/** One message a subject; the stream itself refuses the second (error 10077), which is the back-pressure. */
const oneOutstanding = { max_msgs_per_subject: 1, discard_new_per_subject: true } as const;

/** Of what outside systems can fill: the account's limit holds for all streams together, and must not be theirs. */
const outsideBytes = 256 * 1024 ** 2;

const streamSettings: StreamSettings[] = [
  {
    name: streams.jobs,
    subjects: [subjects.allJobs],
    ...workQueue,
    ...oneOutstanding,
    duplicate_window: nanos(hourMs),
    // A lane has two consumers; nats-server 2.15 caps a stream at 1,000 when nothing is said.
    max_consumers: 20_000,
  },
  {
    name: streams.observations,
    subjects: [subjects.allObservations],
    ...workQueue,
    duplicate_window: nanos(2 * hourMs),
    // A bound is what makes "discard new" hold fetchers back, when assessors are away, before the disk is full.
    max_bytes: 4 * 1024 ** 3,
    // Assessors look for earlier outcomes of the same resource.
    allow_direct: true,
  },
  { name: streams.confirmations, subjects: [subjects.allConfirmations], ...workQueue },
  {
    name: streams.suggestions,
    subjects: [subjects.allSuggestions],
    ...workQueue,
    ...oneOutstanding,
    max_bytes: outsideBytes,
  },
  {
    name: streams.changes,
    subjects: [subjects.allChanges],
    max_age: nanos(90 * dayMs),
    duplicate_window: nanos(7 * dayMs),
    allow_direct: true,
  },
  {
    name: streams.health,
    subjects: [subjects.allHealth],
    max_age: nanos(30 * dayMs),
    duplicate_window: nanos(7 * dayMs),
  },
  {
    name: streams.dead,
    subjects: [subjects.allDead],
    max_age: nanos(30 * dayMs),
    max_bytes: outsideBytes,
    allow_direct: true,
  },
];

type DurableSettings = Partial<ConsumerConfig> & { durable_name: string };

const durableSettings: { stream: string; durable: DurableSettings }[] = [
  { stream: streams.observations, durable: { durable_name: durables.assessor, max_ack_pending: 1000 } },
  { stream: streams.confirmations, durable: { durable_name: durables.confirmations, max_ack_pending: 1000 } },
  { stream: streams.suggestions, durable: { durable_name: durables.suggestions, max_ack_pending: 1000 } },
  { stream: streams.changes, durable: { durable_name: durables.notifierChanges, max_ack_pending: 256 } },
  { stream: streams.health, durable: { durable_name: durables.notifierHealth, max_ack_pending: 256 } },
];

/** An outside system with a durable of its own on CHANGES. */
export interface Subscriber {
  name: string;
  subjects: string[];
}

export function subscriberDurable(name: string): string {
  return `ext-${name}`;
}

export interface ProvisionOptions {
  subscribers?: Subscriber[];
  /** How long the store is waited for; default 20 s. */
  storeWaitMs?: number;
  signal?: AbortSignal;
}

/**
 * Makes the streams, the bucket and the fixed durables that are missing and brings the settings of the others up to
 * date; nothing is ever deleted. Then tells the store when JOBS and CHANGES were made, since a stream made anew begins
 * a new epoch. False when the store did not answer: the streams stand, and a repeat tells it.
 */
export async function provision(broker: Broker, log: Logger, options: ProvisionOptions = {}): Promise<boolean> {
  // First: collectors make lanes as soon as JOBS stands, and fetchers listen on the bucket's subjects, so that a lane
  // written before the bucket stands would wait for an answer until its time is up.
  await new Kvm(broker.js).create(lanesBucket, { history: 1, allow_direct: true, storage: StorageType.File });
  const made = new Map<string, StreamInfo>();
  for (const settings of streamSettings) made.set(settings.name, await ensureStream(broker.jsm, settings, log));
  for (const { stream, durable } of durableSettings) await ensureDurable(broker.jsm, stream, durable, log);
  for (const { name, subjects: filters } of options.subscribers ?? []) {
    // The empty one takes back a single filter of before.
    const durable = { durable_name: subscriberDurable(name), filter_subject: "", filter_subjects: filters };
    await ensureDurable(broker.jsm, streams.changes, durable, log);
  }
  return await tellStore(broker, log, made, options);
}

/** Provisions now and every `everyMs`, so that a stream deleted outright comes back, until the signal aborts. */
export async function keepProvisioned(
  broker: Broker,
  log: Logger,
  options: { everyMs: number; signal: AbortSignal; readSubscribers(): Subscriber[]; onDone?(): void },
): Promise<void> {
  const { signal } = options;
  while (!signal.aborted) {
    try {
      const isTold = await provision(broker, log, { subscribers: options.readSubscribers(), signal });
      if (isTold) options.onDone?.();
      else if (!signal.aborted) continue;
    } catch (error) {
      log.warn({ err: error }, "provisioning will be tried again");
      await sleep(1000, undefined, { signal }).catch(() => {});
      continue;
    }
    await sleep(options.everyMs, undefined, { signal }).catch(() => {});
  }
}

async function ensureStream(jsm: JetStreamManager, settings: StreamSettings, log: Logger): Promise<StreamInfo> {
  const wanted = { storage: StorageType.File, ...settings };
  const found = await whenFound(jsm.streams.info(settings.name));
  if (!found) {
    log.info({ stream: settings.name }, "stream made");
    return await jsm.streams.add(wanted);
  }
  const different = differences(wanted, found.config);
  if (different.length === 0) return found;
  try {
    log.info({ stream: settings.name, settings: different }, "stream brought up to date");
    return await jsm.streams.update(settings.name, wanted);
  } catch (error) {
    log.error({ stream: settings.name, settings: different, reason: errorMessage(error) }, "stream kept as it is");
    return found;
  }
}

async function ensureDurable(
  jsm: JetStreamManager,
  stream: string,
  durable: DurableSettings,
  log: Logger,
): Promise<void> {
  const { durable_name: name } = durable;
  const wanted = { name, ack_policy: AckPolicy.Explicit, ack_wait: nanos(30_000), max_deliver: -1, ...durable };
  const found = await whenFound(jsm.consumers.info(stream, name));
  if (!found) {
    await jsm.consumers.add(stream, wanted);
    log.info({ stream, durable: name }, "consumer made");
    return;
  }
  const different = differences(asReported(wanted), asReported(found.config));
  if (different.length === 0) return;
  await jsm.consumers.update(stream, name, wanted);
  log.info({ stream, durable: name, settings: different }, "consumer brought up to date");
}

/** One filter is reported as `filter_subject`, several as `filter_subjects`. */
function asReported({ filter_subject, filter_subjects, ...rest }: Partial<ConsumerConfig>): Partial<ConsumerConfig> {
  const filters = filter_subjects ?? (filter_subject ? [filter_subject] : []);
  return { ...rest, filter_subjects: filters };
}

function differences(wanted: object, found: object): string[] {
  const reported = new Map<string, unknown>(Object.entries(found));
  return Object.entries(wanted)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(reported.get(name)))
    .map(([name]) => name);
}

async function whenFound<Found>(asked: Promise<Found>): Promise<Found | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return null;
    throw error;
  }
}

async function tellStore(
  broker: Broker,
  log: Logger,
  made: Map<string, StreamInfo>,
  options: ProvisionOptions,
): Promise<boolean> {
  const store = createStoreClient(broker.nc, { retryForMs: 0, timeoutMs: 10_000 });
  try {
    for (const stream of [streams.jobs, streams.changes]) {
      const createdAt = new Date(made.get(stream)?.created ?? "").toISOString();
      const answer = await retry(async () => await store.call("write.stream", { stream, createdAt }), {
        firstMs: 200,
        mostMs: 1000,
        forMs: options.storeWaitMs ?? 20_000,
        signal: options.signal,
        isTemporary: () => !broker.nc.isClosed(),
      });
      if (answer.isNew)
        log.info({ stream, epoch: answer.epoch, replayed: answer.replayed }, "stream told to the store");
    }
    return true;
  } catch (error) {
    log.info({ reason: errorMessage(error) }, "the store is not there yet");
    return false;
  }
}
