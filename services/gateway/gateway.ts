import type { NatsConnection } from "@nats-io/nats-core";
import { apiRoot } from "#contracts/gateway.ts";
import type { ModuleInfo } from "#contracts/gateway.ts";
import { StartError } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import type { Registry } from "#runtime/metrics.ts";
import type { CallOptions, StoreClient } from "#runtime/rpc.ts";
import { addActionRoutes } from "./action-routes.ts";
import { createApi, withMethodAnswers } from "./api.ts";
import type { Api } from "./api.ts";
import type { GuardSettings } from "./guard.ts";
import { addLiveRoute } from "./live-route.ts";
import { createLive, defaultLiveLimits } from "./live/live.ts";
import type { Live } from "./live/live.ts";
import type { LiveLimits } from "./live/send.ts";
import { measure } from "./metrics.ts";
import { addOpenapi, addOpenapiRoute } from "./openapi-document.ts";
import { addReadRoutes } from "./read-routes.ts";
import { addServiceRoutes } from "./service-routes.ts";
import { addUi } from "./ui.ts";

export interface GatewayOptions {
  /** 0 takes a free one. */
  port: number;
  nc: NatsConnection;
  store: StoreClient;
  log: Logger;
  metrics: Registry;
  version: string;
  /** Where the built page is. */
  uiFolder: string;
  guard: GuardSettings;
  /** How long a request to a collector waits. */
  call?: CallOptions;
  limits?: Partial<LiveLimits>;
  listModules(): Promise<ModuleInfo[]>;
  /** Is the connection to the broker there? */
  isConnected?(): boolean;
}

export interface Gateway {
  /** Such as `http://127.0.0.1:8080`. */
  url: string;
  notReadyBecause(): string | null;
  stop(): Promise<void>;
}

/** Starts serving HTTP, WebSocket and the page. Throws `StartError` where the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const live = createLive({ ...options, limits: { ...defaultLiveLimits, ...options.limits } });
  const notReadyBecause = () => {
    if (!(options.isConnected?.() ?? true)) return "no connection to the NATS server";
    return live.isReady() ? null : "the store does not answer yet";
  };
  const app = await buildGateway(options, live, notReadyBecause);
  try {
    const url = await app.listen({ port: options.port, host: options.guard.host });
    return {
      url,
      notReadyBecause,
      stop: async () => {
        await live.stop();
        await app.close();
      },
    };
  } catch (error) {
    await live.stop();
    throw listenError(error, options);
  }
}

/** The server with all its routes, not listening. */
export async function buildGateway(
  options: Omit<GatewayOptions, "port">,
  live: Live,
  notReadyBecause: () => string | null,
): Promise<Api> {
  const app = await createApi(options);
  measure(app, options.metrics, live);
  await addOpenapi(app, options.version);
  addServiceRoutes(app, { metrics: options.metrics, notReadyBecause });
  await app.register(
    async (api: Api) => {
      api.addHook("onRequest", async (_request, reply) => {
        reply.header("cache-control", "no-store");
      });
      withMethodAnswers(api, () => {
        addReadRoutes(api, { ...options, countClients: live.clients });
        addActionRoutes(api, { ...options, call: options.call ?? {} });
        addLiveRoute(api, { live, guard: options.guard });
        addOpenapiRoute(api);
      });
    },
    { prefix: apiRoot },
  );
  await addUi(app, options.uiFolder);
  await app.ready();
  return app;
}

function listenError(error: unknown, { port, guard }: GatewayOptions): unknown {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return error;
  return new StartError(
    "port_busy",
    `port ${port} on ${guard.host} is taken by another program: set PAINTDRY_PORT to a free one`,
    { cause: error },
  );
}
