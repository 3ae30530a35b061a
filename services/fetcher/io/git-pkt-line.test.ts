import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LookError } from "#contracts/look-error.ts";
import { delimiterPkt, flushPkt, lineText, pktLine, readPktLines } from "./git-pkt-line.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function read(body: Uint8Array): (string | null)[] {
  return [...readPktLines(body)].map((line) => (line.type === "line" ? lineText(line.payload) : null));
}

describe("pkt-lines", () => {
  it("read back what was written, whatever the texts", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 300 }).filter((candidate) => !candidate.endsWith("\n"));
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        const written = texts.map(pktLine).join("") + delimiterPkt + flushPkt;
        expect(read(bytes(written))).toEqual([...texts, null, null]);
      }),
    );
  });

  it("either account for every byte or are malformed, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect([body.length, "malformed"]).toContain(accountedBytes(body));
      }),
    );
  });

  it("are malformed when cut anywhere within a line", () => {
    const whole = bytes(pktLine("0123456789"));
    for (let length = 1; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length))).toThrow(/cut short/);
    }
  });

  it.each(["0003", "fff1abcd", "00g1", " 00a", "+00a", "0x10"])("refuse the length %s", (length) => {
    expect(() => read(bytes(length + "x".repeat(70_000)))).toThrow(/does not begin a pkt-line/);
  });

  it("refuse to be written longer than git reads them", () => {
    expect(pktLine("x".repeat(65_515))).toHaveLength(65_520);
    expect(() => pktLine("x".repeat(65_516))).toThrow(RangeError);
  });

  it("refuse text that is not UTF-8", () => {
    expect(() => lineText(Uint8Array.of(0x66, 0xff))).toThrow(/not UTF-8/);
  });
});

/** How many bytes the lines stand for, or the kind of the error thrown. */
function accountedBytes(body: Uint8Array): number | string {
  try {
    let sum = 0;
    for (const line of readPktLines(body)) sum += 4 + (line.type === "line" ? line.payload.length : 0);
    return sum;
  } catch (error) {
    return error instanceof LookError ? error.kind : String(error);
  }
}
