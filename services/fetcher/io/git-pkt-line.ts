import { isUtf8 } from "node:buffer";
import { LookError } from "#contracts/look-error.ts";

/*
 * Git's pkt-line framing (gitprotocol-common): four hex digits of length, themselves counted, then the payload;
 * the lengths 0, 1 and 2 are marks without one.
 */

export type PktLine = { type: "line"; payload: Uint8Array } | { type: "flush" | "delimiter" | "response_end" };

/** The longest line that git itself accepts, its four digits included. */
const maxLineBytes = 65_520;

/** One line with its length; the text gets the customary line feed. */
export function pktLine(text: string): string {
  const lengthBytes = Buffer.byteLength(text) + 5;
  if (lengthBytes > maxLineBytes) throw new RangeError(`a pkt-line of ${lengthBytes} bytes is too long`);
  return `${lengthBytes.toString(16).padStart(4, "0")}${text}\n`;
}

export const flushPkt = "0000";
export const delimiterPkt = "0001";

/** The lines of a whole answer, lazily; throws `malformed` where the framing breaks, never leaves a line out. */
export function* readPktLines(body: Uint8Array): Generator<PktLine> {
  let at = 0;
  while (at < body.length) {
    const lengthBytes = readLength(body, at);
    if (lengthBytes < 4) {
      yield { type: marks[lengthBytes] ?? "flush" };
      at += 4;
      continue;
    }
    if (at + lengthBytes > body.length) throw malformed(`a pkt-line at byte ${at} is cut short`);
    yield { type: "line", payload: body.subarray(at + 4, at + lengthBytes) };
    at += lengthBytes;
  }
}

const marks = ["flush", "delimiter", "response_end"] as const;

function readLength(body: Uint8Array, at: number): number {
  if (at + 4 > body.length) throw malformed(`the length of a pkt-line at byte ${at} is cut short`);
  const digits = Buffer.from(body.buffer, body.byteOffset + at, 4).toString("latin1");
  const lengthBytes = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : 3;
  if (lengthBytes === 3 || lengthBytes > maxLineBytes) throw malformed(`byte ${at} does not begin a pkt-line`);
  return lengthBytes;
}

/** A line's text without its line feed; throws `malformed` unless it is UTF-8. */
export function lineText(payload: Uint8Array): string {
  const lengthBytes = payload.at(-1) === 0x0a ? payload.length - 1 : payload.length;
  const text = Buffer.from(payload.buffer, payload.byteOffset, lengthBytes);
  if (!isUtf8(text)) throw malformed("a line is not UTF-8");
  return text.toString("utf8");
}

function malformed(what: string): LookError {
  return new LookError("malformed", `The git server's answer is broken: ${what}.`);
}
