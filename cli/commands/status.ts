import type { Command } from "commander";
import { Status } from "#contracts/gateway.ts";
import { connectGateway } from "../gateway-client.ts";
import { print } from "../report.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .description("what a running paintdry watches, and whether it can")
    .action(async () => {
      const status = await connectGateway().get("status", {}, Status);
      print(program.opts<{ json?: boolean }>().json === true, status, () => describe(status));
    });
}

function describe(status: Status): string[] {
  const counted = (counts: Record<string, number>) =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ") || "none";
  return [
    `paintdry ${status.version}`,
    `resources  ${counted(status.resources)}`,
    `failing    ${status.failing}${status.neverSeen > 0 ? `; ${status.neverSeen} not seen yet` : ""}`,
    `oldest     ${status.oldestSeenAt ?? "no good look yet"}`,
    `findings   ${counted(status.findings)}`,
    `changes    ${status.changesLastDay} in the last day, ${status.feedPosition} in all`,
    ...(status.unpublished > 0 ? [`waiting    ${status.unpublished} changes are not published yet`] : []),
  ];
}
