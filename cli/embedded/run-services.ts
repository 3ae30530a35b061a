import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "#runtime/errors.ts";
import { startChild } from "./child.ts";
import { openLogFile } from "./log-file.ts";
import { readLogLine } from "./log-lines.ts";
import type { LogLine } from "./log-lines.ts";
import { freePort } from "./ports.ts";
import { serviceCommand, serviceNames, stopOrder } from "./services.ts";
import type { ServiceName, ServiceSettings } from "./services.ts";
import { supervise } from "./supervise.ts";
import type { Supervised } from "./supervise.ts";

export interface RunOptions extends ServiceSettings {
  gatewayPort: number;
  /** How many of each, where it is not one. */
  instances?: Partial<Record<ServiceName, number>>;
  onLine?(name: string, line: LogLine): void;
  onRunning?(name: string, pid: number): void;
}

export interface RunningServices {
  /** By instance: `fetcher`, and `fetcher-2` for the second. */
  supervised: ReadonlyMap<string, Supervised>;
  portOf(instance: string): number;
  /** Until every one of them, or those named, says that it could do its work. */
  waitUntilReady(timeoutMs: number, instances?: string[]): Promise<void>;
  stop(): Promise<void>;
  killNow(): void;
}

interface Instance {
  name: string;
  service: ServiceName;
  port: number;
}

/** Starts all services, one process each, and keeps them running. */
export async function runServices(options: RunOptions): Promise<RunningServices> {
  const instances = await listInstances(options);
  const failures: string[] = [];
  const supervised = new Map<string, Supervised>();
  const logs = instances.map(({ name }) => openLogFile(join(options.dataFolder, "logs", `${name}.log`)));
  const started = await Promise.all(
    instances.map(async ({ name, service, port }, index) => {
      const lastFatal = { text: "" };
      const onLine = (line: string) => {
        logs[index]?.write(line);
        const read = readLogLine(line);
        if (read.urgency === "fatal") lastFatal.text = read.text;
        options.onLine?.(name, read);
      };
      return await supervise({
        name,
        start: async () => {
          const child = await startChild({ ...serviceCommand(service, port, options), onLine });
          options.onRunning?.(name, child.pid);
          return child;
        },
        onCrash: ({ code, signal }) => {
          const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
          options.onLine?.(name, { urgency: "error", text: `${how} and is started again` });
          // Code 2: it said itself that it cannot start like this.
          if (code === 2) failures.push(`${name}: ${lastFatal.text || how}`);
        },
        onStartFailure: (reason) => options.onLine?.(name, { urgency: "error", text: `does not start: ${reason}` }),
      });
    }),
  );
  for (const one of started) supervised.set(one.name, one);
  const portOf = (name: string) => instances.find((instance) => instance.name === name)?.port ?? 0;
  return {
    supervised,
    portOf,
    waitUntilReady: async (timeoutMs, names = instances.map(({ name }) => name)) =>
      await waitUntilReady(
        names.map((name) => ({ name, url: `http://${options.host}:${portOf(name)}/readyz` })),
        {
          timeoutMs,
          failures,
          logFolder: join(options.dataFolder, "logs"),
        },
      ),
    stop: async () => {
      for (const service of stopOrder) {
        const ofService = instances.filter((instance) => instance.service === service);
        await Promise.all(ofService.map(async ({ name }) => await supervised.get(name)?.stop()));
      }
      await Promise.all(logs.map((log) => log.close()));
    },
    killNow: () => {
      for (const one of supervised.values()) one.killNow();
    },
  };
}

async function listInstances(options: RunOptions): Promise<Instance[]> {
  const instances: Instance[] = [];
  for (const service of serviceNames) {
    for (let number = 1; number <= (options.instances?.[service] ?? 1); number++) {
      const isGateway = service === "gateway" && number === 1;
      const port = isGateway && options.gatewayPort !== 0 ? options.gatewayPort : await freePort();
      instances.push({ name: number === 1 ? service : `${service}-${number}`, service, port });
    }
  }
  return instances;
}

async function waitUntilReady(
  probes: { name: string; url: string }[],
  { timeoutMs, failures, logFolder }: { timeoutMs: number; failures: string[]; logFolder: string },
): Promise<void> {
  const endsAt = performance.now() + timeoutMs;
  const waiting = new Map(probes.map(({ name, url }) => [name, { url, reason: "no answer" }]));
  while (waiting.size > 0) {
    if (failures.length > 0) throw new StartError("service_failed", `a service cannot start: ${failures.join("; ")}`);
    if (performance.now() > endsAt) {
      const reasons = [...waiting].map(([name, { reason }]) => `${name}: ${reason}`).join("; ");
      throw new StartError(
        "not_ready",
        `not ready after ${timeoutMs / 1000} s (${reasons}). Their logs are in ${logFolder}`,
      );
    }
    for (const [name, probe] of waiting) {
      const reason = await askReadiness(probe.url);
      if (reason === null) waiting.delete(name);
      else probe.reason = reason;
    }
    if (waiting.size > 0) await sleep(100);
  }
}

/** null when it is ready, else why not. */
async function askReadiness(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const text = await response.text();
    return response.ok ? null : text.trim();
  } catch {
    return "no answer";
  }
}
