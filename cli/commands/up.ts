import type { Command } from "commander";
import { configPath, dataFolderPath } from "../config-path.ts";
import { parsePort } from "../port-option.ts";
import { runSystem } from "../run-system.ts";
import { requireConfig } from "../valid-config.ts";

interface UpOptions {
  port: number;
  data?: string;
  config?: string;
}

const host = "127.0.0.1";

export function addUp(program: Command): void {
  program
    .command("up")
    .description("start all of paintdry on this machine: broker, database, services and page")
    .option("--port <number>", "the port of page and API", parsePort, Number(process.env.PAINTDRY_PORT || 8080))
    .option("--data <folder>", "where everything is kept (default .paintdry)")
    .option("--config <file>", "what is watched (default PAINTDRY_CONFIG, config/config-override.json or config.json)")
    .action(async (options: UpOptions) => {
      const configFile = configPath(options.config);
      await requireConfig(configFile);
      await runUntilStopped(options.port, configFile, dataFolderPath(options.data));
    });
}

async function runUntilStopped(port: number, configFile: string, dataFolder: string): Promise<void> {
  await runSystem({
    host,
    port,
    configFile,
    dataFolder,
    whileServing: async ({ terminal, stopAsked }) => {
      console.log(`paintdry is ready at http://localhost:${port}`);
      terminal.say(`watching what ${configFile} names; data and logs in ${dataFolder}; Ctrl-C stops it`);
      await stopAsked;
    },
  });
}
