import { join } from "node:path";
import type { Command } from "commander";
import { dataFolderPath } from "../config-path.ts";
import { parsePort } from "../port-option.ts";

interface DemoOptions {
  port: number;
  fast?: boolean;
  once?: boolean;
}

const pauseMs = 15_000;

export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("watch small servers on this machine being tampered with, and each tampering caught")
    .option("--port <number>", "the port of page and API", parsePort, Number(process.env.PAINTDRY_PORT || 8080))
    .option("--fast", "without pauses between the steps")
    .option("--once", "end after the last step; succeeds when all were caught and mailed")
    .action(async (options: DemoOptions) => {
      // Only here: its libraries are for development, and are not everywhere the other commands are.
      const { runDemo } = await import("../demo/run.ts");
      await runDemo({
        port: options.port,
        folder: join(dataFolderPath(undefined), "demo"),
        pauseMs: options.fast ? 0 : pauseMs,
        isOnce: options.once ?? false,
      });
    });
}
