import { z } from "zod";
import { ModuleSection } from "#contracts/config.ts";
import type { ModuleInfo } from "#contracts/gateway.ts";
import { ModuleName } from "#contracts/messages.ts";
import type { loadModules } from "#runtime/load-modules.ts";
import type { StoreClient } from "#runtime/rpc.ts";

/** The part of a configuration that names modules; one in force was checked when it was applied. */
const ModuleSections = z.object({ modules: z.record(ModuleName, ModuleSection).default({}) }).catch({ modules: {} });

/** The modules in use: the native ones and the commands that the configuration in force names, by name. */
export function createModuleList(store: StoreClient, load: typeof loadModules): () => Promise<ModuleInfo[]> {
  let listed: { revision: number; modules: Promise<ModuleInfo[]> } | null = null;
  return async () => {
    const { revision, document } = await store.call("read.config", {});
    if (listed?.revision !== revision) {
      listed = { revision, modules: listModules(load, ModuleSections.parse(document).modules) };
    }
    return await listed.modules;
  };
}

async function listModules(
  load: typeof loadModules,
  sections: z.infer<typeof ModuleSections>["modules"],
): Promise<ModuleInfo[]> {
  const modules = [...(await load(sections)).values()];
  return modules
    .map(({ definition: { name, version, summary }, isCommand }) => ({ name, version, summary, isCommand }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
