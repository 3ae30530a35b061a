import type { Io } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { confirm, type DiscoveryAnswer, type DiscoveryRequest, suggest } from "#contracts/module.ts";
import { isAddress } from "../shared/web.ts";
import { knownPaths } from "./known-paths.ts";
import type { HttpOptions } from "./options.ts";

/** The URL itself; for a site's root also the known paths, and its plain http twin; and what stands behind it. */
export async function* discovery(
  { resource, source, options }: DiscoveryRequest<HttpOptions>,
  io: Io,
): AsyncGenerator<DiscoveryAnswer> {
  const url = new URL(resource);
  yield confirm(resource);
  const isHttps = url.protocol === "https:";
  // What this module has found itself has a resource before it that led to these.
  if (source === "http") return;
  if (!isAddress(url.hostname)) yield suggest("dns", url.hostname);
  if (isHttps) yield suggest("tls", `${url.hostname}:${url.port || "443"}`);
  if (url.pathname !== "/" || url.search !== "") return;
  if (options.knownPaths) for (const { path } of knownPaths) yield confirm(`${url.origin}${path}`);
  const twin = `http://${url.hostname}/`;
  if (isHttps && url.port === "" && (await isAnswered(twin, io))) yield confirm(twin);
}

/** A site that does not answer over plain http at all needs no watch on it. */
async function isAnswered(twin: string, io: Io): Promise<boolean> {
  try {
    await io.http.request({ url: twin, method: "HEAD" });
    return true;
  } catch (error) {
    if (!(error instanceof LookError)) throw error;
    return error.kind !== "unreachable" && error.kind !== "timeout" && error.kind !== "refused";
  }
}
