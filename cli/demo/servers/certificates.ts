// @peculiar/x509 asks for it, and it must come first.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** What a TLS server shows, as PEM. */
export interface Identity {
  certificate: string;
  key: string;
}

export interface Authority {
  /** The root's certificate, as PEM. */
  certificate: string;
  /** A certificate with a new key for an IPv4 address. */
  issueFor(address: string): Promise<Identity>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

/** A certificate authority that lasts as long as this process. */
export async function createAuthority(organisation: string): Promise<Authority> {
  const keys = await createKeys();
  const name = `CN=${organisation} Root, O=${organisation}`;
  const root = await X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    ...validFor(3650),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    certificate: root.toString("pem"),
    issueFor: async (address) => {
      const own = await createKeys();
      const certificate = await X509CertificateGenerator.create({
        subject: `CN=${address}`,
        issuer: name,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        ...validFor(90),
        extensions: [
          new BasicConstraintsExtension(false),
          new SubjectAlternativeNameExtension([{ type: "ip", value: address }]),
        ],
      });
      return { certificate: certificate.toString("pem"), key: await exportKey(own.privateKey) };
    },
  };
}

/** From yesterday, so that no clock finds it too young. */
function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - dayMs), notAfter: new Date(now + (days - 1) * dayMs) };
}

async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}
