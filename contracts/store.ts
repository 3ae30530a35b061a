import { z } from "zod";
import { Json } from "./canonical.ts";
import {
  AttributeName,
  Change,
  ChangeKind,
  Confirmation,
  Evidence,
  Health,
  JobPosition,
  LookFailure,
  ModuleName,
  Operation,
  Job,
  ResourceId,
  ResourceName,
  ResourceRef,
  Suggestion,
  Timestamp,
} from "./messages.ts";
import { Severity } from "./severity.ts";

const Count = z.number().int().nonnegative();
const Milliseconds = Count;
const EpochMs = Count.describe("Milliseconds since 1970.");

/**
 * `candidate`: not confirmed yet. `waiting`: out of scope or over a cap, until a person accepts it. `confirmed`:
 * watched. `alias`: its module watches it under another name. `refused`: its module says it is not one of its own,
 * or a person said no. `retired`: no longer reachable from the configuration.
 */
export const ResourceState = z.enum(["candidate", "waiting", "confirmed", "alias", "refused", "retired"]);
export type ResourceState = z.infer<typeof ResourceState>;

export const StoredValue = z.object({
  attribute: AttributeName,
  value: Json,
  /** False once it has disappeared: the row stays. */
  isPresent: z.boolean(),
  severity: Severity.nullable(),
  reason: z.string().nullable(),
});
export type StoredValue = z.infer<typeof StoredValue>;

export const ResourceSummary = z.object({
  id: ResourceId,
  module: ModuleName,
  resource: ResourceName,
  host: z.string(),
  lane: z.string(),
  owner: z.string(),
  state: ResourceState,
  source: z.string().describe("Who first asked for it to be watched."),
  everyMs: Milliseconds,
  revision: Count,
  exists: z.boolean().nullable().describe("null before the first look that could tell."),
  createdAt: Timestamp,
  lastLookAt: Timestamp.nullable().describe("The last look, whatever came of it."),
  lastSeenAt: Timestamp.nullable().describe("The last good look."),
  failures: Count.describe("Failed looks since the last good one."),
  failingSince: Timestamp.nullable(),
  error: LookFailure.nullable(),
  findings: Count,
  worstSeverity: Severity.nullable().describe("Of its findings."),
});
export type ResourceSummary = z.infer<typeof ResourceSummary>;

export const ValueRow = StoredValue.extend({
  resourceId: ResourceId,
  module: ModuleName,
  resource: ResourceName,
  firstSeenAt: Timestamp,
  lastChangedAt: Timestamp,
});
export type ValueRow = z.infer<typeof ValueRow>;

export const Provenance = z.object({
  source: z.string().describe("`config.json`, `person`, an outside system's name, or a module's."),
  parent: ResourceRef.extend({ id: ResourceId }).nullable(),
  since: Timestamp,
});
export type Provenance = z.infer<typeof Provenance>;

export const ResourceDetail = ResourceSummary.extend({
  values: z.array(ValueRow),
  provenance: z.array(Provenance),
  nextLookAt: Timestamp.nullable(),
  refusal: z.string().nullable().describe("Why it is refused or waiting."),
});
export type ResourceDetail = z.infer<typeof ResourceDetail>;

export const HistoryRow = z.object({
  resourceId: ResourceId,
  attribute: AttributeName,
  revision: Count,
  oldValue: Json,
  newValue: Json,
  wasPresent: z.boolean(),
  isPresent: z.boolean(),
  isLate: z.boolean(),
  observedAt: Timestamp,
  changeId: z.uuid().nullable().describe("null for the baseline and for what a rule ignores."),
});
export type HistoryRow = z.infer<typeof HistoryRow>;

export const ChangeDetail = z.object({
  change: Change,
  evidence: z.array(Evidence),
  triage: z.enum(["open", "acknowledged", "expected", "resolved"]),
  publishedAt: Timestamp.nullable(),
  look: z.object({ job: JobPosition, fetcher: z.string() }),
});
export type ChangeDetail = z.infer<typeof ChangeDetail>;

