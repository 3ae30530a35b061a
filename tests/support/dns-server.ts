import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Resolver } from "node:dns/promises";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findPeer } from "./peers.ts";

/** Lines of a zone file below the SOA record, such as `www A 192.0.2.1`; `unloadable` makes its names SERVFAIL. */
export type ZoneRecords = string | { unloadable: true };

export interface DnsServer {
  address: string;
  port: number;
  /** `127.0.0.1:port`, as `dns.servers` takes it. */
  server: string;
  /** Replaces a zone, or adds it; resolves once the server answers accordingly. */
  setZone(zone: string, records: ZoneRecords): Promise<void>;
  stop(): Promise<void>;
}

const address = "127.0.0.1";

/** A real `named` (bind9) that is authoritative for the zones, on a free port of loopback. */
export async function startDnsServer(zones: Record<string, ZoneRecords> = {}): Promise<DnsServer> {
  const folder = await mkdtemp(join(tmpdir(), "paintdry-named-"));
  const port = await freePort();
  const served = new Map<string, ServedZone>();
  await writeFile(join(folder, "named.conf"), configuration(folder, port, served));
  const named = await run(folder);
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`${address}:${port}`]);

  async function setZone(zone: string, records: ZoneRecords): Promise<void> {
    const serial = (served.get(zone)?.serial ?? 0) + 1;
    const isLoadable = typeof records === "string";
    served.set(zone, { serial, isLoadable });
    const file = join(folder, `${zone}.zone`);
    if (isLoadable) {
      await writeFile(file, zoneFile(serial, records));
      // A reload passes over files that look no younger than what was loaded.
      await utimes(file, new Date(), new Date(Date.now() + serial * 1000));
    }
    await writeFile(join(folder, "named.conf"), configuration(folder, port, served));
    named.kill("SIGHUP");
    await until(async () => (await serialOf(resolver, zone)) === (isLoadable ? serial : "ESERVFAIL"));
  }

  async function stop(): Promise<void> {
    if (named.exitCode === null && named.kill("SIGTERM")) await once(named, "exit");
    await rm(folder, { recursive: true, force: true });
  }

  try {
    await until(async () => (await serialOf(resolver, "no-such-zone.test")) === "EREFUSED");
    for (const [zone, records] of Object.entries(zones)) await setZone(zone, records);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, port, server: `${address}:${port}`, setZone, stop };
}

async function run(folder: string): Promise<ChildProcess> {
  const program = findPeer("bind");
  if (program === null) throw new Error("named is not installed: it comes with Debian's bind9");
  const named = spawn(program, ["-f", "-n", "1", "-c", join(folder, "named.conf")], { stdio: "ignore" });
  await once(named, "spawn");
  return named;
}

interface ServedZone {
  serial: number;
  isLoadable: boolean;
}

function configuration(folder: string, port: number, zones: ReadonlyMap<string, ServedZone>): string {
  const sections = Array.from(zones, ([zone, { isLoadable }]) => {
    const file = isLoadable ? `${zone}.zone` : "missing";
    return `zone "${zone}" { type primary; file "${folder}/${file}"; };`;
  });
  return `options {
  directory "${folder}";
  listen-on port ${port} { ${address}; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile "${folder}/session.key";
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
};
controls { };
${sections.join("\n")}
`;
}

function zoneFile(serial: number, records: string): string {
  const nameServer = /^@\s+(IN\s+)?NS\s/m.test(records) ? "" : "@ NS ns.invalid.\n";
  return `$TTL 1\n@ SOA ns.invalid. hostmaster.invalid. ${serial} 3600 600 86400 1\n${nameServer}${records}\n`;
}

/** The zone's serial as the server tells it, or the code of its refusal. */
async function serialOf(resolver: Resolver, zone: string): Promise<number | string> {
  try {
    return (await resolver.resolveSoa(zone)).serial;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error("named did not do as it was told within 20 s");
    await delay(20);
  }
}

/** A port that is free for UDP and TCP alike. */
async function freePort(): Promise<number> {
  const tcp = createServer().listen(0, address);
  await once(tcp, "listening");
  const { port } = tcp.address() as { port: number };
  const udp = createSocket("udp4").bind(port, address);
  try {
    await once(udp, "listening");
    return port;
  } catch {
    return await freePort();
  } finally {
    udp.close();
    tcp.close();
  }
}
