import type { StoreReply } from "#contracts/store.ts";
import { checkConfig } from "#runtime/load-config.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { createScope } from "./scope.ts";
import type { Scope } from "./scope.ts";
import { applyConfig, configRoots } from "./targets.ts";

const refreshEveryMs = 15_000;

/** The configuration this collector works by, and what follows from it. */
export interface InForce {
  loaded: LoadedConfig;
  /** 0 with a configuration that another has replaced: whatever is brought under it is refused as stale. */
  revision: number;
  isInScope: Scope;
}

export interface FollowedConfig {
  current(): InForce;
  /** Until there is one. */
  first(): Promise<void>;
  onChange(listener: () => void): void;
  /** Puts this collector's own file in force, or takes over the newer configuration that is. */
  offer(loaded: LoadedConfig): Promise<void>;
  /** Takes over what another collector has put in force since; the revision in force, taken over or not. */
  refresh(): Promise<number>;
  stop(): void;
}

/**
 * All collectors work by the one configuration in force, whichever of their files it came from: a collector whose own
 * file is older than another's works by the store's copy of the newer one.
 */
export function followInForce(parts: { store: StoreClient; log: Logger; everyMs?: number }): FollowedConfig {
  const { store, log } = parts;
  const listeners: (() => void)[] = [];
  let isThere = () => {};
  const first = new Promise<void>((resolve) => (isThere = resolve));
  let inForce: InForce | undefined;

  const follow = (loaded: LoadedConfig, revision: number) => {
    const isInScope = createScope(configRoots(loaded), loaded.config.scope);
    inForce = { loaded, revision, isInScope };
    isThere();
    for (const listener of listeners) listener();
  };
  /** An older database was restored: what had come into force since is put in force again. */
  const offerAgain = async ({ loaded }: InForce, read: StoreReply<"read.config">) => {
    log.warn({ revision: read.revision }, "the store holds an older configuration than before: offered again");
    const applied = await applyConfig(loaded, store);
    if (applied.outcome !== "older") return follow(loaded, applied.revision);
    const kept = await understand(read, log);
    if (kept !== null) follow(kept, read.revision);
  };
  const refresh = async () => {
    const read = await store.call("read.config", {});
    if (inForce && read.revision < inForce.revision) {
      await offerAgain(inForce, read);
      return inForce.revision;
    }
    if (inForce?.revision === read.revision) return read.revision;
    const newer = await understand(read, log);
    // Meanwhile this collector's own file may have come into force.
    if (newer !== null && read.revision > (inForce?.revision ?? 0)) follow(newer, read.revision);
    return read.revision;
  };
  const offer = async (loaded: LoadedConfig) => {
    const applied = await applyConfig(loaded, store);
    log.info(applied, "configuration offered");
    if (applied.outcome !== "older") return follow(loaded, applied.revision);
    if (!inForce) follow(loaded, 0);
    await refresh();
  };
  const timer = setInterval(() => {
    refresh().catch((error: unknown) => log.warn({ err: error }, "configuration in force not read"));
  }, parts.everyMs ?? refreshEveryMs);
  return {
    current: () => {
      if (!inForce) throw new Error("no configuration is in force yet");
      return inForce;
    },
    first: async () => await first,
    onChange: (listener) => void listeners.push(listener),
    offer,
    refresh,
    stop: () => clearInterval(timer),
  };
}

/** A newer release may have put in force what this one does not understand: it then leaves findings to others. */
async function understand(
  { document, revision }: StoreReply<"read.config">,
  log: Logger,
): Promise<LoadedConfig | null> {
  const checked = await checkConfig(document);
  if (checked.isValid) return checked.loaded;
  log.error({ revision, faults: checked.faults }, "the configuration in force is not valid for this collector");
  return null;
}
