import type { Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import type { Example, ModuleDefinition, RecordedCall } from "#contracts/module.ts";

/** What a module makes of one of its examples: to be equal to the example's `output` or `answer`. */
export async function replayExample(definition: ModuleDefinition, example: Example): Promise<unknown> {
  if (example.operation === "resource") {
    const parsed = definition.resource.safeParse(example.input);
    return parsed.success ? parsed.data : { refusal: parsed.error.issues[0]?.message };
  }
  if (example.operation === "change") {
    const unset = { oldSeverity: null, newSeverity: null, newReason: null, context: null };
    return definition.change({ ...unset, options: definition.options.parse({}), ...example.request });
  }
  const options = definition.options.parse(example.options ?? {});
  const { resource, state = null } = example;
  const previous = new Map((example.previous ?? []).map((value) => [value.attribute, value]));
  const io = replayIo([...example.io]);
  return example.operation === "discovery"
    ? await Array.fromAsync(definition.discovery({ resource, options, source: "config.json" }, io))
    : await Array.fromAsync(definition.observation({ resource, options, previous, state, known: [] }, io));
}

/** What an example says that its replay gives. */
export function expectedOf(example: Example): unknown {
  return example.operation === "resource" ? example.output : example.answer;
}

/** Answers call by call, in the order recorded; any other call is a fault. */
function replayIo(calls: RecordedCall[]): Io {
  const group = (name: string) =>
    new Proxy({}, { get: (_target, method) => async () => answer(`${name}.${String(method)}`) });
  function answer(call: string): unknown {
    const next = calls.shift();
    if (next?.call !== call) throw new Error(`the example records ${next?.call ?? "no call"} where ${call} is made`);
    if (next.throws) throw new LookError(next.throws.kind as LookError["kind"], next.throws.message);
    return next.returns;
  }
  const { signal } = new AbortController();
  return { http: group("http"), dns: group("dns"), tls: group("tls"), git: group("git"), signal } as unknown as Io;
}
