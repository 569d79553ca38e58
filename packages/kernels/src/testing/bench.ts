/** Measuring by hand: alternate the variants, report the median, hash the results so that nothing is optimised away. */

/** One variant: does its work once and returns something derived from all results. */
export interface BenchVariant {
  readonly name: string;
  readonly run: () => number;
}

/** What was measured. */
export interface BenchResult {
  readonly name: string;
  /** Median over the rounds. */
  readonly nsPerItem: number;
  /** What `run` returned; equal for variants that did the same. */
  readonly hash: number;
}

/**
 * Runs the variants in turn, so that a busy machine hits all of them alike.
 * @param items what one run handles, for the time per item
 * @param rounds runs per variant; two more before them warm up
 */
export function compareVariants(variants: readonly BenchVariant[], items: number, rounds: number): BenchResult[] {
  const times = variants.map(() => new Float64Array(rounds));
  const hashes = variants.map(() => 0);
  for (let round = -2; round < rounds; round++) {
    variants.forEach((variant, i) => {
      const start = performance.now();
      hashes[i] = variant.run();
      const elapsedMs = performance.now() - start;
      if (round >= 0) times[i]![round] = elapsedMs;
    });
  }
  return variants.map(({ name }, i) => ({ name, nsPerItem: (times[i]!.toSorted()[rounds >>> 1]! * 1e6) / items, hash: hashes[i]! }));
}
