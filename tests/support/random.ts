/** Numbers that a seed determines, so that a failed run can be repeated. */
export interface Random {
  /** From `least` to `most`, both included. */
  integer(least: number, most: number): number;
  shuffle<Element>(elements: readonly Element[]): Element[];
}

/** Mulberry32, a generator of 32 bits of state: enough to vary tests by. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    integer,
    shuffle: (elements) => {
      const shuffled = [...elements];
      for (let last = shuffled.length - 1; last > 0; last--) {
        const other = integer(0, last);
        [shuffled[last], shuffled[other]] = [shuffled[other] as never, shuffled[last] as never];
      }
      return shuffled;
    },
  };
}

/** The seed of this run: `PAINTDRY_TEST_SEED`, or a new one. Print it. */
export function chooseSeed(): number {
  return Number(process.env["PAINTDRY_TEST_SEED"] ?? Date.now() % 1_000_000);
}
