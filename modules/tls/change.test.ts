import { describe, expect, it } from "vitest";
import type { ChangeRequest } from "#contracts/module.ts";
import type { Certificate } from "./certificate.ts";
import { assessChange } from "./change.ts";
import { standingOfProtocol } from "./standing.ts";

function assess(change: Partial<ChangeRequest>) {
  const request = { resource: "example.test:443", attribute: "protocol", kind: "changed" } as const;
  const values = { oldValue: null, newValue: null, oldSeverity: null, newSeverity: null, newReason: null };
  return assessChange({ ...request, ...values, context: null, options: {}, ...change });
}

const certificate: Certificate = {
  key: "aa",
  issuer: String.raw`CN=evil\, O=Trusted, O=Sly`,
  names: ["example.test"],
  chain: [],
  notBefore: "2026-01-01T00:00:00.000Z",
  notAfter: "2026-04-01T00:00:00.000Z",
  serial: "01",
  verifies: "ok",
};

describe("protocols", () => {
  it.each([
    ["TLSv1.2", "TLSv1.3", "none"],
    ["TLSv1.3", "TLSv1.2", "medium"],
    ["TLSv1.2", "TLSv1.1", "high"],
    ["TLSv1", "TLSv1.1", "medium"],
  ])("from %s to %s is %s", (oldValue, newValue, severity) => {
    const standing = standingOfProtocol(newValue);
    const { severity: newSeverity = null, reason: newReason = null } = standing;
    const assessment = assess({ oldValue, newValue, newSeverity, newReason });
    expect(assessment.severity).toBe(severity);
    expect(assessment.reason).toContain(`speaks ${newValue} instead of ${oldValue}`);
  });
});

describe("certificates", () => {
  const seen = (day: string) => ({ context: { seenAt: `${day}T00:00:00.000Z` } });

  it("an issuer cannot pass for another by what it writes into its name", () => {
    const oldValue = { ...certificate, issuer: "O=Trusted, CN=CA" };
    const { severity, reason } = assess({ attribute: "certificate", oldValue, newValue: certificate });
    expect(severity).toBe("high");
    expect(reason).toContain("it is issued by");
  });

  it("that no authority vouches for are never renewed, only swapped", () => {
    const oldValue = { ...certificate, verifies: "DEPTH_ZERO_SELF_SIGNED_CERT" };
    const newValue = { ...oldValue, key: "bb", serial: "02" };
    const assessment = assess({ attribute: "certificate", oldValue, newValue, ...seen("2026-03-25") });
    expect(assessment).toEqual({ severity: "high", reason: expect.stringContaining("no authority vouches for it") });
  });

  it("that expire are told by their standing", () => {
    const newValue = { ...certificate, verifies: "CERT_HAS_EXPIRED" };
    const standing = { newSeverity: "critical", newReason: "the certificate expired on 2026-04-01" } as const;
    const request = { attribute: "certificate", oldValue: certificate, newValue, ...standing, ...seen("2026-04-02") };
    const reason = "the certificate of example.test:443 changed: the certificate expired on 2026-04-01";
    expect(assess(request)).toEqual({ severity: "critical", reason });
  });

  it("that verify again are good news", () => {
    const oldValue = { ...certificate, verifies: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" };
    expect(assess({ attribute: "certificate", oldValue, newValue: certificate }).severity).toBe("none");
  });

  it("a moved rating is the standing one", () => {
    const rated = { attribute: "certificate", kind: "rated", oldValue: certificate, newValue: certificate } as const;
    const standing = { newSeverity: "medium", newReason: "it ends soon" } as const;
    expect(assess({ ...rated, ...standing })).toEqual({ severity: "medium", reason: "it ends soon" });
    expect(assess(rated).severity).toBe("none");
  });

  it("in a form of old are unknown", () => {
    expect(assess({ attribute: "certificate", oldValue: "?", newValue: certificate }).severity).toBe("unknown");
  });

  it("a reason stays one line, however long the names are", () => {
    const names = Array.from({ length: 100 }, (_, index) => `${String(index).repeat(60)}.test`);
    const newValue = { ...certificate, names, issuer: "O=".padEnd(5000, "x") };
    const { reason } = assess({ attribute: "certificate", oldValue: certificate, newValue });
    expect(reason.length).toBeLessThanOrEqual(500);
    expect(reason).toContain("and 97 more");
  });
});
