import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "#runtime/errors.ts";
import { configPath, dataFolderPath } from "../config-path.ts";
import type { LogLine } from "../embedded/log-lines.ts";
import { startSystem } from "../embedded/system.ts";
import type { System } from "../embedded/system.ts";
import { plain } from "../report.ts";
import { requireConfig } from "../valid-config.ts";

interface UpOptions {
  port: number;
  data?: string;
  config?: string;
}

const host = "127.0.0.1";
const readyWithinMs = 120_000;

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
  const terminal = createTerminal();
  const stopping = listenForStop(terminal);
  try {
    const system = await startSystem({
      dataFolder,
      configFile,
      host,
      port,
      onStarting: stopping.setKillNow,
      onProgress: terminal.say,
      onLine: terminal.showLine,
    });
    try {
      if (!stopping.isAsked()) await Promise.race([waitUntilServing(system, port), stopping.asked]);
      if (!stopping.isAsked()) {
        terminal.ready(`paintdry is ready at http://localhost:${port}`);
        terminal.say(`watching what ${configFile} names; data and logs in ${dataFolder}; Ctrl-C stops it`);
      }
      await stopping.asked;
    } finally {
      terminal.hush();
      await system.stop();
    }
    terminal.say("stopped");
  } finally {
    stopping.close();
  }
}

interface Stopping {
  asked: Promise<void>;
  isAsked(): boolean;
  setKillNow(killNow: () => void): void;
  close(): void;
}

/** The first signal asks for a clean stop, the second ends everything at once; the next start recovers from that. */
function listenForStop(terminal: Terminal): Stopping {
  const asked = Promise.withResolvers<void>();
  const state = { killNow: () => {}, isAsked: false };
  const onSignal = () => {
    if (state.isAsked) {
      state.killNow();
      process.exit(130);
    }
    state.isAsked = true;
    terminal.hush();
    terminal.say("stopping (Ctrl-C again: at once)");
    asked.resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  // The set-up that runs us has died.
  process.once("disconnect", onSignal);
  return {
    asked: asked.promise,
    isAsked: () => state.isAsked,
    setKillNow: (killNow) => {
      state.killNow = killNow;
    },
    close: () => {
      // An open channel would keep this process.
      process.off("disconnect", onSignal);
      if (process.connected) process.disconnect();
    },
  };
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

interface Terminal {
  say(text: string): void;
  ready(text: string): void;
  showLine(name: string, line: LogLine): void;
  /** From now on what children say goes to the logs alone. */
  hush(): void;
}

/** The same warning again within this time is left to the log. */
const repeatAfterMs = 60_000;

function createTerminal(): Terminal {
  const state = { isReady: false, isHushed: false };
  const shownAt = new Map<string, number>();
  const say = (text: string) => console.error(`paintdry: ${text}`);
  return {
    say,
    ready: (text) => {
      state.isReady = true;
      console.log(text);
    },
    hush: () => {
      state.isHushed = true;
    },
    showLine: (name, { urgency, text }) => {
      // While everything starts, each waits for the others and says so.
      const isShown = urgency === "fatal" || (state.isReady && urgency !== "info");
      if (!isShown || state.isHushed) return;
      const line = `${name}: ${plain(text).slice(0, 500)}`;
      if (performance.now() - (shownAt.get(line) ?? -repeatAfterMs) < repeatAfterMs) return;
      if (shownAt.size > 500) shownAt.clear();
      shownAt.set(line, performance.now());
      say(line);
    },
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port number from 1 to 65535.");
}
