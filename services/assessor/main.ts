import { Counter } from "prom-client";
import { durables, streams } from "#contracts/subjects.ts";
import { findConfigFile, watchConfig } from "#runtime/load-config.ts";
import { runService } from "#runtime/lifecycle.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { consumeStream } from "#runtime/settle.ts";
import { assess } from "./assess.ts";
import { startSweeper } from "./sweep.ts";
import { createUnchangedBatch } from "./unchanged.ts";

await runService("assessor", async ({ environment, broker, log, metrics }) => {
  const outcomes = new Counter({
    name: "paintdry_outcomes_total",
    help: "Outcomes of looks assessed, by status; dropped ones are counted besides.",
    labelNames: ["status"],
    registers: [metrics],
  });
  const config = await watchConfig(findConfigFile(environment.configFile), { log });
  const store = createStoreClient(broker.nc);
  const parts = {
    broker,
    store,
    log,
    config: config.current,
    commitUnchanged: createUnchangedBatch(store),
    onOutcome: (status: string) => outcomes.inc({ status }),
  };
  const sweeper = startSweeper(parts);
  const consumer = consumeStream({
    broker,
    stream: streams.observations,
    durable: durables.assessor,
    deadKind: "observation",
    concurrency: 100,
    ackWaitMs: 30_000,
    log,
    handle: (message) => assess(message, parts),
  });
  return {
    stop: async () => {
      config.stop();
      await Promise.all([consumer.stop(), sweeper.stop()]);
    },
  };
});
