import type { GitIo, HttpIo } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { branchesWith } from "./git-clone.ts";
import type { GitWayOut } from "./git-proxy.ts";
import { listRefs } from "./git-refs.ts";
import type { LookLimits } from "./limits.ts";

export interface GitIoOptions extends GitWayOut {
  http: HttpIo;
  /** Of this look, as is the signal. */
  limits: LookLimits;
  signal: AbortSignal;
  scratchFolder: string;
  caps?: Partial<GitCaps>;
}

export interface GitCaps {
  /** Of one list of refs. */
  maxListBytes: number;
  maxRefs: number;
  maxCloneBytes: number;
  /** Less than a look's deadline: a clone that takes too long must not cost the look, or the move is never told. */
  cloneTimeoutMs: number;
}

const mebibyte = 1024 * 1024;
const defaultCaps: GitCaps = {
  maxListBytes: 32 * mebibyte,
  maxRefs: 250_000,
  maxCloneBytes: 200 * mebibyte,
  cloneTimeoutMs: 45_000,
};

/** `io.git` of one look: repositories over HTTP(S). */
export function createGitIo(options: GitIoOptions): GitIo {
  const caps = { ...defaultCaps, ...options.caps };
  const listing = { maxBytes: caps.maxListBytes, maxRefs: caps.maxRefs };
  return {
    refs: async (url, prefixes) => listRefs(options.http, requireHttp(url), prefixes, listing),
    branchesWith: async (url, commits) => {
      const [repository, ids] = [requireHttp(url), commits.map(requireId)];
      return options.limits.run(new URL(repository).host, () => branchesWith(repository, ids, { ...options, ...caps }));
    },
  };
}

function requireHttp(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isFit = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.search === "" && parsed.hash === "";
  if (!isFit) throw new LookError("module", "A repository's URL is an http or https one without query and fragment.");
  return url.replace(/\/+$/, "");
}

/** Ids become arguments of a child: nothing else may. */
function requireId(id: string): string {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(id))
    throw new LookError("module", "A commit's id is 40 or 64 hex digits.");
  return id;
}
