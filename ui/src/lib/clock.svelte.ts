/** The time now, moving every ten seconds: what relative times are told by. */
export interface Clock {
  readonly nowMs: number;
}

/** `onGap` hears of a machine that slept: the timers stood still and connections may be dead. */
export function createClock(onGap: () => void): Clock {
  const tickMs = 10_000;
  let nowMs = $state(Date.now());
  setInterval(() => {
    if (Date.now() - nowMs > tickMs * 4 && !document.hidden) onGap();
    nowMs = Date.now();
  }, tickMs);
  return {
    get nowMs() {
      return nowMs;
    },
  };
}
