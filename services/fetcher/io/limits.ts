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
  /**
   * Runs a call to a host (`host` or `host:port`) when it may. Throws `timeout`, naming what it waited for, if the signal
   * aborts before, or at once if the calls before it leave no time until the look's deadline.
   */
  run<Result>(host: string, call: () => Promise<Result>): Promise<Result>;
  /** A call that touches no watched host, such as a question to a resolver: only the cap of the process holds it. */
  runUnpaced<Result>(host: string, call: () => Promise<Result>): Promise<Result>;
}

export interface LookTime {
  lane: string;
  signal: AbortSignal;
  /** When the signal aborts, by `performance.now()`. */
  deadlineAt?: number;
}

export interface Limits {
  forLook(look: LookTime): LookLimits;
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

  function otherHost(host: string, look: LookTime): Waiting {
    const { perSecond, concurrency } = options.limitOf(host);
    const minTime = Math.ceil((1000 * Math.max(1, options.liveFetchers())) / perSecond);
    const limiter = others.key(host);
    limiter.updateSettings({ minTime, maxConcurrent: concurrency });
    const waitsFor = `the limit of ${host}, a call every ${minTime} ms from this fetcher`;
    const waitMs = (limiter.counts().RECEIVED + limiter.counts().QUEUED) * minTime;
    // Whoever waits in vain would still take a turn: a queue longer than looks are would never recover.
    if (look.deadlineAt !== undefined && performance.now() + waitMs > look.deadlineAt)
      throw new LookError("timeout", `the look has no time for ${waitsFor}: others wait for it`);
    return { limiter, waitsFor };
  }

  function forLook(look: LookTime): LookLimits {
    const { lane, signal } = look;
    const host = laneHost(lane);
    let first: Promise<unknown> | undefined;
    let followUps: Bottleneck | undefined;

    function runUnpaced<Result>(target: string, call: () => Promise<Result>): Promise<Result> {
      return untilAborted({ target, signal, waitsFor: "the fetcher's other calls" }, call, inProcess);
    }

    function runPaced<Result>(target: string, call: () => Promise<Result>, waiting: Waiting): Promise<Result> {
      return untilAborted({ target, signal, waitsFor: waiting.waitsFor }, call, (start) =>
        waiting.limiter.schedule(() => inProcess(start)),
      );
    }

    async function run<Result>(target: string, call: () => Promise<Result>): Promise<Result> {
      if (target !== host) return await runPaced(target, call, otherHost(target, look));
      if (first === undefined) {
        const answer = runUnpaced(target, call);
        first = answer.catch(() => {});
        return await answer;
      }
      const limiter = (followUps ??= createFollowUps(options.limitOf(lane), first));
      return await runPaced(target, call, { limiter, waitsFor: `its turn among the look's calls to ${host}` });
    }

    return { run, runUnpaced };
  }

  return { forLook };
}

/** A limiter, and what waiting for it means in words. */
interface Waiting {
  limiter: Bottleneck;
  waitsFor: string;
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

interface Turn {
  target: string;
  signal: AbortSignal;
  waitsFor: string;
}

/** Queues a call until the look's time is over. It cannot be taken out of the queue: it is skipped at its turn. */
async function untilAborted<Result>(
  { target, signal, waitsFor }: Turn,
  call: () => Promise<Result>,
  queue: (start: () => Promise<Result>) => Promise<Result>,
): Promise<Result> {
  let isStarted = false;
  const late = () => {
    const until = isStarted ? `before ${target} answered` : `while it waited for ${waitsFor}`;
    return new LookError("timeout", `the look's time was over ${until}`);
  };
  if (signal.aborted) throw late();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(late());
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const start = async () => {
      if (signal.aborted) throw late();
      isStarted = true;
      return await call();
    };
    return await Promise.race([queue(start), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
