import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { createLog } from "#runtime/log.ts";
import { startNats } from "../../tests/support/nats.ts";
import type { TestNats } from "../../tests/support/nats.ts";
import { joinMembers, rendezvousOwner } from "./members.ts";
import type { Members } from "./members.ts";

const lanes = Array.from({ length: 3000 }, (_, index) => `host-${index}_example`);
const four = ["fetcher-a", "fetcher-b", "fetcher-c", "fetcher-d"];

function ownersOf(members: string[]): (string | null)[] {
  return lanes.map((lane) => rendezvousOwner(members, lane));
}

describe("who pulls a lane", () => {
  it("is the same for everybody who knows the same members, in whatever order", () => {
    expect(ownersOf(four.toReversed())).toEqual(ownersOf(four));
    expect(rendezvousOwner([], "lane")).toBeNull();
    expect(rendezvousOwner(["alone"], "lane")).toBe("alone");
  });

  it("is spread evenly", () => {
    const owners = ownersOf(four);
    for (const member of four) {
      const share = owners.filter((owner) => owner === member).length / lanes.length;
      expect(share).toBeGreaterThan(0.2);
      expect(share).toBeLessThan(0.3);
    }
  });

  it("moves only for the lanes of a member that goes, or to one that comes", () => {
    const before = ownersOf(four);
    const after = ownersOf(four.slice(0, 3));
    const moved = before.filter((owner, index) => owner !== after[index]);
    expect(new Set(moved)).toEqual(new Set(["fetcher-d"]));
    expect(after).not.toContain("fetcher-d");
  });
});

describe("fetchers that hear of each other", () => {
  const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
  const patience = { timeout: 15_000, interval: 50 };
  let nats: TestNats;
  const joined: { members: Members; broker: Broker }[] = [];
  beforeAll(async () => {
    nats = await startNats();
  });
  afterEach(async () => {
    for (const { members, broker } of joined.splice(0)) {
      members.stop();
      await broker.close();
    }
  });
  afterAll(async () => await nats?.stop());

  async function join(id: string): Promise<Members & { broker: Broker }> {
    const broker = await connectBroker({ natsUrl: nats.url(), natsCaFile: null }, id, log);
    const members = joinMembers(broker.nc, id);
    joined.push({ members, broker });
    return { ...members, broker };
  }

  it("share the lanes, each pulled by one", async () => {
    const fetchers = [await join("fetcher-a"), await join("fetcher-b"), await join("fetcher-c")];
    await vi.waitFor(() => expect(fetchers.map((fetcher) => fetcher.count())).toEqual([3, 3, 3]), patience);
    for (const lane of lanes) expect(fetchers.filter((fetcher) => fetcher.isMine(lane))).toHaveLength(1);
  });

  it("take over from one that leaves at once, and from one that dies after a while", async () => {
    const [stays, leaves, dies] = [await join("stays"), await join("leaves"), await join("dies")];
    await vi.waitFor(() => expect(stays.count()).toBe(3), patience);
    leaves.stop();
    await vi.waitFor(() => expect(stays.count()).toBe(2), patience);
    expect(lanes.every((lane) => stays.isMine(lane))).toBe(false);
    // Its heart stops without a word.
    await dies.broker.nc.close();
    await vi.waitFor(() => expect(stays.count()).toBe(1), patience);
    expect(lanes.every((lane) => stays.isMine(lane))).toBe(true);
  });

  it("take no notice of what is no heartbeat, nor of one that speaks in their name", async () => {
    const fetcher = await join("fetcher-a");
    const other = await join("fetcher-b");
    const sayings = ["", "null", "{", "[]", '{"id":7}', `{"id":"${"x".repeat(100)}"}`, '{"id":"a b"}'];
    const own = '{"id":"fetcher-a","isLeaving":true}';
    for (const text of [...sayings, own]) other.broker.nc.publish(subjects.fetcherHeartbeat, text);
    other.broker.nc.publish(subjects.fetcherHeartbeat, '{"id":"fetcher-c"}');
    await vi.waitFor(() => expect(fetcher.count()).toBe(3), patience);
    expect(lanes.some((lane) => fetcher.isMine(lane))).toBe(true);
  });
});