export const SearchHit = z.object({
  kind: z.enum(["resource", "value", "change"]),
  resourceId: ResourceId,
  module: ModuleName,
  resource: ResourceName,
  attribute: AttributeName.nullable(),
  changeId: z.uuid().nullable(),
  snippet: z.string().describe("Plain text around the match."),
  at: Timestamp,
});
export type SearchHit = z.infer<typeof SearchHit>;

export const ConfigFaultRow = z.object({ path: z.string(), found: z.string(), allowed: z.string() });

export const ConfigInForce = z.object({
  revision: Count.describe("0 before the first."),
  appliedAt: Timestamp.nullable(),
  document: Json.describe("config.json as applied; it never holds secrets."),
  refused: z
    .object({ at: Timestamp, faults: z.array(ConfigFaultRow) })
    .nullable()
    .describe("The newest file, when it was refused and the one in force was kept."),
});
export type ConfigInForce = z.infer<typeof ConfigInForce>;

export const DeliveryState = z.enum(["sending", "delivered", "failed", "given_up"]);
export const Delivery = z.object({
  eventId: z.uuid(),
  route: z.string(),
  channel: z.enum(["webhook", "email"]),
  state: DeliveryState,
  attempts: Count,
  detail: z.string(),
  updatedAt: Timestamp,
});
export type Delivery = z.infer<typeof Delivery>;

export const StoreStatus = z.object({
  resources: z.record(ResourceState, Count),
  failing: Count,
  findings: z.record(Severity, Count),
  changesLastDay: Count,
  feedPosition: Count.describe("Of the newest change."),
  unpublished: Count,
  oldestSeenAt: Timestamp.nullable().describe("The least recent last good look of all watched resources."),
  neverSeen: Count.describe("Watched resources without a good look yet."),
  schemaVersion: Count,
});
export type StoreStatus = z.infer<typeof StoreStatus>;

const Page = z.object({ limit: z.int().min(1).max(1000), cursor: z.string().max(500).nullable() });
function pageOf<Item extends z.ZodType>(items: Item) {
  return z.object({ items: z.array(items), next: z.string().nullable() });
}

/** Facts about the look whose outcome is committed. */
const CommittedLook = z.object({
  module: ModuleName,
  resource: ResourceName,
  job: JobPosition,
  fetcher: z.string(),
  moduleVersion: Count,
  optionsFingerprint: z.string(),
  observedAt: Timestamp,
});

export const ChangeDraft = z.object({
  attribute: AttributeName,
  kind: ChangeKind,
  oldValue: Json,
  newValue: Json,
  severity: Severity.nullable(),
  reason: z.string(),
  evidence: Evidence.optional(),
});
export type ChangeDraft = z.infer<typeof ChangeDraft>;

export const Commit = z.object({
  look: CommittedLook,
  /** The revision the changes were computed against; another one in the database is a `conflict`. */
  expectedRevision: Count,
  result: z.discriminatedUnion("status", [
    z.object({
      status: z.literal("seen"),
      /** Only rows that differ from what is stored. */
      writes: z.array(StoredValue),
      changes: z.array(ChangeDraft),
      /** Of all present values after the writes. */
      fingerprint: z.string(),
      /** What the look saved; absent keeps the old. */
      state: Json.optional(),
    }),
    z.object({ status: z.literal("gone"), changes: z.array(ChangeDraft) }),
    z.object({ status: z.literal("failed"), error: LookFailure }),
    /** Values a late look saw between two recorded ones. Current values stay as they are. */
    z.object({ status: z.literal("late"), changes: z.array(ChangeDraft) }),
  ]),
});
export type Commit = z.infer<typeof Commit>;

export const CommitReply = z.discriminatedUnion("outcome", [
  /** Done now, or before by the same job: `changes` and `health` are those of this job not yet published. */
  z.object({
    outcome: z.literal("committed"),
    revision: Count,
    changes: z.array(Change),
    health: z.array(Health),
  }),
  z.object({ outcome: z.literal("conflict"), revision: Count }),
  /** A newer look was recorded before; `late` is the only way in. */
  z.object({ outcome: z.literal("stale") }),
  z.object({ outcome: z.literal("dropped"), reason: z.enum(["unknown", "retired"]) }),
]);
export type CommitReply = z.infer<typeof CommitReply>;

