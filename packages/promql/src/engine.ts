/**
 * The query engine: parse, prepare, evaluate, and put the answer into columns.
 *
 *   text ── parser ──► tree ── plan/prepare, plan/plan-query ──► plan ── exec/evaluate ──► StepMatrix ──► QueryResult
 *
 * One engine serves many queries, also at the same time; all state of a query is in its QueryContext.
 */
import { KernelError } from '@gauntlet/kernels';
import { type FloatHistogram, isStaleHistogram, isStaleNaN, type Labels, type Queryable, wordsOf } from '@gauntlet/model';
import { Annotations } from './annotations.ts';
import { PromqlError } from './errors.ts';
import { OPERATORS } from './exec/evaluate.ts';
import { evaluate, type Value } from './exec/operators.ts';
import { extendSamples } from './exec/extended-range.ts';
import { type EngineKernels, type Grid, type QueryControl, QueryContext } from './exec/query-context.ts';
import { statsSelectors, withoutBuckets } from './exec/histogram-stats.ts';
import { readSeries } from './exec/read-series.ts';
import { bytesOfLabels } from './exec/key-table.ts';
import { limitError, placedLimitError } from './exec/limit-errors.ts';
import { lookTimes } from './exec/look-times.ts';
import { removeDelayedNames, samplesOfHistogram, type StepMatrix } from './exec/step-matrix.ts';
import { type Answer, SAMPLE_BYTES, stepAnswer } from './exec/step-answer.ts';
import { countsBytes, SampleCounts } from './exec/sample-counts.ts';
import { evaluateSubquery, subqueryGrid } from './exec/subquery.ts';
import type { Expr, MatrixSelector } from './parser/ast.ts';
import { describeType, valueType } from './parser/check-types.ts';
import type { ParserOptions } from './parser/options.ts';
import { parseExpr } from './parser/parse.ts';
import { quoteString } from './parser/quote.ts';
import { type Explanation, explainPlan } from './plan/explain.ts';
import { type Plan, planQuery } from './plan/plan-query.ts';
import { prepare, type QueryTimes } from './plan/prepare.ts';
import type { RuleName } from './plan/rule.ts';
import type { QueryResult, QueryStats, SampleStats } from './query-result.ts';

/** Settings of an engine. */
export interface EngineOptions {
  readonly kernels: EngineKernels;
  /** How old a sample an instant selector takes, ms; 300,000. Flag `--query.lookback-delta`. */
  readonly lookbackDeltaMs?: number;
  /** Most samples a query may hold at once; 50,000,000. Flag `--query.max-samples`. */
  readonly maxSamples?: number;
  /** Most series a query may read from storage, all its selectors together; 0 = no limit, the default. Flag `--query.max-series`. */
  readonly maxSeries?: number;
  /** Step of subqueries that give none, ms; 60,000. Flag `--query.default-evaluation-interval`. */
  readonly noStepSubqueryIntervalMs?: number;
  /** Metric names are removed at the end of the query instead of in each function; false. */
  readonly delayedNameRemoval?: boolean;
  /** `rate` looks at the label `__type__` instead of the metric's name to tell counters; false. */
  readonly typeAndUnitLabels?: boolean;
  /**
   * `rate`, `increase`, `irate` and `resets` look at the start timestamps of samples, and `start_timestamp` shows them; false. The feature flag
   * `use-start-timestamps` of Prometheus.
   */
  readonly useStartTimestamps?: boolean;
  /** Rules of the planner to leave out, for comparing; none. */
  readonly rulesOff?: readonly RuleName[];
  /** Feature switches of the parser. */
  readonly parser?: ParserOptions;
  /** Most warnings and most infos in an answer; the rest is counted in one more text; 10; 0 = all. */
  readonly annotationsMax?: number;
}

/** What all queries have. */
export interface QueryRequest {
  readonly expr: string;
  readonly queryable: Queryable;
  /** Overrides the engine's. */
  readonly lookbackDeltaMs?: number;
  readonly signal?: AbortSignal;
  /** Cancellation and memory budget from outside; see QueryControl. */
  readonly control?: QueryControl;
  /** Count samples as Prometheus does for `stats`: `result.stats.counts`. Costs some time per series; false. */
  readonly counts?: boolean;
  /** Measure each operator: `result.analysis`. Needs `now`; false. */
  readonly analyze?: boolean;
  /** A clock that never goes back, ms; with it `result.stats.timings` is there. */
  readonly now?: () => number;
  /** `placed` (default): remarks with line and column, at most `annotationsMax` of a kind. `bare`: all, without places, as Thanos answers. */
  readonly remarks?: 'placed' | 'bare';
}

