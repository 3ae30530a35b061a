import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Outcome } from "#contracts/messages.ts";
import { streams, subjects } from "#contracts/subjects.ts";
import { decode } from "#runtime/codec.ts";
import { backUp } from "../support/backup.ts";
import { startChangingWorld } from "../support/changing-world.ts";
import type { ChangingWorld } from "../support/changing-world.ts";
import { drive } from "../support/drive.ts";
import { killPart, startPart } from "../support/parts.ts";
import { chooseSeed, createRandom } from "../support/random.ts";
import { expectPublishedOnce, expectTruth, isUpToDate, outcomesSettled, readRecorded } from "../support/truth.ts";
import { readChangesStream, startReceiver } from "../support/witnesses.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";

const twice = ["store", "assessor", "fetcher", "collector", "gateway", "notifier"] as const;
const seed = chooseSeed();
const random = createRandom(seed);

let watched: ChangingWorld;
let world: World;
let receiver: Awaited<ReturnType<typeof startReceiver>>;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  [watched, receiver] = await Promise.all([startChangingWorld({ seed, hosts: 3, sitesEach: 10 }), startReceiver()]);
  world = await startWorld({
    ownPostgres: true,
    instances: Object.fromEntries(twice.map((name) => [name, 2])),
    config: {
      targets: [{ modules: ["http"], resources: watched.sites.map(({ url }) => url) }],
      schedule: { every: "1s", soonerAfterChange: "1s", retryAfter: "1s" },
      limits: { default: { perSecond: 40, concurrency: 2 } },
      egress: { allow: ["127.0.0.0/8"] },
      notify: { routes: [{ name: "hook", least: "none", webhook: { url: receiver.url } }] },
    },
  });
  await until("baseline", async () => await isUpToDate(world, watched.sites), 60_000);
}, 120_000);

afterAll(async () => {
  await world?.stop();
  await Promise.all([watched?.stop(), receiver?.stop()]);
});

/** A stream deleted outright comes back by the provisioner: within half a minute, or when it starts. */
async function deleteStream(stream: string): Promise<void> {
  await world.jsm.streams.delete(stream);
  await world.stopService("provisioner");
  await world.start("provisioner");
}

async function expectNothingLostOrDoubled(): Promise<void> {
  await outcomesSettled(world);
  const published = async () => (await readRecorded(world)).every(({ isPublished }) => isPublished);
  await until("all published", published, 60_000);
  await expectPublishedOnce(world, await expectTruth(world, watched.sites));
}

async function alertsComplete(): Promise<void> {
  const recorded = await readRecorded(world);
  await until("all alerts sent", async () => receiver.ids.length >= recorded.length, 60_000);
  expect(receiver.ids.toSorted()).toEqual(recorded.map(({ id }) => id).toSorted());
}

async function readEpoch(stream: string): Promise<number> {
  const { rows } = await world.database.query("SELECT epoch::float8 FROM stream_epoch WHERE stream = $1", [stream]);
  return rows[0].epoch;
}

