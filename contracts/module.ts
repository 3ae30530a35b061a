import type { z } from "zod";
import type { Json } from "./canonical.ts";
import type { Io } from "./io.ts";
import type { ChangeKind, Evidence } from "./messages.ts";
import type { Severity } from "./severity.ts";

/**
 * One kind of watch. A file in `modules/` default-exports `defineModule({...})`; nothing else is edited to add one.
 * Everything but `discovery` and `observation` is pure.
 */
export interface ModuleDefinition<Options = unknown> {
  /** Equals the file's (or folder's) name. */
  name: string;
  /** Raised when the meaning of an attribute changes: what then appears or disappears is baseline. */
  version: number;
  /** One sentence on what it watches. */
  summary: string;
  /** Accepts a resource and normalises it, or says in its issue's message why it cannot. */
  resource: z.ZodType<string, string>;
  /** The module's section of `config.json`; every field has a default and a description. */
  options: z.ZodType<Options>;
  /** The host, or `host~transport`, that a look touches: the key of the rate limit. Takes a normalised resource. */
  lane(resource: string): string;
  /** The organisation or registrable domain the resource belongs to, or `-`. */
  owner(resource: string): string;
  /** Values of other resources that a look is handed in `known`. */
  needs?(resource: string): Need[];
  /** Confirms the resource and says what follows from it. Yielding no `confirm` means "not mine"; `refuse` says why. */
  discovery(request: DiscoveryRequest<Options>, io: Io): AsyncIterable<DiscoveryAnswer>;
  /** One look: see the constructors below. Throwing, or yielding nothing, means "could not look". */
  observation(request: ObservationRequest<Options>, io: Io): AsyncIterable<ObservationAnswer>;
  /** How bad a change is, and why, in one line of plain words. */
  change(request: ChangeRequest<Options>): Assessment | Promise<Assessment>;
  examples: Example[];
}

export function defineModule<Options>(definition: ModuleDefinition<Options>): ModuleDefinition<Options> {
  return definition;
}

export interface Need {
  module: string;
  resource: string;
  attribute: string;
}

export interface KnownValue extends Need {
  value: Json;
}

/** A value as the store holds it. Values that disappeared are not handed to a look. */
export interface PreviousValue {
  attribute: string;
  value: Json;
  severity: Severity | null;
  reason: string | null;
}

export interface DiscoveryRequest<Options = unknown> {
  /** Normalised by `resource`. */
  resource: string;
  /** Who asked: `config.json`, a module's name, or an outside system's. */
  source: string;
  options: Options;
}

export interface ObservationRequest<Options = unknown> {
  resource: string;
  options: Options;
  previous: ReadonlyMap<string, PreviousValue>;
  /** What the last look saved, or null. */
  state: Json;
  known: KnownValue[];
}

export interface ChangeRequest<Options = unknown> {
  resource: string;
  attribute: string;
  kind: ChangeKind;
  /** null where there was none (and for `appeared`). */
  oldValue: Json;
  newValue: Json;
  /** The standing severities before and after. */
  oldSeverity: Severity | null;
  newSeverity: Severity | null;
  /** The standing reason of the new value. */
  newReason: string | null;
  /** What the look attached to this attribute. */
  context: Json;
  options: Options;
}

export interface Assessment {
  severity: Severity;
  reason: string;
}

export type DiscoveryAnswer =
  | { type: "confirm"; resource: string }
  | { type: "suggest"; module: string; resource: string }
  | { type: "refuse"; reason: string };

export type ObservationAnswer =
  | ({ type: "observe"; attribute: string; value: Json } & Standing)
  | { type: "happened"; name: string; detail: Json; severity: Severity; reason: string; evidence?: Evidence }
  | { type: "unseen"; attribute: string; reason: string }
  | { type: "baseline"; attribute: string }
  | { type: "gone"; reason: string }
  | { type: "save"; state: Json };

export interface Standing {
  /** The value's standing severity, whether or not anything changed; above `none` it is a finding. */
  severity?: Severity;
  /** Why, in plain words; keep it free of what moves by itself (days left, counters). */
  reason?: string;
  context?: Json;
  evidence?: Evidence;
}

/** The resource, and others of the same module, is one of this module's. */
export function confirm(resource: string): DiscoveryAnswer {
  return { type: "confirm", resource };
}

/** The resource is none of this module's, and why: what people read. Without it, confirming nothing says the same. */
export function refuse(reason: string): DiscoveryAnswer {
  return { type: "refuse", reason };
}

/** Another module may want to watch this; it must confirm it. */
export function suggest(module: string, resource: string): DiscoveryAnswer {
  return { type: "suggest", module, resource };
}

/** A value. All that one look observes is a complete report: an attribute that is missing has disappeared. */
export function observe(attribute: string, value: Json, standing: Standing = {}): ObservationAnswer {
  return { type: "observe", attribute, value, ...standing };
}

/** Something that occurred rather than stands: recorded and published once, never compared. */
export function happened(
  name: string,
  detail: Json,
  assessment: Assessment & { evidence?: Evidence },
): ObservationAnswer {
  return { type: "happened", name, detail, ...assessment };
}

/** This look could not see the attribute, or with a name ending in `/` any of its members: not taken as gone. */
export function unseen(attribute: string, reason: string): ObservationAnswer {
  return { type: "unseen", attribute, reason };
}

/**
 * The attribute, or with a name ending in `/` any of its members, appears or disappears in this look only because another
 * value of the report says so (a page where there was a redirect): it is stored, and is no change of its own.
 */
export function baseline(attribute: string): ObservationAnswer {
  return { type: "baseline", attribute };
}

/** A definitive answer that the resource does not exist. */
export function gone(reason: string): ObservationAnswer {
  return { type: "gone", reason };
}

/** Small JSON that the next look is handed as `state`. */
export function save(state: Json): ObservationAnswer {
  return { type: "save", state };
}

/** A request with its recorded answer; run as a test and by `paintdry example <module>`. */
export type Example =
  | { title: string; operation: "resource"; input: string; output: string | { refusal: string } }
  | { title: string; operation: "change"; request: Partial<ChangeRequest> & ExampleChange; answer: Assessment }
  | {
      title: string;
      operation: "discovery" | "observation";
      resource: string;
      options?: Json;
      previous?: PreviousValue[];
      state?: Json;
      /** What `io` answers, call by call, in order. */
      io: RecordedCall[];
      answer: (DiscoveryAnswer | ObservationAnswer)[];
    };

export type ExampleChange = Pick<ChangeRequest, "resource" | "attribute" | "kind" | "oldValue" | "newValue">;

/** One call of `io` (such as `http.request`) and what it returned or threw. Bytes stand as text. */
export interface RecordedCall {
  call: string;
  returns?: Json;
  throws?: { kind: string; message: string };
}
