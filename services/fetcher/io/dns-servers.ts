import { getServers } from "node:dns";
import { isIP } from "node:net";

/** A resolver that questions go to. */
export interface Resolver {
  address: string;
  port: number;
}

/** Resolvers from `address`, `address:port` or `[address]:port`; the system's when none is named. */
export function readResolvers(servers: string[], systemServers: () => string[] = getServers): Resolver[] {
  return (servers.length > 0 ? servers : systemServers()).map(readResolver);
}

function readResolver(text: string): Resolver {
  const [, bracketed, plain, port = "53"] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  const portNumber = Number(port);
  if (isIP(address) !== 0 && portNumber >= 1 && portNumber <= 65_535) return { address, port: portNumber };
  throw new TypeError(
    `dns.servers: found "${text}", allowed is an address such as "192.0.2.53" or "[2001:db8::53]:53"`,
  );
}

/** A resolver as people write it. */
export function describeResolver({ address, port }: Resolver): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
