import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import { discoverResource, observeResource } from "../services/fetcher/look.ts";
import { commandModule } from "./command-module.ts";
import type { CommandLimits } from "./run-command.ts";

/** Commands for these tests are written in JavaScript: Node is the one language that is surely here. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-command-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const reads = `const line = require("node:fs").readFileSync(0, "utf8").trim(); const request = JSON.parse(line);
const answer = (fields) => console.log(JSON.stringify({ ...request, ...fields }));`;

function module(script: string, limits: Partial<CommandLimits> = {}, environment: string[] = []) {
  const path = join(folder, "mine.cjs");
  writeFileSync(path, `${reads}\n${script}`);
  const definition = commandModule("mine", { command: `"${process.execPath}" ${path}`, environment }, limits);
  const io = { signal: new AbortController().signal } as Io;
  const target = { definition, options: {}, resource: "localhost" };
  return {
    definition,
    observe: () => observeResource(target, { previous: [], state: null, known: [] }, io),
    discover: () => discoverResource(target, "config.json", io),
  };
}

describe("a module that is a command", () => {
  it("is asked by one line of the prototype's fields, and its values are observed", async () => {
    const { observe } = module(`answer({ attribute: "request", value: line, severity: "none" });`);
    const result = await observe();
    if (result.status !== "seen") throw new Error(JSON.stringify(result));
    const [observation] = result.report.observations;
    expect(observation).toMatchObject({ attribute: "request", severity: "none" });
    expect(JSON.parse(observation?.value as string)).toEqual({
      operation: "observation",
      resource: "localhost",
      module: "mine",
      timestamp: expect.any(Number),
    });
  });

  it("confirms its own resources and suggests others' to them", async () => {
    const { discover } = module(`answer({}); answer({ module: "dns", resource: "example.com" });`);
    expect(await discover()).toEqual({
      status: "discovered",
      confirmed: [{ module: "mine", resource: "localhost" }],
      suggested: [{ module: "dns", resource: "example.com" }],
    });
  });

  it("may print what it likes besides its answers", async () => {
    const { observe } = module(`console.log("starting"); console.log("{'a': 1}"); console.log('{"log": true}');
      answer({ attribute: "a", value: 1, severity: "" }); console.log();`);
    expect(await observe()).toMatchObject({
      status: "seen",
      report: { observations: [{ attribute: "a", value: 1, severity: null }] },
    });
  });

  it("could not look when it says nothing, fails, or does not exist", async () => {
    expect(await module("").observe()).toMatchObject({ status: "failed", error: { kind: "module" } });
    expect(await module(`console.error("no token"); process.exit(3)`).observe()).toMatchObject({
      status: "failed",
      error: { kind: "module", message: "the command failed: exit code 3: no token" },
    });
    const missing = commandModule("mine", { command: "/no/such/program" });
    const io = { signal: new AbortController().signal } as Io;
    const target = { definition: missing, options: {}, resource: "r" };
    expect(await observeResource(target, { previous: [], state: null, known: [] }, io)).toMatchObject({
      status: "failed",
      error: { kind: "module" },
    });
  });

  it("is ended when it passes a limit of time, output or memory", async () => {
    const endless = module(`setInterval(() => {}, 1000)`, { timeoutMs: 300 });
    expect(await endless.observe()).toMatchObject({ status: "failed", error: { kind: "timeout" } });
    const talkative = module(`process.stdout.write("x".repeat(1_000_000))`, { outputBytes: 10_000 });
    expect(await talkative.observe()).toMatchObject({ status: "failed", error: { kind: "too_large" } });
    const hungry = module(`const all = []; setInterval(() => all.push(Buffer.alloc(50e6, 1)), 20)`, {
      memoryBytes: 300e6,
    });
    expect(await hungry.observe()).toMatchObject({ status: "failed", error: { kind: "too_large" } });
  });

  it("is given only the environment the configuration names", async () => {
    process.env.PAINTDRY_TEST_NAMED = "named";
    process.env.PAINTDRY_TEST_SECRET = "secret";
    const { observe } = module(`answer({ attribute: "env", value: process.env });`, {}, ["PAINTDRY_TEST_NAMED"]);
    const result = await observe();
    delete process.env.PAINTDRY_TEST_NAMED;
    delete process.env.PAINTDRY_TEST_SECRET;
    const text = JSON.stringify(result);
    expect(text).toContain('"PAINTDRY_TEST_NAMED":"named"');
    expect(text).not.toContain("PAINTDRY_TEST_SECRET");
  });

  it("rates a change; values that are no strings travel as JSON text", async () => {
    const { definition } = module(
      `answer({ severity: "high", reason: request.old_value + " to " + request.new_value });`,
    );
    const request = {
      resource: "localhost",
      attribute: "a",
      kind: "changed" as const,
      oldValue: null,
      newValue: [1],
      oldSeverity: null,
      newSeverity: null,
      newReason: null,
      context: null,
      options: {},
    };
    expect(await definition.change(request)).toEqual({ severity: "high", reason: " to [1]" });
  });

  it("is not believed when it answers for another resource", async () => {
    const { observe } = module(`answer({ resource: "other", attribute: "a", value: 1 });`);
    expect(await observe()).toMatchObject({ status: "failed", error: { kind: "module" } });
  });
});