describe("whatever comes and goes", () => {
  it.each(["with NATS and PostgreSQL last", "with all mixed"])(
    "services start in any order, %s",
    async (order) => {
      const instances = [...world.services.supervised.keys()];
      const parts = [...instances, "nats", "postgres"];
      await Promise.all(parts.map((part) => killPart(world, part)));
      const shuffled = order.endsWith("last")
        ? [...random.shuffle(instances), ...random.shuffle(["nats", "postgres"])]
        : random.shuffle(parts);
      console.log(shuffled.join(", "));
      for (const part of shuffled) {
        await sleep(random.integer(0, 200));
        await startPart(world, part);
      }
      await world.services.waitUntilReady(60_000);
      await drive(world, watched, 1);
      await expectNothingLostOrDoubled();
    },
    120_000,
  );

  it("two collectors offer each slot, and one job comes of it", async () => {
    const offered: string[] = [];
    const done = new Set<number>();
    const jobs = world.nc.subscribe(subjects.allJobs, {
      callback: (_error, message) => void offered.push(message.headers?.get("Nats-Msg-Id") ?? ""),
    });
    const { state } = await world.jsm.streams.info(streams.jobs);
    const outcomes = world.nc.subscribe(subjects.allObservations, {
      callback: (_error, message) => {
        const { cause, job } = decode(message, Outcome);
        if (cause === "schedule" && job.sequence > state.last_seq) done.add(job.sequence);
      },
    });
    await until("some slots done", async () => done.size > watched.sites.length * 3);
    outcomes.unsubscribe();
    jobs.unsubscribe();
    const slots = offered.filter((id) => /^[0-9a-f]{32}@\d+#/.test(id));
    expect(slots.length).toBeGreaterThan(new Set(slots).size * 1.5);
    expect(done.size).toBeLessThanOrEqual(new Set(slots).size);
  });

  it("SIGTERM in the middle of work leaves nothing that waits for its redelivery", async () => {
    const driven = drive(world, watched, 3);
    for (const instance of random.shuffle([...twice, "provisioner"])) {
      const { state } = await world.jsm.streams.info(streams.observations);
      await world.stopService(instance);
      const stoppedAt = Date.now();
      await startPart(world, instance);
      // What was in its hands is done long before the ack wait of half a minute.
      await until(
        `the work of ${instance} taken over`,
        async () => {
          const floor = (await world.jsm.consumers.info(streams.observations, "assessor")).ack_floor.stream_seq;
          const { first_ts: oldest, messages } = (await world.jsm.streams.info(streams.jobs)).state;
          return floor >= state.last_seq && (messages === 0 || Date.parse(oldest) > stoppedAt);
        },
        20_000,
      );
    }
    await driven;
    await world.services.waitUntilReady(60_000);
    await expectNothingLostOrDoubled();
  }, 180_000);
});

describe("whatever is lost", () => {
  it("JOBS comes back under a new epoch, and the slots that are due with it", async () => {
    const before = await readEpoch(streams.jobs);
    const driven = drive(world, watched, 2);
    await sleep(random.integer(0, 1000));
    await deleteStream(streams.jobs);
    await driven;
    expect(await readEpoch(streams.jobs)).toBeGreaterThan(before);
    await expectNothingLostOrDoubled();
  }, 120_000);

  it("outcomes on OBSERVATIONS are seen again", async () => {
    const driven = drive(world, watched, 2);
    await sleep(random.integer(0, 1000));
    await deleteStream(streams.observations);
    await driven;
    await expectNothingLostOrDoubled();
  }, 120_000);

  it("CHANGES is filled again with the same events, which alert nobody", async () => {
    await alertsComplete();
    const old = new Set((await readRecorded(world)).map(({ id }) => id));
    await world.jsm.streams.delete(streams.changes);
    const driven = drive(world, watched, 1);
    await sleep(random.integer(0, 1000));
    await world.stopService("provisioner");
    await world.start("provisioner");
    await driven;
    await expectNothingLostOrDoubled();
    const replayed = (await readChangesStream(world)).filter(({ replay }) => replay);
    expect(new Set(replayed.map(({ id }) => id))).toEqual(old);
    await alertsComplete();
  }, 120_000);

  it("yesterday's database takes over what was published since, and goes on from there", async () => {
    const yesterday = await backUp(world);
    await drive(world, watched, 2);
    await expectNothingLostOrDoubled();
    const lost = await readRecorded(world);
    await yesterday.restore();
    await until("the lost changes taken over", async () => (await readRecorded(world)).length >= lost.length);
    await drive(world, watched, 2);
    await expectNothingLostOrDoubled();
    expect((await readRecorded(world)).slice(0, lost.length).map(({ id }) => id)).toEqual(lost.map(({ id }) => id));
    await alertsComplete();
  }, 180_000);
});
