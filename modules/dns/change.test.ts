import { describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import type { ChangeRequest } from "#contracts/module.ts";
import { assessChange } from "./change.ts";

function assess(change: Partial<ChangeRequest>) {
  const request = {
    resource: "example.test",
    attribute: "a",
    kind: "changed",
    oldValue: null,
    newValue: null,
  } as const;
  const standing = { oldSeverity: null, newSeverity: null, newReason: null, context: null, options: {} };
  return assessChange({ ...request, ...standing, ...change });
}

const spf = (terms: string): Json => [`"v=spf1 ${terms}"`, '"unrelated=1"'];
const dmarc = (policy: string): Json => [`"v=DMARC1; p=${policy}; rua=mailto:x@example.test"`];

describe("changed records", () => {
  it.each<[string, Json, Json, string, string]>([
    ["a", ["192.0.2.1"], ["203.0.113.66"], "high", "every address was replaced"],
    ["a", ["192.0.2.1"], ["192.0.2.1", "203.0.113.66"], "medium", "changed from 192.0.2.1 to"],
    ["aaaa", ["2001:db8::1"], ["2001:db8::2"], "high", "every address was replaced"],
    ["ns", ["a.ns.", "b.ns."], ["c.ns."], "critical", "every name server was replaced"],
    ["ns", ["a.ns.", "b.ns."], ["a.ns.", "b.ns.", "rogue."], "high", "rogue."],
    ["mx", ["10 a."], ["10 a.", "5 rogue."], "high", "5 rogue."],
    ["cname", ["a.cdn."], ["b.cdn."], "high", "from a.cdn. to b.cdn."],
    ["caa", ['0 issue "a"'], ['0 issue "b"'], "medium", "certificate authorities"],
    ["txt", ['"a=1"'], ['"a=2"'], "notice", '"a=2"'],
    ["txt", spf("mx -all"), spf("mx ~all"), "medium", "SPF now ends in ~all instead of -all"],
    ["txt", spf("mx -all"), spf("mx all"), "medium", "SPF now ends in all instead of -all"],
    ["txt", spf("mx -all"), spf("mx"), "medium", "SPF now ends in nothing instead of -all"],
    ["txt", spf("mx -all"), spf("mx include:rogue.test -all"), "medium", "SPF now also allows include:rogue.test"],
    ["txt", spf("mx -all"), ['"unrelated=1"'], "medium", "the SPF record is gone"],
    ["txt", spf("mx ~all"), spf("mx -all"), "notice", "texts"],
    ["txt", spf("mx a -all"), spf("mx -all"), "notice", "texts"],
    ["txt", dmarc("reject"), dmarc("none"), "medium", 'the DMARC policy is now "none" instead of "reject"'],
    ["txt", dmarc("quarantine"), dmarc("reject"), "notice", "texts"],
  ])("%s from %j to %j: %s", (attribute, oldValue, newValue, severity, words) => {
    const assessment = assess({ attribute, oldValue, newValue });
    expect(assessment).toEqual({ severity, reason: expect.stringContaining(words) });
  });

  it.each([
    ["a", "medium", "high"],
    ["aaaa", "notice", "high"],
    ["cname", "medium", "high"],
    ["ns", "medium", "high"],
    ["mx", "medium", "high"],
    ["txt", "notice", "notice"],
    ["caa", "notice", "high"],
    ["ds", "notice", "high"],
  ])("%s that appear are %s, lost ones %s", (attribute, appeared, disappeared) => {
    const value = ["some record"];
    expect(assess({ attribute, kind: "appeared", newValue: value }).severity).toBe(appeared);
    expect(assess({ attribute, kind: "disappeared", oldValue: value }).severity).toBe(disappeared);
  });

  it("a lost SPF record is worse than another text", () => {
    const lost = assess({ attribute: "txt", kind: "disappeared", oldValue: spf("-all") });
    expect(lost).toMatchObject({ severity: "medium", reason: expect.stringMatching(/^the SPF record is gone/) });
  });

  it("a name that is gone, and one that is back", () => {
    const exists = { attribute: "exists", newReason: "NXDOMAIN" };
    expect(assess({ ...exists, kind: "disappeared" })).toEqual({ severity: "high", reason: "NXDOMAIN" });
    expect(assess({ ...exists, kind: "appeared" }).severity).toBe("medium");
  });

  it("a rating is the standing one", () => {
    const rated = assess({ attribute: "cname", kind: "rated", newSeverity: "medium", newReason: "leads nowhere" });
    expect(rated).toEqual({ severity: "medium", reason: "leads nowhere" });
    expect(assess({ attribute: "cname", kind: "rated" }).severity).toBe("none");
  });

  it("a reason stays one line, however long the records are", () => {
    const texts = Array.from({ length: 50 }, (_, index) => `"${String(index).repeat(400)}"`);
    const { reason } = assess({ attribute: "txt", oldValue: texts, newValue: texts.slice(1) });
    expect(reason.length).toBeLessThanOrEqual(500);
    expect(reason).toContain("and 46 more");
  });
});

describe("a rotating pool", () => {
  const pool = ["192.0.2.1", "192.0.2.2"];
  const grown = [...pool, "203.0.113.66"];

  it.each<[string, { isLearning: boolean; isAllNew: boolean }, Json, string]>([
    ["is still being learned", { isLearning: true, isAllNew: true }, grown, "none"],
    ["answers with strangers alone", { isLearning: false, isAllNew: true }, grown, "high"],
    ["answers with a stranger among its members", { isLearning: false, isAllNew: false }, grown, "medium"],
    ["lost a member", { isLearning: false, isAllNew: false }, ["192.0.2.1"], "none"],
  ])("that %s", (_what, context, newValue, severity) => {
    expect(assess({ oldValue: pool, newValue, context }).severity).toBe(severity);
  });
});
