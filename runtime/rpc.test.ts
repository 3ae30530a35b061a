import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startNats } from "../tests/support/nats.ts";
import type { TestNats } from "../tests/support/nats.ts";
import { connectBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";
import { createLog } from "./log.ts";
import { callRpc, serveRpc } from "./rpc.ts";

const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
const contract = { echo: { request: z.string(), reply: z.object({ length: z.number() }) } };
let nats: TestNats;
let broker: Broker;
let asked = 0;

beforeAll(async () => {
  nats = await startNats();
  broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, "test", log);
  serveRpc(
    broker.nc,
    { subjectOf: (name) => `rpc.${name}`, queue: "rpc", contract, log },
    {
      echo: async (text) => {
        asked += 1;
        return { length: text.length };
      },
    },
  );
});
afterAll(async () => {
  await broker?.close();
  await nats?.stop();
});

describe("requests between services", () => {
  it("are answered into an inbox alone: nobody has a service write on another subject by its right to answer", async () => {
    const written: string[] = [];
    broker.nc.subscribe("elsewhere.>", { callback: (_error, message) => void written.push(message.subject) });
    broker.nc.publish("rpc.echo", JSON.stringify("abc"), { reply: "elsewhere.stream" });
    broker.nc.publish("rpc.echo", JSON.stringify("abc"));
    expect(await callRpc(broker.nc, "rpc.echo", "abcd", contract.echo.reply)).toEqual({ length: 4 });
    await broker.nc.flush();
    expect(written).toEqual([]);
    expect(asked).toBe(1);
  });

  it("that do not fit into a message fail for good, instead of being repeated for ever", async () => {
    const text = randomBytes(8 * 1024 * 1024).toString("base64");
    await expect(callRpc(broker.nc, "rpc.echo", text, contract.echo.reply)).rejects.toMatchObject({
      code: "too_large",
      isTemporary: false,
    });
  });
});
