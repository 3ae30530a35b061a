import dnsPacket, { type Answer, type OptAnswer, type RecordType } from "dns-packet";
import type { DnsType } from "#contracts/io.ts";

/** The only class anyone asks for. */
const internet = "IN";
/** What fits every path without fragments (DNS flag day 2020). */
const udpPayloadSize = 1232;
/** More than any honest answer holds; bounds the work that one message can cause. */
const maxRecords = 1000;
const headerBytes = 12;

export interface Question {
  /** Lower-case, without the trailing dot. */
  name: string;
  type: DnsType;
}

export interface Reply {
  /** The extended response code (RFC 6891): 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  rcode: number;
  /** The rest is to be asked for over TCP; `answers` is empty then. */
  isTruncated: boolean;
  /** The server speaks for the name, or looked it up for us: without either an empty answer is only a referral. */
  isFinal: boolean;
  answers: Answer[];
}

/** Bytes that are no well-formed DNS message. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** A query with recursion desired and EDNS0. */
export function encodeQuestion(id: number, { name, type }: Question): Buffer {
  const edns: OptAnswer = {
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: wireType(type), class: internet }],
    additionals: [edns],
  });
}

/** The reply in a message, or null when it answers another question. Throws `WireError`. */
export function readReply(message: Buffer, id: number, question: Question): Reply | null {
  if (message.length < headerBytes) throw new WireError("it is shorter than a header");
  const flags = message.readUInt16BE(2);
  const isResponse = flags >> 15 === 1 && ((flags >> 11) & 0xf) === 0;
  if (message.readUInt16BE(0) !== id || !isResponse) return null;
  // What follows may be cut anywhere, and a forged TC bit only brings us to TCP.
  if ((flags & dnsPacket.TRUNCATED_RESPONSE) !== 0) return { rcode: 0, isTruncated: true, isFinal: false, answers: [] };
  const { questions = [], answers = [], additionals = [] } = decode(message);
  const [asked] = questions;
  if (questions.length !== 1 || asked === undefined || !isSameQuestion(asked, question)) return null;
  const edns = additionals.find((record) => record.type === "OPT");
  return {
    rcode: ((edns?.extendedRcode ?? 0) << 4) | (flags & 0xf),
    isTruncated: false,
    isFinal: (flags & (dnsPacket.AUTHORITATIVE_ANSWER | dnsPacket.RECURSION_AVAILABLE)) !== 0,
    answers: answers.filter((record) => "class" in record && record.class === internet),
  };
}

/** The codec's name of a type. It does not know HTTPS (65), whose data it therefore hands over as bytes. */
export function wireType(type: DnsType): RecordType {
  return (type === "HTTPS" ? "UNKNOWN_65" : type) as RecordType;
}

function isSameQuestion(asked: { name: string; type: string; class?: string | undefined }, question: Question) {
  return (
    asked.name.toLowerCase() === question.name && asked.type === wireType(question.type) && asked.class === internet
  );
}

function decode(message: Buffer): dnsPacket.DecodedPacket {
  try {
    assertFits(message);
    return dnsPacket.decode(message);
  } catch (cause) {
    throw new WireError(cause instanceof Error ? cause.message : "it cannot be decoded", { cause });
  }
}

const addressBytes: Record<number, number> = { 1: 4, 28: 16 };

/** The codec reads past the end of a short message in places: check first that every record lies within it. */
function assertFits(message: Buffer): void {
  const [questions = 0, ...counts] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  const records = counts.reduce((sum, count) => sum + count, 0);
  if (questions + records > maxRecords) throw new WireError(`it claims ${questions + records} records`);
  let at = headerBytes;
  for (let index = 0; index < questions; index++) at = skipName(message, at) + 4;
  for (let index = 0; index < records; index++) {
    at = skipName(message, at);
    const bytes = message.readUInt16BE(at + 8);
    const needed = addressBytes[message.readUInt16BE(at)] ?? bytes;
    if (bytes !== needed) throw new WireError("an address record has the wrong length");
    at += 10 + bytes;
  }
  if (at > message.length) throw new WireError("it is cut short");
}

/** The offset after a name, which ends in a zero byte or a pointer (RFC 1035 §4.1.4). */
function skipName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) throw new WireError("a label is too long");
    at += length + 1;
  }
}
