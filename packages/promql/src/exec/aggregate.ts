/**
 * Aggregations. Those with a constant-size state per group and step (sum, avg, min, max, count, group, stddev, stdvar) stream: each row goes
 * into its group's accumulator and is forgotten. So do topk and bottomk, in choose-by-value.ts; the others need all rows at once and are in
 * aggregate-k.ts and aggregate-values.ts.
 *
 *   rows in label order ──► group of the row (by its labels) ──► accumulator [step] ──► one row per group
 */
import { AGGREGATE, type AggregateFunction, accumulatorBytes } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { AggregateExpr } from '../parser/ast.ts';
import { aggregateK } from './aggregate-k.ts';
import { ChoosingSink } from './choose-by-value.ts';
import { aggregateQuantile, countValues } from './aggregate-values.ts';
import { evaluateRows, evaluateScalar, evaluateVector } from './operators.ts';
import { isHistogramAt, type StepHistograms } from './difference-row.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { groupingKey, groupLabels } from './labels.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { MatrixSink, type RowSink, Scratch, sendRows } from './rows.ts';
import { GroupHistograms } from './aggregate-histograms.ts';
import type { StepMatrix } from './step-matrix.ts';

const STREAMING: ReadonlyMap<string, AggregateFunction> = new Map([
  ['sum', AGGREGATE.sum],
  ['avg', AGGREGATE.avg],
  ['min', AGGREGATE.min],
  ['max', AGGREGATE.max],
  ['count', AGGREGATE.count],
  ['group', AGGREGATE.group],
  ['stdvar', AGGREGATE.stdvar],
  ['stddev', AGGREGATE.stddev],
]);

/** Evaluates an aggregation. */
export async function evaluateAggregate(context: QueryContext, expr: AggregateExpr, grid: Grid): Promise<StepMatrix> {
  const op = STREAMING.get(expr.op);
  if (op !== undefined) {
    const sink = new AggregateSink(context, op, expr, grid.steps);
    try {
      if (expr.intoScan === true) await evaluateRows(context, expr.expr, grid, sink);
      else sendRows(context, await evaluateVector(context, expr.expr, grid), sink);
      return sink.finish();
    } finally {
      sink.free();
    }
  }
  if (expr.op === 'count_values') return countValues(context, expr, await evaluateVector(context, expr.expr, grid));
  const param = await evaluateScalar(context, expr.param!, grid);
  if (expr.op === 'topk' || expr.op === 'bottomk') {
    const sink = new ChoosingSink(context, expr, param, grid);
    try {
      await evaluateRows(context, expr.expr, grid, sink);
      return sink.finish();
    } finally {
      sink.free();
    }
  }
  const matrix = await evaluateVector(context, expr.expr, grid);
  if (expr.op === 'quantile') return aggregateQuantile(context, expr, param, matrix);
  return aggregateK(context, expr, param, matrix);
}

interface Group {
  readonly labels: Labels;
  readonly statePtr: number;
  dropName: boolean;
  /** Sums of native histograms, once there are any. */
  histograms: GroupHistograms | undefined;
}

/** Adds rows to their groups' accumulators. */
class AggregateSink implements RowSink {
  readonly #context: QueryContext;
  readonly #op: AggregateFunction;
  readonly #expr: AggregateExpr;
  readonly #steps: number;
  readonly #keyOf: (labels: Labels) => string;
  readonly #keys: KeyTable;
  /** By number of the key. */
  readonly #groups: Group[] = [];
  /** Labels of the row before, and its group. */
  #lastLabels: Labels | undefined;
  #lastGroup: Group | undefined;
  #labelBytes = 0;
  readonly #stateBytes: number;
  /** Samples that came in and are counted as held until the aggregation is done. */
  #held = 0;

  constructor(context: QueryContext, op: AggregateFunction, expr: AggregateExpr, steps: number) {
    this.#context = context;
    this.#op = op;
    this.#expr = expr;
    this.#steps = steps;
    this.#keyOf = groupingKey(expr.without ? [...expr.grouping, '__name__'] : expr.grouping, expr.without);
    this.#stateBytes = accumulatorBytes(op, steps);
    this.#keys = new KeyTable(context);
  }

