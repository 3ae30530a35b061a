import { z } from "zod";
import { Json } from "./canonical.ts";
import { Severity } from "./severity.ts";

/** Bounds on names that come from the outside; past them a look is `too_large`, never cut short silently. */
export const maxResourceBytes = 2048;
export const maxAttributeBytes = 512;
export const maxReasonLength = 500;
/** Of a value as JSON: an old and a new one must fit into one event. */
export const maxValueBytes = 2 * 1024 * 1024;

/** A name from the outside: bounded in UTF-8 bytes, without NUL and halves of characters, which no database holds. */
function nameOf(maxBytes: number) {
  return z
    .string()
    .min(1)
    .max(maxBytes)
    .refine((text) => new TextEncoder().encode(text).byteLength <= maxBytes, `at most ${maxBytes} bytes`)
    .refine((text) => text.isWellFormed() && !text.includes("\0"), "text without NUL and unpaired surrogates");
}

export const ResourceName = nameOf(maxResourceBytes);
export const ModuleName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "a module's name is lower-case letters, digits and -");
export const AttributeName = nameOf(maxAttributeBytes);
export const Timestamp = z.iso.datetime();
export const ResourceId = z.string().regex(/^[0-9a-f]{32}$/);
const Count = z.number().int().nonnegative();

export const Operation = z.enum(["discovery", "observation"]);
export type Operation = z.infer<typeof Operation>;

export const ResourceRef = z.object({ module: ModuleName, resource: ResourceName });
export type ResourceRef = z.infer<typeof ResourceRef>;

/** Work for one look at one resource, on JOBS. */
export const Job = z.object({
  operation: Operation,
  module: ModuleName,
  /** Normalised, but for the discovery of a resource that no module has confirmed yet. */
  resource: ResourceName,
  lane: z.string().min(1),
  /** Who asked for it to be watched: `config.json`, a module's name or an outside system's. */
  source: z.string(),
  cause: z.enum(["schedule", "retry", "after_change", "check", "discovery"]),
  /** The stream's epoch, as the store handed it out. */
  epoch: Count,
  /** The resource's revision when the job was published; 0 before its first report. */
  revision: Count,
  publishedAt: Timestamp,
});
export type Job = z.infer<typeof Job>;

/** Which delivery of which job an outcome came from; (epoch, sequence) orders the looks at a resource. */
export const JobPosition = z.object({ epoch: Count, sequence: Count });
export type JobPosition = z.infer<typeof JobPosition>;

export const lookErrorKinds = [
  "unreachable",
  "timeout",
  "refused",
  "denied",
  "limited",
  "malformed",
  "too_large",
  "module",
] as const;
export const LookErrorKind = z.enum(lookErrorKinds);
export type LookErrorKind = z.infer<typeof LookErrorKind>;

/** Why a look could not be made. It never becomes a value. */
export const LookFailure = z.object({
  kind: LookErrorKind,
  message: z.string().max(2000),
  /** For `limited`: how long the lane rests. */
  retryAfterMs: Count.optional(),
});
export type LookFailure = z.infer<typeof LookFailure>;

export const Evidence = z.object({ mediaType: z.string().max(100), text: z.string().max(65_536) });
export type Evidence = z.infer<typeof Evidence>;

/** The built-in attribute by which a resource's disappearance and return are told; no module may use it. */
export const existsAttribute = "exists";

export const Observation = z.object({
  attribute: AttributeName,
  value: Json,
  /** The value's standing severity: above `none` it is a finding. */
  severity: Severity.nullable(),
  reason: z.string().max(maxReasonLength).nullable(),
  /** What the look knows of this value that the comparison cannot see; handed to the module's `change`. */
  context: Json.optional(),
  evidence: Evidence.optional(),
});
export type Observation = z.infer<typeof Observation>;

/** Something that occurred rather than stands; recorded and published once, never compared. */
export const Happening = z.object({
  name: AttributeName,
  detail: Json,
  severity: Severity,
  reason: z.string().max(maxReasonLength),
  evidence: Evidence.optional(),
});
export type Happening = z.infer<typeof Happening>;

/** What a look had no right or way to see. A name that ends in `/` stands for all its members. */
export const Unseen = z.object({ attribute: AttributeName, reason: z.string().max(maxReasonLength) });
export type Unseen = z.infer<typeof Unseen>;

/** All that one look saw: an attribute that is missing, and not unseen, has disappeared. */
export const Report = z.object({
  observations: z.array(Observation),
  happenings: z.array(Happening),
  unseen: z.array(Unseen),
  /** What appears or disappears under these names is stored, and is no change of its own. */
  baseline: z.array(AttributeName).optional(),
});
export type Report = z.infer<typeof Report>;

/** Does a name stand for an attribute? One that ends in `/` stands for all its members. */
export function standsFor(name: string, attribute: string): boolean {
  return name.endsWith("/") ? attribute.startsWith(name) : attribute === name;
}

const LookFacts = z.object({
  module: ModuleName,
  resource: ResourceName,
  operation: Operation,
  cause: Job.shape.cause,
  job: JobPosition,
  deliveryCount: Count,
  fetcher: z.string(),
  moduleVersion: Count,
  /** Of the module's options: when it differs from the last report's, what appears or disappears is baseline. */
  optionsFingerprint: z.string(),
  /** The revision of the values that the module was handed as `previous`. */
  basis: Count,
  startedAt: Timestamp,
  finishedAt: Timestamp,
  requests: Count,
  bodyBytes: Count,
});

