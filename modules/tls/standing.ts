import type { Standing } from "#contracts/module.ts";
import { severities, type Severity } from "#contracts/severity.ts";
import type { Certificate } from "./certificate.ts";

interface Fault {
  severity: Severity;
  reason: string;
}

/**
 * How a certificate stands on its own. Its end is judged by the fraction of its lifetime that is left, since lifetimes
 * shrink (200 days in 2026, 47 in 2029) and a count of days would soon mean nothing.
 */
export function standingOfCertificate(certificate: Certificate, now: Date): Standing {
  const faults = [validityFault(certificate, now), verificationFault(certificate)].filter((fault) => fault !== null);
  return faults.toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))[0] ?? {};
}

/** Between 0 and 1, or beyond either outside of the certificate's time. */
export function fractionLeft({ notBefore, notAfter }: Certificate, now: Date): number {
  const end = Date.parse(notAfter);
  const lifetimeMs = Math.max(end - Date.parse(notBefore), 1);
  return (end - now.getTime()) / lifetimeMs;
}

/** Automatic renewal is due at a third; what is later than this was missed. */
const stages: { below: number; severity: Severity; left: string }[] = [
  { below: 1 / 12, severity: "high", left: "a twelfth" },
  { below: 1 / 6, severity: "medium", left: "a sixth" },
  { below: 1 / 4, severity: "notice", left: "a quarter" },
];

function validityFault(certificate: Certificate, now: Date): Fault | null {
  const left = fractionLeft(certificate, now);
  const end = certificate.notAfter.slice(0, 10);
  if (left < 0) return { severity: "critical", reason: `the certificate expired on ${end}` };
  if (left > 1)
    return { severity: "high", reason: `the certificate is not valid before ${certificate.notBefore.slice(0, 10)}` };
  const stage = stages.find(({ below }) => left < below);
  if (stage === undefined) return null;
  const reason = `less than ${stage.left} of the certificate's lifetime is left: it ends on ${end}`;
  return { severity: stage.severity, reason };
}

const meanings: Record<string, string> = {
  CERT_HAS_EXPIRED: "a certificate of its chain has expired",
  CERT_NOT_YET_VALID: "a certificate of its chain is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "its chain ends in a root that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "its chain is incomplete or ends in an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its chain is incomplete or ends in an authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its chain is incomplete or ends in an authority that is not trusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is not made out for this host",
  CERT_SIGNATURE_FAILURE: "its signature is wrong",
  CERT_REVOKED: "it was revoked",
};

function verificationFault({ verifies }: Certificate): Fault | null {
  if (verifies === "ok") return null;
  return { severity: "high", reason: `the certificate does not verify: ${meanings[verifies] ?? verifies}` };
}

/** Versions that RFC 8996 retired. */
const retired = new Set(["SSLv3", "TLSv1", "TLSv1.1"]);

export function standingOfProtocol(protocol: string): Standing {
  if (!retired.has(protocol)) return {};
  return { severity: "medium", reason: `the server speaks ${protocol} at best, which RFC 8996 retired in 2021` };
}
