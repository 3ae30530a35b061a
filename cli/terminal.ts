import type { LogLine } from "./embedded/log-lines.ts";
import { plain } from "./report.ts";

export interface Terminal {
  say(text: string): void;
  /** From now on warnings of children are shown too. */
  markReady(): void;
  showLine(name: string, line: LogLine): void;
  /** From now on what children say goes to the logs alone. */
  hush(): void;
}

/** The same warning again within this time is left to the log. */
const repeatAfterMs = 60_000;

/** What a person at the terminal is told of how it goes, on standard error. */
export function createTerminal(): Terminal {
  const state = { isReady: false, isHushed: false };
  const shownAt = new Map<string, number>();
  const say = (text: string) => console.error(`paintdry: ${text}`);
  return {
    say,
    markReady: () => {
      state.isReady = true;
    },
    hush: () => {
      state.isHushed = true;
    },
    showLine: (name, { urgency, text }) => {
      // While everything starts, each waits for the others and says so.
      const isShown = urgency === "fatal" || (state.isReady && urgency !== "info");
      if (!isShown || state.isHushed) return;
      const line = `${name}: ${plain(text).slice(0, 500)}`;
      if (performance.now() - (shownAt.get(line) ?? -repeatAfterMs) < repeatAfterMs) return;
      if (shownAt.size > 500) shownAt.clear();
      shownAt.set(line, performance.now());
      say(line);
    },
  };
}
