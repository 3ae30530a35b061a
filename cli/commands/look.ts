import type { Command } from "commander";
import type { Json } from "#contracts/canonical.ts";
import { Config } from "#contracts/config.ts";
import { resourceId } from "#contracts/subjects.ts";
import { loadModules } from "#runtime/load-modules.ts";
import type { Modules } from "#runtime/load-modules.ts";
import { readSecret } from "#runtime/secrets.ts";
import { createIoFactory } from "../../services/fetcher/io/open-io.ts";
import { observeResource } from "../../services/fetcher/look.ts";
import type { Observed } from "../../services/fetcher/look.ts";
import { configPath } from "../config-path.ts";
import { CommandFailure, print } from "../report.ts";
import { requireConfig } from "../valid-config.ts";

/** The long deadline, since somebody is watching who can press Ctrl-C. */
const deadlineMs = 600_000;

export function addLook(program: Command): void {
  program
    .command("look")
    .argument("<module>", "such as http")
    .argument("<resource>", "such as https://example.com/")
    .option("--config <file>", "take options, credentials, limits and egress rules from this configuration")
    .description("look at a resource once and print what is seen; nothing else needs to run")
    .action(async (name: string, resource: string, options: { config?: string }) => {
      const { config, modules, moduleOptions } = await settingsFor(name, options.config);
      const definition = modules.get(name)?.definition;
      if (!definition) {
        throw new CommandFailure(
          `there is no module ${JSON.stringify(name)}; there are ${[...modules.keys()].join(", ")}`,
        );
      }
      const normalised = definition.resource.safeParse(resource);
      if (!normalised.success) {
        const why = normalised.error.issues.map(({ message }) => message).join("; ");
        throw new CommandFailure(`${resource} is no resource of ${name}: ${why}`);
      }
      const factory = createIoFactory({ config: () => config, readSecret, dataFolder: null, liveFetchers: () => 1 });
      try {
        const signal = AbortSignal.timeout(deadlineMs);
        const { io } = factory.open({ lane: definition.lane(normalised.data), signal, deadlineMs });
        const target = { definition, options: moduleOptions, resource: normalised.data };
        const observed = await observeResource(target, { previous: [], state: null, known: [] }, io);
        const answer = { module: name, resource: normalised.data, id: resourceId(name, normalised.data), ...observed };
        print(program.opts<{ json?: boolean }>().json === true, answer, () => describe(normalised.data, observed));
        if (observed.status === "failed") process.exitCode = 1;
      } finally {
        await factory.close();
      }
    });
}

async function settingsFor(
  name: string,
  file: string | undefined,
): Promise<{ config: Config; modules: Modules; moduleOptions: unknown }> {
  if (file !== undefined || process.env.PAINTDRY_CONFIG) {
    const { config, modules, options } = await requireConfig(configPath(file));
    return { config, modules, moduleOptions: options.get(name) };
  }
  const modules = await loadModules();
  return { config: Config.parse({}), modules, moduleOptions: modules.get(name)?.definition.options.parse({}) };
}

function describe(resource: string, observed: Observed): string[] {
  if (observed.status === "failed")
    return [`could not look at ${resource}: ${observed.error.kind}: ${observed.error.message}`];
  if (observed.status === "gone") return [`${resource} does not exist: ${observed.reason}`];
  const { observations, happenings, unseen } = observed.report;
  const width = Math.min(40, Math.max(0, ...observations.map(({ attribute }) => attribute.length)));
  return [
    ...observations.map(({ attribute, value, severity, reason }) => {
      const standing = severity && severity !== "none" ? `  [${severity}${reason ? `: ${reason}` : ""}]` : "";
      return `${attribute.padEnd(width)}  ${short(value)}${standing}`;
    }),
    ...happenings.map(({ name, severity, reason }) => `happened: ${name} [${severity}: ${reason}]`),
    ...unseen.map(({ attribute, reason }) => `not seen: ${attribute}: ${reason}`),
  ];
}

function short(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
