import { createServer } from "node:http";
import type { Server } from "node:http";
import { connectBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";
import { readEnvironment } from "./environment.ts";
import type { ServiceEnvironment } from "./environment.ts";
import { StartError } from "./errors.ts";
import { createLog } from "./log.ts";
import type { Logger } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import type { Registry } from "./metrics.ts";

/** What every service is handed at its start. */
export interface ServiceContext {
  environment: ServiceEnvironment;
  broker: Broker;
  log: Logger;
  metrics: Registry;
}

export interface RunningService {
  /** Could it do its work now? Null, or what is missing. */
  notReadyBecause?(): string | null;
  /** Finishes what is in hand and takes no more. */
  stop(): Promise<void>;
  /** It answers `/healthz`, `/readyz` and `/metrics` itself (the gateway does). */
  hasOwnServer?: boolean;
}

/**
 * Runs one service as this process: environment, broker, health endpoints, and a graceful end on SIGTERM or SIGINT
 * (a second signal ends it at once). A `StartError` ends it with exit code 2 and a plain message.
 */
export async function runService(
  name: string,
  start: (context: ServiceContext) => Promise<RunningService>,
): Promise<void> {
  const log = createLog(name);
  try {
    const environment = readEnvironment();
    const metrics = createMetrics(name);
    const broker = await connectBroker(environment, name, log);
    const service = await start({ environment, broker, log, metrics });
    const server = service.hasOwnServer ? null : await serveHealth(environment, { broker, metrics, service });
    stopOnSignal(log, async () => {
      server?.close();
      await service.stop();
      await broker.close();
    });
    log.info({ pid: process.pid }, "service started");
  } catch (error) {
    if (error instanceof StartError) log.fatal({ code: error.code }, error.message);
    else log.fatal({ err: error }, "service could not start");
    process.exitCode = error instanceof StartError ? 2 : 1;
    setTimeout(() => process.exit(), 100).unref();
  }
}

function stopOnSignal(log: Logger, stop: () => Promise<void>): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, "service stopping");
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "service did not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

/** Why a service is not ready, or null: the answer of `/readyz`. */
export function readiness(broker: Broker, service: RunningService): string | null {
  if (!broker.isConnected()) return "no connection to the NATS server";
  return service.notReadyBecause?.() ?? null;
}

async function serveHealth(
  environment: ServiceEnvironment,
  { broker, metrics, service }: { broker: Broker; metrics: Registry; service: RunningService },
): Promise<Server | null> {
  if (environment.port === null) return null;
  const server = createServer((request, response) => {
    if (request.url === "/healthz") return void response.end("ok\n");
    if (request.url === "/readyz") {
      const reason = readiness(broker, service);
      return void response.writeHead(reason === null ? 200 : 503).end(`${reason ?? "ok"}\n`);
    }
    if (request.url === "/metrics") {
      return void metrics.metrics().then(
        (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    }
    response.writeHead(404).end();
  });
  await listen(server, environment);
  return server;
}

async function listen(server: Server, { port, host }: ServiceEnvironment): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const message =
        error.code === "EADDRINUSE"
          ? `port ${port} on ${host} is taken by another program: set PAINTDRY_PORT to a free one`
          : `cannot listen on ${host}:${port}: ${error.message}`;
      reject(new StartError("port_busy", message, { cause: error }));
    });
    server.listen(port ?? 0, host, resolve);
  });
}
