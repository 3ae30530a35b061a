import { Agent, type Dispatcher, ProxyAgent } from "undici";
import type { EgressGuard } from "./egress.ts";

/** The connections of one process, each made through the guard. */
export interface HttpTransport {
  dispatcher: Dispatcher;
  /** Throws `refused` where the way out itself, the proxy, may not be reached. */
  check(): void;
  close(): Promise<void>;
}

export interface HttpTransportOptions {
  guard: EgressGuard;
  /** An upstream proxy: names are then resolved by it, and only its own address and literal targets are checked. */
  proxy?: string;
  connectTimeoutMs?: number;
  /** From the request to the end of the answer's headers. */
  headersTimeoutMs?: number;
  /** Between two pieces of the body. */
  bodyTimeoutMs?: number;
  maxHeaderBytes?: number;
  /** PEM certificates to trust besides the system's; Node's own way is `NODE_EXTRA_CA_CERTS`. */
  ca?: string[];
}

export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const { guard, proxy, ca } = options;
  const tls = ca === undefined ? {} : { ca };
  const connect = { timeout: options.connectTimeoutMs ?? 10_000, ...tls };
  const settings: Agent.Options = {
    headersTimeout: options.headersTimeoutMs ?? 30_000,
    bodyTimeout: options.bodyTimeoutMs ?? 30_000,
    // A content security policy alone can pass Node's 16 KiB.
    maxHeaderSize: options.maxHeaderBytes ?? 65_536,
    keepAliveMaxTimeout: 30_000,
    allowH2: false,
  };
  if (proxy === undefined) {
    const agent = new Agent({ ...settings, connect: guard.connector({ ...connect, allowH2: false }) });
    return { dispatcher: agent, check: () => {}, close: () => agent.destroy() };
  }
  const { hostname } = new URL(proxy);
  const agent = new ProxyAgent({
    ...settings,
    uri: proxy,
    connectTimeout: connect.timeout,
    proxyTls: { lookup: guard.lookup, ...tls },
    requestTls: tls,
  });
  return { dispatcher: agent, check: () => guard.checkLiteral(hostname), close: () => agent.destroy() };
}
