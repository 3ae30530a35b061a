import { z } from "zod";
import { compareText } from "#contracts/canonical.ts";
import type { Json } from "#contracts/canonical.ts";
import type { Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import {
  AttributeName,
  existsAttribute,
  Happening,
  maxAttributeBytes,
  maxValueBytes,
  Observation,
  ResourceRef,
  Unseen,
} from "#contracts/messages.ts";
import type { LookFailure, Report } from "#contracts/messages.ts";
import type { KnownValue, ModuleDefinition, ObservationAnswer, PreviousValue } from "#contracts/module.ts";
import { errorMessage } from "#runtime/errors.ts";

/** What a module made of one look; the pipeline wraps it into an outcome, the command line prints it. */
export type Observed =
  | { status: "seen"; report: Report; state?: Json }
  | { status: "gone"; reason: string }
  | { status: "failed"; error: LookFailure };

export type Discovered =
  | { status: "discovered"; confirmed: ResourceRef[]; suggested: ResourceRef[] }
  | { status: "not_mine"; reason: string }
  | { status: "failed"; error: LookFailure };

const maxAttributes = 250_000;
const maxFound = 100_000;

interface Target {
  definition: ModuleDefinition;
  options: unknown;
  resource: string;
}

/** One look at one resource. It never throws: what goes wrong is a failed outcome. */
export async function observeResource(
  { definition, options, resource }: Target,
  basis: { previous: PreviousValue[]; state: Json; known: KnownValue[] },
  io: Io,
): Promise<Observed> {
  const previous = new Map(basis.previous.map((value) => [value.attribute, value]));
  const request = { resource, options, previous, state: basis.state, known: basis.known };
  try {
    return await untilDeadline(io.signal, () => collectReport(definition.observation(request, io)));
  } catch (error) {
    return { status: "failed", error: toFailure(error, io.signal) };
  }
}

async function collectReport(answers: AsyncIterable<ObservationAnswer>): Promise<Observed> {
  const observations = new Map<string, Observation>();
  const report: Report = { observations: [], happenings: [], unseen: [] };
  const baseline: string[] = [];
  let goneReason: string | undefined;
  let state: Json | undefined;
  let count = 0;
  for await (const answer of answers) {
    if (++count > maxAttributes) throw new LookError("too_large", `more than ${maxAttributes} attributes`);
    if (answer.type === "observe") addObservation(observations, answer);
    else if (answer.type === "happened") {
      report.happenings.push(check(Happening, { ...answer, detail: fitting(answer.detail, answer.name) }, answer.name));
    } else if (answer.type === "unseen") report.unseen.push(check(Unseen, answer, answer.attribute));
    else if (answer.type === "baseline") baseline.push(check(AttributeName, answer.attribute, answer.attribute));
    else if (answer.type === "gone") goneReason = answer.reason.slice(0, 500);
    else state = answer.state;
  }
  if (goneReason !== undefined) return { status: "gone", reason: goneReason };
  if (count === 0) throw new LookError("module", "the module observed nothing, which means that it could not look");
  report.observations = [...observations.values()].toSorted((a, b) => compareText(a.attribute, b.attribute));
  if (baseline.length > 0) report.baseline = baseline;
  return { status: "seen", report, ...(state === undefined ? {} : { state }) };
}

function addObservation(
  observations: Map<string, Observation>,
  answer: Extract<ObservationAnswer, { type: "observe" }>,
): void {
  const { type: _, ...standing } = answer;
  if (answer.attribute === existsAttribute) {
    throw new LookError("module", `the attribute ${existsAttribute} is paintdry's own: yield gone() instead`);
  }
  if (observations.has(answer.attribute)) {
    throw new LookError("module", `the module observed ${answer.attribute} twice in one look`);
  }
  const value = fitting(standing.value, answer.attribute);
  const observation = check(Observation, { severity: null, reason: null, ...standing, value }, answer.attribute);
  observations.set(answer.attribute, observation);
}

/** A value that a change's event can carry beside the one before it: a watched page must not stop the feed. */
function fitting(value: Json, name: string): Json {
  const fit = wellFormed(value);
  if (Buffer.byteLength(JSON.stringify(fit)) <= maxValueBytes) return fit;
  throw new LookError("too_large", `the value of ${name.slice(0, 80)} is longer than ${maxValueBytes} bytes`);
}

/** Half a surrogate pair has no canonical form: it stands as U+FFFD, as it would in UTF-8. */
function wellFormed(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(wellFormed);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]));
}

/** A module's answers come from what a stranger's server sent: names and sizes are checked like any message. */
function check<Schema extends z.ZodType>(schema: Schema, answer: unknown, name: string): z.infer<Schema> {
  if (Buffer.byteLength(name) > maxAttributeBytes) {
    throw new LookError("too_large", `the attribute ${name.slice(0, 80)}… is longer than ${maxAttributeBytes} bytes`);
  }
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new LookError("module", `${name.slice(0, 80)}: ${issue?.path.join(".")} ${issue?.message}`);
}

/** What follows from one resource. It never throws. */
export async function discoverResource(
  { definition, options, resource }: Target,
  source: string,
  io: Io,
): Promise<Discovered> {
  const normalised = definition.resource.safeParse(resource);
  if (!normalised.success) {
    return {
      status: "not_mine",
      reason: normalised.error.issues
        .map((issue) => issue.message)
        .join("; ")
        .slice(0, 2000),
    };
  }
  try {
    return await untilDeadline(io.signal, () =>
      collectFound(definition, { resource: normalised.data, source, options }, io),
    );
  } catch (error) {
    return { status: "failed", error: toFailure(error, io.signal) };
  }
}

async function collectFound(
  definition: ModuleDefinition,
  request: { resource: string; source: string; options: unknown },
  io: Io,
): Promise<Discovered> {
  const confirmed = new Map<string, ResourceRef>();
  const suggested = new Map<string, ResourceRef>();
  let refusal = `the module ${definition.name} did not confirm it`;
  for await (const answer of definition.discovery(request, io)) {
    if (confirmed.size + suggested.size >= maxFound)
      throw new LookError("too_large", `more than ${maxFound} resources`);
    if (answer.type === "refuse") {
      refusal = answer.reason;
      continue;
    }
    const found =
      answer.type === "confirm"
        ? { module: definition.name, resource: answer.resource }
        : { module: answer.module, resource: answer.resource };
    const ref = check(ResourceRef, found, "a found resource");
    (answer.type === "confirm" ? confirmed : suggested).set(`${ref.module}|${ref.resource}`, ref);
  }
  if (confirmed.size === 0) {
    return { status: "not_mine", reason: refusal.slice(0, 2000) };
  }
  return { status: "discovered", confirmed: [...confirmed.values()], suggested: [...suggested.values()] };
}

/** A module that hangs outside `io` is left behind at the deadline. */
async function untilDeadline<Result>(signal: AbortSignal, look: () => Promise<Result>): Promise<Result> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([look(), aborted]);
  } finally {
    if (stop) signal.removeEventListener("abort", stop);
  }
}

function toFailure(error: unknown, signal: AbortSignal): LookFailure {
  if (error instanceof LookError) return error.toFailure();
  if (signal.aborted) return { kind: "timeout", message: "the look did not end before its deadline" };
  return { kind: "module", message: `the module failed: ${errorMessage(error)}`.slice(0, 2000) };
}
