import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openDataFolder } from "../embedded/data-folder.ts";
import { checkPortIsFree } from "../embedded/ports.ts";
import { writePrivately } from "../embedded/private-file.ts";
import { connectGateway } from "../gateway-client.ts";
import { CommandFailure } from "../report.ts";
import { runSystem } from "../run-system.ts";
import type { Serving } from "../run-system.ts";
import { requireConfig } from "../valid-config.ts";
import { demoConfig } from "./config.ts";
import { startScenery } from "./scenery.ts";
import type { Scenery } from "./scenery.ts";
import { playScript } from "./script.ts";

export interface Demo {
  /** Of page and API. */
  port: number;
  /** Emptied at each start. */
  folder: string;
  /** From the beginning of one step to that of the next. */
  pauseMs: number;
  /** End after the last step, and fail when not all were caught and mailed. */
  isOnce: boolean;
}

const host = "127.0.0.1";

/** The whole system beside small servers that are tampered with step by step. */
export async function runDemo(demo: Demo): Promise<void> {
  await checkPortIsFree(demo.port, host, "npm run demo");
  await emptyFolder(demo.folder);
  const scenery = await startScenery(demo.folder, demo.port);
  try {
    await runBeside(scenery, demo);
  } finally {
    await scenery.stop();
  }
}

/** Ends what an earlier demonstration left running there, and begins anew. */
async function emptyFolder(folder: string): Promise<void> {
  const opened = await openDataFolder(folder, (text) => console.error(`paintdry: ${text}`));
  try {
    await rm(folder, { recursive: true, force: true });
  } finally {
    opened.unlock();
  }
}

async function runBeside(scenery: Scenery, demo: Demo): Promise<void> {
  const uiUrl = `http://localhost:${demo.port}`;
  const configFile = join(demo.folder, "config.json");
  writePrivately(configFile, JSON.stringify(demoConfig(scenery, uiUrl), null, 2));
  await requireConfig(configFile);
  await runSystem({
    host,
    port: demo.port,
    configFile,
    dataFolder: demo.folder,
    environment: { NODE_EXTRA_CA_CERTS: scenery.rootFile },
    whileServing: async (serving) => await play(serving, { scenery, uiUrl, demo }),
  });
}

async function play(
  { terminal, signal, stopAsked }: Serving,
  { scenery, uiUrl, demo }: { scenery: Scenery; uiUrl: string; demo: Demo },
): Promise<void> {
  const gateway = connectGateway({ PAINTDRY_URL: uiUrl });
  const tell = (line: string) => console.log(line);
  try {
    const missed = await playScript({ scenery, gateway, uiUrl, pauseMs: demo.pauseMs, signal, tell });
    if (demo.isOnce && missed > 0) throw new CommandFailure(`${missed} steps were not caught as they should be`);
  } catch (error) {
    // Stopped in the middle: no failure.
    if (signal.aborted) return;
    throw error;
  }
  if (demo.isOnce) return;
  terminal.say("everything stays as it is until Ctrl-C");
  await stopAsked;
}
