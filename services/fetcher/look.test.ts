import { z } from "zod";
import { describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { maxValueBytes } from "#contracts/messages.ts";
import {
  baseline,
  confirm,
  defineModule,
  gone,
  happened,
  observe,
  refuse,
  save,
  suggest,
  unseen,
} from "#contracts/module.ts";
import type { DiscoveryAnswer, ModuleDefinition, ObservationAnswer } from "#contracts/module.ts";
import { discoverResource, observeResource } from "./look.ts";

type Answers<Answer> = () => AsyncIterable<Answer>;

function moduleOf(
  observation: Answers<ObservationAnswer>,
  discovery: Answers<DiscoveryAnswer> = async function* () {},
): ModuleDefinition {
  return defineModule<unknown>({
    name: "fake",
    version: 1,
    summary: "",
    resource: z.string().refine((text) => text !== "bad", "that is no fake"),
    options: z.unknown(),
    lane: () => "-",
    owner: () => "-",
    discovery,
    observation,
    change: () => ({ severity: "none", reason: "" }),
    examples: [],
  });
}

const noBasis = { previous: [], state: null, known: [] };
function ioUntil(signal: AbortSignal): Io {
  return { signal } as Io;
}
const io = ioUntil(new AbortController().signal);

async function observeWith(observation: Answers<ObservationAnswer>, through = io) {
  return await observeResource({ definition: moduleOf(observation), options: {}, resource: "r" }, noBasis, through);
}
async function discoverWith(discovery: Answers<DiscoveryAnswer>, resource = "r") {
  const definition = moduleOf(async function* () {}, discovery);
  return await discoverResource({ definition, options: {}, resource }, "config.json", io);
}

describe("observeResource", () => {
  it("collects a complete report, sorted, with what happened, was unseen and is saved", async () => {
    const result = await observeWith(async function* () {
      yield observe("b", 2, { severity: "high", reason: "bad" });
      yield observe("a", 1);
      yield unseen("c/", "no right");
      yield baseline("d/");
      yield happened("h", { x: 1 }, { severity: "low", reason: "it did" });
      yield save({ commit: "x" });
    });
    expect(result).toEqual({
      status: "seen",
      state: { commit: "x" },
      report: {
        observations: [
          { attribute: "a", value: 1, severity: null, reason: null },
          { attribute: "b", value: 2, severity: "high", reason: "bad" },
        ],
        happenings: [{ name: "h", detail: { x: 1 }, severity: "low", reason: "it did" }],
        unseen: [{ attribute: "c/", reason: "no right" }],
        baseline: ["d/"],
      },
    });
  });

  it("takes gone as definitive, whatever else was said", async () => {
    const result = await observeWith(async function* () {
      yield observe("a", 1);
      yield gone("404");
    });
    expect(result).toEqual({ status: "gone", reason: "404" });
  });

  it("takes silence as could not look", async () => {
    expect(await observeWith(async function* () {})).toMatchObject({ status: "failed", error: { kind: "module" } });
  });

  it("keeps the kind of a look error, and how long to rest", async () => {
    const result = await observeWith(async function* () {
      yield observe("a", 1);
      throw new LookError("limited", "slow down", { retryAfterMs: 3_600_000 });
    });
    expect(result).toEqual({
      status: "failed",
      error: { kind: "limited", message: "slow down", retryAfterMs: 3_600_000 },
    });
  });

  it("calls a module's own mistake one", async () => {
    const thrown = await observeWith(async function* () {
      yield observe("a", 1);
      throw new TypeError("x is undefined");
    });
    expect(thrown).toMatchObject({ status: "failed", error: { kind: "module", message: /x is undefined/ } });
    const twice = await observeWith(async function* () {
      yield observe("a", 1);
      yield observe("a", 2);
    });
    expect(twice).toMatchObject({ status: "failed", error: { kind: "module", message: /a twice/ } });
  });

  it("keeps the built-in attribute for itself", async () => {
    const result = await observeWith(async function* () {
      yield observe("exists", true);
    });
    expect(result).toMatchObject({ status: "failed", error: { kind: "module", message: /gone\(\)/ } });
  });

  it("refuses names that are too long, and never cuts them", async () => {
    const result = await observeWith(async function* () {
      yield observe("x".repeat(513), 1);
    });
    expect(result).toMatchObject({ status: "failed", error: { kind: "too_large" } });
  });

  it("refuses values that are too large for an event of a change between two of them", async () => {
    const value = "x".repeat(maxValueBytes);
    const tooLarge = { status: "failed", error: { kind: "too_large" } };
    const assessment = { severity: "none", reason: "" } as const;
    expect(
      await observeWith(async function* () {
        yield observe("a", value);
      }),
    ).toMatchObject(tooLarge);
    expect(
      await observeWith(async function* () {
        yield happened("a", value, assessment);
      }),
    ).toMatchObject(tooLarge);
    expect(
      await observeWith(async function* () {
        yield observe("a", value.slice(2));
      }),
    ).toMatchObject({ status: "seen" });
  });

  it("makes text well-formed, which hostile values are not, and refuses names that no database holds", async () => {
    const result = await observeWith(async function* () {
      yield observe("a", { "k\uD800": ["x\uDC00y", "\0"] });
    });
    expect(result).toMatchObject({ report: { observations: [{ value: { "k\uFFFD": ["x\uFFFDy", "\0"] } }] } });
    for (const name of ["a\0b", "a\uD800"]) {
      const named = await observeWith(async function* () {
        yield observe(name, 1);
      });
      expect(named).toMatchObject({ status: "failed", error: { kind: "module" } });
    }
  });

  it("leaves a module behind that hangs past the deadline", async () => {
    const deadline = new AbortController();
    const look = observeWith(async function* () {
      yield observe("a", 1);
      await new Promise(() => {});
    }, ioUntil(deadline.signal));
    deadline.abort();
    expect(await look).toMatchObject({ status: "failed", error: { kind: "timeout" } });
  });
});

describe("discoverResource", () => {
  it("tells what was confirmed and what was suggested, each once", async () => {
    const result = await discoverWith(async function* () {
      yield confirm("r");
      yield confirm("r");
      yield suggest("dns", "example.com");
    });
    expect(result).toEqual({
      status: "discovered",
      confirmed: [{ module: "fake", resource: "r" }],
      suggested: [{ module: "dns", resource: "example.com" }],
    });
  });

  it("says why a resource is not the module's", async () => {
    expect(await discoverWith(async function* () {}, "bad")).toEqual({ status: "not_mine", reason: "that is no fake" });
    expect(await discoverWith(async function* () {})).toMatchObject({ status: "not_mine" });
    const refused = await discoverWith(async function* () {
      yield refuse("there is no such thing");
    });
    expect(refused).toEqual({ status: "not_mine", reason: "there is no such thing" });
  });

  it("fails where it could not find out", async () => {
    const result = await discoverWith(async function* () {
      yield confirm("r");
      throw new LookError("timeout", "no answer");
    });
    expect(result).toMatchObject({ status: "failed", error: { kind: "timeout" } });
  });
});
