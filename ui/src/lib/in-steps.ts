/** Collects what comes in any number of small pieces and hands it on at most so often. */
export interface Steps<Piece> {
  add(pieces: Piece[]): void;
  /** Forgets what was not handed on yet. */
  clear(): void;
}

/** The first piece after a pause goes at once; in a burst, all that came within `everyMs` goes together. */
export function inSteps<Piece>(everyMs: number, take: (pieces: Piece[]) => void): Steps<Piece> {
  let collected: Piece[] = [];
  let takenAtMs = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function handOn(): void {
    timer = undefined;
    takenAtMs = Date.now();
    const pieces = collected;
    collected = [];
    take(pieces);
  }

  return {
    add(pieces) {
      collected.push(...pieces);
      timer ??= setTimeout(handOn, Math.max(0, takenAtMs + everyMs - Date.now()));
    },
    clear() {
      clearTimeout(timer);
      timer = undefined;
      collected = [];
    },
  };
}
