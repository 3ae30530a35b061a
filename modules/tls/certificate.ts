import { createHash, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { TlsAnswer } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";

/** What is compared of the certificate that a server shows. One value, since a swap moves all of it at once. */
export const Certificate = z.object({
  /** SHA-256 of the public key (SPKI), in hex. */
  key: z.string(),
  /** Such as `C=US, O=Let's Encrypt, CN=R11`. */
  issuer: z.string(),
  /** All it is valid for, sorted. */
  names: z.array(z.string()),
  /** What was sent above it, in order: subjects and the SHA-256 of their keys. */
  chain: z.array(z.object({ subject: z.string(), key: z.string() })),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  serial: z.string(),
  /** `ok`, or the code of what is wrong, such as `DEPTH_ZERO_SELF_SIGNED_CERT`. */
  verifies: z.string(),
});
export type Certificate = z.infer<typeof Certificate>;

/** Reads what a server sent. Throws `malformed`. */
export function readCertificate({ chain, verificationError }: TlsAnswer): Certificate {
  try {
    const [leaf, ...above] = chain.map((der) => new X509Certificate(der));
    if (leaf === undefined) throw new TypeError("no certificate was sent");
    return {
      key: keyDigest(leaf),
      issuer: oneLine(leaf.issuer),
      names: readNames(leaf.subjectAltName),
      chain: above.map((certificate) => ({ subject: oneLine(certificate.subject), key: keyDigest(certificate) })),
      notBefore: leaf.validFromDate.toISOString(),
      notAfter: leaf.validToDate.toISOString(),
      serial: leaf.serialNumber.toLowerCase(),
      verifies: verificationError ?? "ok",
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LookError("malformed", `the server's certificate cannot be read: ${why}`, { cause });
  }
}

const maxEvidenceLength = 65_536;

/** The chain as PEM, as much of it as evidence may hold. */
export function toPem({ chain }: TlsAnswer): string {
  let pem = "";
  for (const der of chain) {
    const lines = Buffer.from(der)
      .toString("base64")
      .replaceAll(/.{64}(?=.)/g, "$&\n");
    const block = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
    if (pem.length + block.length > maxEvidenceLength) break;
    pem += block;
  }
  return pem;
}

function keyDigest(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("hex");
}

function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

/** Node's `DNS:a, IP Address:b, URI:"c"`, in which what could mislead is quoted like JSON. */
function readNames(text: string | undefined): string[] {
  const entries = (text ?? "").matchAll(/([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g);
  const names = Array.from(entries, ([, kind = "", name = ""]) => {
    if (kind === "DNS") return name.toLowerCase();
    return kind === "IP Address" ? name : `${kind}:${name}`;
  });
  return [...new Set(names)].toSorted();
}
