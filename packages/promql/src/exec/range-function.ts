/**
 * Calls of functions over range vectors (`rate(x[5m])`, `max_over_time(rate(x[1m])[1h:])`), series by series, all steps of one at a time.
 *
 * The range vector is a matrix selector, read from storage, or a subquery, evaluated first over its own grid. Hot functions are kernels; the
 * rest are in ../functions/range-functions.ts.
 */
import { WINDOW } from '@gauntlet/kernels';
import { type FloatHistogram, getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { LOOK_BEHIND_MS, RANGE_FUNCTIONS, type RangeFunctionCall, smoothingFactors } from '../functions/range-functions.ts';
import { START_FUNCTIONS } from '../functions/start-timestamps.ts';
import type { Call, Expr, MatrixSelector, SubqueryExpr } from '../parser/ast.ts';
import { absentLabels } from '../functions/absent.ts';
import { evaluateScalar, type Surroundings } from './operators.ts';
import { extendedFunction } from './extended-range.ts';
import { dropMetadata, labelsKey } from './labels.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { withoutBuckets } from './histogram-stats.ts';
import { mixedSteps, type SplitSeries, splitSeries, stepHistograms } from './mixed-range.ts';
import { readSeries, type SeriesHistograms } from './read-series.ts';
import { type RowSink, Scratch } from './rows.ts';
import { lookTimes } from './look-times.ts';
import { duplicateLabelset, type HistogramRow, samplesOfHistogram } from './step-matrix.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { evaluateSubquery, subqueryGrid } from './subquery.ts';

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

/** Whether a call takes a range vector. */
export function isRangeCall(call: Call): boolean {
  return KERNEL_FUNCTIONS.has(call.func) || RANGE_FUNCTIONS.has(call.func);
}

/** Evaluates a call of a range function into a sink. */
export async function rangeFunctionRows(context: QueryContext, call: Call, grid: Grid, around: Surroundings, sink: RowSink): Promise<void> {
  if (call.func === 'absent_over_time') return absentOverTimeRows(context, call, grid, around, sink);
  return windowRows(context, call, grid, around, sink);
}

async function windowRows(context: QueryContext, call: Call, grid: Grid, around: Surroundings, sink: RowSink): Promise<void> {
  const { kernels } = context;
  const { steps } = grid;
  const inner = { func: call.func, grouping: [], by: false, stepMs: around.stepMs };
  const range = rangeArgument(call);
  const args: Float64Array[] = [];
  for (const arg of call.args) if (arg !== range) args.push(await evaluateScalar(context, arg, grid, inner));

  const look = lookTimes(range.type === 'subquery' ? range : range.vector, grid);
  const selector = range.type === 'matrixSelector' ? range.vector : undefined;
  const extended = selector !== undefined && (selector.anchored || selector.smoothed) ? extendedFunction(context, call, selector) : undefined;
  const kernel = KERNEL_FUNCTIONS.get(call.func);
  const functionCall: RangeFunctionCall = {
    firstEndMs: look.firstMs,
    endStepMs: look.stepMs,
    startMs: grid.startMs,
    stepMs: grid.stepMs,
    steps,
    rangeMs: range.rangeMs,
    lookBehindMs: selector === undefined ? 0 : (LOOK_BEHIND_MS.get(call.func) ?? 0),
    args,
    annotations: context.annotations,
    worked: (samples) => context.worked(samples, 0),
    pos: remarkPos(call, range),
  };
  const run = extended ?? RANGE_FUNCTIONS.get(call.func);
  // Subqueries have no start timestamps, and extended rates do not look at them.
  const withStarts = context.settings.useStartTimestamps && selector !== undefined && (extended === undefined || call.func === 'resets') ? START_FUNCTIONS.get(call.func) : undefined;
  const names = new RowNames(context, call, functionCall.pos);

  const row = new Scratch(context);
  const work = new Scratch(context);
  const fresh = new Scratch(context);
  /** The function over floats, without stale markers. */
  const fill = (t: number, v: number, n: number, outPtr: number, presentPtr: number): number => {
    if (extended === undefined && kernel !== undefined) {
      const scratchPtr = work.ensure(8 * (n + 2));
      // Functions that add up every window may take long over one series: they go a part of the steps at a time, to poll in between.
      const part = ADDING_FUNCTIONS.has(kernel) ? Math.max(1, Math.floor(WORK_PER_CALL / (n + 1))) : steps;
      let found = 0;
      for (let k = 0; k < steps; k += part) {
        const end = look.firstMs + k * look.stepMs;
        const count = Math.min(part, steps - k);
        found += kernels.windowFunction(kernel, t, v, n, end, look.stepMs, count, range.rangeMs, outPtr + k * 8, presentPtr + k, scratchPtr);
        if (part < steps) context.poll();
      }
      return found;
    }
    const { memory } = kernels;
    return run!(functionCall, memory.f64(t, n), memory.f64(v, n), memory.f64(outPtr, steps), memory.u8(presentPtr, steps));
  };
  /** The function over floats with start timestamps. */
  const fillFromStarts = (labels: Labels, { floatTimesMs, floats, floatStarts, timesMs }: SplitSeries, outPtr: number, presentPtr: number): number => {
    const { memory } = kernels;
    const anchoredMs = selector?.anchored === true ? context.settings.lookbackMs : undefined;
    const startCall = { ...functionCall, metricName: getLabel(labels, METRIC_NAME), anchoredMs, histogramTimesMs: timesMs };
    return withStarts!(startCall, { timestampsMs: floatTimesMs, values: floats, starts: floatStarts! }, memory.f64(outPtr, steps), memory.u8(presentPtr, steps));
  };
  const countWindows = (timesMs: Float64Array, histograms: readonly FloatHistogram[] | undefined): void =>
    context.counts?.addWindows(timesMs, look, range.rangeMs, histograms, range.type === 'matrixSelector');
  /** Holds the samples of a row; when they are counted, beside them the windows that Prometheus holds. */
  const hold = (found: number): void => {
    const windows = context.counts?.windowPeaks();
    if (windows !== undefined) context.touch(windows.max);
    context.hold(found);
    if (windows !== undefined) context.touch(windows.last);
  };
  const visitMixed = (labels: Labels, nameDropped: boolean, t: number, v: number, count: number, stored: SeriesHistograms, starts: Float64Array | undefined): void => {
    const { memory } = kernels;
    const histograms = selector !== undefined && context.statsSelectors.has(selector) ? withoutBuckets(stored, count) : stored;
    const series = splitSeries(memory.f64(t, count), memory.f64(v, count), histograms, starts);
    const outPtr = row.ensure(steps * 9);
    const presentPtr = outPtr + steps * 8;
    const n = series.floats.length;
    memory.u8(presentPtr, steps).fill(0);
    if (n > 0 && series.floatStarts !== undefined) fillFromStarts(labels, series, outPtr, presentPtr);
    else if (n > 0) {
      const floatsPtr = fresh.ensure(n * 16);
      memory.f64(floatsPtr, n).set(series.floatTimesMs);
      memory.f64(floatsPtr + n * 8, n).set(series.floats);
      fill(floatsPtr, floatsPtr + n * 8, n, outPtr, presentPtr);
    }
    const windows = {
      func: call.func,
      firstEndMs: look.firstMs,
      endStepMs: look.stepMs,
      rangeMs: range.rangeMs,
      extended: selector?.anchored === true ? ('anchored' as const) : selector?.smoothed === true ? ('smoothed' as const) : ('no' as const),
      lookbackMs: context.settings.lookbackMs,
      remarks: { annotations: context.annotations, metricName: getLabel(labels, METRIC_NAME), pos: functionCall.pos },
      worked: functionCall.worked,
      checkArguments: call.func === 'double_exponential_smoothing' ? (step: number) => void smoothingFactors(functionCall, step) : undefined,
    };
    const present = memory.u8(presentPtr, steps);
    const found = mixedSteps(series, windows, memory.f64(outPtr, steps), present);
    countWindows(series.floatTimesMs, undefined);
    countWindows(series.timesMs, series.histograms);
    context.samples += series.histograms.reduce((sum, histogram) => sum + samplesOfHistogram(histogram), n);
    const samples = present.reduce((sum, one, k) => sum + (one === 0 ? 0 : found[k] === undefined ? 1 : samplesOfHistogram(found[k])), 0);
    hold(samples);
    if (samples === 0) return;
    names.add(labels, nameDropped, sink, outPtr, presentPtr, samples, found);
  };
  const visit = (
    labels: Labels,
    nameDropped: boolean,
    timestampsPtr: number,
    valuesPtr: number,
    count: number,
    histograms: SeriesHistograms | undefined,
    starts: Float64Array | undefined,
  ): void => {
    if (histograms !== undefined) return visitMixed(labels, nameDropped, timestampsPtr, valuesPtr, count, histograms, starts);
    const outPtr = row.ensure(steps * 9);
    const presentPtr = outPtr + steps * 8;
    if (starts !== undefined) {
      const series = splitSeries(kernels.memory.f64(timestampsPtr, count), kernels.memory.f64(valuesPtr, count), undefined, starts);
      const found = fillFromStarts(labels, series, outPtr, presentPtr);
      context.samples += series.floats.length;
      countWindows(series.floatTimesMs, undefined);
      hold(found);
      if (found === 0) return;
      names.add(labels, nameDropped, sink, outPtr, presentPtr, found);
      return;
    }
    let t = timestampsPtr;
    let v = valuesPtr;
    let n = count;
    const stale = kernels.countStale(v, n);
    if (stale > 0) {
      const kept = n - stale;
      t = fresh.ensure(kept * 16);
      v = t + kept * 8;
      n = kernels.dropStale(timestampsPtr, valuesPtr, count, t, v);
    }
    const found = fill(t, v, n, outPtr, presentPtr);
    context.samples += n;
    if (context.counts !== undefined) countWindows(kernels.memory.f64(t, n), undefined);
    hold(found);
    if (found === 0) return;
    names.add(labels, nameDropped, sink, outPtr, presentPtr, found);
  };

  try {
    if (range.type === 'subquery') await subqueryRows(context, range, grid, inner, visit);
    else {
      const before = extended === undefined ? functionCall.lookBehindMs : context.settings.lookbackMs;
      const after = range.vector.smoothed ? context.settings.lookbackMs : 0;
      const request = {
        matchers: range.vector.matchers,
        read: range.vector.read,
        mint: look.askFromMs - range.rangeMs - before + 1,
        maxt: look.lastMs + after,
        hints: { ...inner, rangeMs: range.rangeMs },
        withStarts: withStarts !== undefined,
      };
      await readSeries(context, request, (labels, t, v, n, histograms, starts) => visit(labels, false, t, v, n, histograms, withStarts === undefined ? undefined : starts));
    }
  } finally {
    row.free();
    work.free();
    fresh.free();
    names.free();
  }
}

function withoutParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren' || inner.type === 'stepInvariant') inner = inner.expr;
  return inner;
}

