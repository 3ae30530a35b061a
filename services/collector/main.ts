import { Counter, Gauge } from "prom-client";
import { runService } from "#runtime/lifecycle.ts";
import { findConfigFile, watchConfig } from "#runtime/load-config.ts";
import type { LoadedConfig } from "#runtime/load-config.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { answerChecks } from "./checks.ts";
import { followEpoch } from "./epoch.ts";
import { keepLanes } from "./lanes.ts";
import { startSchedule } from "./schedule.ts";
import { createScope } from "./scope.ts";
import { takeSuggestions } from "./suggestions.ts";
import type { InForce } from "./suggestions.ts";
import { applyConfig, configRoots } from "./targets.ts";

await runService("collector", async ({ environment, broker, log, metrics }) => {
  const store = createStoreClient(broker.nc, { retryForMs: Number.POSITIVE_INFINITY });
  let inForce: InForce | undefined;
  const config = await watchConfig(findConfigFile(environment.configFile), {
    log,
    onConfig: async (loaded: LoadedConfig) => {
      const applied = await applyConfig(loaded, store);
      log.info(applied, "configuration put in force");
      const isInScope = createScope(configRoots(loaded), loaded.config.scope);
      // With an older file than the one in force, whatever this collector brings is refused as stale.
      inForce = { loaded, revision: applied.outcome === "older" ? 0 : applied.revision, isInScope };
    },
    onFaults: async (faults) => void (await store.call("write.refused_config", { faults })),
  });
  const current = () => {
    if (!inForce) throw new Error("no configuration is in force yet");
    return inForce;
  };

  const published = new Counter({
    name: "paintdry_jobs_published_total",
    help: "Jobs offered to the stream, by cause and what became of them.",
    labelNames: ["cause", "outcome"],
    registers: [metrics],
  });
  const lanes = keepLanes({ broker, store, log, limits: () => config.current().config.limits });
  const _laneCount = new Gauge({
    name: "paintdry_lanes",
    help: "Lanes that stand.",
    registers: [metrics],
    collect() {
      this.set(lanes.count());
    },
  });
  const epoch = followEpoch({ broker, store });
  const schedule = startSchedule({
    broker,
    store,
    lanes,
    log,
    epoch,
    onPublished: (cause, outcome) => published.inc({ cause, outcome }),
  });
  const suggestions = takeSuggestions({ broker, store, log, inForce: current });
  const checks = answerChecks({ broker, store, lanes, log, modules: () => current().loaded.modules, epoch });

  return {
    stop: async () => {
      config.stop();
      lanes.stop();
      await Promise.all([schedule.stop(), suggestions.stop(), checks.stop()]);
    },
  };
});
