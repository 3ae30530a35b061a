import type { Msg } from "@nats-io/nats-core";
import { Kvm } from "@nats-io/kv";
import { z } from "zod";
import { lanesBucket } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import type { Logger } from "#runtime/log.ts";

const LaneLimit = z.object({ perSecond: z.number().positive(), concurrency: z.int().positive() });
export type LaneLimit = z.infer<typeof LaneLimit>;
const LaneRest = z.object({ until: z.iso.datetime() });

/**
 * What the lanes' bucket says, by lane token: limits (written by the collector) and rests (by fetchers). Read by
 * direct get when a lane is taken and followed by a plain subscription, never by a watch: whoever handles downloaded
 * bytes may not create consumers.
 */
export interface LaneSettings {
  /** Reads both from the bucket. */
  load(laneToken: string): Promise<void>;
  limit(laneToken: string): LaneLimit;
  /** Milliseconds until the lane may be asked again; 0 when it is not resting. */
  restMs(laneToken: string): number;
  /** Tells every fetcher to leave the lane alone for so long. */
  rest(laneToken: string, forMs: number): Promise<void>;
  /** Calls back when a lane's limit is written: the lane may be new. */
  onLimit(listener: (laneToken: string) => void): void;
  restingLanes(): number;
  stop(): void;
}

/** Whatever the bucket says, a lane rests no longer than this. */
export const longestRestMs = 24 * 3_600_000;
const defaultLimit: LaneLimit = { perSecond: 1, concurrency: 1 };

export async function followLaneSettings({ nc, js }: Broker, log: Logger): Promise<LaneSettings> {
  const bucket = await new Kvm(js).open(lanesBucket, { allow_direct: true });
  const limits = new Map<string, LaneLimit>();
  const restsUntil = new Map<string, number>();
  const listeners: ((laneToken: string) => void)[] = [];

  // Of two answers that ask for a rest, the one that asks for more counts, whichever came last.
  const lengthen = (laneToken: string, until: number) => {
    const longest = Math.min(Date.now() + longestRestMs, Math.max(until, restsUntil.get(laneToken) ?? 0));
    restsUntil.set(laneToken, longest);
    return longest;
  };
  const apply = (key: string, text: string) => {
    const [kind, laneToken] = splitKey(key);
    if (laneToken === undefined) return;
    try {
      if (kind === "limit") {
        limits.set(laneToken, LaneLimit.parse(JSON.parse(text)));
        for (const listener of listeners) listener(laneToken);
      } else if (kind === "rest") {
        lengthen(laneToken, Date.parse(LaneRest.parse(JSON.parse(text)).until));
      }
    } catch (error) {
      log.warn({ err: error, key }, "lane setting ignored");
    }
  };
  const subscription = nc.subscribe(`$KV.${lanesBucket}.>`, {
    callback: (error: Error | null, message: Msg) => {
      const isRemoval = message?.headers?.has("KV-Operation");
      if (!error && !isRemoval) apply(message.subject.split(".").slice(2).join("."), message.string());
    },
  });

  return {
    load: async (laneToken) => {
      for (const key of [`limit.${laneToken}`, `rest.${laneToken}`]) {
        const entry = await bucket.get(key);
        if (entry?.operation === "PUT") apply(key, entry.string());
      }
    },
    limit: (laneToken) => limits.get(laneToken) ?? defaultLimit,
    restMs: (laneToken) => Math.max(0, (restsUntil.get(laneToken) ?? 0) - Date.now()),
    rest: async (laneToken, forMs) => {
      const until = new Date(lengthen(laneToken, Date.now() + forMs)).toISOString();
      await bucket.put(`rest.${laneToken}`, JSON.stringify({ until }));
    },
    onLimit: (listener) => void listeners.push(listener),
    restingLanes: () => [...restsUntil.values()].filter((until) => until > Date.now()).length,
    stop: () => subscription.unsubscribe(),
  };
}

function splitKey(key: string): [string, string | undefined] {
  const dot = key.indexOf(".");
  return dot < 0 ? [key, undefined] : [key.slice(0, dot), key.slice(dot + 1)];
}
