import { createHash } from "node:crypto";
import type { Config, SecretRef } from "#contracts/config.ts";

/** What a request to a host carries beyond what its module asked for. No module ever sees it. */
export interface Credentials {
  /** `authorization`, or nothing where there is none for that very host, or the way there is not private. */
  headersFor(url: URL): Record<string, string>;
  /** Names the credential without telling it, so that one token's cached answers never reach another; "" for none. */
  fingerprintFor(url: URL): string;
}

/** Reads every secret once. Throws what `readSecret` throws, so that a missing secret stops the start. */
export function createCredentials(
  configured: Config["credentials"],
  readSecret: (ref: SecretRef) => string,
): Credentials {
  const byHost = new Map<string, string>();
  for (const [host, { username, token }] of Object.entries(configured)) {
    byHost.set(host.toLowerCase(), authorization(username, readSecret(token)));
  }

  function find(url: URL): string | undefined {
    return isPrivateWay(url) ? byHost.get(url.host) : undefined;
  }

  return {
    headersFor: (url) => {
      const value = find(url);
      return value === undefined ? {} : { authorization: value };
    },
    fingerprintFor: (url) => {
      const value = find(url);
      return value === undefined ? "" : createHash("sha256").update(value).digest("hex").slice(0, 32);
    },
  };
}

function authorization(username: string | undefined, token: string): string {
  if (username === undefined) return `Bearer ${token}`;
  return `Basic ${Buffer.from(`${username}:${token}`).toString("base64")}`;
}

/** A secret travels encrypted, or does not leave this machine. */
function isPrivateWay(url: URL): boolean {
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}
