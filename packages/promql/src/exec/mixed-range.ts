/**
 * One series with native histograms under a range function: its samples split by kind, and the windows that hold histograms.
 *
 *   samples   f f h f h h        floats   f f f        histograms   h h h
 *
 * Floats go the way of every other series; then each window with a histogram in it decides again.
 */
import { type FloatHistogram, isStaleNaN, RESET_HINTS, withResetHint, wordsOf } from '@gauntlet/model';
import { mixedFunction } from '../functions/mixed-range-functions.ts';
import { rateFactor, type Remarks } from '../functions/histogram-rate.ts';
import { DifferenceRow } from './difference-row.ts';
import { HistogramList } from './histogram-list.ts';
import { sumOfWindow } from './histogram-window-sum.ts';
import type { SeriesHistograms } from './read-series.ts';
import type { StepMatrix } from './step-matrix.ts';

/** Samples of a series by kind, without stale markers; valid as long as the series is. */
export interface SplitSeries {
  readonly floatTimesMs: Float64Array;
  readonly floats: Float64Array;
  readonly timesMs: Float64Array;
  readonly histograms: HistogramList;
  /** Start timestamps of floats and of histograms; undefined if no sample has one. */
  readonly floatStarts: Float64Array | undefined;
  readonly starts: Float64Array | undefined;
}

/** Splits the columns of a series; nothing of times and values is kept. */
export function splitSeries(timestampsMs: Float64Array, values: Float64Array, histograms: SeriesHistograms | undefined, starts?: Float64Array): SplitSeries {
  const words = wordsOf(values);
  const count = values.length;
  const ids = histograms?.ids;
  // Floats from the front, histograms from the back.
  const indexes = new Int32Array(count);
  let [floatCount, found] = [0, count];
  for (let i = 0; i < count; i++) {
    if (isStaleNaN(words, i)) continue;
    const isHistogram = histograms !== undefined && (ids === undefined ? histograms.at(i) !== undefined : ids[i] !== -1);
    if (isHistogram) indexes[--found] = i;
    else indexes[floatCount++] = i;
  }
  const ofFloats = indexes.subarray(0, floatCount);
  const own = indexes.subarray(found).reverse();
  return {
    floatTimesMs: picked(timestampsMs, ofFloats),
    floats: picked(values, ofFloats),
    timesMs: picked(timestampsMs, own),
    histograms: histograms === undefined ? HistogramList.of([]) : HistogramList.at(histograms, own),
    floatStarts: starts === undefined ? undefined : picked(starts, ofFloats),
    starts: starts === undefined ? undefined : picked(starts, own),
  };
}

function picked(column: Float64Array, indexes: Int32Array): Float64Array {
  const some = new Float64Array(indexes.length);
  for (let i = 0; i < some.length; i++) some[i] = column[indexes[i]!]!;
  return some;
}

/** The windows of a call. */
export interface MixedWindows {
  readonly func: string;
  readonly firstEndMs: number;
  readonly endStepMs: number;
  readonly rangeMs: number;
  readonly extended: 'no' | 'anchored' | 'smoothed';
  readonly lookbackMs: number;
  readonly remarks: Remarks;
  readonly worked: (samples: number) => void;
  /** Refuses arguments that no window may have, even one without floats. */
  readonly checkArguments?: ((step: number) => void) | undefined;
}

/**
 * Goes over the windows that hold histograms.
 * @param out what the floats alone gave, with `present`; corrected in place
 * @returns histograms of the row
 */
export function mixedSteps(series: SplitSeries, windows: MixedWindows, out: Float64Array, present: Uint8Array): DifferenceRow {
  const { floatTimesMs, floats, timesMs, histograms, floatStarts, starts } = series;
  const { extended, lookbackMs } = windows;
  const { annotations, metricName, pos } = windows.remarks;
  const apply = mixedFunction(windows.func);
  const row = new DifferenceRow(out.length, histograms);
  const plainRate = extended === 'no' && starts === undefined && (windows.func === 'rate' || windows.func === 'increase') ? { isCounter: true, isRate: windows.func === 'rate' } : undefined;
  const sums = extended === 'no' && (windows.func === 'sum_over_time' || windows.func === 'avg_over_time') ? { isMean: windows.func === 'avg_over_time' } : undefined;
  const before = extended === 'no' ? 0 : lookbackMs;
  const after = extended === 'smoothed' ? lookbackMs : 0;
  let [lo, hi, floatLo, floatHi] = [0, 0, 0, 0];
  for (let k = 0; k < out.length; k++) {
    const endMs = windows.firstEndMs + k * windows.endStepMs;
    const startMs = endMs - windows.rangeMs;
    while (hi < timesMs.length && timesMs[hi]! <= endMs + after) hi++;
    while (lo < hi && timesMs[lo]! <= startMs - before) lo++;
    while (floatHi < floats.length && floatTimesMs[floatHi]! <= endMs + after) floatHi++;
    while (floatLo < floatHi && floatTimesMs[floatLo]! <= startMs - before) floatLo++;
    if (lo === hi) continue;
    windows.worked(10 * (hi - lo));
    if (plainRate !== undefined && floatLo === floatHi && hi - lo > 1 && histograms.isPlainCounter(lo, hi)) {
      // Nothing in between is looked at, and nobody needs an object yet.
      const firstCount = histograms.countAt(lo);
      row.setDifference(k, hi - 1, lo, rateFactor(timesMs, lo, hi, startMs, endMs, firstCount, histograms.countAt(hi - 1) - firstCount, plainRate));
      present[k] = 1;
      out[k] = 0;
      continue;
    }
    const sum = sums !== undefined && floatLo === floatHi && histograms.isNested(lo, hi) ? sumOfWindow(histograms, lo, hi, sums.isMean) : undefined;
    if (sum !== undefined) {
      if (sum.counterResetCollision) annotations.counterResetCollision('aggregation', pos);
      row.setObject(k, sum.histogram);
      present[k] = 1;
      out[k] = 0;
      continue;
    }
    windows.checkArguments?.(k);
    const ofFloats = present[k] === 1 ? out[k]! : undefined;
    const value = apply({ annotations, metricName, pos, timesMs, histograms, lo, hi, startMs, endMs, starts, floatTimesMs, floats, floatStarts, floatLo, floatHi, ofFloats, extended });
    present[k] = value === undefined ? 0 : 1;
    out[k] = typeof value === 'number' ? value : 0;
    if (typeof value === 'object') row.setObject(k, value);
  }
  return row;
}

/** Histograms of a subquery's row, whose samples are its present steps. What hints say of neighbours in storage does not hold for steps. */
export function stepHistograms(matrix: StepMatrix, row: number): SeriesHistograms | undefined {
  if (matrix.histograms?.[row] === undefined) return undefined;
  const samples: (FloatHistogram | undefined)[] = [];
  for (let k = 0; k < matrix.steps; k++) {
    if (matrix.present[row * matrix.steps + k] === 0) continue;
    const histogram = matrix.histogramAt(row, k);
    samples.push(histogram === undefined || histogram.resetHint === RESET_HINTS.gauge ? histogram : withResetHint(histogram, RESET_HINTS.unknown));
  }
  return { at: (index) => samples[index] };
}
