import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import dnsPacket from "dns-packet";
import type { Answer, Packet, Question } from "dns-packet";

/** A DNS server on loopback that speaks for one domain, over UDP and TCP. */
export interface DnsServer {
  port: number;
  /** Replaces all records of a name and type. */
  set(name: string, type: Answer["type"], records: Answer[]): void;
  stop(): Promise<void>;
}

interface Zone {
  domain: string;
  /** By name and type. */
  records: Map<string, Answer[]>;
}

export async function startDnsServer(domain: string, records: Answer[], port: number): Promise<DnsServer> {
  const zone: Zone = { domain, records: new Map() };
  for (const record of records) {
    const key = keyOf(record);
    zone.records.set(key, [...(zone.records.get(key) ?? []), record]);
  }
  const tcp = createServer((socket) => answerStream(zone, socket)).listen(port, "127.0.0.1");
  await once(tcp, "listening");
  const udp = createSocket("udp4", (message, { port: from, address }) => {
    const reply = answerMessage(zone, message);
    if (reply !== null) udp.send(reply, from, address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  udp.on("error", () => undefined);
  return {
    port,
    set: (name, type, newRecords) => void zone.records.set(keyOf({ name, type }), newRecords),
    stop: async () => {
      udp.close();
      tcp.close();
      await once(tcp, "close");
    },
  };
}

function keyOf({ name, type }: { name: string; type: string }): string {
  return `${name.toLowerCase()} ${type}`;
}

/** Over TCP each message has its length before it (RFC 1035 §4.2.2); one question a connection is enough here. */
function answerStream(zone: Zone, socket: Socket): void {
  let received = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.setTimeout(5000, () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const reply = answerMessage(zone, received.subarray(2, 2 + received.readUInt16BE(0)));
    if (reply === null) return void socket.destroy();
    const length = Buffer.alloc(2);
    length.writeUInt16BE(reply.length);
    socket.end(Buffer.concat([length, reply]));
  });
}

/** null for what is no question. */
function answerMessage(zone: Zone, message: Buffer): Buffer | null {
  const query = decode(message);
  const question = query?.questions?.[0];
  if (query?.type !== "query" || question === undefined) return null;
  const { code, answers, authorities } = answer(zone, question);
  return dnsPacket.encode({
    type: "response",
    ...(query.id === undefined ? {} : { id: query.id }),
    flags: dnsPacket.AUTHORITATIVE_ANSWER | code,
    questions: [question],
    answers,
    authorities,
  });
}

function decode(message: Buffer): Packet | null {
  try {
    return dnsPacket.decode(message);
  } catch {
    return null;
  }
}

/** Response codes of RFC 1035 §4.1.1. */
const codes = { noError: 0, noSuchName: 3, refused: 5 };

function answer(zone: Zone, { name, type }: Question): { code: number; answers: Answer[]; authorities: Answer[] } {
  const asked = name.toLowerCase();
  if (asked !== zone.domain && !asked.endsWith(`.${zone.domain}`)) {
    return { code: codes.refused, answers: [], authorities: [] };
  }
  const answers = zone.records.get(keyOf({ name: asked, type })) ?? [];
  if (answers.length > 0) return { code: codes.noError, answers, authorities: [] };
  const isKnown = [...zone.records.keys()].some((key) => key.startsWith(`${asked} `));
  return { code: isKnown ? codes.noError : codes.noSuchName, answers, authorities: [startOfAuthority(zone)] };
}

/** What an answer without records carries (RFC 2308). */
function startOfAuthority({ domain }: Zone): Answer {
  const times = { serial: 1, refresh: 3600, retry: 600, expire: 86_400, minimum: 5 };
  return {
    type: "SOA",
    name: domain,
    ttl: times.minimum,
    data: { mname: `ns1.${domain}`, rname: `hostmaster.${domain}`, ...times },
  };
}
