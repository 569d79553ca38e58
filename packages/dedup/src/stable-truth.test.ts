/**
 * `stable` beside `penalty`, `chain` and each replica alone on the fault rows, where the truth is known: the largest error of sum(rate[5m]) over 20
 * counters, at the median of the seeds. GAUNTLET_TRUTH_SEEDS=20 for the figures of docs/dedup; fewer by default.
 */
import { describe, expect, test } from '@jest/globals';
import { FAULT_ROWS, FAULT_SCRAPE_MS } from './testing/fault-rows.ts';
import { measureRow } from './testing/measure-row.ts';

const SEEDS = Number(process.env['GAUNTLET_TRUTH_SEEDS'] ?? 2);
const RANGE_MS = 300_000;
const TIMEOUT_MS = 60_000 + 20_000 * SEEDS;

describe.each([0, 2])('with %d resets of the target', (resets) => {
  test.each(FAULT_ROWS.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    const { errors, resets: seen, falseHoles } = measureRow(row, { seeds: SEEDS, resets, rangeMs: RANGE_MS });
    // No reset invented, none lost: in every counter of every seed.
    expect(seen.stable).toEqual({ invented: 0, lost: 0 });
    expect(falseHoles).toBe(0);
    const best = Math.min(errors.penalty, errors.chain, errors.a, errors.b);
    if (row.lagMs === undefined) expect(errors.stable).toBeLessThanOrEqual(Math.max(1.1 * best, errors.floor));
    else expect(errors.stable).toBeLessThanOrEqual((row.lagMs + FAULT_SCRAPE_MS) / RANGE_MS + errors.floor);
  }, TIMEOUT_MS);
});
