export interface Stopping {
  /** Aborted by the first signal. */
  signal: AbortSignal;
  asked: Promise<void>;
  setKillNow(killNow: () => void): void;
  close(): void;
}

/** The first signal asks for a clean stop, the second ends everything at once; the next start recovers from that. */
export function listenForStop(onAsked: () => void): Stopping {
  const asked = Promise.withResolvers<void>();
  const controller = new AbortController();
  const state = { killNow: () => {} };
  const onSignal = () => {
    if (controller.signal.aborted) {
      state.killNow();
      process.exit(130);
    }
    onAsked();
    controller.abort();
    asked.resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  // The set-up that runs us has died.
  process.once("disconnect", onSignal);
  return {
    signal: controller.signal,
    asked: asked.promise,
    setKillNow: (killNow) => {
      state.killNow = killNow;
    },
    close: () => {
      // An open channel would keep this process.
      process.off("disconnect", onSignal);
      if (process.connected) process.disconnect();
    },
  };
}
