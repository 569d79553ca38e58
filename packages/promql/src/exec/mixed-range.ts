/**
 * One series with native histograms under a range function: its samples split by kind, and the windows that hold histograms.
 *
 *   samples   f f h f h h        floats   f f f        histograms   h h h
 *
 * Floats go the way of every other series; then each window with a histogram in it decides again.
 */
import { type FloatHistogram, isStaleNaN, RESET_HINTS, withResetHint, wordsOf } from '@gauntlet/model';
import { mixedFunction } from '../functions/mixed-range-functions.ts';
import { NeighbourResets, type Remarks } from '../functions/histogram-rate.ts';
import type { SeriesHistograms } from './read-series.ts';
import type { HistogramRow, StepMatrix } from './step-matrix.ts';

/** Samples of a series by kind, without stale markers; copies. */
export interface SplitSeries {
  readonly floatTimesMs: Float64Array;
  readonly floats: Float64Array;
  readonly timesMs: Float64Array;
  readonly histograms: readonly FloatHistogram[];
  /** Start timestamps of floats and of histograms; undefined if no sample has one. */
  readonly floatStarts: Float64Array | undefined;
  readonly starts: Float64Array | undefined;
}

/** Splits the columns of a series; nothing of them is kept. */
export function splitSeries(timestampsMs: Float64Array, values: Float64Array, histograms: SeriesHistograms | undefined, starts?: Float64Array): SplitSeries {
  const words = wordsOf(values);
  const floatTimes: number[] = [];
  const floats: number[] = [];
  const times: number[] = [];
  const found: FloatHistogram[] = [];
  const floatStarts: number[] = [];
  const ownStarts: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (isStaleNaN(words, i)) continue;
    const histogram = histograms?.at(i);
    if (starts !== undefined) (histogram === undefined ? floatStarts : ownStarts).push(starts[i]!);
    if (histogram === undefined) {
      floatTimes.push(timestampsMs[i]!);
      floats.push(values[i]!);
    } else {
      times.push(timestampsMs[i]!);
      found.push(histogram);
    }
  }
  return {
    floatTimesMs: Float64Array.from(floatTimes),
    floats: Float64Array.from(floats),
    timesMs: Float64Array.from(times),
    histograms: found,
    floatStarts: starts === undefined ? undefined : Float64Array.from(floatStarts),
    starts: starts === undefined ? undefined : Float64Array.from(ownStarts),
  };
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
export function mixedSteps(series: SplitSeries, windows: MixedWindows, out: Float64Array, present: Uint8Array): HistogramRow {
  const { floatTimesMs, floats, timesMs, histograms, floatStarts, starts } = series;
  const { extended, lookbackMs } = windows;
  const { annotations, metricName, pos } = windows.remarks;
  const apply = mixedFunction(windows.func);
  const resets = new NeighbourResets(histograms);
  const row: HistogramRow = [];
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
    row.push(undefined);
    if (lo === hi) continue;
    windows.worked(10 * (hi - lo));
    windows.checkArguments?.(k);
    const ofFloats = present[k] === 1 ? out[k]! : undefined;
    const value = apply({ annotations, metricName, pos, timesMs, histograms, resets, lo, hi, startMs, endMs, starts, floatTimesMs, floats, floatStarts, floatLo, floatHi, ofFloats, extended });
    present[k] = value === undefined ? 0 : 1;
    out[k] = typeof value === 'number' ? value : 0;
    if (typeof value === 'object') row[k] = value;
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