export const DueJob = z.object({
  id: ResourceId,
  operation: Operation,
  cause: Job.shape.cause,
  module: ModuleName,
  resource: ResourceName,
  lane: z.string(),
  source: z.string(),
  revision: Count,
  jobClass: z.enum(["due", "now"]),
  messageId: z.string(),
});
export type DueJob = z.infer<typeof DueJob>;

export const ConfigRoot = ResourceRef.extend({
  lane: z.string(),
  owner: z.string(),
  everyMs: Milliseconds.nullable().describe("The target's own, or null for its module's."),
});
export type ConfigRoot = z.infer<typeof ConfigRoot>;

/**
 * Every request the store answers on `paintdry.rpc.store.<name>`. A request or reply is JSON, gzipped when large.
 * An error reply is `{error: {code, message}}`; see `RpcError`.
 */
export const storeRpc = {
  /** What a look is handed. */
  "read.look": {
    request: ResourceRef.extend({
      needs: z.array(z.object({ module: ModuleName, resource: ResourceName, attribute: AttributeName })),
    }),
    reply: z.object({
      isWatched: z.boolean(),
      revision: Count,
      previous: z.array(StoredValue.omit({ isPresent: true })),
      state: Json,
      known: z.array(z.object({ module: ModuleName, resource: ResourceName, attribute: AttributeName, value: Json })),
      moduleVersion: Count.nullable(),
      optionsFingerprint: z.string().nullable(),
      /** The job whose outcome was recorded last: one that is not newer has nothing to add. */
      fence: JobPosition,
    }),
  },
  /** What a report is compared with: the values now, at a past revision, or just before a job. */
  "read.values": {
    request: ResourceRef.extend({ atRevision: Count.optional(), before: JobPosition.optional() }),
    reply: z
      .object({
        id: ResourceId,
        state: ResourceState,
        owner: z.string(),
        lane: z.string(),
        revision: Count,
        fingerprint: z.string().nullable(),
        exists: z.boolean().nullable(),
        moduleVersion: Count.nullable(),
        optionsFingerprint: z.string().nullable(),
        values: z.array(StoredValue),
        /** With `before`: each attribute's value as the first look after that job left it. */
        following: z.array(StoredValue),
      })
      .nullable(),
  },
  /** Jobs whose time comes in (from, to], with retries and discoveries due; page by cursor. */
  "read.due": {
    request: z.object({ from: EpochMs, to: EpochMs, ...Page.shape }),
    reply: z.object({ jobs: z.array(DueJob), cursor: z.string().nullable() }),
  },
  /** The current slots of resources that no look has reached since their slot began. */
  "read.overdue": {
    request: z.object({ now: EpochMs, ...Page.shape }),
    reply: z.object({ jobs: z.array(DueJob), cursor: z.string().nullable() }),
  },
  /** The lanes that have, or will have, work. */
  "read.lanes": {
    request: Page,
    reply: pageOf(z.object({ lane: z.string(), resources: Count })),
  },
  "read.config": { request: z.object({}), reply: ConfigInForce },
  "read.resources": {
    request: Page.extend({
      module: ModuleName.optional(),
      state: ResourceState.optional(),
      host: z.string().optional(),
      isFailing: z.boolean().optional(),
      text: z.string().max(500).optional(),
    }),
    reply: pageOf(ResourceSummary),
  },
  "read.resource": { request: z.object({ id: ResourceId }), reply: ResourceDetail.nullable() },
  "read.observations": {
    request: Page.extend({
      resourceId: ResourceId.optional(),
      module: ModuleName.optional(),
      attribute: AttributeName.optional(),
    }),
    reply: pageOf(ValueRow),
  },
  "read.findings": {
    request: Page.extend({ least: Severity.optional(), module: ModuleName.optional() }),
    reply: pageOf(ValueRow),
  },
  /** Newest first. */
  "read.history": {
    request: Page.extend({ resourceId: ResourceId, attribute: AttributeName.optional() }),
    reply: pageOf(HistoryRow),
  },
  /** Newest first. */
  "read.changes": {
    request: Page.extend({
      least: Severity.optional(),
      module: ModuleName.optional(),
      resourceId: ResourceId.optional(),
      kind: ChangeKind.optional(),
    }),
    reply: pageOf(Change),
  },
  "read.change": { request: z.object({ id: z.uuid() }), reply: ChangeDetail.nullable() },
  /** Oldest first, after a position: what a reader resumes from. */
  "read.feed": {
    request: z.object({ after: Count, limit: z.int().min(1).max(1000) }),
    reply: z.object({ changes: z.array(Change), position: Count.describe("Of the newest change there is.") }),
  },
  "read.search": {
    request: Page.extend({ query: z.string().min(1).max(500) }),
    reply: pageOf(SearchHit),
  },
  "read.status": { request: z.object({}), reply: StoreStatus },
  "read.deliveries": { request: Page, reply: pageOf(Delivery) },
  /** Changes and health events committed at least `olderThanMs` ago and not published. */
  "read.unpublished": {
    request: z.object({ olderThanMs: Milliseconds, limit: z.int().min(1).max(1000) }),
    reply: z.object({
      changes: z.array(z.object({ change: Change, isReplay: z.boolean() })),
      health: z.array(Health),
    }),
  },

  "write.commit": { request: Commit, reply: CommitReply },
  /** Looks that saw what revision `basis` holds. `conflict` where revision or fingerprint is another. */
  "write.unchanged": {
    request: z.object({
      looks: z
        .array(
          z.object({
            look: CommittedLook,
            basis: Count,
            fingerprint: z.string(),
            state: Json.optional(),
          }),
        )
        .max(1000),
    }),
    reply: z.object({
      /** In the order of the request. `repeated`: the same job was committed before. */
      outcomes: z.array(z.enum(["committed", "repeated", "conflict", "stale", "dropped"])),
    }),
  },
  "write.published": {
    request: z.object({ changes: z.array(z.uuid()), health: z.array(z.uuid()) }),
    reply: z.object({}),
  },
  /** What came of a discovery: edges it no longer found are dropped, and what then cannot be reached is retired. */
  "write.discovered": {
    request: z.object({
      module: ModuleName,
      resource: ResourceName,
      job: JobPosition,
      result: z.discriminatedUnion("status", [
        z.object({
          status: z.literal("discovered"),
          confirmed: z.array(ResourceRef),
          suggested: z.array(ResourceRef),
        }),
        z.object({ status: z.literal("not_mine"), reason: z.string() }),
        z.object({ status: z.literal("failed"), error: LookFailure }),
      ]),
    }),
    reply: z.object({ retired: Count, health: z.array(Health) }),
  },
  "write.confirmation": {
    request: Confirmation.extend({ configRevision: Count, isInScope: z.boolean() }),
    reply: z.object({ outcome: z.enum(["recorded", "stale"]), state: ResourceState.nullable() }),
  },
  "write.suggestion": {
    request: Suggestion.extend({
      source: z.string(),
      configRevision: Count,
      lane: z.string(),
      owner: z.string(),
      isInScope: z.boolean(),
      perSource: Count,
    }),
    reply: z.object({ outcome: z.enum(["recorded", "stale"]), state: ResourceState.nullable() }),
  },
  /** A configuration is put in force, its roots replaced, and what it no longer reaches retired. */
  "write.config": {
    request: z.object({
      hash: z.string(),
      modifiedAt: Timestamp,
      document: Json,
      roots: z.array(ConfigRoot),
      everyMs: Milliseconds,
      everyMsByModule: z.record(ModuleName, Milliseconds),
      retryAfterMs: Milliseconds,
      soonerAfterChangeMs: Milliseconds,
      announceAfter: Count,
      rediscoverEveryMs: Milliseconds,
    }),
    reply: z.object({
      /** `older`: one put in force after this file was written stays. */
      outcome: z.enum(["applied", "same", "older"]),
      revision: Count,
      retired: Count,
    }),
  },
  "write.refused_config": {
    request: z.object({ faults: z.array(ConfigFaultRow) }),
    reply: z.object({}),
  },
  /** Retries and discoveries that were published and need no more publishing for now. */
  "write.queued": {
    request: z.object({
      jobs: z.array(
        z.object({ id: ResourceId, operation: Operation, cause: Job.shape.cause, isOutstanding: z.boolean() }),
      ),
      /** Up to when `read.due` was asked: what became due later was planned since, and stays. */
      dueBy: EpochMs,
    }),
    reply: z.object({}),
  },
  /** A stream stands, made at that time: the epoch of its jobs, or, for CHANGES made anew, a replay. */
  "write.stream": {
    request: z.object({ stream: z.enum(["JOBS", "CHANGES"]), createdAt: Timestamp }),
    reply: z.object({ epoch: Count, isNew: z.boolean(), replayed: Count }),
  },
  "triage.accept": {
    request: z.object({ id: ResourceId }),
    reply: z.object({ outcome: z.enum(["accepted", "not_waiting", "unknown"]) }),
  },
  "triage.refuse": {
    request: z.object({ id: ResourceId }),
    reply: z.object({ outcome: z.enum(["refused", "not_waiting", "unknown"]) }),
  },
  /**
   * Before an attempt at an event that came from the stream. The reply says how the delivery stands now: `sending` for
   * the caller, with this attempt counted; `sending` with `heldForMs` above 0 while another claimant is at it, who may
   * have died: ask again after that long; `failed` when it waits for `notify.due`, which alone hands it out;
   * `delivered` and `given_up` are final.
   */
  "notify.claim": {
    request: z.object({
      eventId: z.uuid(),
      route: z.string(),
      channel: Delivery.shape.channel,
      claimant: z.string().max(100).describe("One running notifier; its own claim it may repeat."),
      leaseMs: Milliseconds.describe("After this long without a record the claim is anybody's."),
    }),
    reply: z.object({ state: DeliveryState, attempts: Count, heldForMs: Milliseconds }),
  },
  /** What came of an attempt. `delivered` and `given_up` stay, whatever is recorded after them. */
  "notify.record": {
    request: z.object({
      eventId: z.uuid(),
      route: z.string(),
      channel: Delivery.shape.channel,
      state: z.enum(["delivered", "failed", "given_up"]),
      detail: z.string().max(500),
      retryAfterMs: Milliseconds.nullable().describe("For `failed`: when `notify.due` hands it out; else null."),
    }),
    reply: z.object({}),
  },
  /**
   * Hands out failed deliveries of one route whose time has come, each as `sending` with the attempt counted. One that
   * is not recorded within the lease is handed out again. `change` or `health` is its event, null where no longer kept.
   */
  "notify.due": {
    request: z.object({
      route: z.string(),
      channel: Delivery.shape.channel,
      leaseMs: Milliseconds,
      limit: z.int().min(0).max(100),
    }),
    reply: z.object({
      deliveries: z.array(
        z.object({ eventId: z.uuid(), attempts: Count, change: Change.nullable(), health: Health.nullable() }),
      ),
      oldestAt: Timestamp.nullable().describe("Since when the route's oldest unfinished delivery has waited."),
    }),
  },
} as const;

export type StoreOperation = keyof typeof storeRpc;
export type StoreRequest<Name extends StoreOperation> = z.infer<(typeof storeRpc)[Name]["request"]>;
export type StoreReply<Name extends StoreOperation> = z.infer<(typeof storeRpc)[Name]["reply"]>;

/** What the collectors answer on `paintdry.rpc.collector.<name>`. */
export const collectorRpc = {
  /** Look at a watched resource now. */
  check: {
    request: ResourceRef,
    reply: z.object({
      outcome: z.enum(["queued", "already_queued", "not_watched"]),
      checkId: z.uuid().nullable(),
      resourceId: ResourceId,
    }),
  },
} as const;

/** What a request that cannot be answered is answered with. */
export const RpcFailure = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
