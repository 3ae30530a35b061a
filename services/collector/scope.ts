import { matchesPattern } from "#contracts/config.ts";
import type { Config } from "#contracts/config.ts";
import type { ConfigRoot } from "#contracts/store.ts";
import { laneHost } from "#contracts/subjects.ts";

/** May a suggestion be followed without asking a person? */
export type Scope = (found: { lane: string; owner: string }) => boolean;

/** The hosts and owners that the targets themselves name, and those that `scope` adds by pattern. */
export function createScope(roots: ConfigRoot[], { hosts, owners }: Omit<Config["scope"], "perSource">): Scope {
  const namedHosts = new Set(roots.map(({ lane }) => hostName(lane)));
  const namedOwners = new Set(roots.map(({ owner }) => owner).filter((owner) => owner !== "-"));
  return ({ lane, owner }) => {
    const host = hostName(lane);
    return (
      namedHosts.has(host) ||
      namedOwners.has(owner) ||
      hosts.some((pattern) => matchesPattern(pattern, host)) ||
      (owner !== "-" && owners.some((pattern) => matchesPattern(pattern, owner)))
    );
  };
}

/** The host of a lane without its port: a site's other ports are the same party's. */
function hostName(lane: string): string {
  return laneHost(lane).replace(/:\d+$/, "");
}
