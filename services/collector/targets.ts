import type { ConfigRoot, StoreReply } from "#contracts/store.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import type { Modules } from "#runtime/load-modules.ts";
import type { StoreClient } from "#runtime/rpc.ts";

/** What a resource's module says of it, or why it cannot be one of its resources. */
export type Placed =
  | { isPlaced: true; resource: string; lane: string; owner: string }
  | { isPlaced: false; why: string };

/** Normalises a resource by its module and finds its lane and owner. Never throws, whatever the resource is. */
export function place(modules: Modules, module: string, resource: string): Placed {
  const definition = modules.get(module)?.definition;
  if (!definition) return { isPlaced: false, why: `there is no module ${module}` };
  const parsed = definition.resource.safeParse(resource);
  if (!parsed.success) {
    return { isPlaced: false, why: parsed.error.issues.map((issue) => issue.message).join("; ") };
  }
  return {
    isPlaced: true,
    resource: parsed.data,
    lane: definition.lane(parsed.data),
    owner: definition.owner(parsed.data),
  };
}

/** The resources the targets name, each once; of several periods the shortest counts. */
export function configRoots({ config, modules }: LoadedConfig): ConfigRoot[] {
  const roots = new Map<string, ConfigRoot>();
  for (const target of config.targets) {
    for (const module of target.modules) {
      for (const named of target.resources) {
        const placed = place(modules, module, named);
        if (!placed.isPlaced) continue; // a fault, refused when the file was read
        const { resource, lane, owner } = placed;
        const key = `${module}|${resource}`;
        const everyMs = shorter(roots.get(key)?.everyMs, target.schedule?.every);
        roots.set(key, { module, resource, lane, owner, everyMs });
      }
    }
  }
  return [...roots.values()];
}

function shorter(a: number | null | undefined, b: number | undefined): number | null {
  if (a === null || a === undefined) return b ?? null;
  return b === undefined ? a : Math.min(a, b);
}

/** Puts a configuration in force; idempotent, and harmless when a newer one is in force already. */
export async function applyConfig(loaded: LoadedConfig, store: StoreClient): Promise<StoreReply<"write.config">> {
  const { config, document, hash, modifiedAt } = loaded;
  const everyMsByModule: Record<string, number> = {};
  for (const [name, section] of Object.entries(config.modules)) {
    if (section.schedule?.every !== undefined) everyMsByModule[name] = section.schedule.every;
  }
  return await store.call("write.config", {
    hash,
    modifiedAt,
    document,
    roots: configRoots(loaded),
    everyMs: config.schedule.every,
    everyMsByModule,
    retryAfterMs: config.schedule.retryAfter,
    soonerAfterChangeMs: config.schedule.soonerAfterChange,
    announceAfter: config.schedule.announceAfter,
    rediscoverEveryMs: config.schedule.rediscoverEvery,
  });
}