export interface InstantQuery extends QueryRequest {
  readonly timeMs: number;
}

export interface RangeQuery extends QueryRequest {
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** At least 1. */
  readonly stepMs: number;
}

export interface Engine {
  /** Evaluates at one time. @throws PromqlError */
  instant(query: InstantQuery): Promise<QueryResult>;
  /** Evaluates at startMs, startMs + stepMs, … up to endMs. @throws PromqlError */
  range(query: RangeQuery): Promise<QueryResult>;
  /** The plan of a query; nothing is read. @throws PromqlError as the query itself would before it reads */
  explain(query: ExplainQuery): Explanation;
}

/** What a plan depends on. */
export type ExplainQuery = Pick<QueryRequest, 'expr' | 'lookbackDeltaMs'> & (Pick<InstantQuery, 'timeMs'> | Pick<RangeQuery, 'startMs' | 'endMs' | 'stepMs'>);

const LOOKBACK_MS = 300_000;
const NO_STEP_SUBQUERY_INTERVAL_MS = 60_000;

/** An engine over the given kernels. */
export function createEngine(options: EngineOptions): Engine {
  return {
    async instant(query) {
      return run(options, query, planInstant(options, query, query.timeMs));
    },
    async range(query) {
      return run(options, query, planRange(options, query, query));
    },
    explain(query) {
      const { plan } = 'timeMs' in query ? planInstant(options, query, query.timeMs) : planRange(options, query, query);
      return explainPlan(plan);
    },
  };
}

/** A query that can be run. */
interface Planned {
  readonly plan: Plan;
  readonly times: QueryTimes;
  readonly grid: Grid;
  /** Time of the clock before parsing; undefined without one. */
  readonly beganMs: number | undefined;
}

type PlanRequest = Pick<QueryRequest, 'expr' | 'lookbackDeltaMs' | 'now'>;

function planInstant(options: EngineOptions, request: PlanRequest, timeMs: number): Planned {
  const beganMs = request.now?.();
  const expr = parseExpr(request.expr, options.parser);
  const times = { startMs: timeMs, endMs: timeMs, stepMs: 0 };
  return { plan: planOf(options, request, expr, times), times, grid: { startMs: timeMs, stepMs: 1, steps: 1 }, beganMs };
}

function planRange(options: EngineOptions, request: PlanRequest, { startMs, endMs, stepMs }: Pick<RangeQuery, 'startMs' | 'endMs' | 'stepMs'>): Planned {
  const beganMs = request.now?.();
  const expr = parseExpr(request.expr, options.parser);
  const type = valueType(expr);
  if (type !== 'vector' && type !== 'scalar') {
    throw new PromqlError('ERR_PARSE', `invalid expression type ${quoteString(describeType(type))} for range query, must be Scalar or instant Vector`);
  }
  if (!(stepMs >= 1)) throw new PromqlError('ERR_EXECUTION', `evaluate range query: step ${stepMs} ms, wanted at least 1`);
  const times = { startMs, endMs, stepMs };
  const steps = endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1;
  return { plan: planOf(options, request, expr, times), times, grid: { startMs, stepMs, steps, tailMs: steps === 0 ? 0 : (endMs - startMs) % stepMs }, beganMs };
}

function planOf(options: EngineOptions, request: PlanRequest, expr: Expr, times: QueryTimes): Plan {
  const lookbackMs = request.lookbackDeltaMs ?? options.lookbackDeltaMs ?? LOOKBACK_MS;
  const noStepSubqueryIntervalMs = options.noStepSubqueryIntervalMs ?? NO_STEP_SUBQUERY_INTERVAL_MS;
  return planQuery(prepare(request.expr, expr, times), { times, lookbackMs, noStepSubqueryIntervalMs }, options.rulesOff);
}

