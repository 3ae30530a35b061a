import { z } from "zod";
import type { Json } from "#contracts/canonical.ts";
import type { ModuleSection } from "#contracts/config.ts";
import { LookError } from "#contracts/look-error.ts";
import { maxAttributeBytes, maxReasonLength, ModuleName, ResourceName } from "#contracts/messages.ts";
import { confirm, defineModule, observe, suggest } from "#contracts/module.ts";
import type { ModuleDefinition, ObservationAnswer } from "#contracts/module.ts";
import { Severity } from "#contracts/severity.ts";
import { runCommand } from "./run-command.ts";
import type { CommandLimits, CommandRequest } from "./run-command.ts";

/*
 * A module in another language: a command that reads one JSON line and answers JSON lines. Field names are the
 * prototype's, so that its modules run as they are. One child a request, since the prototype's modules remember
 * answers for the life of the process and skip repeated lines.
 */

const DiscoveryLine = z.looseObject({
  operation: z.literal("discovery"),
  resource: ResourceName,
  module: ModuleName,
});

/** The prototype writes the empty string for "not assessed". */
const LineSeverity = z.union([Severity, z.literal("").transform(() => null)]).nullish();

const ObservationLine = z.looseObject({
  operation: z.literal("observation"),
  resource: ResourceName,
  module: ModuleName,
  attribute: z.string().min(1).max(maxAttributeBytes),
  value: z.json(),
  severity: LineSeverity,
  reason: z.string().optional(),
});

const ChangeLine = z.looseObject({ severity: LineSeverity, reason: z.string().optional() });

export function commandModule(
  name: string,
  section: ModuleSection,
  limits: Partial<CommandLimits> = {},
): ModuleDefinition {
  const command = String(section.command);
  const ask = (request: Omit<CommandRequest, "module" | "timestamp">, signal?: AbortSignal) =>
    runCommand(
      command,
      { ...request, module: name, timestamp: Math.floor(Date.now() / 1000) },
      { environment: section.environment ?? [], limits, ...(signal ? { signal } : {}) },
    );
  return defineModule<Record<string, unknown>>({
    name,
    version: 1,
    summary: `The command ${command}`,
    resource: ResourceName,
    options: z.record(z.string(), z.unknown()),
    lane: hostOf,
    owner: () => "-",
    async *discovery({ resource, source }, io) {
      for (const line of await ask({ operation: "discovery", resource, source }, io.signal)) {
        const found = DiscoveryLine.safeParse(line);
        if (!found.success) throw badAnswer(name, "discovery", found.error);
        const isOwn = found.data.module === name;
        yield isOwn ? confirm(found.data.resource) : suggest(found.data.module, found.data.resource);
      }
    },
    async *observation({ resource }, io) {
      const lines = await ask({ operation: "observation", resource }, io.signal);
      for (const line of lines) yield readObservation(name, resource, line);
    },
    async change({ resource, attribute, oldValue, newValue }) {
      const [line] = await ask({
        operation: "change",
        resource,
        attribute,
        old_value: toText(oldValue),
        new_value: toText(newValue),
      });
      const answer = ChangeLine.safeParse(line ?? {});
      if (!answer.success) throw badAnswer(name, "change", answer.error);
      const { severity, reason } = answer.data;
      return {
        severity: severity ?? "unknown",
        reason: reason ?? `${attribute} of ${resource} changed`,
      };
    },
    examples: [],
  });
}

function readObservation(name: string, resource: string, line: Json): ObservationAnswer {
  const seen = ObservationLine.safeParse(line);
  if (!seen.success) throw badAnswer(name, "observation", seen.error);
  if (seen.data.resource !== resource || seen.data.module !== name) {
    throw new LookError("module", `the command of ${name} answered for ${seen.data.module} ${seen.data.resource}`);
  }
  return observe(seen.data.attribute, seen.data.value, {
    ...(seen.data.severity ? { severity: seen.data.severity } : {}),
    ...(seen.data.reason === undefined ? {} : { reason: seen.data.reason.slice(0, maxReasonLength) }),
  });
}

function badAnswer(name: string, operation: string, error: z.ZodError): LookError {
  const [issue] = error.issues;
  return new LookError(
    "module",
    `the command of ${name} gave a wrong answer to ${operation}: ${issue?.path.join(".")} ${issue?.message}`,
  );
}

/** A value that is not a string travels as JSON text, nothing as the empty string. */
function toText(value: Json): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The limit holds per host where a resource names one, else per resource. */
function hostOf(resource: string): string {
  const url = URL.parse(resource);
  if (url?.host) return url.host;
  return /^[^/\s]+/.exec(resource)?.[0] ?? resource;
}
