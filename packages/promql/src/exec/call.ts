/**
 * Calls of functions over instant vectors and scalars. Arguments are evaluated here; what is done with them is in ../functions/.
 */
import { METRIC_NAME, withLabel } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { absentLabels } from '../functions/absent.ts';
import { DATE_FUNCTIONS, dateColumn } from '../functions/dates.ts';
import { max, min } from '../functions/go-math.ts';
import { HISTOGRAM_VALUES, valuesOfHistograms } from '../functions/histogram-values.ts';
import { histogramFraction, histogramQuantile, histogramQuantiles } from '../functions/histogram.ts';
import { infoJoin } from '../functions/info.ts';
import { labelJoin, labelReplace } from '../functions/label-functions.ts';
import { clamp, ELEMENTWISE, mapValues, roundTo } from '../functions/math.ts';
import { sortByLabel, sortByValue } from '../functions/sort.ts';
import type { Call, Expr, VectorSelector } from '../parser/ast.ts';
import { evaluateScalar, evaluateVector, type Value } from './operators.ts';
import { type Grid, isOneTime, type QueryContext } from './query-context.ts';
import { readSeries } from './read-series.ts';
import { MatrixSink, Scratch } from './rows.ts';
import { lookTimes } from './look-times.ts';
import { dropNames, mergeDuplicates, StepMatrix } from './step-matrix.ts';


/** Evaluates a call that takes no range vector. */
export async function evaluateCall(context: QueryContext, call: Call, grid: Grid): Promise<Value> {
  const delayed = context.settings.delayedNameRemoval;
  const vectorArg = (i: number): Promise<StepMatrix> => evaluateVector(context, call.args[i]!, grid);
  /** For functions that leave histograms out. */
  const floatsArg = async (i: number): Promise<StepMatrix> => {
    const matrix = await vectorArg(i);
    if (matrix.histograms === undefined) return matrix;
    context.drop(matrix.count());
    matrix.dropHistograms();
    context.hold(matrix.count());
    return matrix;
  };
  const scalarArg = (i: number): Promise<Float64Array> => evaluateScalar(context, call.args[i]!, grid);
  const vector = (matrix: StepMatrix): Value => ({ type: 'vector', matrix });
  /** For functions that give a new quantity. */
  const renamed = (matrix: StepMatrix): Value => vector(dropNames(matrix, delayed));
  const { steps } = grid;

  const elementwise = ELEMENTWISE.get(call.func);
  if (elementwise !== undefined) return renamed(mapValues(await floatsArg(0), elementwise));
  const date = DATE_FUNCTIONS.get(call.func);
  if (date !== undefined) {
    if (call.args.length > 0) return renamed(mapValues(await floatsArg(0), date));
    return vector(oneSeries(context, dateColumn(grid, date)));
  }
  const ofHistogram = HISTOGRAM_VALUES.get(call.func);
  // As in Prometheus, type and unit stay unless names are dropped at the end.
  if (ofHistogram !== undefined) return vector(dropNames(valuesOfHistograms(context, await vectorArg(0), ofHistogram), delayed, (labels) => withLabel(labels, METRIC_NAME, '')));

  switch (call.func) {
    case 'time': {
      const values = new Float64Array(steps);
      for (let k = 0; k < steps; k++) values[k] = (grid.startMs + k * grid.stepMs) / 1000;
      return { type: 'scalar', values };
    }
    case 'pi':
      return { type: 'scalar', values: new Float64Array(steps).fill(Math.PI) };
    case 'max_of':
    case 'min_of': {
      const [a, b] = [await scalarArg(0), await scalarArg(1)];
      const pick = call.func === 'max_of' ? max : min;
      return { type: 'scalar', values: a.map((x, k) => pick(x, b[k]!)) };
    }
    case 'scalar':
      return { type: 'scalar', values: toScalar(context, await vectorArg(0)) };
    case 'vector':
      return vector(oneSeries(context, await scalarArg(0)));
    case 'absent':
      return vector(absent(context, call, await vectorArg(0)));
    case 'timestamp':
      return renamed(await timestamps(context, call, grid));
    case 'start_timestamp':
      return renamed(await startTimestamps(context, call, grid));
    case 'round':
      return renamed(roundTo(await floatsArg(0), call.args.length > 1 ? await scalarArg(1) : new Float64Array(steps).fill(1)));
    case 'clamp':
      return renamed(clamp(await floatsArg(0), await scalarArg(1), await scalarArg(2)));
    case 'clamp_min':
      return renamed(clamp(await floatsArg(0), await scalarArg(1), new Float64Array(steps).fill(Infinity)));
    case 'clamp_max':
      return renamed(clamp(await floatsArg(0), new Float64Array(steps).fill(-Infinity), await scalarArg(1)));
    case 'sort':
    case 'sort_desc':
      if (isOneTime(grid)) return vector(sortByValue(await floatsArg(0), call.func === 'sort_desc'));
      context.annotations.sortInRangeQuery(call.pos);
      return vector(await floatsArg(0));
    case 'sort_by_label':
    case 'sort_by_label_desc':
      if (isOneTime(grid)) return vector(sortByLabel(await vectorArg(0), call.args.slice(1).map(stringOf), call.func === 'sort_by_label_desc'));
      context.annotations.sortInRangeQuery(call.pos);
      return vector(await vectorArg(0));
    case 'label_replace': {
      const [dst, replacement, src, regex] = call.args.slice(1).map(stringOf) as [string, string, string, string];
      const replace = labelReplace(dst, replacement, src, regex, call.pos);
      return vector(mergeDuplicates(replace(await vectorArg(0))));
    }
    case 'label_join': {
      const [dst, separator, ...sources] = call.args.slice(1).map(stringOf) as [string, string, ...string[]];
      const join = labelJoin(dst, separator, sources, call.pos);
      return vector(mergeDuplicates(join(await vectorArg(0))));
    }
    case 'histogram_quantile': {
      const q = await scalarArg(0);
      return vector(histogramQuantile(context, grid, { q, qPos: call.args[0]!.pos, vectorPos: call.args[1]!.pos }, await vectorArg(1)));
    }
    case 'histogram_quantiles': {
      const matrix = await vectorArg(0);
      const label = stringOf(call.args[1]!);
      const quantiles = [];
      for (const arg of call.args.slice(2)) {
        quantiles.push({ q: await evaluateScalar(context, arg, grid), qPos: arg.pos, vectorPos: call.args[0]!.pos });
      }
      return vector(histogramQuantiles(context, grid, label, quantiles, matrix));
    }
    case 'histogram_fraction': {
      const [lower, upper] = [await scalarArg(0), await scalarArg(1)];
      return vector(histogramFraction(context, grid, lower, upper, call.args[2]!.pos, await vectorArg(2)));
    }
    case 'info':
      return vector(await infoJoin(context, call, grid, await vectorArg(0)));
    default:
      throw new PromqlError('ERR_NOT_SUPPORTED', `function ${call.func} is not supported yet`, { pos: call.pos });
  }
}