/** The outcome of one look, on OBSERVATIONS: exactly one a job. */
export const Outcome = z.discriminatedUnion("status", [
  /** A complete report. */
  LookFacts.extend({ status: z.literal("seen"), report: Report, state: Json.optional() }),
  /** A report that equals the values of revision `basis`, whose fingerprint it names. */
  LookFacts.extend({ status: z.literal("unchanged"), fingerprint: z.string(), state: Json.optional() }),
  /** A definitive answer that the resource does not exist. */
  LookFacts.extend({ status: z.literal("gone"), reason: z.string().max(maxReasonLength) }),
  /** A discovery that ran to its end, with all it found. */
  LookFacts.extend({
    status: z.literal("discovered"),
    confirmed: z.array(ResourceRef),
    suggested: z.array(ResourceRef),
  }),
  /** The module says that this cannot be one of its resources, and why. */
  LookFacts.extend({ status: z.literal("not_mine"), reason: z.string().max(2000) }),
  LookFacts.extend({ status: z.literal("failed"), error: LookFailure }),
]);
export type Outcome = z.infer<typeof Outcome>;
export type SeenOutcome = Extract<Outcome, { status: "seen" }>;
export type FailedOutcome = Extract<Outcome, { status: "failed" }>;

/** A module says that a resource is one of its own, under its normalised name. Only fetchers may publish it. */
export const Confirmation = z.object({
  module: ModuleName,
  resource: ResourceName,
  lane: z.string().min(1),
  owner: z.string(),
  /** What was being discovered. */
  parent: ResourceRef,
  source: z.string(),
  job: JobPosition,
});
export type Confirmation = z.infer<typeof Confirmation>;

/** Somebody proposes a resource to a module, which must confirm it. */
export const Suggestion = z.object({
  module: ModuleName,
  resource: ResourceName,
  /** The discovery that found it; absent when it comes from outside. */
  parent: ResourceRef.optional(),
  job: JobPosition.optional(),
});
export type Suggestion = z.infer<typeof Suggestion>;

export const changeKinds = ["appeared", "changed", "disappeared", "rated", "happened"] as const;
export const ChangeKind = z.enum(changeKinds);
export type ChangeKind = z.infer<typeof ChangeKind>;

/** One change as people and machines see it: the data of the event on CHANGES. */
export const Change = z.object({
  id: z.uuid(),
  /** Its place in the feed: a reader that resumes after position n misses none that came later. */
  position: Count,
  resourceId: ResourceId,
  module: ModuleName,
  resource: ResourceName,
  host: z.string(),
  owner: z.string(),
  attribute: AttributeName,
  kind: ChangeKind,
  oldValue: Json,
  newValue: Json,
  severity: Severity.nullable(),
  /** One line in plain words. */
  reason: z.string(),
  /** Seen by an older look after a newer one had been recorded; current values were not touched. */
  isLate: z.boolean(),
  /** When the look that saw it ended. */
  observedAt: Timestamp,
  /** When the store recorded it. */
  recordedAt: Timestamp,
});
export type Change = z.infer<typeof Change>;

const CloudEvent = z.object({
  specversion: z.literal("1.0"),
  id: z.uuid(),
  source: z.literal("/paintdry"),
  subject: z.string(),
  time: Timestamp,
  datacontenttype: z.literal("application/json"),
});

/** CloudEvents 1.0, structured JSON. Its id is the change's. */
export const ChangeEvent = CloudEvent.extend({
  type: z.literal("io.paintdry.change.v1"),
  severity: z.string(),
  /** CloudEvents' sequence extension: the feed position. */
  sequence: z.string(),
  /** Published again after CHANGES was made anew: notifies nobody. */
  replay: z.boolean().optional(),
  data: Change,
});
export type ChangeEvent = z.infer<typeof ChangeEvent>;

/** A look that keeps failing, and its recovery: one event each. */
export const Health = z.object({
  id: z.uuid(),
  kind: z.enum(["failing", "recovered"]),
  resourceId: ResourceId,
  module: ModuleName,
  resource: ResourceName,
  host: z.string(),
  owner: z.string(),
  error: LookFailure.nullable(),
  failures: Count,
  failingSince: Timestamp,
  lastSeenAt: Timestamp.nullable(),
  reason: z.string(),
  recordedAt: Timestamp,
});
export type Health = z.infer<typeof Health>;

export const HealthEvent = CloudEvent.extend({ type: z.literal("io.paintdry.health.v1"), data: Health });
export type HealthEvent = z.infer<typeof HealthEvent>;

export function changeEvent(change: Change, isReplay = false): ChangeEvent {
  return {
    specversion: "1.0",
    id: change.id,
    source: "/paintdry",
    type: "io.paintdry.change.v1",
    subject: `${change.module}/${change.resource}#${change.attribute}`,
    time: change.recordedAt,
    datacontenttype: "application/json",
    severity: change.severity ?? "unknown",
    sequence: String(change.position),
    ...(isReplay ? { replay: true } : {}),
    data: change,
  };
}

export function healthEvent(health: Health): HealthEvent {
  return {
    specversion: "1.0",
    id: health.id,
    source: "/paintdry",
    type: "io.paintdry.health.v1",
    subject: `${health.module}/${health.resource}`,
    time: health.recordedAt,
    datacontenttype: "application/json",
    data: health,
  };
}

/** Why a message could not be handled, on DEAD with the original body. */
export const DeadLetter = z.object({
  reason: z.string(),
  originalSubject: z.string(),
  deliveryCount: Count,
  at: Timestamp,
  /** The original body, as base64 since it may be anything. */
  body: z.string(),
});
export type DeadLetter = z.infer<typeof DeadLetter>;
