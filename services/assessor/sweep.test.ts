import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { resourceId, streams, subjects } from "#contracts/subjects.ts";
import type { Change } from "#contracts/messages.ts";
import { storeRpc } from "#contracts/store.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { createLog } from "#runtime/log.ts";
import { createStoreClient, serveRpc } from "#runtime/rpc.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { startSweeper } from "./sweep.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  await broker.jsm.streams.add({ name: streams.changes, subjects: [subjects.allChanges] });
});
afterAll(async () => {
  await broker?.close();
  await nats?.stop();
});

function largeChange(position: number): Change {
  const [module, resource] = ["http", "https://example.com/"];
  const at = "2026-11-22T10:00:00.000Z";
  return {
    id: randomUUID(),
    position,
    resourceId: resourceId(module, resource),
    module,
    resource,
    host: "example.com",
    owner: "-",
    attribute: "scripts",
    kind: "changed",
    oldValue: null,
    newValue: randomBytes(300_000).toString("base64"),
    severity: "high",
    reason: "a script appeared",
    isLate: false,
    observedAt: at,
    recordedAt: at,
  };
}

it("publishes changes that together do not fit into one answer of the store", async () => {
  const unpublished = new Map([1, 2, 3, 4, 5].map(largeChange).map((change) => [change.id, change]));
  const { "read.unpublished": read, "write.published": published } = storeRpc;
  const contract = { "read.unpublished": read, "write.published": published };
  const served = serveRpc(
    broker.nc,
    { subjectOf: subjects.storeRpc, queue: "store", contract, log },
    {
      "read.unpublished": async ({ limit }) => {
        const changes = [...unpublished.values()].slice(0, limit).map((change) => ({ change, isReplay: false }));
        return { changes, health: [] };
      },
      "write.published": async ({ changes }) => {
        for (const id of changes) unpublished.delete(id);
        return {};
      },
    },
  );
  const sweeper = startSweeper({ broker, store: createStoreClient(broker.nc), log }, { everyMs: 20 });
  await vi.waitFor(() => expect(unpublished.size).toBe(0), { timeout: 10_000 });
  await sweeper.stop();
  await served.stop();
  expect((await broker.jsm.streams.info(streams.changes)).state.messages).toBe(5);
});