/** The value of a string argument; the parser has checked its type. */
function stringOf(expr: Expr): string {
  let inner = expr;
  while (inner.type === 'paren' || inner.type === 'stepInvariant') inner = inner.expr;
  if (inner.type !== 'string') throw new Error(`read string argument: got ${inner.type}`);
  return inner.value;
}

/** One series without labels. */
function oneSeries(context: QueryContext, values: Float64Array): StepMatrix {
  const matrix = new StepMatrix(context, values.length, 1);
  matrix.addRow([], false);
  matrix.values.set(values);
  matrix.present.fill(1, 0, values.length);
  context.hold(values.length);
  return matrix;
}

/** The value of a vector of one element at each step; NaN otherwise. */
function toScalar(context: QueryContext, matrix: StepMatrix): Float64Array {
  const { steps } = matrix;
  const values = new Float64Array(steps).fill(NaN);
  const seen = new Uint8Array(steps);
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < steps; k++) {
      const i = row * steps + k;
      if (matrix.present[i] === 0) continue;
      if (matrix.histogramAt(row, k) !== undefined) continue;
      values[k] = seen[k] === 0 ? matrix.values[i]! : NaN;
      seen[k] = 1;
    }
  }
  context.drop(matrix.count());
  matrix.release();
  return values;
}

