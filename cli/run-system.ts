import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "#runtime/errors.ts";
import { startSystem } from "./embedded/system.ts";
import type { System } from "./embedded/system.ts";
import { listenForStop } from "./stopping.ts";
import { createTerminal } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

export interface SystemRun {
  host: string;
  port: number;
  configFile: string;
  dataFolder: string;
  /** More for all services. */
  environment?: Record<string, string>;
  /** Begins once the page really serves; when it ends, the system is stopped. */
  whileServing(serving: Serving): Promise<void>;
}

export interface Serving {
  terminal: Terminal;
  /** Aborted when the user asks for the end. */
  signal: AbortSignal;
  stopAsked: Promise<void>;
}

const readyWithinMs = 120_000;

/** Starts all of paintdry, and stops it in order when `whileServing` ends or a signal comes. */
export async function runSystem({ whileServing, ...run }: SystemRun): Promise<void> {
  const terminal = createTerminal();
  const stopping = listenForStop(() => {
    terminal.hush();
    terminal.say("stopping (Ctrl-C again: at once)");
  });
  try {
    const system = await startSystem({
      ...run,
      onStarting: stopping.setKillNow,
      onProgress: terminal.say,
      onLine: terminal.showLine,
    });
    try {
      if (!stopping.signal.aborted) await Promise.race([waitUntilServing(system, run.port), stopping.asked]);
      if (!stopping.signal.aborted) {
        terminal.markReady();
        await whileServing({ terminal, signal: stopping.signal, stopAsked: stopping.asked });
      }
    } finally {
      terminal.hush();
      await system.stop();
    }
    terminal.say("stopped");
  } finally {
    stopping.close();
  }
}

/** Until every service is ready and the page really comes. */
async function waitUntilServing(system: System, port: number): Promise<void> {
  await system.services.waitUntilReady(readyWithinMs);
  const url = `http://localhost:${port}/`;
  for (let attempt = 1; attempt <= 50; attempt++) {
    const headers = { accept: "text/html" };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(5000) }).catch(() => null);
    if (response?.ok && (await response.text()).includes("<html")) return;
    await sleep(200);
  }
  throw new StartError("no_page", `${url} does not serve the page: remove ui/dist and start again with npm start`);
}