function rangeArgument(call: Call): MatrixSelector | SubqueryExpr {
  for (const arg of call.args) {
    const inner = withoutParens(arg);
    if (inner.type === 'matrixSelector' || inner.type === 'subquery') return inner;
  }
  throw new PromqlError('ERR_EXECUTION', `call ${call.func}: no range vector among its arguments`, { pos: call.pos });
}

/** Where remarks about a call point to: its first argument. As in Prometheus a subquery there has no place, so they point to the begin of the query. */
function remarkPos(call: Call, range: MatrixSelector | SubqueryExpr): Expr['pos'] {
  return range.type === 'subquery' && withoutParens(call.args[0]!) === range ? { start: 0, end: 0 } : call.args[0]!.pos;
}

/** Evaluates a subquery and hands its rows on as columns: the steps that have a value. */
async function subqueryRows(
  context: QueryContext,
  subquery: SubqueryExpr,
  grid: Grid,
  around: Surroundings,
  visit: (labels: Labels, nameDropped: boolean, timestampsPtr: number, valuesPtr: number, count: number, histograms: SeriesHistograms | undefined, starts: undefined) => void,
): Promise<void> {
  const inner = subqueryGrid(context, subquery, grid);
  if (inner.steps === 0) return;
  const matrix = await evaluateSubquery(context, subquery, inner, around);
  const held = matrix.count();
  const scratch = new Scratch(context);
  try {
    const timestampsPtr = scratch.ensure(inner.steps * 16);
    const valuesPtr = timestampsPtr + inner.steps * 8;
    for (let row = 0; row < matrix.rows; row++) {
      const timestamps = context.kernels.memory.f64(timestampsPtr, inner.steps);
      const values = context.kernels.memory.f64(valuesPtr, inner.steps);
      const at = row * inner.steps;
      let count = 0;
      for (let k = 0; k < inner.steps; k++) {
        if (matrix.present[at + k] === 0) continue;
        timestamps[count] = inner.startMs + k * inner.stepMs;
        values[count++] = matrix.values[at + k]!;
      }
      if (count > 0) visit(matrix.labels[row]!, matrix.dropName[row]!, timestampsPtr, valuesPtr, count, stepHistograms(matrix, row), undefined);
      context.worked(count, 1);
    }
  } finally {
    scratch.free();
    matrix.release();
    context.drop(held);
  }
}