  add(labels: Labels, dropName: boolean, valuesPtr: number, presentPtr: number, found: number, histograms?: StepHistograms): void {
    // Storage that leaves out labels hands out one array for neighbours that are equal then.
    const group = labels === this.#lastLabels ? this.#lastGroup! : this.#groupOf(labels);
    if (dropName) group.dropName = true;
    if (histograms !== undefined) this.#takeHistograms(group, labels, presentPtr, histograms);
    this.#context.kernels.accumulate(this.#op, valuesPtr, presentPtr, this.#steps, group.statePtr);
    this.#held += found;
  }

  #groupOf(labels: Labels): Group {
    const group = this.#groups[this.#keys.idOf(this.#keyOf(labels))] ?? this.#newGroup(labels);
    this.#lastLabels = labels;
    this.#lastGroup = group;
    return group;
  }

  /** Takes the histograms out of a row, so that the accumulator sees floats only; it counts them where that is all it does. */
  #takeHistograms(group: Group, labels: Labels, presentPtr: number, histograms: StepHistograms): void {
    const { op } = this.#expr;
    if (op === 'count' || op === 'group') return;
    // Before the view: making room for it may detach views.
    const floats = op === 'sum' || op === 'avg' ? this.#floatsOf(group) : undefined;
    const present = this.#context.kernels.memory.u8(presentPtr, this.#steps);
    for (let k = 0; k < histograms.length; k++) {
      if (!isHistogramAt(histograms, k)) continue;
      present[k] = 0;
      if (floats === undefined) this.#context.annotations.histogramIgnoredInAggregation(op, this.#expr.expr.pos);
    }
    if (floats !== undefined) (group.histograms ??= new GroupHistograms(op === 'avg')).addRow(this.#context, this.#expr, labels, histograms, floats);
  }

  #newGroup(labels: Labels): Group {
    const own = groupLabels(labels, this.#expr.grouping, this.#expr.without);
    const bytes = bytesOfLabels(own);
    this.#context.reserve(bytes);
    this.#labelBytes += bytes;
    const group = { labels: own, statePtr: this.#newState(), dropName: false, histograms: undefined };
    this.#groups.push(group);
    return group;
  }

  /** 1 at the steps at which a group has floats so far. */
  #floatsOf(group: Group): Uint8Array {
    const { kernels } = this.#context;
    const row = new Scratch(this.#context);
    try {
      const valuesPtr = row.ensure(this.#steps * 9);
      const presentPtr = valuesPtr + this.#steps * 8;
      kernels.finishAggregate(this.#op, group.statePtr, this.#steps, valuesPtr, presentPtr);
      return kernels.memory.u8(presentPtr, this.#steps).slice();
    } finally {
      row.free();
    }
  }

  #newState(): number {
    const { kernels } = this.#context;
    this.#context.reserve(this.#stateBytes);
    const statePtr = kernels.memory.alloc(this.#stateBytes);
    kernels.memory.u8(statePtr, this.#stateBytes).fill(0);
    return statePtr;
  }

  finish(): StepMatrix {
    const sink = new MatrixSink(this.#context, this.#steps);
    const row = new Scratch(this.#context);
    let count = 0;
    let hasHistograms = false;
    try {
      const valuesPtr = row.ensure(this.#steps * 9);
      const presentPtr = valuesPtr + this.#steps * 8;
      for (const group of this.#groups) {
        const found = this.#context.kernels.finishAggregate(this.#op, group.statePtr, this.#steps, valuesPtr, presentPtr);
        if (group.histograms !== undefined) hasHistograms = true;
        const histograms = group.histograms?.finish(this.#context, this.#expr, this.#context.kernels, this.#steps, valuesPtr, presentPtr);
        sink.add(group.labels, group.dropName, valuesPtr, presentPtr, found, histograms);
        count += found;
      }
    } finally {
      row.free();
    }
    this.#context.drop(this.#held);
    this.#held = 0;
    this.#context.hold(hasHistograms ? sink.matrix.count() : count);
    return sink.matrix;
  }

  free(): void {
    for (const group of this.#groups) {
      this.#context.kernels.memory.free(group.statePtr);
      this.#context.release(this.#stateBytes);
      group.histograms?.release(this.#context);
    }
    this.#groups.length = 0;
    this.#keys.free();
    this.#context.release(this.#labelBytes);
    this.#labelBytes = 0;
  }
}
