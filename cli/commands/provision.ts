import type { Command } from "commander";
import { connectBroker } from "#runtime/broker.ts";
import { readEnvironment } from "#runtime/environment.ts";
import { runService } from "#runtime/lifecycle.ts";
import { createLog } from "#runtime/log.ts";
import { keepProvisioned, provision } from "#runtime/provision.ts";
import { readUsers, subscribersOf } from "../outside-users.ts";

const everyMs = 30_000;

export function addProvision(program: Command): void {
  program
    .command("provision")
    .description(
      "make the broker's streams, bucket and consumers that are missing (PAINTDRY_NATS_URL: the provisioner)",
    )
    .option("--watch", "as a service: now and every half minute, so that a stream deleted outright comes back")
    .option("--users <file>", "outside users, whose consumers are made too (default PAINTDRY_USERS_FILE)")
    .action(async (options: { watch?: boolean; users?: string }) => {
      const usersFile = options.users ?? process.env.PAINTDRY_USERS_FILE;
      const readSubscribers = () => (usersFile ? subscribersOf(readUsers(usersFile)) : []);
      if (options.watch) await provisionAsService(readSubscribers);
      else await provisionOnce(readSubscribers());
    });
}

async function provisionOnce(subscribers: ReturnType<typeof subscribersOf>): Promise<void> {
  const log = createLog("provisioner");
  const broker = await connectBroker(readEnvironment(), "provisioner", log);
  try {
    await provision(broker, log, { subscribers, storeWaitMs: 2000 });
  } finally {
    await broker.close();
  }
}

async function provisionAsService(readSubscribers: () => ReturnType<typeof subscribersOf>): Promise<void> {
  await runService("provisioner", async ({ broker, log }) => {
    const stopping = new AbortController();
    const state = { isDone: false };
    const running = keepProvisioned(broker, log, {
      everyMs,
      signal: stopping.signal,
      readSubscribers,
      onDone: () => {
        state.isDone = true;
      },
    });
    return {
      notReadyBecause: () => (state.isDone ? null : "the streams are not made, or the store does not know of them yet"),
      stop: async () => {
        stopping.abort();
        await running;
      },
    };
  });
}
