import { AckPolicy } from "@nats-io/jetstream";
import type { Msg } from "@nats-io/transport-node";
import { pino } from "pino";
import { laneDurable, streams, subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import { provision } from "#runtime/provision.ts";
import { permissionBlock } from "../../cli/outside-users.ts";
import type { OutsideUser } from "../../cli/outside-users.ts";
import { startNats } from "./nats.ts";
import type { TestNats } from "./nats.ts";
import { connectAs } from "./rights.ts";
import type { UserUnderTest } from "./rights.ts";

export const services = ["collector", "fetcher", "assessor", "store", "gateway", "notifier"] as const;

/** One of each kind of outside user. */
export const outsiders: OutsideUser[] = [
  { kind: "subscriber", name: "siem", subjects: ["paintdry.change.high.>"] },
  { kind: "source", name: "inventory", source: "cmdb.example" },
  { kind: "fetcher", name: "fetcher-eu" },
];
export const everybody: string[] = [...services, ...outsiders.map(({ name }) => name)];

export const changeSubject = subjects.change({
  severity: "high",
  module: "http",
  host: "example.com",
  owner: "-",
  resource: "https://example.com/",
  attribute: "status_code",
});
export const job = subjects.job("example.com", "due", "http", "https://example.com/");
export const observation = subjects.observation("http", "https://example.com/");

/** A lane that is there from the start. */
export const lane = laneDurable("example.com", "due");
export const laneSettings = {
  durable_name: lane,
  filter_subject: subjects.laneJobs("example.com", "due"),
  ack_policy: AckPolicy.Explicit,
  max_ack_pending: 1,
};

export interface Castle {
  nats: TestNats;
  as(name: string): UserUnderTest;
  users: Map<string, UserUnderTest>;
  stop(): Promise<void>;
}

/** A provisioned broker with the permission file that ships, and a connection of every user; store and collector answer. */
export async function startCastle(): Promise<Castle> {
  const password = "poutside";
  const nats = await startNats({
    permissions: true,
    outsideUsers: outsiders.map((user) => permissionBlock(user, password)),
  });
  await provisionFor(nats);
  const users = new Map<string, UserUnderTest>();
  for (const name of [...services, "provisioner", "admin"] as const) {
    users.set(name, await connectAs(nats.port, name, nats.passwordOf(name)));
  }
  for (const { name } of outsiders) users.set(name, await connectAs(nats.port, name, password));
  const as = (name: string): UserUnderTest => {
    const user = users.get(name);
    if (!user) throw new Error(`no user ${name}`);
    return user;
  };
  await as("admin").jsm.consumers.add(streams.jobs, laneSettings);
  const answer = (_error: Error | null, message: Msg): void => {
    message.respond("{}");
  };
  as("store").nc.subscribe(subjects.storeRpc(">"), { queue: "store", callback: answer });
  as("collector").nc.subscribe(subjects.collectorRpc("check"), { queue: "collector", callback: answer });
  await Promise.all([as("store").nc.flush(), as("collector").nc.flush()]);
  return {
    nats,
    as,
    users,
    stop: async () => {
      await Promise.all([...users.values()].map(({ nc }) => nc.close()));
      await nats.stop();
    },
  };
}

async function provisionFor(nats: TestNats): Promise<void> {
  const log = pino({ level: "silent" });
  const broker = await connectBroker({ natsUrl: nats.url("provisioner"), natsCaFile: null }, "provisioner", log);
  const subscribers = [{ name: "siem", subjects: ["paintdry.change.high.>"] }];
  await provision(broker, log, { subscribers, storeWaitMs: 0 });
  await broker.close();
}
