import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EnvHttpProxyAgent, fetch } from "undici";
import { lastLine, runProgram } from "./run-program.ts";

const version = "2.12.15";

/** SHA-256 of the release's archives, by Node's `process.arch`. */
const archives: Record<string, { name: string; sha256: string }> = {
  x64: { name: "linux-amd64", sha256: "58ab8131f819263897e2fc38e503e1b755b63bcafeecc7d12582487df48ca15e" },
  arm64: { name: "linux-arm64", sha256: "b724db99fefbf8f5c808baa82819ee50350aee9734017e4a478f7e545cef3ab6" },
};

const maxArchiveBytes = 64 * 1024 * 1024;

/** Downloads the official release, checks it against the pinned SHA-256 and unpacks it. */
export async function downloadRelease(folder: string, onProgress: (text: string) => void): Promise<string> {
  const archive = process.platform === "linux" ? archives[process.arch] : undefined;
  if (!archive) throw new Error(`none is pinned for ${process.platform} on ${process.arch}`);
  const name = `nats-server-v${version}-${archive.name}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${version}/${name}.tar.gz`;
  onProgress(`downloading nats-server ${version} from GitHub`);
  const bytes = await download(url);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== archive.sha256) throw new Error(`${url} has the SHA-256 ${sha256}, not the pinned one`);
  const file = join(folder, "release.tar.gz");
  writeFileSync(file, bytes);
  const result = await runProgram("tar", ["-xzf", file, "-C", folder, `${name}/nats-server`], { timeoutMs: 60_000 });
  if (result.status !== 0) throw new Error(`tar could not unpack it: ${lastLine(result)}`);
  return join(folder, name, "nats-server");
}

/** A closed network fails within seconds: the connection alone has a short limit. */
async function download(url: string): Promise<Buffer> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: 5000 }, headersTimeout: 15_000, bodyTimeout: 30_000 });
  try {
    const response = await fetch(url, { dispatcher, signal: AbortSignal.timeout(300_000) });
    if (!response.ok || !response.body) throw new Error(`${url} answers ${response.status}`);
    return await readBounded(response.body, url);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    throw new Error(`${error instanceof Error ? error.message : String(error)}${cause}`, { cause: error });
  } finally {
    await dispatcher.destroy();
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxArchiveBytes) throw new Error(`${url} is larger than ${maxArchiveBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
