import type { Answer, CaaData, DsData, MxData, SoaData, TlsaData } from "dns-packet";
import ipaddr from "ipaddr.js";
import type { DnsType } from "#contracts/io.ts";

/**
 * A record's data in presentation form (RFC 1035 §5.1), so that equal data is equal text: names in lower case with a
 * trailing dot, TXT as one quoted text however it was split, digests in lower-case hex, unknown types by RFC 3597.
 */
export function present(type: DnsType, record: Answer): string {
  const data = (record as { data: unknown }).data;
  switch (type) {
    case "A":
      return String(data);
    case "AAAA":
      return ipaddr.IPv6.parse(String(data)).toRFC5952String();
    case "CNAME":
    case "NS":
      return presentName(String(data));
    case "MX":
      return presentMx(data as MxData);
    case "TXT":
      return quote(Buffer.concat(data as Buffer[]));
    case "CAA":
      return presentCaa(data as CaaData);
    case "DS":
      return presentDs(data as DsData);
    case "SOA":
      return presentSoa(data as SoaData);
    case "TLSA":
      return presentTlsa(data as TlsaData);
    case "HTTPS":
      return presentUnknown(data as Buffer);
  }
}

function presentMx({ preference, exchange }: MxData): string {
  return `${preference ?? 0} ${presentName(exchange)}`;
}

function presentCaa({ flags, tag, value }: CaaData): string {
  return `${flags ?? 0} ${escapeBytes(Buffer.from(tag), /[!-~]/).toLowerCase()} ${quote(Buffer.from(value))}`;
}

function presentDs({ keyTag, algorithm, digestType, digest }: DsData): string {
  return `${keyTag} ${algorithm} ${digestType} ${digest.toString("hex")}`;
}

function presentSoa(soa: SoaData): string {
  // The codec marks dots within the mailbox's label by a backslash.
  const mailbox = soa.rname
    .split("\\.")
    .map((part) => presentName(part))
    .map((part, index, parts) => (index < parts.length - 1 ? part.slice(0, -1) : part))
    .join("\\.");
  const numbers = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum];
  return [presentName(soa.mname), mailbox, ...numbers.map((number) => number ?? 0)].join(" ");
}

function presentTlsa({ usage, selector, matchingType, certificate }: TlsaData): string {
  return `${usage} ${selector} ${matchingType} ${certificate.toString("hex")}`;
}

function presentUnknown(bytes: Buffer): string {
  return `\\# ${bytes.length} ${bytes.toString("hex")}`.trimEnd();
}

function presentName(name: string): string {
  return name === "." ? "." : `${escapeBytes(Buffer.from(name), /[\w.*/+:=~-]/).toLowerCase()}.`;
}

function quote(bytes: Buffer): string {
  return `"${escapeBytes(bytes, /[ !#-[\]-~]/)}"`;
}

/** Bytes as text: a character that is not plain stands as `\DDD`, quote and backslash as `\"` and `\\`. */
function escapeBytes(bytes: Buffer, plain: RegExp): string {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    if (plain.test(character)) return character;
    return character === '"' || character === "\\" ? `\\${character}` : `\\${String(byte).padStart(3, "0")}`;
  }).join("");
}
