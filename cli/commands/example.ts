import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { loadModules } from "#runtime/load-modules.ts";
import { expectedOf, replayExample } from "#runtime/replay-example.ts";
import { CommandFailure, print } from "../report.ts";

export function addExample(program: Command): void {
  program
    .command("example")
    .argument("<module>", "such as http")
    .description("a module's recorded examples, run again without any network")
    .action(async (name: string) => {
      const modules = await loadModules();
      const definition = modules.get(name)?.definition;
      if (!definition) {
        throw new CommandFailure(
          `there is no module ${JSON.stringify(name)}; there are ${[...modules.keys()].join(", ")}`,
        );
      }
      const results = await Promise.all(
        definition.examples.map(async (example) => {
          const answer = await replayExample(definition, example);
          return { ...example, answer, isAsRecorded: isDeepStrictEqual(answer, expectedOf(example)) };
        }),
      );
      print(program.opts<{ json?: boolean }>().json === true, { module: name, examples: results }, () => [
        `${name}, version ${definition.version}: ${definition.summary}`,
        ...results.flatMap(({ title, operation, answer, isAsRecorded }) => [
          "",
          `${isAsRecorded ? "" : "NOT AS RECORDED: "}${operation}: ${title}`,
          ...JSON.stringify(answer, null, 2)
            .split("\n")
            .map((line) => `  ${line}`),
        ]),
      ]);
      if (results.some(({ isAsRecorded }) => !isAsRecorded)) process.exitCode = 1;
    });
}