/** 1 at the steps at which the vector is empty. */
function absent(context: QueryContext, call: Call, matrix: StepMatrix): StepMatrix {
  const { steps } = matrix;
  const out = new StepMatrix(context, steps, 1);
  const at = out.addRow(absentLabels(call.args[0]!), false) * steps;
  out.values.fill(1, at, at + steps);
  out.present.fill(1, at, at + steps);
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < steps; k++) if (matrix.present[row * steps + k] === 1) out.present[k] = 0;
  }
  context.drop(matrix.count());
  context.hold(out.count());
  matrix.release();
  out.keepRows((row) => out.hasValues(row));
  return out;
}

/** The argument, if it is a selector and nothing else. */
function selectorArgument(call: Call): VectorSelector | undefined {
  const arg = call.args[0]!;
  const inner = arg.type === 'stepInvariant' ? arg.expr : arg;
  return inner.type === 'vectorSelector' ? inner : undefined;
}

/** timestamp(): of a selector the samples' own times, of anything else the evaluation time. */
async function timestamps(context: QueryContext, call: Call, grid: Grid): Promise<StepMatrix> {
  const { steps } = grid;
  const selector = selectorArgument(call);
  if (selector === undefined) {
    const matrix = await evaluateVector(context, call.args[0]!, grid);
    matrix.histograms = undefined;
    for (let row = 0; row < matrix.rows; row++) {
      for (let k = 0; k < steps; k++) matrix.values[row * steps + k] = (grid.startMs + k * grid.stepMs) / 1000;
    }
    return matrix;
  }
  return timesOfSamples(context, selector, grid, false, (times, _starts, at) => times[at]!);
}

/** start_timestamp(): of a selector since when its samples count, 0 where that is not known; of anything else nothing, and nothing without the feature. */
async function startTimestamps(context: QueryContext, call: Call, grid: Grid): Promise<StepMatrix> {
  const selector = selectorArgument(call);
  if (selector === undefined || !context.settings.useStartTimestamps) {
    const matrix = await evaluateVector(context, call.args[0]!, grid);
    context.drop(matrix.count());
    matrix.keepRows(() => false);
    return matrix;
  }
  return timesOfSamples(context, selector, grid, true, (_times, starts, at) => starts?.[at] ?? 0);
}

/** A time of the sample that is in effect at each step, in seconds. */
async function timesOfSamples(
  context: QueryContext,
  arg: VectorSelector,
  grid: Grid,
  withStarts: boolean,
  pickMs: (timestampsMs: Float64Array, starts: Float64Array | undefined, at: number) => number,
): Promise<StepMatrix> {
  const { steps } = grid;
  // As Prometheus: beside `@` an offset moves what is read from storage, but not the time that is looked at.
  const asked = lookTimes(arg, grid);
  const look = lookTimes(arg.timestampMs === undefined ? arg : { timestampMs: arg.timestampMs, originalOffsetMs: 0 }, grid);
  const { kernels } = context;
  const { lookbackMs } = context.settings;
  const sink = new MatrixSink(context, steps);
  const row = new Scratch(context);
  try {
    const valuesPtr = row.ensure(steps * 9);
    const presentPtr = valuesPtr + steps * 8;
    const request = { matchers: arg.matchers, read: arg.read, mint: asked.askFromMs - lookbackMs + 1, maxt: asked.lastMs, withStarts };
    await readSeries(context, request, (labels, timestampsPtr, columnPtr, count, _histograms, starts) => {
      // The kernel says where there is a sample; its time is then looked up.
      const found = kernels.lookback(timestampsPtr, columnPtr, count, look.firstMs, look.stepMs, steps, lookbackMs, valuesPtr, presentPtr);
      if (found === 0) return;
      const times = kernels.memory.f64(timestampsPtr, count);
      const out = kernels.memory.f64(valuesPtr, steps);
      let hi = 0;
      for (let k = 0; k < steps; k++) {
        const ref = look.firstMs + k * look.stepMs;
        while (hi < count && times[hi]! <= ref) hi++;
        out[k] = hi === 0 ? 0 : pickMs(times, starts, hi - 1) / 1000;
      }
      context.samples += found;
      context.counts?.addSteps(kernels.memory.u8(presentPtr, steps), undefined);
      context.hold(found);
      sink.add(labels, false, valuesPtr, presentPtr, found);
    });
  } finally {
    row.free();
  }
  return sink.matrix;
}
