import { Counter, Gauge } from "prom-client";
import { runService } from "#runtime/lifecycle.ts";
import { findConfigFile, watchConfig } from "#runtime/load-config.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { answerChecks } from "./checks.ts";
import { followEpoch } from "./epoch.ts";
import { followInForce } from "./in-force.ts";
import { keepLanes } from "./lanes.ts";
import { startSchedule } from "./schedule.ts";
import { takeSuggestions } from "./suggestions.ts";

await runService("collector", async ({ environment, broker, log, metrics }) => {
  const store = createStoreClient(broker.nc, { retryForMs: Number.POSITIVE_INFINITY });
  const inForce = followInForce({ store, log });
  const file = watchConfig(findConfigFile(environment.configFile), {
    log,
    onConfig: inForce.offer,
    onFaults: async (faults) => {
      await store.call("write.refused_config", { faults });
      await inForce.refresh();
    },
  });
  // After a restart beside an invalid file the configuration in force stays in force.
  await Promise.race([file, inForce.first()]);

  const published = new Counter({
    name: "paintdry_jobs_published_total",
    help: "Jobs offered to the stream, by cause and what became of them.",
    labelNames: ["cause", "outcome"],
    registers: [metrics],
  });
  const lanes = keepLanes({ broker, store, log, limits: () => inForce.current().loaded.config.limits });
  inForce.onChange(lanes.reconcileSoon);
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
  const suggestions = takeSuggestions({ broker, store, log, inForce });
  const checks = answerChecks({ broker, store, lanes, log, modules: () => inForce.current().loaded.modules, epoch });

  return {
    stop: async () => {
      void file.then((watch) => watch.stop());
      inForce.stop();
      lanes.stop();
      await Promise.all([schedule.stop(), suggestions.stop(), checks.stop()]);
    },
  };
});
