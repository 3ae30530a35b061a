import type { Command } from "commander";
import { CheckAnswer } from "#contracts/gateway.ts";
import { connectGateway } from "../gateway-client.ts";
import { print } from "../report.ts";

export function addCheck(program: Command): void {
  program
    .command("check")
    .argument("<module>", "such as http")
    .argument("<resource>", "such as https://example.com/")
    .description("have a running paintdry look at a watched resource now")
    .action(async (module: string, resource: string) => {
      const answer = await connectGateway().post("checks", { module, resource }, CheckAnswer);
      const isJson = program.opts<{ json?: boolean }>().json === true;
      print(isJson, answer, () => [
        answer.outcome === "queued" ? `the look at ${resource} is queued` : `a look at ${resource} was already waiting`,
      ]);
    });
}
