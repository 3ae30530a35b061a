import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface WebServer {
  /** Such as `http://127.0.0.1:8081`. */
  url: string;
  stop(): Promise<void>;
}

/** A web server on loopback. */
export async function startWebServer(listener: RequestListener, port: number): Promise<WebServer> {
  const server = createServer(listener).listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
