import dnsPacket from "dns-packet";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { present } from "./dns-presentation.ts";
import { encodeQuestion, readReply, WireError, type Question } from "./dns-wire.ts";

const question: Question = { name: "example.test", type: "TXT" };
const id = 0x1234;

const answer = dnsPacket.encode({
  type: "response",
  id,
  flags: dnsPacket.RECURSION_AVAILABLE,
  questions: [{ type: "TXT", name: "example.test" }],
  answers: [
    { type: "TXT", name: "example.test", ttl: 1, data: ["v=spf1 -all"] },
    { type: "MX", name: "example.test", ttl: 1, data: { preference: 1, exchange: "mail.example.test" } },
    { type: "CAA", name: "example.test", ttl: 1, data: { flags: 0, tag: "issue", value: "ca.test" } },
  ],
});

/** What becomes of a message: the presented texts, null when it is passed over, or "malformed". Others throw. */
function outcome(message: Buffer): string[] | null | "malformed" {
  try {
    const reply = readReply(message, id, question);
    if (reply === null) return null;
    return reply.answers.filter((record) => record.type === "TXT").map((record) => present("TXT", record));
  } catch (error) {
    if (error instanceof WireError) return "malformed";
    throw error;
  }
}

/** Is the outcome one of the three, and are its texts printable? */
function isSane(message: Buffer): boolean {
  const found = outcome(message);
  return !Array.isArray(found) || found.every((text) => /^"[ -~]*"$/.test(text));
}

describe("messages", () => {
  it("asks with recursion, one question and EDNS0", () => {
    const { questions, additionals, flag_rd: isRecursive } = dnsPacket.decode(encodeQuestion(id, question));
    expect(isRecursive).toBe(true);
    expect(questions).toEqual([{ name: "example.test", type: "TXT", class: "IN" }]);
    expect(additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1232 }]);
  });

  it("takes the answer", () => {
    expect(outcome(answer)).toEqual(['"v=spf1 -all"']);
  });

  it("takes no prefix of the answer", () => {
    for (let bytes = 0; bytes < answer.length; bytes++) expect(outcome(answer.subarray(0, bytes))).toBe("malformed");
  });

  it.each([
    [998, 998],
    [1001, "malformed"],
  ])("of %i records are read as %s: the work one message causes is bounded", (records, expected) => {
    const many = Array.from({ length: records }, (_, index) => ({
      type: "TXT" as const,
      name: "example.test",
      data: [String(index)],
    }));
    const flags = dnsPacket.RECURSION_AVAILABLE;
    const questions = [{ type: "TXT" as const, name: "example.test" }];
    const found = outcome(dnsPacket.encode({ type: "response", id, flags, questions, answers: many }));
    expect(Array.isArray(found) ? found.length : found).toBe(expected);
  });

  it("survives any bytes", () => {
    const start = answer.subarray(0, 12);
    const bytes = fc.uint8Array({ maxLength: 600 });
    const property = fc.property(bytes, fc.boolean(), (noise, hasHeader) =>
      isSane(Buffer.concat(hasHeader ? [start, noise] : [noise])),
    );
    expect(fc.check(property, { numRuns: 2000 })).toMatchObject({ failed: false });
  });

  it("survives an answer with any bytes overwritten", () => {
    const change = fc.tuple(fc.nat(answer.length - 1), fc.nat(255));
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
      const message = Buffer.from(answer);
      for (const [at, byte] of changes) message[at] = byte;
      return isSane(message);
    });
    expect(fc.check(property, { numRuns: 5000 })).toMatchObject({ failed: false });
  });
});