const COUNTER_SUFFIXES = ['_total', '_sum', '_count', '_bucket'] as const;

/**
 * Names of the result rows: dropped except by `first_over_time` and `last_over_time`. Two series that differ only in their name then have one
 * identity, which is an error; as long as all have the same name there is nothing to check.
 */
class RowNames {
  readonly #context: QueryContext;
  readonly #keepsName: boolean;
  readonly #wantsCounter: boolean;
  readonly #isAbsence: boolean;
  readonly #pos: Expr['pos'];
  #name: string | undefined;
  #first: Labels[] = [];
  #firstBytes = 0;
  #seen: KeyTable | undefined;

  constructor(context: QueryContext, call: Call, pos: Expr['pos']) {
    this.#context = context;
    this.#keepsName = call.func === 'last_over_time' || call.func === 'first_over_time';
    this.#isAbsence = call.func === 'absent_over_time';
    this.#wantsCounter = call.func === 'rate' || call.func === 'increase';
    this.#pos = pos;
  }

  add(labels: Labels, nameDropped: boolean, sink: RowSink, valuesPtr: number, presentPtr: number, found: number, histograms?: HistogramRow): void {
    const name = getLabel(labels, METRIC_NAME);
    if (this.#wantsCounter && name !== '' && (histograms === undefined || this.#hasFloats(presentPtr, histograms))) this.#checkCounter(labels, name);
    const drop = nameDropped || !this.#keepsName;
    // Of absent_over_time only the presence of rows counts.
    if (this.#isAbsence || this.#context.settings.delayedNameRemoval || !drop) {
      sink.add(labels, drop, valuesPtr, presentPtr, found, histograms);
      return;
    }
    const rest = dropMetadata(labels);
    this.#checkUnique(name + labelsMetadata(labels), rest);
    sink.add(rest, true, valuesPtr, presentPtr, found, histograms);
  }

  #hasFloats(presentPtr: number, histograms: HistogramRow): boolean {
    const present = this.#context.kernels.memory.u8(presentPtr, histograms.length);
    return histograms.some((histogram, k) => histogram === undefined && present[k] === 1);
  }

