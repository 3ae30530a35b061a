import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startChangingWorld } from "../support/changing-world.ts";
import type { ChangingWorld } from "../support/changing-world.ts";
import { drive } from "../support/drive.ts";
import { killPart, startPart } from "../support/parts.ts";
import { chooseSeed, createRandom } from "../support/random.ts";
import { expectPublishedOnce, expectTruth, isUpToDate, outcomesSettled, readRecorded } from "../support/truth.ts";
import { followLive, startReceiver } from "../support/witnesses.ts";
import { startWorld, until } from "../support/world.ts";
import type { World } from "../support/world.ts";

/** How often each of the hundred pages moves in each part; PAINTDRY_TEST_MOVES=50 makes a long run. */
const moves = Number(process.env["PAINTDRY_TEST_MOVES"] ?? 5);
const limit = { perSecond: 40, concurrency: 2 };
const seed = chooseSeed();
const random = createRandom(seed);
const twice = ["store", "assessor", "fetcher", "collector", "gateway", "notifier"] as const;

let watched: ChangingWorld;
let world: World;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let live: ReturnType<typeof followLive>;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  [watched, receiver] = await Promise.all([startChangingWorld({ seed, hosts: 5, sitesEach: 20 }), startReceiver()]);
  world = await startWorld({
    ownPostgres: true,
    instances: Object.fromEntries(twice.map((name) => [name, 2])),
    config: {
      targets: [{ modules: ["http"], resources: watched.sites.map(({ url }) => url) }],
      schedule: { every: "1s", soonerAfterChange: "1s", retryAfter: "1s" },
      limits: { default: limit },
      egress: { allow: ["127.0.0.0/8"] },
      notify: { routes: [{ name: "hook", least: "none", webhook: { url: receiver.url } }] },
    },
  });
  live = followLive(world, ["gateway", "gateway-2"]);
}, 120_000);

afterAll(async () => {
  await live?.stop();
  await world?.stop();
  await Promise.all([watched?.stop(), receiver?.stop()]);
});

/** Ends them all at the same moment, and starts them again a moment later without waiting for them. */
async function kill(victims: readonly string[]): Promise<void> {
  await Promise.all(victims.map((victim) => killPart(world, victim)));
  await sleep(random.integer(100, 1000));
  await Promise.all(victims.map((victim) => startPart(world, victim)));
}

async function countRecorded(): Promise<number> {
  return (await until("changes counted", async () => ({ all: await readRecorded(world) }))).all.length;
}

/** Kills one after the other, spread over so many changes. */
async function killAmong(changes: number, victims: string[][]): Promise<void> {
  const before = await countRecorded();
  for (const [turn, together] of victims.entries()) {
    const due = before + Math.floor((changes * (turn + 0.5)) / victims.length);
    await until(
      `${due} changes before killing ${together.join(" and ")}`,
      async () => (await countRecorded()) >= due,
      60_000,
    );
    console.log(`${due} changes: kill -9 ${together.join(" ")}`);
    await kill(together);
  }
}

describe("kill -9 in the middle of changes", () => {
  it("begins with a baseline of every page and no change", async () => {
    await until("baseline", async () => await isUpToDate(world, watched.sites), 60_000);
    expect(await readRecorded(world)).toEqual([]);
  }, 90_000);

  it("of all but fetchers comes through with values that move by themselves", async () => {
    const others = twice.filter((name) => name !== "fetcher");
    const victims = random.shuffle([
      ...others.flatMap((name) => [[name], [name, `${name}-2`]]),
      ["provisioner"],
      ["nats"],
      ["postgres"],
    ]);
    watched.runFreely(moves);
    await killAmong(watched.sites.length * moves * 0.8, victims);
    await until(
      "all moves recorded",
      async () => watched.sites.every(({ movesLeft }) => movesLeft === 0) && (await isUpToDate(world, watched.sites)),
      60_000 + 5000 * moves,
    );
    await world.services.waitUntilReady(60_000);
    expect(await countRecorded()).toBeGreaterThan(watched.sites.length * (moves - 1));
  }, 600_000);

  it("of fetchers comes through with values that stand until they are recorded", async () => {
    const killing = killAmong(watched.sites.length * moves * 0.4, [["fetcher"], ["fetcher-2"]]);
    await Promise.all([drive(world, watched, moves), killing]);
    await world.services.waitUntilReady(60_000);
    expect(await isUpToDate(world, watched.sites)).toBe(true);
  }, 600_000);

  it("loses no value that was ever answered, and doubles none", async () => {
    await outcomesSettled(world);
    const recorded = await expectTruth(world, watched.sites);
    expect(recorded).toHaveLength(watched.sites.length * 2 * moves);
    console.log(`${recorded.length} changes, ${recorded.filter(({ isLate }) => isLate).length} of them late`);
  }, 120_000);

  it("leaves every change once on CHANGES, in the live feed, and at the webhook by its id", async () => {
    await until("all published", async () => (await readRecorded(world)).every(({ isPublished }) => isPublished));
    const recorded = await readRecorded(world);
    await expectPublishedOnce(world, recorded);
    await until("live feed complete", async () => live.ids.length >= recorded.length);
    expect(live.ids).toEqual(recorded.map(({ id }) => id));
    const sent = () => [...new Set(receiver.ids)].toSorted();
    const ids = recorded.map(({ id }) => id).toSorted();
    await until("webhook complete", async () => sent().length >= ids.length, 60_000);
    expect(sent()).toEqual(ids);
    console.log(`${receiver.ids.length - ids.length} webhooks came again`);
  }, 120_000);

  it("never let a host see more than its limit and one urgent look", () => {
    for (const [host, { startsAt, mostAtOnce }] of watched.loads) {
      expect({ host, mostAtOnce: Math.max(mostAtOnce, limit.concurrency + 1) }).toEqual({
        host,
        mostAtOnce: limit.concurrency + 1,
      });
      const most = Math.max(...startsAt.map((at, first) => countWithin(startsAt, first, at + 1000)));
      // Each of them paced by itself, and a timer may fire a millisecond early.
      const allowed = limit.perSecond + limit.perSecond / limit.concurrency + limit.concurrency + 1;
      expect({ host, isWithin: most <= allowed, most }).toEqual({ host, isWithin: true, most });
    }
  });
});

function countWithin(startsAt: readonly number[], first: number, endsAt: number): number {
  let last = first;
  while (last < startsAt.length && (startsAt[last] ?? 0) < endsAt) last += 1;
  return last - first;
}
