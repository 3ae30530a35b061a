import { createHmac } from "node:crypto";
import { StartError } from "#runtime/errors.ts";

/**
 * The `webhook-signature` header of the Standard Webhooks specification: `v1,` and the base64 HMAC-SHA256 of
 * `<id>.<timestamp>.<body>`. A secret of several lines signs once with each, so that a receiver can change keys.
 */
export function signatureHeader(
  secret: string,
  { id, timestamp, body }: { id: string; timestamp: number; body: Uint8Array },
): string {
  const keys = secret.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (keys.length === 0) throw new StartError("empty_secret", "the secret of a webhook is empty");
  return keys.map((key) => `v1,${sign(keyBytes(key.trim()), `${id}.${timestamp}.`, body)}`).join(" ");
}

function sign(key: Uint8Array, prefix: string, body: Uint8Array): string {
  return createHmac("sha256", key).update(prefix).update(body).digest("base64");
}

/** `whsec_` marks base64, as the specification writes keys; any other text is the key as it stands. */
function keyBytes(key: string): Uint8Array {
  if (!key.startsWith("whsec_")) return Buffer.from(key, "utf8");
  const base64 = key.slice("whsec_".length);
  const bytes = Buffer.from(base64, "base64");
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && bytes.length > 0;
  if (!isBase64) throw new StartError("bad_secret", "the secret of a webhook starts with whsec_ but is not base64");
  return bytes;
}
