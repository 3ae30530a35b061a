import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import type { Change } from "#contracts/messages.ts";
import type { Severity } from "#contracts/severity.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { CommandFailure, plain } from "../report.ts";
import type { Scenery } from "./scenery.ts";
import { steps } from "./steps.ts";
import type { Step } from "./steps.ts";
import { newestPosition, waitForBaseline, waitForChange, waitForMail } from "./watch.ts";

export interface Stage {
  scenery: Scenery;
  gateway: GatewayClient;
  /** Where the page is. */
  uiUrl: string;
  /** From the beginning of one step to that of the next. */
  pauseMs: number;
  signal: AbortSignal;
  /** Shows a line to the user. */
  tell(line: string): void;
}

const baselineWithinMs = 60_000;
const caughtWithinMs = 30_000;
const mailedWithinMs = 15_000;

/** Tells the story and plays all its steps; answers how many were not caught as they should be. */
export async function playScript(stage: Stage): Promise<number> {
  const { scenery, gateway, signal, tell } = stage;
  introduce(stage);
  const missing = await waitForBaseline(gateway, scenery, { signal, withinMs: baselineWithinMs });
  if (missing.length > 0) throw new CommandFailure(`not looked at within a minute: ${missing.join(", ")}`);
  tell("Everything was looked at once: that is the baseline, and it raises no change. Now somebody tampers with it.");
  let missed = 0;
  let nextAt = performance.now() + stage.pauseMs;
  for (const [index, step] of steps.entries()) {
    await sleep(Math.max(0, nextAt - performance.now()), undefined, { signal });
    nextAt = performance.now() + stage.pauseMs;
    tell(`\n${bold(`${index + 1} of ${steps.length}  ${step.attack}`)}`);
    if (!(await playStep(stage, step))) missed += 1;
  }
  conclude(stage, missed);
  return missed;
}

async function playStep(stage: Stage, step: Step): Promise<boolean> {
  const { gateway, scenery, signal, tell } = stage;
  const after = await newestPosition(gateway);
  const startedAt = performance.now();
  await step.tamper(scenery);
  const change = await waitForChange(gateway, step, { after, signal, withinMs: caughtWithinMs });
  if (change === null) {
    tell(`        ${bold("not caught")} within ${caughtWithinMs / 1000} s: see the logs in the data folder`);
    return false;
  }
  const link = `${stage.uiUrl}/changes/${change.id}`;
  tell(`        caught after ${secondsSince(startedAt)}: ${describe(change)}`);
  tell(`        see ${link}`);
  const isMailed = await waitForMail(scenery, link, { signal, withinMs: mailedWithinMs });
  tell(`        ${isMailed ? `mailed after ${secondsSince(startedAt)}` : bold("no mail came")}`);
  if (change.severity !== step.severity) tell(`        ${bold(`it should be ${step.severity}`)}`);
  return isMailed && change.severity === step.severity;
}

function introduce({ scenery, uiUrl, tell }: Stage): void {
  tell("\npaintdry watches four small servers on this machine, each every 3 seconds:");
  for (const { what, resource } of scenery.watched) tell(`  ${what.padEnd(22)}${resource}`);
  tell("\nOpen these two pages and watch:");
  tell(`  ${"the changes".padEnd(22)}${bold(uiUrl)}`);
  tell(`  ${"the alert mails".padEnd(22)}${bold(scenery.mailboxUrl)}\n`);
}

function conclude({ scenery, uiUrl, tell }: Stage, missed: number): void {
  const caught = steps.length - missed;
  tell(
    `\n${bold(`${caught} of ${steps.length} caught, rated and mailed.`)} Look around: ${uiUrl} ${scenery.mailboxUrl}`,
  );
}

const colours: Record<Severity, Parameters<typeof styleText>[0]> = {
  critical: ["bold", "red"],
  high: "red",
  medium: "yellow",
  low: "yellow",
  unknown: "yellow",
  notice: "cyan",
  recommendation: "cyan",
  none: "dim",
};

function describe({ severity, reason }: Change): string {
  const rated = severity ?? "unknown";
  return `${styleText(colours[rated], rated)}, ${plain(reason)}`;
}

function bold(text: string): string {
  return styleText("bold", text);
}

function secondsSince(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}
