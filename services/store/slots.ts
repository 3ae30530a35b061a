/*
 * A resource's slots begin at `phase + n × every`: evenly spread over the period, and the same for every collector.
 */

/** The slot that holds at a moment. */
export function slotAt(nowMs: number, everyMs: number, phaseMs: number): number {
  return Math.floor((nowMs - phaseMs) / everyMs);
}

/** Phases above `after`, up to and including `upTo`. */
export interface PhaseRange {
  after: number;
  upTo: number;
}

/** The phases of those resources of one period whose slot begins within (from, to]; all, once a whole period passed. */
export function phasesBetween(everyMs: number, fromMs: number, toMs: number): PhaseRange[] {
  if (toMs <= fromMs) return [];
  if (toMs - fromMs >= everyMs) return [{ after: -1, upTo: everyMs - 1 }];
  const after = fromMs % everyMs;
  const upTo = toMs % everyMs;
  if (after < upTo) return [{ after, upTo }];
  return [
    { after: -1, upTo },
    { after, upTo: everyMs - 1 },
  ];
}
