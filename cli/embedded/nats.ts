import { mkdirSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "#runtime/errors.ts";
import { plainEnvironment, startChild } from "./child.ts";
import type { Child } from "./child.ts";

export interface NatsSettings {
  program: string;
  configFile: string;
  port: number;
  monitorPort: number;
  storeFolder: string;
  /** `always` answers a publish when it is on disk. */
  syncInterval: string;
  /** By user of the permission file. */
  passwords: Record<string, string>;
  onLine?: (line: string) => void;
}

/** Starts nats-server with the permission file that ships; ready when it takes connections. */
export async function startNatsServer(settings: NatsSettings): Promise<Child> {
  mkdirSync(settings.storeFolder, { recursive: true, mode: 0o700 });
  return await startReady(settings, ["--config", settings.configFile], natsEnvironment(settings));
}

/** Starts nats-server without users, for tests. */
export async function startOpenNatsServer(
  settings: Pick<NatsSettings, "program" | "port" | "storeFolder" | "onLine">,
): Promise<Child> {
  const args = ["--addr", "127.0.0.1", "--port", String(settings.port), "--jetstream"];
  return await startReady(settings, [...args, "--store_dir", settings.storeFolder], {});
}

/** The variables of the permission file. Quoted, since its syntax takes bare words such as `12k` for numbers. */
function natsEnvironment(settings: NatsSettings): Record<string, string> {
  const environment: Record<string, string> = {
    PD_LISTEN: quote(`127.0.0.1:${settings.port}`),
    PD_MONITOR: quote(`127.0.0.1:${settings.monitorPort}`),
    PD_STORE_DIR: quote(settings.storeFolder),
    PD_SYNC_INTERVAL: quote(settings.syncInterval),
  };
  for (const [user, password] of Object.entries(settings.passwords)) {
    environment[passwordVariable(user)] = quote(password);
  }
  return environment;
}

/** The variable of the permission file that holds a user's password. */
export function passwordVariable(user: string): string {
  return `PD_${user.toUpperCase().replaceAll("-", "_")}_PASSWORD`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

async function startReady(
  settings: Pick<NatsSettings, "program" | "port" | "onLine">,
  args: string[],
  environment: Record<string, string>,
): Promise<Child> {
  const lines: string[] = [];
  const child = await startChild({
    program: settings.program,
    args,
    environment: { ...plainEnvironment(), ...environment },
    onLine: (line) => {
      if (lines.push(line) > 20) lines.shift();
      settings.onLine?.(line);
    },
  });
  for (let waitedMs = 0; waitedMs < 60_000 && !child.hasEnded(); waitedMs += 50) {
    // The line tells that JetStream has recovered; the port alone opens before that.
    if (lines.some((line) => line.includes("Server is ready")) && (await answers(settings.port))) return child;
    await sleep(50);
  }
  await child.stop("SIGKILL", 0);
  throw new StartError("nats_failed", `nats-server did not start: ${lines.slice(-5).join("\n") || "it said nothing"}`);
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connectSocket({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
