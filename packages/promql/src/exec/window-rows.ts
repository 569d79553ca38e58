/**
 * A range function over the series of its range vector, one after the other: samples in, one row of steps out.
 *
 *   floats only                        kernel, or plain function        ── the way of nearly every series
 *   floats with start timestamps       function that heeds them
 *   native histograms, mixed or alone  floats first as above, then each window with histograms decides again
 */
import { WINDOW } from '@gauntlet/kernels';
import { getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';
import { LOOK_BEHIND_MS, RANGE_FUNCTIONS, type RangeFunction, type RangeFunctionCall, smoothingFactors } from '../functions/range-functions.ts';
import { START_FUNCTIONS } from '../functions/start-timestamps.ts';
import type { Call, Expr, MatrixSelector, SubqueryExpr, VectorSelector } from '../parser/ast.ts';
import { extendedFunction } from './extended-range.ts';
import type { HistogramList } from './histogram-list.ts';
import { withoutBuckets } from './histogram-stats.ts';
import { type LookTimes, lookTimes } from './look-times.ts';
import { mixedSteps, type SplitSeries, splitSeries } from './mixed-range.ts';
import type { Grid, QueryContext } from './query-context.ts';
import type { SeriesHistograms } from './read-series.ts';
import { RowNames } from './row-names.ts';
import { type RowSink, Scratch } from './rows.ts';

/** Functions that are kernels. */
const KERNEL_FUNCTIONS: ReadonlyMap<string, number> = new Map([
  ['rate', WINDOW.rate],
  ['increase', WINDOW.increase],
  ['delta', WINDOW.delta],
  ['irate', WINDOW.irate],
  ['idelta', WINDOW.idelta],
  ['count_over_time', WINDOW.count],
  ['present_over_time', WINDOW.present],
  ['absent_over_time', WINDOW.present],
  ['sum_over_time', WINDOW.sum],
  ['avg_over_time', WINDOW.avg],
  ['min_over_time', WINDOW.min],
  ['max_over_time', WINDOW.max],
  ['first_over_time', WINDOW.first],
  ['last_over_time', WINDOW.last],
  ['stdvar_over_time', WINDOW.stdvar],
  ['stddev_over_time', WINDOW.stddev],
  ['changes', WINDOW.changes],
  ['resets', WINDOW.resets],
]);

/** Kernels whose time grows with samples times steps. */
const ADDING_FUNCTIONS: ReadonlySet<number> = new Set([WINDOW.sum, WINDOW.avg, WINDOW.stdvar, WINDOW.stddev]);
/** Samples times steps of one kernel call; some 10 ms. */
const WORK_PER_CALL = 5_000_000;

/** Whether a function takes a range vector. */
export function isRangeFunction(func: string): boolean {
  return KERNEL_FUNCTIONS.has(func) || RANGE_FUNCTIONS.has(func);
}

/** The call to evaluate. */
export interface WindowRowsOptions {
  readonly call: Call;
  readonly range: MatrixSelector | SubqueryExpr;
  /** Scalar arguments, one value per step. */
  readonly args: readonly Float64Array[];
  readonly grid: Grid;
  /** Where remarks about the call point to. */
  readonly pos: Expr['pos'];
  readonly sink: RowSink;
}

/** See the head of this file. Owns scratch memory: `free` it. */
export class WindowRows {
  /** Times of the windows' ends. */
  readonly look: LookTimes;
  /** How far storage is read before the windows and behind them, ms. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** Whether start timestamps are wanted. */
  readonly withStarts: boolean;

  readonly #context: QueryContext;
  readonly #options: WindowRowsOptions;
  readonly #selector: VectorSelector | undefined;
  readonly #call: RangeFunctionCall;
  /** Undefined: `#run` instead. */
  readonly #kernel: number | undefined;
  readonly #run: RangeFunction | undefined;
  readonly #names: RowNames;
  readonly #row: Scratch;
  readonly #work: Scratch;
  readonly #fresh: Scratch;

  constructor(context: QueryContext, options: WindowRowsOptions) {
    const { call, range, args, grid, pos } = options;
    const { lookbackMs } = context.settings;
    this.#context = context;
    this.#options = options;
    const selector = range.type === 'matrixSelector' ? range.vector : undefined;
    const extended = selector !== undefined && (selector.anchored || selector.smoothed) ? extendedFunction(context, call, selector) : undefined;
    const lookBehindMs = selector === undefined ? 0 : (LOOK_BEHIND_MS.get(call.func) ?? 0);
    this.#selector = selector;
    this.look = lookTimes(range.type === 'subquery' ? range : range.vector, grid);
    this.beforeMs = extended === undefined ? lookBehindMs : lookbackMs;
    this.afterMs = selector?.smoothed === true ? lookbackMs : 0;
    // Subqueries have no start timestamps, and extended rates do not look at them.
    this.withStarts = context.settings.useStartTimestamps && selector !== undefined && (extended === undefined || call.func === 'resets') && START_FUNCTIONS.has(call.func);
    this.#kernel = extended === undefined ? KERNEL_FUNCTIONS.get(call.func) : undefined;
    this.#run = extended ?? RANGE_FUNCTIONS.get(call.func);
    this.#call = {
      firstEndMs: this.look.firstMs,
      endStepMs: this.look.stepMs,
      startMs: grid.startMs,
      stepMs: grid.stepMs,
      steps: grid.steps,
      rangeMs: range.rangeMs,
      lookBehindMs,
      args,
      annotations: context.annotations,
      worked: (samples) => context.worked(samples, 0),
      pos,
    };
    this.#names = new RowNames(context, call, pos);
    this.#row = new Scratch(context);
    this.#work = new Scratch(context);
    this.#fresh = new Scratch(context);
  }

  /** Evaluates one series, whose samples lie in kernel memory, and hands its row to the sink if it has a value. */
  visit(labels: Labels, nameDropped: boolean, timestampsPtr: number, valuesPtr: number, count: number, histograms: SeriesHistograms | undefined, starts: Float64Array | undefined): void {
    if (histograms !== undefined) this.#visitMixed(labels, nameDropped, timestampsPtr, valuesPtr, count, histograms, starts);
    else if (starts !== undefined) this.#visitWithStarts(labels, nameDropped, timestampsPtr, valuesPtr, count, starts);
    else this.#visitFloats(labels, nameDropped, timestampsPtr, valuesPtr, count);
  }

  free(): void {
    this.#row.free();
    this.#work.free();
    this.#fresh.free();
    this.#names.free();
  }

  #visitFloats(labels: Labels, nameDropped: boolean, timestampsPtr: number, valuesPtr: number, count: number): void {
    const { kernels, counts } = this.#context;
    const { steps } = this.#call;
    const outPtr = this.#row.ensure(steps * 9);
    const presentPtr = outPtr + steps * 8;
    let t = timestampsPtr;
    let v = valuesPtr;
    let n = count;
    const stale = kernels.countStale(v, n);
    if (stale > 0) {
      const kept = n - stale;
      t = this.#fresh.ensure(kept * 16);
      v = t + kept * 8;
      n = kernels.dropStale(timestampsPtr, valuesPtr, count, t, v);
    }
    const found = this.#fillFloats(t, v, n, outPtr, presentPtr);
    this.#context.samples += n;
    if (counts !== undefined) this.#countWindows(kernels.memory.f64(t, n), undefined);
    this.#hold(found);
    if (found > 0) this.#names.add(labels, nameDropped, this.#options.sink, outPtr, presentPtr, found);
  }

  #visitWithStarts(labels: Labels, nameDropped: boolean, timestampsPtr: number, valuesPtr: number, count: number, starts: Float64Array): void {
    const { memory } = this.#context.kernels;
    const { steps } = this.#call;
    const outPtr = this.#row.ensure(steps * 9);
    const presentPtr = outPtr + steps * 8;
    const series = splitSeries(memory.f64(timestampsPtr, count), memory.f64(valuesPtr, count), undefined, starts);
    const found = this.#fillFromStarts(labels, series, outPtr, presentPtr);
    this.#context.samples += series.floats.length;
    this.#countWindows(series.floatTimesMs, undefined);
    this.#hold(found);
    if (found > 0) this.#names.add(labels, nameDropped, this.#options.sink, outPtr, presentPtr, found);
  }

  #visitMixed(labels: Labels, nameDropped: boolean, timestampsPtr: number, valuesPtr: number, count: number, stored: SeriesHistograms, starts: Float64Array | undefined): void {
    const { memory } = this.#context.kernels;
    const { steps, rangeMs, pos, worked } = this.#call;
    const { func } = this.#options.call;
    const selector = this.#selector;
    const histograms = selector !== undefined && this.#context.statsSelectors.has(selector) ? withoutBuckets(stored, count) : stored;
    const series = splitSeries(memory.f64(timestampsPtr, count), memory.f64(valuesPtr, count), histograms, starts);
    const outPtr = this.#row.ensure(steps * 9);
    const presentPtr = outPtr + steps * 8;
    const n = series.floats.length;
    memory.u8(presentPtr, steps).fill(0);
    if (n > 0 && series.floatStarts !== undefined) this.#fillFromStarts(labels, series, outPtr, presentPtr);
    else if (n > 0) {
      const floatsPtr = this.#fresh.ensure(n * 16);
      memory.f64(floatsPtr, n).set(series.floatTimesMs);
      memory.f64(floatsPtr + n * 8, n).set(series.floats);
      this.#fillFloats(floatsPtr, floatsPtr + n * 8, n, outPtr, presentPtr);
    }
    const windows = {
      func,
      firstEndMs: this.look.firstMs,
      endStepMs: this.look.stepMs,
      rangeMs,
      extended: selector?.anchored === true ? ('anchored' as const) : selector?.smoothed === true ? ('smoothed' as const) : ('no' as const),
      lookbackMs: this.#context.settings.lookbackMs,
      remarks: { annotations: this.#context.annotations, metricName: getLabel(labels, METRIC_NAME), pos },
      worked,
      checkArguments: func === 'double_exponential_smoothing' ? (step: number) => void smoothingFactors(this.#call, step) : undefined,
    };
    const present = memory.u8(presentPtr, steps);
    const found = mixedSteps(series, windows, memory.f64(outPtr, steps), present);
    this.#countWindows(series.floatTimesMs, undefined);
    this.#countWindows(series.timesMs, series.histograms);
    this.#context.samples += n + series.histograms.size();
    let samples = 0;
    for (let k = 0; k < steps; k++) if (present[k] === 1) samples += found.sizeAt(k) || 1;
    this.#hold(samples);
    if (samples > 0) this.#names.add(labels, nameDropped, this.#options.sink, outPtr, presentPtr, samples, found);
  }

  /** The function over floats, without stale markers; returns how many steps have a value. */
  #fillFloats(t: number, v: number, n: number, outPtr: number, presentPtr: number): number {
    const { kernels } = this.#context;
    const { steps, rangeMs } = this.#call;
    if (this.#kernel === undefined) {
      const { memory } = kernels;
      return this.#run!(this.#call, memory.f64(t, n), memory.f64(v, n), memory.f64(outPtr, steps), memory.u8(presentPtr, steps));
    }
    const scratchPtr = this.#work.ensure(8 * (n + 2));
    // Functions that add up every window may take long over one series: they go a part of the steps at a time, to poll in between.
    const part = ADDING_FUNCTIONS.has(this.#kernel) ? Math.max(1, Math.floor(WORK_PER_CALL / (n + 1))) : steps;
    let found = 0;
    for (let k = 0; k < steps; k += part) {
      const endMs = this.look.firstMs + k * this.look.stepMs;
      found += kernels.windowFunction(this.#kernel, t, v, n, endMs, this.look.stepMs, Math.min(part, steps - k), rangeMs, outPtr + k * 8, presentPtr + k, scratchPtr);
      if (part < steps) this.#context.poll();
    }
    return found;
  }

  /** The function over floats with start timestamps. */
  #fillFromStarts(labels: Labels, { floatTimesMs, floats, floatStarts, timesMs }: SplitSeries, outPtr: number, presentPtr: number): number {
    const { memory } = this.#context.kernels;
    const { steps } = this.#call;
    const anchoredMs = this.#selector?.anchored === true ? this.#context.settings.lookbackMs : undefined;
    const call = { ...this.#call, metricName: getLabel(labels, METRIC_NAME), anchoredMs, histogramTimesMs: timesMs };
    const run = START_FUNCTIONS.get(this.#options.call.func)!;
    return run(call, { timestampsMs: floatTimesMs, values: floats, starts: floatStarts! }, memory.f64(outPtr, steps), memory.u8(presentPtr, steps));
  }

  #countWindows(timesMs: Float64Array, histograms: HistogramList | undefined): void {
    this.#context.counts?.addWindows(timesMs, this.look, this.#call.rangeMs, histograms, this.#selector !== undefined);
  }

  /** Holds the samples of a row; when they are counted, beside them the windows that Prometheus holds. */
  #hold(found: number): void {
    const windows = this.#context.counts?.windowPeaks();
    if (windows !== undefined) this.#context.touch(windows.max);
    this.#context.hold(found);
    if (windows !== undefined) this.#context.touch(windows.last);
  }
}