  #checkCounter(labels: Labels, name: string): void {
    const { annotations, settings } = this.#context;
    if (settings.typeAndUnitLabels) {
      const type = getLabel(labels, '__type__');
      if (type !== 'counter' && type !== 'histogram') annotations.possibleNonCounterType(name, type, this.#pos);
    } else if (!COUNTER_SUFFIXES.some((suffix) => name.endsWith(suffix))) annotations.possibleNonCounter(name, this.#pos);
  }

  #checkUnique(metadata: string, rest: Labels): void {
    if (this.#seen === undefined) {
      if (this.#name === undefined || this.#name === metadata) {
        this.#name = metadata;
        const bytes = bytesOfLabels(rest);
        this.#context.reserve(bytes);
        this.#firstBytes += bytes;
        this.#first.push(rest);
        return;
      }
      this.#seen = new KeyTable(this.#context);
      for (const labels of this.#first) this.#seen.idOf(labelsKey(labels));
      this.#first = [];
    }
    const known = this.#seen.size;
    if (this.#seen.idOf(labelsKey(rest)) < known) throw duplicateLabelset();
  }

  /** Gives the memory charge back. */
  free(): void {
    this.#seen?.free();
    this.#context.release(this.#firstBytes);
    this.#firstBytes = 0;
    this.#first = [];
  }
}

function labelsMetadata(labels: Labels): string {
  const type = getLabel(labels, '__type__');
  const unit = getLabel(labels, '__unit__');
  return type === '' && unit === '' ? '' : `\ud800${type}\ud800${unit}`;
}

/** absent_over_time: 1 where no series has a sample in the window. */
async function absentOverTimeRows(context: QueryContext, call: Call, grid: Grid, around: Surroundings, sink: RowSink): Promise<void> {
  const { steps } = grid;
  const { memory } = context.kernels;
  const some = new Uint8Array(steps);
  await windowRows(context, call, grid, around, {
    add(_labels, _dropName, _valuesPtr, presentPtr, found) {
      const present = memory.u8(presentPtr, steps);
      for (let k = 0; k < steps; k++) some[k] = some[k]! | present[k]!;
      context.drop(found);
    },
  });
  const row = new Scratch(context);
  try {
    const valuesPtr = row.ensure(steps * 9);
    const presentPtr = valuesPtr + steps * 8;
    const present = memory.u8(presentPtr, steps);
    let found = 0;
    for (let k = 0; k < steps; k++) {
      present[k] = 1 - some[k]!;
      found += present[k]!;
    }
    memory.f64(valuesPtr, steps).fill(1);
    if (found === 0) return;
    context.hold(found);
    sink.add(absentLabels(call.args[0]!), true, valuesPtr, presentPtr, found);
  } finally {
    row.free();
  }
}