async function run(options: EngineOptions, query: QueryRequest, { plan, times, grid, beganMs }: Planned): Promise<QueryResult> {
  const annotations = new Annotations();
  const context = new QueryContext({
    queryable: query.queryable,
    kernels: options.kernels,
    operators: OPERATORS,
    settings: {
      lookbackMs: query.lookbackDeltaMs ?? options.lookbackDeltaMs ?? LOOKBACK_MS,
      samplesMax: options.maxSamples ?? 50_000_000,
      seriesMax: options.maxSeries ?? 0,
      noStepSubqueryIntervalMs: options.noStepSubqueryIntervalMs ?? NO_STEP_SUBQUERY_INTERVAL_MS,
      delayedNameRemoval: options.delayedNameRemoval ?? false,
      typeAndUnitLabels: options.typeAndUnitLabels ?? false,
      useStartTimestamps: options.useStartTimestamps ?? false,
    },
    annotations,
    signal: query.signal,
    control: query.control,
  });
  const preparedMs = query.now?.();
  if (query.analyze === true) context.analysis = { meters: new Map(), now: query.now ?? (() => 0) };
  try {
    if (query.counts === true) {
      context.reserve(countsBytes(grid));
      context.counts = new SampleCounts(grid);
    }
    context.statsSelectors = statsSelectors(plan.expr);
    const answer = await answerOf(context, plan.expr, grid, times.stepMs > 0);
    const remarks = query.remarks === 'bare' ? annotations.toBareStrings() : annotations.toStrings(query.expr, options.annotationsMax ?? 10);
    const { counts, analysis } = context;
    const endedMs = query.now?.();
    const stats: QueryStats = {
      samples: context.samples,
      peakSamples: context.peakSamples,
      series: context.series,
      ...(counts === undefined ? {} : { counts: statsOf(counts) }),
      ...(beganMs === undefined ? {} : { timings: { preparationMs: preparedMs! - beganMs, evaluationMs: endedMs! - preparedMs! } }),
    };
    // Not spread: columns of an answer may not have been made yet.
    return Object.assign(answer, {
      ...remarks,
      stats,
      ...(analysis === undefined ? {} : { analysis: explainPlan(plan, (expr) => analysis.meters.get(expr)) }),
      dispose: () => context.releaseAll(),
    });
  } catch (error) {
    context.releaseAll();
    const limit = placedLimitError(limitError(error, plan.expr), query.expr);
    if (limit instanceof PromqlError) throw limit;
    if (error instanceof KernelError) throw new PromqlError('ERR_EXECUTION', `evaluate query: ${error.message}`, { cause: error });
    throw error;
  }
}

function statsOf(counts: SampleCounts): SampleStats {
  return {
    totalQueryableSamples: counts.queryable,
    samplesRead: counts.read,
    totalQueryableSamplesPerStep: counts.queryablePerStep,
    samplesReadPerStep: counts.readPerStep,
  };
}

async function answerOf(context: QueryContext, expr: Expr, grid: Grid, isRange: boolean): Promise<Answer> {
  let inner = expr;
  while (inner.type === 'paren' || inner.type === 'stepInvariant') inner = inner.expr;
  if (inner.type === 'string') return { ...columns(context, 'string', []), string: inner.value };
  if (inner.type === 'matrixSelector') return matrixSelectorAnswer(context, inner, grid);
  if (inner.type === 'subquery') {
    const subGrid = subqueryGrid(context, inner, grid);
    if (subGrid.steps === 0) return columns(context, 'matrix', []);
    return matrixAnswer(context, { type: 'vector', matrix: await evaluateSubquery(context, inner, subGrid, true) }, subGrid);
  }
  if (grid.steps === 0) return columns(context, 'matrix', []);
  const value = await evaluate(context, expr, grid);
  if (isRange) return matrixAnswer(context, value, grid);
  return value.type === 'scalar'
    ? columns(context, 'scalar', [{ labels: [], timestampsMs: [grid.startMs], values: [value.values[0]!] }])
    : vectorAnswer(finished(context, value.matrix), grid.startMs);
}

function finished(context: QueryContext, matrix: StepMatrix): StepMatrix {
  return context.settings.delayedNameRemoval ? removeDelayedNames(matrix) : matrix;
}

interface PlainSeries {
  readonly labels: Labels;
  readonly timestampsMs: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  readonly histograms?: readonly (FloatHistogram | undefined)[];
}

function columns(context: QueryContext, type: Answer['type'], series: readonly PlainSeries[]): Answer {
  const offsets = new Int32Array(series.length + 1);
  series.forEach((one, i) => {
    offsets[i + 1] = offsets[i]! + one.values.length;
  });
  context.reserve(offsets[series.length]! * SAMPLE_BYTES);
  const timestampsMs = new Float64Array(offsets[series.length]!);
  const values = new Float64Array(offsets[series.length]!);
  series.forEach((one, i) => {
    timestampsMs.set(one.timestampsMs, offsets[i]!);
    values.set(one.values, offsets[i]!);
  });
  let histograms: (FloatHistogram | undefined)[] | undefined;
  if (series.some((one) => one.histograms !== undefined)) {
    histograms = series.flatMap((one) => one.histograms ?? Array.from({ length: one.values.length }, () => undefined));
  }
  return { type, labels: series.map((one) => one.labels), offsets, timestampsMs, values, histograms, string: undefined };
}

