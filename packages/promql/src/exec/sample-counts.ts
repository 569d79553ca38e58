/**
 * Samples of a query counted as Prometheus does for `stats`, over all steps and per step. Two numbers:
 *
 *   queryable  what each step would look at if it ran alone: of overlapping windows every sample counts in each
 *   read       what is new: of a window the samples after the end of the window before
 *
 * Neither says what this engine does; they are for comparing queries. Source: Prometheus util/stats/query_stats.go (3.14), `QuerySamples`.
 */
import type { FloatHistogram } from '@gauntlet/model';
import type { HistogramList } from './histogram-list.ts';
import type { LookTimes } from './look-times.ts';
import type { Grid } from './query-context.ts';
import { type HistogramRow, samplesOfHistogram } from './step-matrix.ts';

/** Memory of the counts over a grid. */
export function countsBytes(grid: Grid): number {
  return 24 * grid.steps;
}

/** Counts over one grid of steps; `countsBytes` are to be charged. */
export class SampleCounts {
  readonly grid: Grid;
  queryable = 0;
  read = 0;
  /** One entry per step. */
  readonly queryablePerStep: Float64Array;
  readonly readPerStep: Float64Array;
  /** Sizes of the windows of the series at hand. */
  readonly #windows: Float64Array;

  constructor(grid: Grid) {
    this.grid = grid;
    this.queryablePerStep = new Float64Array(grid.steps);
    this.readPerStep = new Float64Array(grid.steps);
    this.#windows = new Float64Array(grid.steps);
  }

  /** Samples that one step looked at and read. */
  add(step: number, samples: number): void {
    this.addQueryable(step, samples);
    this.addRead(step, samples);
  }

  addQueryable(step: number, samples: number): void {
    this.queryable += samples;
    this.queryablePerStep[step] = this.queryablePerStep[step]! + samples;
  }

  addRead(step: number, samples: number): void {
    this.read += samples;
    this.readPerStep[step] = this.readPerStep[step]! + samples;
  }

  /** One sample at each step that has one. @param present a byte per step @param histograms those that are histograms, by step */
  addSteps(present: Uint8Array, histograms: HistogramRow | undefined): void {
    for (let k = 0; k < present.length; k++) if (present[k] === 1) this.add(k, sizeOf(histograms?.[k]));
  }

  /**
   * The windows `(end − rangeMs, end]` of a series, one per step.
   * @param timestampsMs its samples, ascending
   * @param histograms the samples, if they are histograms
   * Their sizes are kept for `windowPeaks`.
   * @param isRead false for a subquery, whose samples are counted as read where they come from
   */
  addWindows(timestampsMs: Float64Array, look: LookTimes, rangeMs: number, histograms: HistogramList | undefined, isRead: boolean): void {
    const count = timestampsMs.length;
    let low = 0;
    let high = 0;
    let inWindow = 0;
    for (let k = 0; k < this.grid.steps; k++) {
      const end = look.firstMs + k * look.stepMs;
      let fresh = 0;
      for (; high < count && timestampsMs[high]! <= end; high++) {
        const size = (histograms?.sizeAt(high) ?? 1);
        inWindow += size;
        if (k === 0 || timestampsMs[high]! > end - rangeMs) fresh += size;
      }
      let dropped = 0;
      for (; low < high && timestampsMs[low]! <= end - rangeMs; low++) dropped += histograms?.sizeAt(low) ?? 1;
      inWindow -= dropped;
      if (inWindow === 0) continue;
      this.#windows[k] = this.#windows[k]! + inWindow;
      this.addQueryable(k, inWindow);
      // At the first step everything is fresh that is still in the window.
      if (isRead) this.addRead(k, k === 0 ? inWindow : fresh);
    }
  }

  /** The largest and the last of the windows added since the last call. */
  windowPeaks(): { readonly max: number; readonly last: number } {
    let max = 0;
    for (const size of this.#windows) if (size > max) max = size;
    const last = this.#windows[this.#windows.length - 1] ?? 0;
    this.#windows.fill(0);
    return { max, last };
  }

  /** What was evaluated once for all steps. */
  addRepeated(once: SampleCounts): void {
    for (let k = 0; k < this.grid.steps; k++) this.addQueryable(k, once.queryable);
    if (this.grid.steps > 0) this.addRead(0, once.read);
  }

  /** What was evaluated over the same steps. */
  addAll(other: SampleCounts): void {
    for (let k = 0; k < this.grid.steps; k++) {
      this.addQueryable(k, other.queryablePerStep[k]!);
      this.addRead(k, other.readPerStep[k]!);
    }
  }

  /**
   * What a subquery has read, given to the steps that use it; what lies between two windows is left out. What it looked at does not count: its
   * values are counted as windows.
   * @param window offset and range of the subquery; undefined: it is the whole query, and all of it counts
   */
  addSubquery(inner: SampleCounts, window: { readonly offsetMs: number; readonly rangeMs: number } | undefined): void {
    const { startMs, stepMs, steps } = this.grid;
    if (steps <= 1) {
      if (steps === 1) this.addRead(0, inner.read);
      return;
    }
    for (let i = 0; i < inner.grid.steps; i++) {
      const read = inner.readPerStep[i]!;
      if (read === 0) continue;
      const at = inner.grid.startMs + i * inner.grid.stepMs + (window?.offsetMs ?? 0);
      const k = Math.min(steps - 1, at <= startMs ? 0 : Math.ceil((at - startMs) / stepMs));
      if (window !== undefined && at <= startMs + k * stepMs - window.rangeMs) continue;
      this.addRead(k, read);
    }
  }
}

/** What a sample counts for. */
function sizeOf(histogram: FloatHistogram | undefined): number {
  return histogram === undefined ? 1 : samplesOfHistogram(histogram);
}
