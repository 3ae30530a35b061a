import type { NatsConnection } from "@nats-io/nats-core";
import { sha256Hex } from "#contracts/canonical.ts";
import { subjects } from "#contracts/subjects.ts";

/**
 * Which fetcher pulls which lane: rendezvous hashing over the fetchers heard of lately. It is only a hint: the server
 * enforces a lane's concurrency whoever pulls, so disagreement for a second is harmless.
 */
export interface Members {
  isMine(lane: string): boolean;
  /** How many fetchers are alive, this one included. */
  count(): number;
  stop(): void;
}

const heartbeatMs = 1000;
const deadAfterMs = 3500;

export function joinMembers(nc: NatsConnection, id: string): Members {
  const heardAt = new Map<string, number>([[id, Number.POSITIVE_INFINITY]]);
  const beat = (isLeaving = false) => {
    if (!nc.isClosed()) nc.publish(subjects.fetcherHeartbeat, JSON.stringify({ id, isLeaving }));
  };
  const subscription = nc.subscribe(subjects.fetcherHeartbeat, {
    callback: (error, message) => {
      if (error) return;
      const heard = readHeartbeat(message.string());
      if (heard === null || heard.id === id) return;
      if (heard.isLeaving) heardAt.delete(heard.id);
      else heardAt.set(heard.id, performance.now());
    },
  });
  const timer = setInterval(() => {
    beat();
    for (const [member, at] of heardAt) if (performance.now() - at > deadAfterMs) heardAt.delete(member);
  }, heartbeatMs);
  beat();
  return {
    isMine: (lane) => rendezvousOwner(heardAt.keys(), lane) === id,
    count: () => heardAt.size,
    stop: () => {
      clearInterval(timer);
      beat(true);
      subscription.unsubscribe();
    },
  };
}

const idPattern = /^[\w.-]{1,80}$/;

function readHeartbeat(text: string): { id: string; isLeaving: boolean } | null {
  try {
    const { id, isLeaving } = JSON.parse(text) as { id?: unknown; isLeaving?: unknown };
    return typeof id === "string" && idPattern.test(id) ? { id, isLeaving: isLeaving === true } : null;
  } catch {
    return null;
  }
}

/** The member with the highest weight for a lane; the same in every fetcher that knows the same members. */
export function rendezvousOwner(members: Iterable<string>, lane: string): string | null {
  let owner: string | null = null;
  let highest = "";
  for (const member of members) {
    const weight = sha256Hex(`${member}|${lane}`);
    if (weight > highest) {
      highest = weight;
      owner = member;
    }
  }
  return owner;
}
