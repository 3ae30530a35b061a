import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import type { Identity } from "./certificates.ts";

export interface TlsServer {
  port: number;
  /** New connections are shown this identity. */
  swap(identity: Identity): void;
  stop(): Promise<void>;
}

/** A TLS server on loopback that greets and closes. */
export async function startTlsServer(identity: Identity, port: number): Promise<TlsServer> {
  const server = createServer(contextOf(identity), (socket) => {
    socket.on("error", () => socket.destroy());
    socket.end("hello\n");
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    swap: (next) => server.setSecureContext(contextOf(next)),
    stop: async () => {
      server.close();
      await once(server, "close");
    },
  };
}

function contextOf({ certificate, key }: Identity): { cert: string; key: string } {
  return { cert: certificate, key };
}
