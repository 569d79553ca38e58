/** A small seeded generator, so that a timeline is known by its seed (mulberry32). */

/** Uniform in [0, 1). */
export type Random = () => number;

/** A generator of its own sequence. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** An integer in [low, high]. */
export function integerIn(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}
