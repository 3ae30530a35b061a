import { describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import type { Example } from "#contracts/module.ts";
import http from "./index.ts";

describe("examples of the http watch", () => {
  it.each(http.examples.map((example) => [example.title, example] as const))("%s", async (_title, example) => {
    expect(await run(example)).toEqual("answer" in example ? example.answer : example.output);
  });
});

async function run(example: Example): Promise<unknown> {
  if (example.operation === "resource") {
    const read = http.resource.safeParse(example.input);
    return read.success ? read.data : { refusal: read.error.issues[0]?.message };
  }
  const options = http.options.parse({});
  if (example.operation === "change") {
    const rest = { oldSeverity: null, newSeverity: null, newReason: null, context: null };
    return http.change({ ...rest, ...example.request, options });
  }
  const calls = [...example.io];
  const io = { http: { request: async () => calls.shift()?.returns } } as unknown as Io;
  const request = {
    resource: example.resource,
    source: "config.json",
    options,
    previous: new Map(),
    state: null,
    known: [],
  };
  if (example.operation === "discovery") return Array.fromAsync(http.discovery(request, io));
  return Array.fromAsync(http.observation(request, io));
}
