/** Merges of downsampled series by small pictures, and counters against a known truth. */
import { describe, expect, test } from '@jest/globals';
import { AGGREGATE_RESOLUTIONS_MS, type AggregateColumns, mergeAggregates, mergeCounterTotals } from './aggregates.ts';
import { applyCounterResets } from './counter-resets.ts';
import type { ReplicaColumns } from './replica-columns.ts';
import { createRandom, integerIn } from './testing/random.ts';
import { columnsOf, scrape } from './testing/scrape.ts';
import { createTarget } from './testing/target.ts';

const [FIVE_MINUTES_MS, HOUR_MS] = AGGREGATE_RESOLUTIONS_MS;

/** Counts per 5-minute cell; 0 leaves a cell out. Sums name the replica. */
function aggregates(replica: number, ...counts: readonly number[]): Required<AggregateColumns> {
  const cells = counts.map((count, cell) => ({ count, cell })).filter(({ count }) => count > 0);
  return {
    timestampsMs: Float64Array.from(cells, ({ cell }) => (cell + 1) * FIVE_MINUTES_MS - 1),
    count: Float64Array.from(cells, ({ count }) => count),
    sum: Float64Array.from(cells, ({ count }) => 100 * replica + count),
    min: Float64Array.from(cells, () => replica),
    max: Float64Array.from(cells, () => 10 + replica),
  };
}

describe('mergeAggregates', () => {
  test('the first replica that lacks at most a tenth leads each cell, and gives all of its aggregates', () => {
    const merged = mergeAggregates([aggregates(0, 20, 18, 17, 0, 20), aggregates(1, 20, 20, 20, 20, 20)], FIVE_MINUTES_MS);
    expect(Array.from(merged.replicas)).toEqual([0, 0, 1, 1, 0]);
    expect(Array.from(merged.sum!)).toEqual([20, 18, 120, 120, 20]);
    expect(Array.from(merged.min!)).toEqual([0, 0, 1, 1, 0]);
    expect(Array.from(merged.max!)).toEqual([10, 10, 11, 11, 10]);
    expect(Array.from(merged.timestampsMs, (ms) => (ms + 1) / FIVE_MINUTES_MS)).toEqual([1, 2, 3, 4, 5]);
  });

  test('without counts the first one that is there', () => {
    const bare = ({ timestampsMs, max }: Required<AggregateColumns>): AggregateColumns => ({ timestampsMs, max });
    const merged = mergeAggregates([bare(aggregates(0, 3, 0, 3)), bare(aggregates(1, 20, 20, 20))], FIVE_MINUTES_MS);
    expect(Array.from(merged.max!)).toEqual([10, 11, 10]);
    expect(merged.count).toBeUndefined();
  });

  test('the one-hour grid, one replica, none', () => {
    const hours: AggregateColumns = { timestampsMs: Float64Array.of(HOUR_MS - 1, 2 * HOUR_MS - 1), count: Float64Array.of(240, 240) };
    expect(Array.from(mergeAggregates([hours, { ...hours, count: Float64Array.of(260, 270) }], HOUR_MS).replicas)).toEqual([0, 1]);
    expect(Array.from(mergeAggregates([hours], HOUR_MS).indexes)).toEqual([0, 1]);
    expect(mergeAggregates([], HOUR_MS).timestampsMs).toHaveLength(0);
  });
});

describe('mergeCounterTotals', () => {
  /** The last running total in each cell of a replica's samples. */
  function totalsOf({ timestampsMs, values }: ReplicaColumns): ReplicaColumns {
    const times = timestampsMs.slice();
    const totals = values.slice();
    const count = applyCounterResets(times, totals, times.length);
    const cells = new Map<number, number>();
    for (let i = 0; i < count; i++) cells.set(Math.floor(times[i]! / FIVE_MINUTES_MS), totals[i]!);
    return { timestampsMs: Float64Array.from(cells.keys(), (cell) => (cell + 1) * FIVE_MINUTES_MS - 1), values: Float64Array.from(cells.values()) };
  }

  test('rises are those of the target, through resets, gaps and late beginnings', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = createRandom(seed);
      const startMs = 1772409600000;
      const endMs = startMs + 6 * HOUR_MS;
      const resetsMs = [startMs + integerIn(random, 1, 3) * HOUR_MS + 400_000, startMs + integerIn(random, 4, 5) * HOUR_MS + 400_000];
      const target = createTarget(random, { startMs, endMs, perSecond: 20, spread: 0.5, base: 5000, resetsMs });
      const awayMs = startMs + integerIn(random, 30, 200) * 60_000;
      const a = columnsOf(scrape(random, target, { intervalMs: 15_000, phaseMs: 1000, outagesMs: [[awayMs, awayMs + integerIn(random, 5, 60) * 60_000]] }));
      const b = columnsOf(scrape(random, target, { intervalMs: 15_000, phaseMs: 9000, outagesMs: [[startMs, startMs + integerIn(random, 0, 20) * 60_000]] }));
      const { timestampsMs, values } = mergeCounterTotals([totalsOf(a), totalsOf(b)], FIVE_MINUTES_MS);
      const counted = target.countedIn(timestampsMs[0]!, timestampsMs.at(-1)!);
      // Each change of replica may be off by what is counted in an interval, each reset by what was counted before the first scrape behind it.
      expect(Math.abs(values.at(-1)! - values[0]! - counted)).toBeLessThan(0.02 * counted);
      for (let i = 1; i < values.length; i++) {
        expect(values[i]!).toBeGreaterThanOrEqual(values[i - 1]!);
        expect(timestampsMs[i]! - timestampsMs[i - 1]!).toBe(FIVE_MINUTES_MS);
      }
    }
  });

  test('counts decide who leads; rises do not depend on where the range begins', () => {
    const totals = (first: number, ...rises: readonly number[]): ReplicaColumns => {
      let total = first;
      return { timestampsMs: Float64Array.from(rises, (_, cell) => (cell + 1) * FIVE_MINUTES_MS - 1), values: Float64Array.from(rises, (rise) => (total += rise)) };
    };
    const both = [totals(1000, 10, 10, 2, 10, 10), totals(0, 11, 11, 11, 11, 11)];
    const counts = [aggregates(0, 20, 20, 5, 20, 20), aggregates(1, 20, 20, 20, 20, 20)];
    const whole = mergeCounterTotals(both, FIVE_MINUTES_MS, counts);
    expect(Array.from(whole.values)).toEqual([1010, 1020, 1031, 1041, 1051]);
    const later = mergeCounterTotals(both.map(({ timestampsMs, values }) => ({ timestampsMs: timestampsMs.subarray(1), values: values.subarray(1) })), FIVE_MINUTES_MS, counts);
    expect(Array.from(later.values, (value, i) => value - (later.values[i - 1] ?? value))).toEqual([0, 11, 10, 10]);
  });

  test('replicas that never met: nothing falls', () => {
    const early = { timestampsMs: Float64Array.of(FIVE_MINUTES_MS - 1), values: Float64Array.of(500) };
    const late = { timestampsMs: Float64Array.of(2 * FIVE_MINUTES_MS - 1, 3 * FIVE_MINUTES_MS - 1), values: Float64Array.of(20, 30) };
    expect(Array.from(mergeCounterTotals([early, late], FIVE_MINUTES_MS).values)).toEqual([500, 500, 510]);
  });
});
