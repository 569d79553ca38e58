/**
 * Native histograms under aggregations: `sum` and `avg` add them up, one accumulator per step; most others leave them out with a remark.
 * Source: Prometheus promql/engine.go, aggregation (3.14).
 */
import { compactHistogram, type FloatHistogram, getLabel, HistogramMean, HistogramSum, type Labels, METRIC_NAME } from '@gauntlet/model';
import type { AggregateExpr, PositionRange } from '../parser/ast.ts';
import { DifferenceRow, type StepHistograms } from './difference-row.ts';
import { HistogramSums } from './histogram-sums.ts';
import type { EngineKernels, QueryContext } from './query-context.ts';
import { type HistogramRow, samplesOfHistogram, type StepMatrix } from './step-matrix.ts';

/** Histograms of one group of `sum` or `avg`. */
export class GroupHistograms {
  readonly #isMean: boolean;
  /** By step; `mixed` once exponential and custom buckets met, or where a float came first. */
  readonly #sums: (HistogramSum | HistogramMean | 'mixed' | undefined)[] = [];
  /** Sums of steps that were only given differences, as those of rates; these steps are not in `#sums`. */
  #columns: HistogramSums | undefined;

  /** Charged for the accumulators. */
  #bytes = 0;

  constructor(isMean: boolean) {
    this.#isMean = isMean;
  }

  /**
   * Adds the histograms of a series; none is kept.
   * @param isAfterFloat 1 at the steps at which the group's first sample was a float: there histograms are not looked at
   */
  addRow(context: QueryContext, expr: AggregateExpr, labels: Labels, row: StepHistograms, isAfterFloat: Uint8Array): void {
    const differences = row instanceof DifferenceRow && !this.#isMean ? row : undefined;
    for (let k = 0; k < row.length; k++) {
      if (differences !== undefined && differences.after[k]! >= 0 && isAfterFloat[k] === 0 && this.#sums[k] === undefined) {
        const { list } = differences;
        this.#columns ??= new HistogramSums(context, row.length, list.runs[list.runAt[differences.after[k]!]!]!);
        if (this.#columns.add(differences, k)) {
          context.worked(10, 0);
          continue;
        }
      }
      const histogram = row.at(k);
      if (histogram !== undefined) this.#add(context, expr, labels, k, histogram, isAfterFloat[k] === 1);
    }
  }

  #add(context: QueryContext, expr: AggregateExpr, labels: Labels, k: number, histogram: FloatHistogram, isAfterFloat: boolean): void {
    context.worked(10, 0);
    if (this.#columns?.has(k) === true) this.#put(k, this.#columns.take(k));
    const sum = this.#sums[k];
    if (sum === 'mixed') return;
    if (sum === undefined) {
      if (isAfterFloat) {
        this.#put(k, 'mixed');
        return;
      }
      // Counts and what their rounding lost.
      const bytes = 2 * 16 * samplesOfHistogram(histogram);
      context.reserve(bytes);
      this.#bytes += bytes;
      this.#put(k, this.#isMean ? new HistogramMean(histogram) : new HistogramSum(histogram));
    } else if (!sum.add(histogram)) {
      context.annotations.mixedExponentialCustom(getLabel(labels, METRIC_NAME), expr.expr.pos);
      if (sum.boundsReconciled) context.annotations.mismatchedCustomBuckets('aggregation', expr.expr.pos);
      this.#sums[k] = 'mixed';
    }
  }

  #put(k: number, sum: HistogramSum | HistogramMean | 'mixed'): void {
    while (this.#sums.length < k) this.#sums.push(undefined);
    this.#sums[k] = sum;
  }

  /** Gives the memory charge back. */
  release(context: QueryContext): void {
    context.release(this.#bytes);
    this.#bytes = 0;
    this.#columns?.release();
  }

  /**
   * Puts the histograms beside the floats of the group, which are in kernel memory: a step that has both gives nothing.
   * @returns the histograms; their steps are present and 0 now
   */
  finish(context: QueryContext, expr: AggregateExpr, kernels: EngineKernels, steps: number, valuesPtr: number, presentPtr: number): HistogramRow {
    const present = kernels.memory.u8(presentPtr, steps);
    const values = kernels.memory.f64(valuesPtr, steps);
    const { annotations } = context;
    const { pos } = expr.expr;
    return Array.from({ length: steps }, (_none, k) => {
      const sum = this.#sums[k];
      const isColumn = this.#columns?.has(k) === true;
      if (sum === undefined && !isColumn) return undefined;
      if (sum !== undefined && sum !== 'mixed' && sum.boundsReconciled) annotations.mismatchedCustomBuckets('aggregation', pos);
      if (present[k] === 1) {
        annotations.mixedFloatsHistogramsAggregation(pos);
        present[k] = 0;
        return undefined;
      }
      if (sum === 'mixed') return undefined;
      if (sum?.counterResetCollision === true) annotations.counterResetCollision('aggregation', pos);
      present[k] = 1;
      values[k] = 0;
      return sum === undefined ? this.#columns!.result(k) : compactHistogram(sum.result(), 0);
    });
  }
}

/** Remarks that an aggregation leaves histograms out, if there are any at a step it looks at. */
export function noteIgnored(context: QueryContext, expr: AggregateExpr, pos: PositionRange, matrix: StepMatrix, looksAt: (k: number) => boolean): void {
  if (matrix.histograms === undefined) return;
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < matrix.steps; k++) {
      if (matrix.histogramAt(row, k) === undefined || !looksAt(k)) continue;
      context.annotations.histogramIgnoredInAggregation(expr.op, pos);
      return;
    }
  }
}
