import Bottleneck from "bottleneck";
import pLimit from "p-limit";
import { LookError } from "#contracts/look-error.ts";
import { laneHost } from "#contracts/subjects.ts";

/** How politely a host is treated: `limits` of the configuration. */
export interface HostLimit {
  /** Looks a second. */
  perSecond: number;
  /** Looks at the same time. */
  concurrency: number;
}

/** What shapes the calls of one look. */
export interface LookLimits {
  /** Runs a call to a host (`host` or `host:port`) when it may; throws `timeout` if the signal aborts before. */
  run<Result>(host: string, call: () => Promise<Result>): Promise<Result>;
}

export interface Limits {
  forLook(look: { lane: string; signal: AbortSignal }): LookLimits;
}

export interface LimitsOptions {
  limitOf(host: string): HostLimit;
  /** How many fetchers are alive, this one among them: calls outside lanes share the rate among them. */
  liveFetchers(): number;
  /** Calls at the same time in this process. */
  maxConcurrent: number;
}

/** A look's further requests to its own host come at most this many times as fast as looks do. */
const followUpFactor = 10;
const maxFollowUpSpacingMs = 1000;

/**
 * Shapes the calls within looks. The un-acked job is the permit for the lane's host: a look's first call to it goes at
 * once, since the lane has already paced it. Further calls to it come one at a time (so that a host never sees more
 * calls at once than the lane's concurrency), spaced by a tenth of the lane's interval and at most a second: 100 ms
 * at one look a second, so that a look of many calls still ends within its deadline. Other hosts have one limiter
 * each in this process, with `perSecond ÷ live fetchers`. Bottleneck costs a timer a call, so that what needs no
 * pacing (a look's first call, the cap of the process) goes past it.
 */
export function createLimits(options: LimitsOptions): Limits {
  const inProcess = pLimit(options.maxConcurrent);
  const others = new Bottleneck.Group({});

  function otherHost(host: string): Bottleneck {
    const { perSecond, concurrency } = options.limitOf(host);
    const limiter = others.key(host);
    limiter.updateSettings({
      minTime: Math.ceil((1000 * Math.max(1, options.liveFetchers())) / perSecond),
      maxConcurrent: concurrency,
    });
    return limiter;
  }

  function forLook({ lane, signal }: { lane: string; signal: AbortSignal }): LookLimits {
    const host = laneHost(lane);
    let first: Promise<unknown> | undefined;
    let followUps: Bottleneck | undefined;

    function run<Result>(target: string, call: () => Promise<Result>): Promise<Result> {
      const turn = () => inProcess(() => unlessAborted(target, signal, call));
      if (target !== host) return untilAborted(target, signal, () => otherHost(target).schedule(turn));
      if (first === undefined) {
        const answer = untilAborted(target, signal, turn);
        first = answer.catch(() => {});
        return answer;
      }
      const limiter = (followUps ??= createFollowUps(options.limitOf(lane), first));
      return untilAborted(target, signal, () => limiter.schedule(turn));
    }

    return { run };
  }

  return { forLook };
}

/** Its first slot stands for the call that went before it. */
function createFollowUps(limit: HostLimit, before: Promise<unknown>): Bottleneck {
  const limiter = new Bottleneck({ maxConcurrent: 1, minTime: followUpSpacingMs(limit) });
  void limiter.schedule(() => before);
  return limiter;
}

function followUpSpacingMs({ perSecond }: HostLimit): number {
  return Math.min(maxFollowUpSpacingMs, Math.ceil(1000 / perSecond / followUpFactor));
}

/** A queued call cannot be taken out of its queue; it is skipped when its turn comes. */
async function unlessAborted<Result>(host: string, signal: AbortSignal, call: () => Promise<Result>): Promise<Result> {
  if (signal.aborted) throw waitedTooLong(host);
  return call();
}

async function untilAborted<Result>(host: string, signal: AbortSignal, queue: () => Promise<Result>): Promise<Result> {
  if (signal.aborted) throw waitedTooLong(host);
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(waitedTooLong(host));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([queue(), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function waitedTooLong(host: string): LookError {
  return new LookError("timeout", `the look's time was over before ${host} answered`);
}
