import { lookup as systemLookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { callbackify } from "node:util";
import ipaddr from "ipaddr.js";
import { buildConnector } from "undici";
import { LookError } from "#contracts/look-error.ts";

/** An address that a connection is made to, exactly as it was checked. */
export interface ResolvedAddress {
  address: string;
  family: 4 | 6;
}

export interface EgressRules {
  /** CIDRs of private networks that may be reached. */
  allow: string[];
  /** CIDRs that may never be reached; stronger than `allow`. */
  deny: string[];
  /** How a name becomes addresses; default the system's (`getaddrinfo`, so hosts files count). */
  resolveName?: (host: string) => Promise<ResolvedAddress[]>;
}

/**
 * Decides where this fetcher may connect to: resolve once, check what was resolved, connect to exactly that. Every
 * transport takes its addresses from here; nothing else may resolve a name to connect to it.
 */
export interface EgressGuard {
  /** Throws `refused` unless the address may be reached. */
  check(address: string): void;
  /** The same for a host that is an address in any written form (`0x7f.1`, `[::1]`); names pass. */
  checkLiteral(host: string): void;
  /** The addresses of a name, or of a literal, that may be reached: at least one, else throws `refused`. */
  resolve(host: string): Promise<ResolvedAddress[]>;
  /** For `net.connect` and `tls.connect`, which do not call it for literals: call `checkLiteral` first. */
  lookup: LookupFunction;
  /** For undici's `connect` option; literals are checked too. */
  connector(options?: buildConnector.BuildOptions): buildConnector.connector;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Cidr = [Address, number];

export function createEgressGuard(rules: EgressRules): EgressGuard {
  const allow = rules.allow.map((cidr) => ipaddr.parseCIDR(cidr));
  const deny = rules.deny.map((cidr) => ipaddr.parseCIDR(cidr));
  const resolveName = rules.resolveName ?? resolveBySystem;

  function refusal(address: string): string | null {
    if (!ipaddr.isValid(address)) return `${address} is not an address`;
    const forms = writtenForms(ipaddr.parse(address));
    if (forms.some((form) => isIn(form, deny))) return `${address} is in a network that egress.deny names`;
    if (forms.some((form) => isIn(form, allow))) return null;
    const why = notPublic(forms.at(-1) as Address);
    return why === null ? null : `${address} is ${why}, which egress.allow does not name`;
  }

  function check(address: string): void {
    const why = refusal(address);
    if (why !== null) throw new LookError("refused", why);
  }

  function checkLiteral(host: string): void {
    const literal = readLiteral(host);
    if (literal !== null) check(literal.address);
  }

  async function resolve(host: string): Promise<ResolvedAddress[]> {
    const literal = readLiteral(host);
    if (literal !== null) {
      check(literal.address);
      return [literal];
    }
    const found = await resolveName(host);
    const permitted = found.filter(({ address }) => refusal(address) === null);
    if (permitted.length > 0) return permitted;
    const [first] = found;
    if (first === undefined) throw new LookError("unreachable", `${host} has no address`);
    throw new LookError("refused", `${host} leads to an address that may not be reached: ${refusal(first.address)}`);
  }

  const lookup = asLookup(resolve);
  return { check, checkLiteral, resolve, lookup, connector: (options) => guarded(checkLiteral, lookup, options) };
}

async function resolveBySystem(host: string): Promise<ResolvedAddress[]> {
  try {
    const found = await systemLookup(host, { all: true, order: "verbatim" });
    return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    const what = code === "ENOTFOUND" ? "does not resolve to an address" : `could not be resolved (${code})`;
    throw new LookError("unreachable", `the name ${host} ${what}`, { cause });
  }
}

/** The address in a host that is one, in whichever form `getaddrinfo` would take; null for a name. */
function readLiteral(host: string): ResolvedAddress | null {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (!ipaddr.isValid(bare)) return null;
  const address = ipaddr.parse(bare);
  return { address: address.toString(), family: address.kind() === "ipv6" ? 6 : 4 };
}

const nat64: Cidr = ipaddr.parseCIDR("64:ff9b::/96");
const globalUnicast: Cidr = ipaddr.parseCIDR("2000::/3");

/** The address, and last the IPv4 address that the network would take it for (mapped, RFC 4291; NAT64, RFC 6052). */
function writtenForms(address: Address): Address[] {
  if (address instanceof ipaddr.IPv4) return [address];
  if (!address.isIPv4MappedAddress() && !isIn(address, [nat64])) return [address];
  return [address, new ipaddr.IPv4(address.toByteArray().slice(12))];
}

function isIn(address: Address, networks: Cidr[]): boolean {
  return networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

/** Outside every registered range, yet answers only to a cloud's own machines. */
const metadata = new Set(["168.63.129.16"]);

const rangeNames: Record<string, string> = {
  unspecified: "an unspecified address",
  broadcast: "the broadcast address",
  multicast: "a multicast address",
  linkLocal: "a link-local address",
  loopback: "a loopback address",
  carrierGradeNat: "a shared (carrier-grade NAT) address",
  private: "a private address",
  uniqueLocal: "a private address",
  "6to4": "a 6to4 address",
  teredo: "a Teredo address",
};

/** What keeps an address from being an ordinary public one, or null. */
function notPublic(address: Address): string | null {
  if (metadata.has(address.toString())) return "a metadata address";
  const range: string = address.range();
  if (range !== "unicast") return rangeNames[range] ?? "a reserved address";
  // Only 2000::/3 is given out (RFC 4291 §2.4): ::127.0.0.1 and whatever is reserved later stays out.
  if (address.kind() === "ipv6" && !isIn(address, [globalUnicast])) return "a reserved address";
  return null;
}

function asLookup(resolve: EgressGuard["resolve"]): LookupFunction {
  const resolveToCallback = callbackify(resolve);
  return (host, options, callback) => {
    const family = Number(String(options.family ?? 0).replace("IPv", ""));
    resolveToCallback(host, (error, found) => {
      const fitting = (found ?? []).filter((address) => family === 0 || address.family === family);
      const [first] = fitting;
      if (error !== null) callback(error, "", 0);
      else if (first === undefined)
        callback(new LookError("unreachable", `${host} has no IPv${family} address`), "", 0);
      else if (options.all === true) callback(null, fitting);
      else callback(null, first.address, first.family);
    });
  };
}

function guarded(
  checkLiteral: EgressGuard["checkLiteral"],
  lookup: LookupFunction,
  options: buildConnector.BuildOptions = {},
): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup });
  return (target, callback) => {
    try {
      checkLiteral(target.hostname);
    } catch (error) {
      callback(error as Error, null);
      return;
    }
    connect(target, callback);
  };
}
