import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { errorMessage, StartError } from "#runtime/errors.ts";

/**
 * The ports tried, from and below: not those that systems hand out by themselves (from 32768 on Linux), of which any
 * connection that is made meanwhile could take one.
 */
const range = { from: 15_000, below: 32_768 };
const attempts = 100;

/** A port on loopback that was free a moment ago: the preferred one, if it is. */
export async function freePort(preferred = 0): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = attempt === 0 && preferred !== 0 ? preferred : randomInt(range.from, range.below);
    try {
      return await listenOnce(port);
    } catch {
      // Taken, or not ours to take: another one is tried.
    }
  }
  return await listenOnce(0);
}

async function listenOnce(port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

/** Throws a `StartError` when somebody listens there already. */
export async function checkPortIsFree(port: number, host: string, command = "npm start"): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(port, host, () => server.close(() => resolve()));
    });
  } catch (error) {
    const isBusy = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    throw new StartError(
      "port_busy",
      isBusy
        ? `port ${port} on ${host} is taken by another program. End that program, or choose another port: ${command} -- --port ${port + 1}`
        : `cannot listen on ${host}:${port}: ${errorMessage(error)}. Choose another port: ${command} -- --port 8080`,
      { cause: error },
    );
  }
}
