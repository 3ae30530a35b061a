import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EndpointName, endpointOf } from "./resource.ts";

function read(text: string): string {
  const parsed = EndpointName.safeParse(text);
  return parsed.success ? parsed.data : `refused: ${parsed.error.issues[0]?.message}`;
}

describe("where TLS servers listen", () => {
  it.each([
    ["https://WWW.Example.com/path", "www.example.com:443"],
    ["https://example.com:8443", "example.com:8443"],
    ["wss://example.com", "example.com:443"],
    ["example.com", "example.com:443"],
    ["example.com.:993", "example.com:993"],
    ["bücher.example", "xn--bcher-kva.example:443"],
    ["localhost:8443", "localhost:8443"],
    ["192.0.2.1", "192.0.2.1:443"],
    ["[2001:0db8::1]:853", "[2001:db8::1]:853"],
  ])("%s becomes %s", (text, name) => {
    expect(read(text)).toBe(name);
  });

  it.each([
    ["", "is neither host:port nor an https URL"],
    ["http://example.com", "does not say that it speaks TLS"],
    ["example.com:70000", "is neither host:port nor an https URL"],
    ["example.com:0", "names port 0"],
    ["2001:db8::1", "is neither host:port nor an https URL"],
    ["example.com/path", "is neither host:port nor an https URL"],
    ["*.example.com", "does not name a host"],
    ["https://user:secret@-/", 'https://-/" does not name a host'],
  ])("%j is refused", (text, why) => {
    expect(read(text)).toContain(why);
    expect(read(text)).toMatch(/^refused: /);
  });

  it("have two parts", () => {
    expect(endpointOf("example.com:443")).toEqual({ host: "example.com", port: 443 });
    expect(endpointOf("[2001:db8::1]:853")).toEqual({ host: "2001:db8::1", port: 853 });
  });

  it("are in normal form whatever came in", () => {
    const port = fc.nat(70_000).map((number) => `:${number}`);
    const part = fc.oneof(fc.string({ unit: "grapheme" }), fc.domain(), fc.webUrl(), fc.ipV6(), port);
    const text = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(""));
    const property = fc.property(text, (input) => {
      const name = read(input);
      if (name.startsWith("refused: ")) return true;
      const { host, port: number } = endpointOf(name);
      return read(name) === name && host !== "" && Number.isInteger(number) && number > 0 && number < 65_536;
    });
    expect(fc.check(property, { numRuns: 1000 })).toMatchObject({ failed: false });
  });
});
