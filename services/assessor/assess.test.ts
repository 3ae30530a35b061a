import { afterAll, beforeAll, expect, it } from "vitest";
import type { Outcome } from "#contracts/messages.ts";
import { storeRpc } from "#contracts/store.ts";
import { resourceId, streams, subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { encode } from "#runtime/codec.ts";
import { RpcError } from "#runtime/errors.ts";
import { createLog } from "#runtime/log.ts";
import { publish } from "#runtime/publish.ts";
import { createStoreClient, serveRpc } from "#runtime/rpc.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { assess } from "./assess.ts";
import type { AssessorParts } from "./assess.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
const [module, resource] = ["http", "https://example.com/"];
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  await broker.jsm.streams.add({
    name: streams.observations,
    subjects: [subjects.allObservations],
    retention: "workqueue",
    allow_direct: true,
  });
});
afterAll(async () => {
  await broker?.close();
  await nats?.stop();
});

function failedLook(sequence: number): Outcome {
  const at = "2026-01-01T00:00:00.000Z";
  return {
    module,
    resource,
    operation: "observation",
    cause: "schedule",
    job: { epoch: 1, sequence },
    deliveryCount: 1,
    fetcher: "fetcher-1",
    moduleVersion: 1,
    optionsFingerprint: "",
    basis: 0,
    startedAt: at,
    finishedAt: at,
    requests: 1,
    bodyBytes: 0,
    status: "failed",
    error: { kind: "unreachable", message: "" },
  };
}

it("records an outcome although one before it can never be recorded", async () => {
  const committed: number[] = [];
  const { "read.values": read, "write.commit": write } = storeRpc;
  const served = serveRpc(
    broker.nc,
    { subjectOf: subjects.storeRpc, queue: "store", contract: { "read.values": read, "write.commit": write }, log },
    {
      "read.values": async () => ({
        id: resourceId(module, resource),
        state: "confirmed" as const,
        owner: "-",
        lane: "example.com",
        revision: 0,
        fingerprint: null,
        exists: null,
        moduleVersion: null,
        optionsFingerprint: null,
        values: [],
        following: [],
      }),
      "write.commit": async ({ look: { job } }) => {
        if (job.sequence === 1) throw new RpcError("bad_request", "a value cannot be stored", { isTemporary: false });
        committed.push(job.sequence);
        return { outcome: "committed" as const, revision: 0, changes: [], health: [] };
      },
    },
  );
  const subject = subjects.observation(module, resource);
  for (const sequence of [1, 2]) {
    await publish(broker.js, {
      stream: streams.observations,
      subject,
      body: failedLook(sequence),
      messageId: String(sequence),
    });
  }
  const parts = { broker, log, store: createStoreClient(broker.nc), onOutcome: () => {} } as unknown as AssessorParts;
  const message = { subject, ...encode(failedLook(2)), sequence: 2, deliveryCount: 1 };
  expect(await assess(message, parts)).toEqual({ type: "done" });
  expect(committed).toEqual([2]);
  await served.stop();
});
