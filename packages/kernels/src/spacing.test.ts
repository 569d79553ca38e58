/** The module and its twin sum up the same random series alike, bit for bit, and as a naive loop does. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { type SpacingSummary, summarizeSpacing } from './js/spacing.ts';
import { SPACING_ROW_BYTES } from './spacing-kernels.ts';

const WINDOW_MS = 600_000;

type Row = readonly [id: number, start: number, least: number, most: number];

function byKernel(backend: 'wasm' | 'js', times: readonly number[]): Row[] {
  const kernels = createKernels({ backend });
  const { memory } = kernels;
  const timesPtr = memory.alloc(8 * times.length);
  const outPtr = memory.alloc(SPACING_ROW_BYTES * Math.max(1, times.length));
  memory.f64(timesPtr, times.length).set(times);
  const rows = kernels.summarizeSpacing(timesPtr, times.length, WINDOW_MS, outPtr);
  const out = memory.f64(outPtr, 4 * rows);
  return Array.from({ length: rows }, (_, row) => [out[4 * row]!, out[4 * row + 1]!, out[4 * row + 2]!, out[4 * row + 3]!]);
}

function naively(times: readonly number[]): Row[] {
  const ids = [...new Set(times.map((time) => Math.floor(time / WINDOW_MS)))];
  return ids.map((id) => {
    const indexes = times.map((time, i) => (Math.floor(time / WINDOW_MS) === id ? i : -1)).filter((i) => i >= 0);
    const distances = indexes.filter((i) => i > 0).map((i) => times[i]! - times[i - 1]!);
    return [id, indexes[0]!, Math.min(Infinity, ...distances), Math.max(0, ...distances)];
  });
}

describe('summarizeSpacing', () => {
  const gaps = fc.array(fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 60_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 * WINDOW_MS }) }), { maxLength: 200 });

  test('module, twin and a naive loop agree', () => {
    fc.assert(
      fc.property(fc.integer({ min: -3 * WINDOW_MS, max: 1772409600000 }), gaps, (first, distances) => {
        const times = [first];
        for (const distance of distances) times.push(times.at(-1)! + distance);
        const expected = naively(times);
        expect(byKernel('wasm', times)).toEqual(expected);
        expect(byKernel('js', times)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  test('no samples, no rows; the summary grows and is used again', () => {
    expect(byKernel('wasm', [])).toEqual([]);
    expect(byKernel('js', [])).toEqual([]);
    const summary: SpacingSummary = { rows: 7, ids: new Float64Array(0), starts: new Int32Array(0), least: new Float64Array(0), most: new Float64Array(0) };
    summarizeSpacing(Float64Array.from({ length: 500 }, (_, i) => i * WINDOW_MS), WINDOW_MS, summary);
    expect(summary.rows).toBe(500);
    summarizeSpacing(Float64Array.of(5, 9), WINDOW_MS, summary);
    expect([summary.rows, summary.least[0], summary.most[0]]).toEqual([1, 4, 4]);
    summarizeSpacing(new Float64Array(0), WINDOW_MS, summary);
    expect(summary.rows).toBe(0);
  });
});
