import { gunzipSync, gzipSync } from "node:zlib";
import { headers } from "@nats-io/nats-core";
import type { MsgHdrs } from "@nats-io/nats-core";
import type { z } from "zod";
import { MalformedMessageError } from "./errors.ts";

/** From this size on a body is compressed. */
const compressFromBytes = 16_384;
/** The most a compressed body may unfold to. */
const maxBodyBytes = 256 * 1024 * 1024;

export interface EncodedBody {
  data: Uint8Array;
  headers: MsgHdrs | undefined;
}

interface ReceivedBody {
  data: Uint8Array;
  headers?: MsgHdrs | undefined;
}

/** A body as it travels between services: JSON, gzipped when large (`Content-Encoding: gzip`). */
export function encode(body: unknown): EncodedBody {
  const json = Buffer.from(JSON.stringify(body));
  if (json.byteLength < compressFromBytes) return { data: json, headers: undefined };
  const compressed = headers();
  compressed.set("Content-Encoding", "gzip");
  return { data: gzipSync(json, { level: 1 }), headers: compressed };
}

/** The JSON of a received body. Throws `MalformedMessageError`. */
export function decodeJson(message: ReceivedBody, { maxBytes = maxBodyBytes } = {}): unknown {
  const encoding = message.headers?.get("Content-Encoding");
  try {
    const json = encoding === "gzip" ? gunzipSync(message.data, { maxOutputLength: maxBytes }) : message.data;
    if (json.byteLength > maxBytes) throw new RangeError(`it is longer than ${maxBytes} bytes`);
    return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8"));
  } catch (error) {
    throw new MalformedMessageError("the body is not JSON", { cause: error });
  }
}

/** A received body that must fit a schema. Throws `MalformedMessageError` that names the first fault. */
export function decode<Schema extends z.ZodType>(
  message: ReceivedBody,
  schema: Schema,
  options: { maxBytes?: number } = {},
): z.infer<Schema> {
  const parsed = schema.safeParse(decodeJson(message, options));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MalformedMessageError(`the body's ${issue?.path.join(".") || "root"}: ${issue?.message ?? "is wrong"}`);
}
