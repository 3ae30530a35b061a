import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { z } from "zod";
import { LiveFrame } from "#contracts/gateway.ts";
import { Change } from "#contracts/messages.ts";
import { Severity } from "#contracts/severity.ts";
import { connectGateway } from "../gateway-client.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { CommandFailure, plain } from "../report.ts";

interface ChangesOptions {
  follow?: boolean;
  limit: number;
  least?: Severity;
  module?: string;
}

export function addChanges(program: Command): void {
  program
    .command("changes")
    .description("the newest changes, oldest of them first; with --json one CloudEvent's data a line")
    .option("--follow", "then go on with each change as it happens")
    .option("--limit <count>", "how many", parseCount, 20)
    .option("--least <severity>", "only changes at least this severe", parseSeverity)
    .option("--module <name>", "only changes of this module")
    .action(async (options: ChangesOptions) => {
      const isJson = program.opts<{ json?: boolean }>().json === true;
      const show = (change: Change) => {
        process.stdout.write(`${isJson ? JSON.stringify(change) : plain(describe(change))}\n`);
      };
      const gateway = connectGateway();
      const filter = {
        ...(options.least === undefined ? {} : { least: options.least }),
        ...(options.module === undefined ? {} : { module: options.module }),
      };
      const Page = z.object({ items: z.array(Change) });
      const { items } = await gateway.get("changes", { limit: String(options.limit), ...filter }, Page);
      for (const change of items.toReversed()) show(change);
      if (options.follow) await follow(gateway, filter, items[0]?.position, show);
    });
}

function describe(change: Change): string {
  const severity = (change.severity ?? "not assessed").padEnd(14);
  return `${change.recordedAt}  ${severity} ${change.module} ${change.resource} ${change.attribute} ${change.kind}: ${change.reason}`;
}

/** Goes on for ever, over reconnects, from the last position: nothing is lost or repeated. */
async function follow(
  gateway: GatewayClient,
  filter: Record<string, string>,
  from: number | undefined,
  show: (change: Change) => void,
): Promise<never> {
  const state = { position: from };
  for (;;) {
    const since: Record<string, string> = state.position === undefined ? {} : { since: String(state.position) };
    const reason = await readLive(gateway.liveUrl({ ...filter, ...since }), (frame) => {
      if (frame.type === "events") for (const { data } of frame.events) show(data);
      state.position = frame.position;
    });
    if (reason !== null) throw new CommandFailure(reason);
    await sleep(1000);
  }
}

/** Until the connection ends; answers why it is of no use to try again, or null. */
async function readLive(url: URL, onFrame: (frame: LiveFrame) => void): Promise<string | null> {
  const socket = new WebSocket(url);
  return await new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      const frame = LiveFrame.safeParse(JSON.parse(String(data)));
      if (frame.success) return onFrame(frame.data);
      socket.close();
      resolve(`${url.origin} does not answer like paintdry`);
    });
    socket.addEventListener("error", () => resolve(null));
    socket.addEventListener("close", ({ code, reason }) => resolve(code === 1008 ? reason || "refused" : null));
  });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 500) return count;
  throw new InvalidArgumentError("It must be a number from 1 to 500.");
}

function parseSeverity(text: string): Severity {
  const parsed = Severity.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It must be one of ${Severity.options.join(", ")}.`);
}
