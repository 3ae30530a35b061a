import type { Command } from "commander";
import { readConfig } from "#runtime/load-config.ts";
import { configPath } from "../config-path.ts";
import { print } from "../report.ts";
import { describeFault } from "../valid-config.ts";

export function addValidate(program: Command): void {
  program
    .command("validate")
    .argument("[file]", "the configuration; default PAINTDRY_CONFIG, or config.json of the project")
    .description("check a configuration and list all that is wrong with it")
    .action(async (file: string | undefined) => {
      const path = configPath(file);
      const result = await readConfig(path);
      const isJson = program.opts<{ json?: boolean }>().json === true;
      if (result.isValid) {
        const { targets } = result.loaded.config;
        const resources = targets.reduce((sum, target) => sum + target.resources.length * target.modules.length, 0);
        print(isJson, { file: path, isValid: true, targets: targets.length, resources }, () => [
          `${path} is valid: ${resources} resources in ${targets.length} targets`,
        ]);
        return;
      }
      const { faults } = result;
      print(isJson, { file: path, isValid: false, faults }, () => [
        `${path} has ${faults.length} ${faults.length === 1 ? "fault" : "faults"}:`,
        ...faults.map((fault) => `  ${describeFault(fault)}`),
      ]);
      process.exitCode = 1;
    });
}
