import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Outcome } from "#contracts/messages.ts";
import { durables, streams, subjects } from "#contracts/subjects.ts";
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

/** How many changes there are, once all is settled: each of them true, and published once. */
async function countTrueChanges(): Promise<number> {
  await outcomesSettled(world);
  const published = async () => (await readRecorded(world)).every(({ isPublished }) => isPublished);
  await until("all published", published, 60_000);
  const recorded = await expectTruth(world, watched.sites);
  await expectPublishedOnce(world, recorded);
  return recorded.length;
}

/** Moves every site so often while something happens: so many more changes there must be, and no others. */
async function driveThrough(times: number, happening: () => Promise<void>): Promise<void> {
  const before = (await readRecorded(world)).length;
  await Promise.all([drive(world, watched, times), happening()]);
  expect(await countTrueChanges()).toBe(before + times * watched.sites.length);
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

async function startInOrder(parts: readonly string[]): Promise<void> {
  console.log(parts.join(", "));
  for (const part of parts) {
    await sleep(random.integer(0, 200));
    await startPart(world, part);
  }
  await world.services.waitUntilReady(60_000);
}

/** What was in the hands of a service that was stopped is done long before the ack wait of half a minute. */
async function stopAndStart(instance: string): Promise<void> {
  const { state } = await world.jsm.streams.info(streams.observations);
  await world.stopService(instance);
  const stoppedAt = Date.now();
  await startPart(world, instance);
  await until(
    `the work of ${instance} taken over`,
    async () => {
      const { ack_floor: floor } = await world.jsm.consumers.info(streams.observations, durables.assessor);
      const { first_ts: oldest, messages } = (await world.jsm.streams.info(streams.jobs)).state;
      return floor.stream_seq >= state.last_seq && (messages === 0 || Date.parse(oldest) > stoppedAt);
    },
    20_000,
  );
}

describe("whatever comes and goes", () => {
  it.each([{ isMixed: false }, { isMixed: true }])(
    "services start in any order, NATS and PostgreSQL among them or last: $isMixed",
    async ({ isMixed }) => {
      const instances = [...world.services.supervised.keys()];
      const servers = ["nats", "postgres"];
      await Promise.all(instances.map((instance) => world.stopService(instance)));
      await Promise.all(servers.map((server) => killPart(world, server)));
      await startInOrder(
        isMixed
          ? random.shuffle([...instances, ...servers])
          : [...random.shuffle(instances), ...random.shuffle(servers)],
      );
      await driveThrough(1, async () => {});
      expect(await isUpToDate(world, watched.sites)).toBe(true);
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
    await driveThrough(3, async () => {
      for (const instance of random.shuffle([...twice, "provisioner"])) await stopAndStart(instance);
      await world.services.waitUntilReady(60_000);
    });
    expect(await isUpToDate(world, watched.sites)).toBe(true);
  }, 180_000);
});

describe("whatever is lost", () => {
  it("JOBS comes back under a new epoch, and the slots that are due with it", async () => {
    const before = await readEpoch(streams.jobs);
    await driveThrough(2, async () => {
      await sleep(random.integer(0, 1000));
      await deleteStream(streams.jobs);
    });
    expect(await readEpoch(streams.jobs)).toBeGreaterThan(before);
  }, 120_000);

  it("what was on OBSERVATIONS is seen again", async () => {
    await driveThrough(2, async () => {
      await sleep(random.integer(0, 1000));
      await deleteStream(streams.observations);
    });
    expect(await isUpToDate(world, watched.sites)).toBe(true);
  }, 120_000);

  it("CHANGES is filled again with the same events, which alert nobody", async () => {
    await driveThrough(1, async () => {});
    await alertsComplete();
    const old = new Set((await readRecorded(world)).map(({ id }) => id));
    await driveThrough(1, async () => {
      await deleteStream(streams.changes);
    });
    const replayed = (await readChangesStream(world)).filter(({ replay }) => replay);
    expect(new Set(replayed.map(({ id }) => id))).toEqual(old);
    await alertsComplete();
  }, 120_000);

  it("yesterday's database takes over what was published since, and goes on from there", async () => {
    const yesterday = await backUp(world);
    await driveThrough(2, async () => {});
    const lost = await readRecorded(world);
    await yesterday.restore();
    await until("the lost changes taken over", async () => (await readRecorded(world)).length >= lost.length);
    await driveThrough(2, async () => {});
    expect((await readRecorded(world)).slice(0, lost.length).map(({ id }) => id)).toEqual(lost.map(({ id }) => id));
    await alertsComplete();
  }, 180_000);
});
