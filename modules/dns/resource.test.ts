import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HostName } from "./resource.ts";

function read(text: string): string {
  const parsed = HostName.safeParse(text);
  return parsed.success ? parsed.data : `refused: ${parsed.error.issues[0]?.message}`;
}

describe("host names", () => {
  it.each([
    ["example.com", "example.com"],
    ["WWW.Example.COM.", "www.example.com"],
    ["https://www.example.com/path?query#part", "www.example.com"],
    ["HTTP://user:secret@www.example.com:8080", "www.example.com"],
    ["bücher.example.com", "xn--bcher-kva.example.com"],
    ["_dmarc.example.com", "_dmarc.example.com"],
    [" example.com ", "example.com"],
  ])("%j becomes %s", (text, name) => {
    expect(read(text)).toBe(name);
  });

  it.each([
    ["", "is neither a host name nor a URL"],
    ["192.0.2.1", "is an address"],
    ["0x7f.1", "is an address"],
    ["https://[2001:db8::1]/", "is an address"],
    ["localhost", "is a single label"],
    ["com.", "is a single label"],
    ["a..example.com", "is not a host name"],
    ["-a.example.com", "is not a host name"],
    ["*.example.com", "is not a host name"],
    [`${"a".repeat(64)}.example.com`, "is not a host name"],
    [`${"a.".repeat(126)}com`, "is not a host name"],
    ["example.com/path", "is neither a host name nor a URL"],
    ["example.com:53", "is neither a host name nor a URL"],
    ["two words.example.com", "is neither a host name nor a URL"],
  ])("%j is refused", (text, why) => {
    expect(read(text)).toMatch(/^refused: /);
    expect(read(text)).toContain(why);
  });

  it("a refusal tells no password", () => {
    expect(read("https://user:secret@[2001:db8::1]/")).not.toContain("secret");
  });

  it("are in normal form whatever came in", () => {
    const part = fc.oneof(fc.string({ unit: "grapheme" }), fc.domain(), fc.webUrl(), fc.constantFrom(".", "..", "@"));
    const text = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(""));
    const property = fc.property(text, (input) => {
      const name = read(input);
      return name.startsWith("refused: ") || (read(name) === name && /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(name));
    });
    expect(fc.check(property, { numRuns: 1000 })).toMatchObject({ failed: false });
  });
});
