import type { Destination } from "./route.ts";

/** The attempts under way at one destination, so that one that is slow holds up no other. */
export interface RouteLane {
  freeSlots(): number;
  /** How long the receiver asked to be left alone; 0 for not at all. */
  restsForMs(): number;
  rest(forMs: number): void;
  /**
   * Runs an attempt in a slot, and waits a moment for one where all are taken. Null, and nothing done, when none
   * became free: the destination is stuck.
   */
  run<Result>(attempt: () => Promise<Result>): Promise<Result | null>;
}

export interface Lanes {
  of(destination: Destination): RouteLane;
}

export interface LaneOptions {
  /** Attempts at the same time at each destination. */
  slotsEach: number;
  /** How long to wait for a slot. */
  patienceMs: number;
}

/** One lane for each route and channel. */
export function createLanes(options: LaneOptions): Lanes {
  const lanes = new Map<string, RouteLane>();
  return {
    of: (destination) => {
      const key = laneKey(destination);
      const lane = lanes.get(key) ?? createLane(options);
      lanes.set(key, lane);
      return lane;
    },
  };
}

export function laneKey({ route, channel }: Destination): string {
  return `${channel}:${route.name}`;
}

function createLane({ slotsEach, patienceMs }: LaneOptions): RouteLane {
  const waiting: ((hasSlot: boolean) => void)[] = [];
  let underWay = 0;
  let movedAtMs = 0;
  let restsUntilMs = 0;

  async function enter(): Promise<boolean> {
    if (underWay < slotsEach) {
      underWay += 1;
      movedAtMs = performance.now();
      return true;
    }
    // Nothing has left for a while: who came before waits in vain already.
    if (performance.now() - movedAtMs > patienceMs) return false;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(turn), 1);
        resolve(false);
      }, patienceMs);
      const turn = (hasSlot: boolean) => {
        clearTimeout(timer);
        resolve(hasSlot);
      };
      waiting.push(turn);
    });
  }

  function leave(): void {
    movedAtMs = performance.now();
    const next = waiting.shift();
    if (next) next(true);
    else underWay -= 1;
  }

  return {
    freeSlots: () => Math.max(0, slotsEach - underWay - waiting.length),
    restsForMs: () => Math.max(0, Math.ceil(restsUntilMs - performance.now())),
    rest: (forMs) => {
      restsUntilMs = Math.max(restsUntilMs, performance.now() + forMs);
    },
    run: async (attempt) => {
      if (!(await enter())) return null;
      try {
        return await attempt();
      } finally {
        leave();
      }
    },
  };
}
