import { InvalidArgumentError } from "commander";

/** An option's text as a port number, for commander. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port number from 1 to 65535.");
}
