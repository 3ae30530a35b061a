import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import Bottleneck from "bottleneck";
import { Counter, Gauge, Histogram } from "prom-client";
import { runService } from "#runtime/lifecycle.ts";
import { findConfigFile, watchConfig } from "#runtime/load-config.ts";
import { createOneAtATime } from "#runtime/one-at-a-time.ts";
import { retry } from "#runtime/retry.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { readSecret } from "#runtime/secrets.ts";
import { createBasisCache } from "./basis.ts";
import { createIoFactory } from "./io/open-io.ts";
import { followLaneSettings } from "./lane-settings.ts";
import { joinMembers } from "./members.ts";
import { pullLanes } from "./pull-lanes.ts";
import type { FetcherParts } from "./run-job.ts";

const maxLooksAtOnce = 64;
/** At a stop, looks in hand may end for this long; then their jobs are left to another fetcher. */
const drainMs = 20_000;

await runService("fetcher", async ({ environment, broker, log, metrics }) => {
  const looks = new Counter({
    name: "paintdry_looks_total",
    help: "Looks, by module and what came of them; error is the kind of a failed one.",
    labelNames: ["module", "status", "error"],
    registers: [metrics],
  });
  const durations = new Histogram({
    name: "paintdry_look_duration_seconds",
    help: "How long looks take, waiting within a look for its host's limit included.",
    labelNames: ["module"],
    buckets: [0.01, 0.05, 0.2, 1, 5, 20, 60, 600],
    registers: [metrics],
  });
  const requests = new Counter({
    name: "paintdry_requests_total",
    help: "HTTP requests by status class, DNS questions and TLS handshakes (answered), and what failed by error kind.",
    labelNames: ["outcome"],
    registers: [metrics],
  });

  const id = `${hostname()
    .replaceAll(/[^\w.-]/g, "-")
    .slice(0, 40)}-${randomBytes(4).toString("hex")}`;
  const config = await watchConfig(findConfigFile(environment.configFile), { log });
  const members = joinMembers(broker.nc, id);
  const settings = await retry(() => followLaneSettings(broker, log), {
    firstMs: 200,
    mostMs: 5000,
    isTemporary: () => true,
  });
  const io = createIoFactory({
    config: () => config.current().config,
    readSecret,
    dataFolder: environment.dataFolder,
    liveFetchers: members.count,
    onRequest: ({ status, errorKind }) =>
      requests.inc({ outcome: status === null ? (errorKind ?? "answered") : `${Math.floor(status / 100)}xx` }),
  });
  const cap = new Bottleneck({ maxConcurrent: maxLooksAtOnce });
  const abandon = new AbortController();
  const parts: FetcherParts = {
    broker,
    log,
    id,
    config: config.current,
    basis: createBasisCache(
      createStoreClient(broker.nc, { retryForMs: Number.POSITIVE_INFINITY, signal: abandon.signal }),
    ),
    settings,
    openIo: (job, time) => io.open({ lane: job.lane, ...time }),
    oneAtATime: createOneAtATime(),
    withinCap: (look) => cap.schedule(look),
    onLook: ({ module, status, errorKind, durationMs }) => {
      looks.inc({ module, status, error: errorKind ?? "" });
      durations.observe({ module }, durationMs / 1000);
    },
    abandon: abandon.signal,
  };
  const lanes = pullLanes(parts, members);
  const _pulled = new Gauge({
    name: "paintdry_lanes_pulled",
    help: "Lanes this fetcher pulls.",
    registers: [metrics],
    collect() {
      this.set(lanes.lanes());
    },
  });
  const _resting = new Gauge({
    name: "paintdry_lanes_resting",
    help: "Lanes that rest because their host asked for it.",
    registers: [metrics],
    collect() {
      this.set(settings.restingLanes());
    },
  });

  return {
    stop: async () => {
      members.stop();
      const giveUp = setTimeout(() => abandon.abort(), drainMs);
      await lanes.stop();
      clearTimeout(giveUp);
      settings.stop();
      config.stop();
      await io.close();
    },
  };
});
