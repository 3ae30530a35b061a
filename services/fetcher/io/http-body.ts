import type { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from "node:zlib";
import { LookError } from "#contracts/look-error.ts";

/** What a request offers to take; `decoders` takes these back. */
export const acceptedEncodings = "gzip, br, zstd";

const decoders: Record<string, () => Transform> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  br: createBrotliDecompress,
  // RFC 9659: a window of at most 8 MiB.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } }),
};

/** Compressed bytes that decompress to nothing are bounded too. */
const overheadBytes = 65_536;

export interface ReceivedBody {
  body: Uint8Array;
  /** As they came over the wire. */
  wireBytes: number;
}

/** Reads a body whole, decompressed as it comes: past `maxBytes` on either side it stops, `too_large`. */
export async function readBody(
  stream: Readable,
  request: { host: string; encodings: string[]; maxBytes: number; signal: AbortSignal },
): Promise<ReceivedBody> {
  const { host, maxBytes, signal } = request;
  const chunks: Uint8Array[] = [];
  let bodyBytes = 0;
  let wireBytes = 0;

  async function* countWire(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      wireBytes += chunk.byteLength;
      if (wireBytes > maxBytes + overheadBytes) throw tooLarge(host, maxBytes);
      yield chunk;
    }
  }
  async function collect(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) {
      bodyBytes += chunk.byteLength;
      if (bodyBytes > maxBytes) throw tooLarge(host, maxBytes);
      chunks.push(chunk);
    }
  }

  const decoder = decoderFor(host, request.encodings);
  try {
    if (decoder === null) await pipeline(stream, countWire, collect, { signal });
    else await pipeline(stream, countWire, decoder, collect, { signal });
  } catch (error) {
    // A redirect without a body may still name an encoding: nothing is not a truncated something.
    if (wireBytes > 0 || (error as NodeJS.ErrnoException).code !== "Z_BUF_ERROR") throw error;
  }
  return { body: Buffer.concat(chunks), wireBytes };
}

function decoderFor(host: string, encodings: string[]): Transform | null {
  const names = encodings
    .flatMap((line) => line.toLowerCase().split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity");
  const [name] = names;
  if (name === undefined) return null;
  const decoder = names.length === 1 ? decoders[name] : undefined;
  if (decoder === undefined)
    throw new LookError(
      "malformed",
      `${host} compressed its answer in a way not asked for: ${names.join(", ").slice(0, 100)}`,
    );
  return decoder();
}

function tooLarge(host: string, maxBytes: number): LookError {
  return new LookError("too_large", `${host} sent more than ${maxBytes} bytes`);
}

/** The body as text: by its byte order mark, else by the content type's charset, else as UTF-8. */
export function decodeText(body: Uint8Array, contentType: string | undefined): string {
  const label = charsetOfMark(body) ?? /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(label).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}

function charsetOfMark([first, second, third]: Uint8Array): string | null {
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return null;
}