function vectorAnswer(matrix: StepMatrix, timeMs: number): Answer {
  matrix.keepRows((row) => matrix.present[row] === 1);
  const offsets = new Int32Array(matrix.rows + 1);
  for (let row = 0; row <= matrix.rows; row++) offsets[row] = row;
  return {
    type: 'vector',
    labels: matrix.labels,
    offsets,
    timestampsMs: new Float64Array(matrix.rows).fill(timeMs),
    values: matrix.values.slice(0, matrix.rows),
    histograms: matrix.histograms === undefined ? undefined : Array.from({ length: matrix.rows }, (_none, row) => matrix.histogramAt(row, 0)),
    string: undefined,
  };
}

/** Series in label order with the steps that have a value. */
function matrixAnswer(context: QueryContext, value: Value, grid: Grid): Answer {
  if (value.type === 'vector') return stepAnswer(context, finished(context, value.matrix), grid);
  const times = Float64Array.from({ length: grid.steps }, (_none, k) => grid.startMs + k * grid.stepMs);
  return columns(context, 'matrix', [{ labels: [], timestampsMs: times, values: value.values }]);
}

/** Heap bytes of a series' two columns beside their samples. */
const SERIES_BYTES = 512;

/** `x[5m]` as the whole query: raw samples with their own times, without stale markers. */
async function matrixSelectorAnswer(context: QueryContext, expr: MatrixSelector, grid: Grid): Promise<Answer> {
  const { kernels, settings } = context;
  const { vector, rangeMs } = expr;
  const look = lookTimes(vector, { ...grid, steps: 1 });
  const before = vector.anchored || vector.smoothed ? settings.lookbackMs : 0;
  const after = vector.smoothed ? settings.lookbackMs : 0;
  const request = {
    matchers: vector.matchers,
    read: vector.read,
    mint: look.firstMs - rangeMs - before + 1,
    maxt: look.firstMs + after,
  };
  const series: PlainSeries[] = [];
  await readSeries(context, request, (labels, timestampsPtr, valuesPtr, count, inStorage) => {
    if (count === 0) return;
    context.reserve(count * SAMPLE_BYTES + SERIES_BYTES + bytesOfLabels(labels));
    const ptr = kernels.memory.alloc(count * 16);
    try {
      const kept = kernels.dropStale(timestampsPtr, valuesPtr, count, ptr, ptr + count * 8);
      if (kept === 0) return;
      let histograms: (FloatHistogram | undefined)[] | undefined;
      if (inStorage !== undefined) {
        const stored = context.statsSelectors.has(vector) ? withoutBuckets(inStorage, count) : inStorage;
        const all = Array.from({ length: count }, (_none, i) => stored.at(i));
        if (vector.anchored || vector.smoothed) {
          if (all.some((histogram) => histogram !== undefined && !isStaleHistogram(histogram))) {
            throw new PromqlError('ERR_EXECUTION', `${vector.anchored ? 'anchored' : 'smoothed'} modifier is not supported with histograms`, { pos: expr.pos });
          }
        }
        const stale = wordsOf(kernels.memory.f64(valuesPtr, count));
        histograms = all.filter((_histogram, i) => !isStaleNaN(stale, i));
      }
      const t = kernels.memory.f64(ptr, kept);
      const v = kernels.memory.f64(ptr + count * 8, kept);
      const samples = before > 0 ? extendSamples(vector, t, v, look.firstMs - rangeMs, look.firstMs) : { timestampsMs: t.slice(), values: v.slice() };
      if (samples.values.length === 0) return;
      const size = (histograms ?? []).reduce((sum, histogram) => (histogram === undefined ? sum : sum + samplesOfHistogram(histogram) - 1), samples.values.length);
      context.samples += size;
      context.counts?.add(0, size);
      context.hold(size);
      series.push(histograms === undefined ? { labels, ...samples } : { labels, ...samples, histograms });
    } finally {
      kernels.memory.free(ptr);
    }
  });
  return columns(context, 'matrix', series);
}
