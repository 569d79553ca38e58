/**
 * `stable` beside `penalty`, `chain` and each replica alone on the fault rows, where the truth is known: the largest error of sum(rate[5m]), at the
 * median of the seeds. GAUNTLET_TRUTH_SEEDS=20 for the figures of docs/dedup, with 20 counters; fewer of both by default.
 */
import { describe, expect, test } from '@jest/globals';
import { FAULT_ROWS, FAULT_SCRAPE_MS } from './testing/fault-rows.ts';
import { measureRow } from './testing/measure-row.ts';

const SEEDS = Number(process.env['GAUNTLET_TRUTH_SEEDS'] ?? 3);
const COUNTERS = SEEDS >= 20 ? 20 : 4;
const RANGE_MS = 300_000;
const TIMEOUT_MS = 60_000 + 20_000 * SEEDS;

describe.each([0, 2])('with %d resets of the target', (resets) => {
  test.each(FAULT_ROWS.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    const { errors, resets: seen, falseHoles } = measureRow(row, { seeds: SEEDS, resets, rangeMs: RANGE_MS, counters: COUNTERS });
    // No reset invented, none lost: in every counter of every seed.
    expect(seen.stable).toEqual({ invented: 0, lost: 0 });
    expect(falseHoles).toBe(0);
    if (row.needsManySeeds === true && SEEDS < 20) return;
    // Without faults each replica is as good a floor as the fourth one.
    const floor = row.name === 'none' ? Math.max(errors.floor, errors.a, errors.b) : errors.floor;
    const best = Math.min(errors.penalty, errors.chain, errors.a, errors.b);
    if (row.lagMs === undefined) expect(errors.stable).toBeLessThanOrEqual(Math.max(1.1 * best, floor));
    else expect(errors.stable).toBeLessThanOrEqual((row.lagMs + FAULT_SCRAPE_MS) / RANGE_MS + floor);
  }, TIMEOUT_MS);
});
