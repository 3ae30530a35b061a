import { describe, expect, it } from "vitest";
import { z } from "zod";
import { decode, encode } from "./codec.ts";
import { MalformedMessageError } from "./errors.ts";

describe("bodies", () => {
  it("travel compressed when large", () => {
    const body = encode("x".repeat(100_000));
    expect(body.data.byteLength).toBeLessThan(10_000);
    expect(decode(body, z.string())).toHaveLength(100_000);
  });

  it("from outside may be bounded: what unfolds to more is malformed, and never unfolded whole", () => {
    const body = encode("x".repeat(100_000));
    expect(() => decode(body, z.string(), { maxBytes: 65_536 })).toThrow(MalformedMessageError);
    const plain = { data: Buffer.from(JSON.stringify("x".repeat(1000))) };
    expect(() => decode(plain, z.string(), { maxBytes: 500 })).toThrow(MalformedMessageError);
    expect(decode(plain, z.string(), { maxBytes: 2000 })).toHaveLength(1000);
  });
});
