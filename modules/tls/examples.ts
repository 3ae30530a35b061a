import type { Json } from "#contracts/canonical.ts";
import type { Example } from "#contracts/module.ts";

const certificate = {
  key: "1f0c4a3dd9b7e2c86a9f6b1f1f6f2f9f0a5d1c7be4ad35a3c2b8d9e0f1a2b3c4",
  issuer: "C=US, O=Let's Encrypt, CN=R11",
  names: ["example.com", "www.example.com"],
  chain: [
    {
      subject: "C=US, O=Let's Encrypt, CN=R11",
      key: "6ddac9d3a6dd4c0bd1b6ea1ab4eb0ab3e8f7c6d5b4a39281706f5e4d3c2b1a09",
    },
  ],
  notBefore: "2026-01-01T00:00:00.000Z",
  notAfter: "2026-04-01T00:00:00.000Z",
  serial: "03a1b2c3",
  verifies: "ok",
} satisfies Json;

const newKey = "9b8a7c6d5e4f30211203f4e5d6c7b8a9908172635445362718090a0b0c0d0e0f";

export const examples: Example[] = [
  {
    title: "an https URL stands for its host and port",
    operation: "resource",
    input: "https://WWW.Example.com/path",
    output: "www.example.com:443",
  },
  {
    title: "a URL without TLS",
    operation: "resource",
    input: "http://www.example.com/",
    output: {
      refusal: '"http://www.example.com/" does not say that it speaks TLS: give host:port or an https URL',
    },
  },
  {
    title: "the name behind a certificate is worth watching too",
    operation: "discovery",
    resource: "www.example.com:443",
    io: [],
    answer: [
      { type: "confirm", resource: "www.example.com:443" },
      { type: "suggest", module: "dns", resource: "www.example.com" },
    ],
  },
  {
    title: "a renewal close to the end, from another intermediate of the same authority",
    operation: "change",
    request: {
      resource: "www.example.com:443",
      attribute: "certificate",
      kind: "changed",
      oldValue: certificate,
      newValue: {
        ...certificate,
        key: newKey,
        issuer: "C=US, O=Let's Encrypt, CN=R10",
        notBefore: "2026-03-02T00:00:00.000Z",
        notAfter: "2026-05-31T00:00:00.000Z",
        serial: "04d5e6f7",
      },
      context: { seenAt: "2026-03-02T01:00:00.000Z" },
    },
    answer: {
      severity: "none",
      reason:
        "the certificate of www.example.com:443 was renewed with a new key, close to the old one's end, until 2026-05-31",
    },
  },
  {
    title: "a swapped certificate",
    operation: "change",
    request: {
      resource: "www.example.com:443",
      attribute: "certificate",
      kind: "changed",
      oldValue: certificate,
      newValue: {
        ...certificate,
        key: newKey,
        issuer: "C=ZZ, O=Another Authority, CN=CA 1",
        notBefore: "2026-01-10T00:00:00.000Z",
        serial: "04d5e6f7",
      },
      context: { seenAt: "2026-01-10T01:00:00.000Z" },
    },
    answer: {
      severity: "high",
      reason:
        "the certificate of www.example.com:443 changed: it is issued by C=ZZ, O=Another Authority, CN=CA 1 instead of C=US, O=Let's Encrypt, CN=R11; its key is new long before the old one's end on 2026-04-01",
    },
  },
];
