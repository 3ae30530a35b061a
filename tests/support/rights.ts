import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { KV } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { lanesBucket } from "#contracts/subjects.ts";

/** One of the broker's users, and what it may do. */
export interface UserUnderTest {
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  lanes: KV;
  /** What the server refused it so far. */
  refusals: string[];
  /** Refused by the server? A plain publish tells only by the connection's status. */
  mayPublish(subject: string): Promise<boolean>;
  maySubscribe(subject: string): Promise<boolean>;
}

export async function connectAs(port: number, user: string, password: string): Promise<UserUnderTest> {
  const nc = await connect({
    servers: `127.0.0.1:${port}`,
    user,
    pass: password,
    inboxPrefix: `_INBOX_${user}`,
    reconnect: false,
  });
  const refusals: string[] = [];
  void (async () => {
    for await (const status of nc.status()) if (status.type === "error") refusals.push(status.error.message);
  })();
  const js = jetstream(nc, { timeout: 2000 });
  return {
    nc,
    js,
    jsm: await jetstreamManager(nc, { checkAPI: false, timeout: 2000 }),
    lanes: await new Kvm(js).open(lanesBucket, { allow_direct: true }),
    refusals,
    mayPublish: async (subject) => {
      const before = refusals.length;
      nc.publish(subject, "x");
      await answered(nc);
      return refusals.length === before;
    },
    maySubscribe: async (subject) => {
      const before = refusals.length;
      const subscription = nc.subscribe(subject, { callback: () => {} });
      await answered(nc);
      const isAllowed = !subscription.isClosed() && refusals.length === before;
      subscription.unsubscribe();
      return isAllowed;
    },
  };
}

/** Two round trips: the server's refusal stands before its answer to the ping, and its event a turn of the loop later. */
async function answered(nc: NatsConnection): Promise<void> {
  await nc.flush();
  await nc.flush();
  await new Promise((resolve) => setImmediate(resolve));
}
