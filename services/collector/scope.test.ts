import { describe, expect, it } from "vitest";
import type { ConfigRoot } from "#contracts/store.ts";
import { createScope } from "./scope.ts";

function root(lane: string, owner: string): ConfigRoot {
  return { module: "http", resource: lane, lane, owner, everyMs: null };
}

describe("the scope of suggestions", () => {
  const roots = [root("www.example.com:8443", "example.com"), root("127.0.0.1:80", "-")];
  const isInScope = createScope(roots, { hosts: ["*.cdn.example"], owners: ["friend*"] });

  it("is the hosts that the targets name, on any port and by any transport", () => {
    expect(isInScope({ lane: "www.example.com~tls", owner: "-" })).toBe(true);
    expect(isInScope({ lane: "127.0.0.1:9000", owner: "-" })).toBe(true);
    expect(isInScope({ lane: "127.0.0.2:80", owner: "-" })).toBe(false);
  });

  it("is their owners, but nobody is no owner", () => {
    expect(isInScope({ lane: "mail.example.com", owner: "example.com" })).toBe(true);
    expect(isInScope({ lane: "intranet", owner: "-" })).toBe(false);
    expect(createScope(roots, { hosts: [], owners: ["*"] })({ lane: "intranet", owner: "-" })).toBe(false);
  });

  it("is what scope adds by pattern", () => {
    expect(isInScope({ lane: "a.cdn.example", owner: "-" })).toBe(true);
    expect(isInScope({ lane: "elsewhere.test", owner: "friend.test" })).toBe(true);
    expect(isInScope({ lane: "elsewhere.test", owner: "elsewhere.test" })).toBe(false);
  });
});
