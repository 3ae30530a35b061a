import { readFileSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { AuthorizationError, connect, PermissionViolationError } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { errorMessage, StartError } from "./errors.ts";
import type { Logger } from "./log.ts";

export interface Broker {
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  isConnected(): boolean;
  /** Sends what is buffered, then closes. */
  close(): Promise<void>;
}

interface BrokerSettings {
  natsUrl: string;
  natsCaFile: string | null;
}

/**
 * Connects for good: waits for a server that is not up yet and reconnects without end. Wrong credentials end the
 * start with a `StartError`, since waiting would not help.
 */
export async function connectBroker(settings: BrokerSettings, service: string, log: Logger): Promise<Broker> {
  const url = readNatsUrl(settings.natsUrl);
  const nc = await openConnection(url, settings, service);
  const state = { isConnected: true };
  void watchStatus(nc, state, log);
  const js = jetstream(nc, { timeout: 10_000 });
  return {
    nc,
    js,
    jsm: await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 }),
    isConnected: () => state.isConnected && !nc.isClosed(),
    close: async () => {
      if (!nc.isClosed()) await nc.drain();
    },
  };
}

interface NatsAddress {
  server: string;
  user: string;
  password: string;
  isTls: boolean;
}

/** nats.js takes no credentials in an address: taken apart here. */
function readNatsUrl(text: string): NatsAddress {
  const url = URL.parse(text);
  if (!url || !["nats:", "tls:"].includes(url.protocol)) {
    throw new StartError("bad_setting", "PAINTDRY_NATS_URL must be nats://user:password@host:port or tls://…");
  }
  return {
    server: `${url.hostname}:${url.port || "4222"}`,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    isTls: url.protocol === "tls:",
  };
}

async function openConnection(
  address: NatsAddress,
  settings: BrokerSettings,
  service: string,
): Promise<NatsConnection> {
  try {
    return await connect({
      servers: address.server,
      name: service,
      ...(address.user === "" ? {} : { user: address.user, pass: address.password }),
      // Each user may read only its own inboxes, so that no service sees another's answers.
      ...(address.user === "" ? {} : { inboxPrefix: `_INBOX_${address.user}` }),
      ...(address.isTls ? { tls: settings.natsCaFile ? { ca: readFileSync(settings.natsCaFile, "utf8") } : {} } : {}),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      waitOnFirstConnect: true,
      pingInterval: 10_000,
      ignoreAuthErrorAbort: true,
    });
  } catch (error) {
    if (error instanceof AuthorizationError) {
      throw new StartError(
        "broker_denied",
        `the NATS server at ${address.server} refuses user "${address.user}": check the password`,
        { cause: error },
      );
    }
    throw new StartError("broker_unreachable", `no NATS connection to ${address.server}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function watchStatus(nc: NatsConnection, state: { isConnected: boolean }, log: Logger): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === "disconnect") {
      state.isConnected = false;
      log.warn({ server: status.server }, "broker disconnected");
    } else if (status.type === "reconnect") {
      state.isConnected = true;
      log.info({ server: status.server }, "broker reconnected");
    } else if (status.type === "error") {
      // A forbidden plain publish shows only here.
      const isForbidden = status.error instanceof PermissionViolationError;
      log.error({ err: status.error }, isForbidden ? "broker refused a right" : "broker error");
    }
  }
}
