import { randomUUID } from "node:crypto";
import { durables, streams } from "#contracts/subjects.ts";
import { decode } from "#runtime/codec.ts";
import { runService } from "#runtime/lifecycle.ts";
import { findConfigFile, watchConfig } from "#runtime/load-config.ts";
import { createOneAtATime } from "#runtime/one-at-a-time.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { readSecret } from "#runtime/secrets.ts";
import { consumeStream, done } from "#runtime/settle.ts";
import type { ConsumeOptions, Delivery } from "#runtime/settle.ts";
import { deliverEvent } from "./deliver.ts";
import type { DeliverOptions } from "./deliver.ts";
import { createDeliveryMetrics } from "./delivery-metrics.ts";
import { createLanes } from "./lanes.ts";
import { AlertEvent, channelsOf, destinationsOf } from "./route.ts";
import { startRetrying } from "./retry-due.ts";
import { sendTo } from "./send.ts";
import { webhookAgent } from "./webhook.ts";

/**
 * Events in hand at the same time: as many as the durables let be unacknowledged, so that none waits here unattended
 * until it is delivered again. Each destination takes only a few of them at a time.
 */
const concurrency = 256;
const laneOptions = { slotsEach: 8, patienceMs: 2000 };

await runService("notifier", async ({ environment, broker, log, metrics }) => {
  const stopping = new AbortController();
  const watch = await watchConfig(findConfigFile(environment.configFile), { log });
  const notify = () => watch.current().config.notify;
  const agent = webhookAgent();
  const options: DeliverOptions = {
    store: createStoreClient(broker.nc, { signal: stopping.signal }),
    claimant: randomUUID(),
    send: (event, destination) => sendTo(event, destination, { notify: notify(), readSecret, agent }),
    lanes: createLanes(laneOptions),
    metrics: createDeliveryMetrics(metrics),
    log,
    signal: stopping.signal,
  };
  // An event can come again while it is still in hand here, after an interrupted connection.
  const oneAtATime = createOneAtATime();
  const handle = async (delivery: Delivery) => {
    const event = decode(delivery, AlertEvent);
    const finished = options.metrics.take(event.time);
    try {
      await oneAtATime(event.id, () => deliverEvent(event, destinationsOf(event, notify().routes), options));
    } finally {
      finished();
    }
    return done;
  };
  const common: Pick<ConsumeOptions, "broker" | "concurrency" | "ackWaitMs" | "log" | "handle"> = {
    broker,
    concurrency,
    ackWaitMs: 30_000,
    log,
    handle,
  };
  const consumers = [
    consumeStream({ ...common, stream: streams.changes, durable: durables.notifierChanges, deadKind: "change" }),
    consumeStream({ ...common, stream: streams.health, durable: durables.notifierHealth, deadKind: "health" }),
  ];
  const retrying = startRetrying(() => notify().routes.flatMap(channelsOf), options);
  return {
    stop: async () => {
      watch.stop();
      stopping.abort();
      await Promise.all([...consumers.map((consumer) => consumer.stop()), retrying.stop()]);
      await agent.close();
    },
  };
});
