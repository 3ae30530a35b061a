import { z } from "zod";
import { isSameValue, type Json } from "#contracts/canonical.ts";
import { maxReasonLength } from "#contracts/messages.ts";
import type { Assessment, ChangeRequest } from "#contracts/module.ts";
import { severities, type Severity } from "#contracts/severity.ts";
import { Certificate } from "./certificate.ts";
import { fractionLeft } from "./standing.ts";

/** What a look attaches to a certificate: without the time, a renewal cannot be told from an early swap. */
export const CertificateContext = z.object({ seenAt: z.iso.datetime() });

/** How bad it is that what a TLS server shows has moved. */
export function assessChange(request: ChangeRequest): Assessment {
  const { severity, reason } = assess(request);
  return { severity, reason: reason.slice(0, maxReasonLength) };
}

function assess(request: ChangeRequest): Assessment {
  const { resource, attribute, kind, newSeverity, newReason } = request;
  if (kind === "rated")
    return { severity: newSeverity ?? "none", reason: newReason ?? `${resource}: ${attribute} is in order again` };
  if (kind !== "changed")
    return {
      severity: worse(newSeverity ?? "none", "notice"),
      reason: newReason ?? `${resource}: ${attribute} ${kind}`,
    };
  return attribute === "certificate" ? assessCertificate(request) : assessProtocol(request);
}

const versions = ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

function shown(version: Json): string {
  return typeof version === "string" ? version : "an unknown version";
}

function rank(version: Json): number {
  return versions.findIndex((known) => known === version);
}

function assessProtocol({ resource, oldValue, newValue, newSeverity, newReason }: ChangeRequest): Assessment {
  const moved = `${resource} speaks ${shown(newValue)} instead of ${shown(oldValue)}`;
  const isWeaker = rank(newValue) < rank(oldValue);
  if (!isWeaker) return { severity: newSeverity ?? "none", reason: moved };
  if (newReason === null) return { severity: "medium", reason: moved };
  return { severity: "high", reason: `${moved}: ${newReason}` };
}

function assessCertificate(request: ChangeRequest): Assessment {
  const before = Certificate.safeParse(request.oldValue);
  const after = Certificate.safeParse(request.newValue);
  if (!before.success || !after.success) return { severity: "unknown", reason: "the certificate changed its form" };
  const seenAt = CertificateContext.safeParse(request.context);
  const now = new Date(seenAt.success ? seenAt.data.seenAt : after.data.notBefore);
  const alarms = alarmsOf(before.data, after.data, now);
  const standing = before.data.verifies === after.data.verifies ? null : request.newSeverity;
  const why = standing === null || request.newReason === null ? alarms : [request.newReason, ...alarms];
  if (why.length === 0) return assessRenewal(request.resource, before.data, after.data);
  const severity = worse(standing ?? "none", alarms.length > 0 ? "high" : "none");
  return { severity, reason: `the certificate of ${request.resource} changed: ${why.join("; ")}` };
}

/** By then automatic renewal, due at a third of the lifetime, is plausible. */
const renewalFraction = 0.4;

/** What a mere renewal does not bring along, each in plain words. */
function alarmsOf(before: Certificate, after: Certificate, now: Date): string[] {
  const alarms: string[] = [];
  if (issuingOrganisation(before) !== issuingOrganisation(after))
    alarms.push(`it is issued by ${shorten(after.issuer)} instead of ${shorten(before.issuer)}`);
  const added = after.names.filter((name) => !before.names.includes(name));
  const lost = before.names.filter((name) => !after.names.includes(name));
  if (added.length > 0) alarms.push(`it is also valid for ${list(added)}`);
  if (lost.length > 0) alarms.push(`it is no longer valid for ${list(lost)}`);
  if (before.key !== after.key) {
    if (fractionLeft(before, now) > renewalFraction)
      alarms.push(`its key is new long before the old one's end on ${day(before)}`);
    else if (after.verifies !== "ok") alarms.push("its key is new and no authority vouches for it");
  }
  return alarms;
}

/** Authorities take turns with their intermediate certificates (R10, R11…): what stays is the organisation. */
function issuingOrganisation({ issuer }: Certificate): string {
  return /(?:^|(?<!\\), )O=(.*?)(?=(?<!\\), |$)/.exec(issuer)?.[1] ?? issuer;
}

function assessRenewal(resource: string, before: Certificate, after: Certificate): Assessment {
  if (before.serial !== after.serial || before.key !== after.key) {
    const key = before.key === after.key ? "with the same key" : "with a new key, close to the old one's end";
    return { severity: "none", reason: `the certificate of ${resource} was renewed ${key}, until ${day(after)}` };
  }
  if (before.verifies !== after.verifies)
    return { severity: "none", reason: `the certificate of ${resource} verifies` };
  if (isSameValue(before.chain, after.chain))
    return { severity: "notice", reason: `the certificate of ${resource} was issued again with its old serial number` };
  return { severity: "notice", reason: `${resource} sends another chain above the same certificate` };
}

function day({ notAfter }: Certificate): string {
  return notAfter.slice(0, 10);
}

function worse(a: Severity, b: Severity): Severity {
  return severities.indexOf(a) <= severities.indexOf(b) ? a : b;
}

function list(names: string[]): string {
  const shown = names.slice(0, 3).map((name) => shorten(name));
  const more = names.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
