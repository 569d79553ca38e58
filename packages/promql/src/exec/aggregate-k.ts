/**
 * Aggregations that choose series: topk, bottomk, limitk, limit_ratio. The chosen samples keep all their labels.
 *
 * Which of several equal values topk keeps depends on the heap, so the heap is that of Go's container/heap with Prometheus' comparison
 * (promql/engine.go, `aggregationK`): push until k, then replace the root and sift down.
 */
import { type Labels, hashLabels } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { formatG } from '../functions/go-format.ts';
import type { AggregateExpr } from '../parser/ast.ts';
import { noteIgnored } from './aggregate-histograms.ts';
import { groupRows } from './aggregate-values.ts';
import type { QueryContext } from './query-context.ts';
import { StepMatrix } from './step-matrix.ts';

const INT64 = 2 ** 63;

/** Evaluates one of the choosing aggregations; `param` has one value per step. */
export function aggregateK(context: QueryContext, expr: AggregateExpr, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const held = matrix.count();
  const isByValue = expr.op === 'topk' || expr.op === 'bottomk';
  if (!checkParameter(context, expr, param)) {
    matrix.keepRows(() => false);
    context.drop(held);
    return matrix;
  }
  if (isByValue && matrix.histograms !== undefined) {
    noteIgnored(context, expr, expr.pos, matrix, (k) => param[k]! >= 1);
    matrix.dropHistograms();
  }
  const result =
    expr.op === 'limit_ratio' ? limitRatio(param, matrix) : expr.op === 'limitk' ? limitK(expr, param, matrix) : chooseByValue(context, expr, param, matrix);
  context.drop(held);
  context.hold(result.count());
  return result;
}

/** False when nothing can be chosen at any step. @throws PromqlError ERR_EXECUTION for a parameter that is no usable number */
function checkParameter(context: QueryContext, expr: AggregateExpr, param: Float64Array): boolean {
  let min = Infinity;
  let max = -Infinity;
  let nan = false;
  for (const value of param) {
    if (Number.isNaN(value)) nan = true;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const fail = (message: string): never => {
    throw new PromqlError('ERR_EXECUTION', message, { pos: expr.param!.pos });
  };
  if (expr.op === 'limit_ratio') {
    if (!nan && max === 0 && min === 0) return false;
    if (nan) fail('Ratio value is NaN');
    if (max > 1) context.annotations.invalidRatio(max, 1, expr.param!.pos);
    if (min < -1) context.annotations.invalidRatio(min, -1, expr.param!.pos);
    return true;
  }
  if (!nan && max < 1) return false;
  if (nan) fail('Parameter value is NaN');
  if (min <= -INT64) fail(`Scalar value ${formatG(min)} underflows int64`);
  if (max >= INT64) fail(`Scalar value ${formatG(max)} overflows int64`);
  return true;
}

/** Per step and series a fixed fraction, chosen by the hash of the labels. */
function limitRatio(param: Float64Array, matrix: StepMatrix): StepMatrix {
  const { steps } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    const offset = hashFraction(matrix.labels[row]!);
    for (let k = 0; k < steps; k++) {
      const ratio = Math.max(-1, Math.min(1, param[k]!));
      const taken = ratio !== 0 && ((ratio >= 0 && offset < ratio) || (ratio < 0 && offset >= 1 + ratio));
      if (!taken) matrix.present[row * steps + k] = 0;
    }
  }
  matrix.keepRows((row) => matrix.hasValues(row));
  return matrix;
}

function hashFraction(labels: Labels): number {
  const { hi, lo } = hashLabels(labels);
  return ((hi >>> 0) * 2 ** 32 + (lo >>> 0)) / 2 ** 64;
}

/** Per step the first k series of each group. */
function limitK(expr: AggregateExpr, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const { steps } = matrix;
  const { groupOf, firstRow } = groupRows(expr, matrix);
  const taken = new Int32Array(firstRow.length);
  for (let k = 0; k < steps; k++) {
    const limit = Math.min(Math.trunc(param[k]!), matrix.rows);
    taken.fill(0);
    for (let row = 0; row < matrix.rows; row++) {
      const i = row * steps + k;
      if (matrix.present[i] === 0) continue;
      const group = groupOf[row]!;
      if (taken[group]! < limit) taken[group] = taken[group]! + 1;
      else matrix.present[i] = 0;
    }
  }
  matrix.keepRows((row) => matrix.hasValues(row));
  return matrix;
}

/** Steps looked at together: rows are read in runs of this many cells, which keeps the memory traffic sequential. */
const STEP_BLOCK = 64;

/** topk, bottomk. With one step the result is in the order of values, group by group; otherwise in that of the input. */
function chooseByValue(context: QueryContext, expr: AggregateExpr, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const { steps, rows, values, present } = matrix;
  const wantMax = expr.op === 'topk';
  const { groupOf, firstRow } = groupRows(expr, matrix);
  const groups = firstRow.length;
  const block = Math.min(steps, STEP_BLOCK);
  /** [group][step of the block] */
  const heaps: RowHeap[] = [];
  for (let i = 0; i < groups * block; i++) heaps.push(new RowHeap(wantMax));
  // What a value must beat, so that most are turned away without a call; NaN while the heap has room.
  const roots = new Float64Array(heaps.length);
  const order: number[] = [];
  for (let from = 0; from < steps; from += block) {
    const to = Math.min(steps, from + block);
    for (const heap of heaps) heap.clear();
    roots.fill(NaN);
    for (let row = 0; row < rows; row++) {
      const heapAt = groupOf[row]! * block - from;
      const cellAt = row * steps;
      for (let k = from; k < to; k++) {
        const i = cellAt + k;
        if (present[i] === 0) continue;
        present[i] = 0;
        const value = values[i]!;
        const root = roots[heapAt + k]!;
        if (wantMax ? value <= root : value >= root) continue;
        const limit = Math.min(Math.trunc(param[k]!), rows);
        if (limit >= 1) roots[heapAt + k] = heaps[heapAt + k]!.offer(row, value, limit);
      }
      context.worked(to - from, 0);
    }
    for (let i = 0; i < heaps.length; i++) {
      const k = from + (i % block);
      if (steps === 1) order.push(...heaps[i]!.sorted());
      for (const row of heaps[i]!.rows()) present[row * steps + k] = 1;
    }
  }
  if (steps > 1) {
    matrix.keepRows((row) => matrix.hasValues(row));
    return matrix;
  }
  const out = new StepMatrix(context, 1, order.length);
  for (const row of order) {
    const at = out.addRow(matrix.labels[row]!, matrix.dropName[row]!);
    out.values[at] = matrix.values[row]!;
    out.present[at] = 1;
  }
  matrix.release();
  return out;
}

/** Binary heap of rows with the value to give up first at the root; NaN is given up before anything else. */
class RowHeap {
  readonly #wantMax: boolean;
  #rows: number[] = [];
  #values: number[] = [];

  constructor(wantMax: boolean) {
    this.#wantMax = wantMax;
  }

  clear(): void {
    this.#rows.length = 0;
    this.#values.length = 0;
  }

  rows(): readonly number[] {
    return this.#rows;
  }

  /** Takes a row if it is among the best `limit` so far. @returns what the next one must beat; NaN if there is room */
  offer(row: number, value: number, limit: number): number {
    const size = this.#rows.length;
    if (size < limit) {
      this.#rows.push(row);
      this.#values.push(value);
      this.#siftUp(size);
      return size + 1 < limit ? NaN : this.#values[0]!;
    }
    const root = this.#values[0]!;
    const better = this.#wantMax ? root < value : root > value;
    if (!better && !(Number.isNaN(root) && !Number.isNaN(value))) return root;
    this.#rows[0] = row;
    this.#values[0] = value;
    if (limit > 1) this.#siftDown();
    return this.#values[0]!;
  }

  /** Rows from the best value to the worst. */
  sorted(): number[] {
    // Stable, as Go's sort is for up to twelve elements; the order of equal values in longer answers is defined nowhere.
    const order = this.#rows.map((_row, i) => i);
    order.sort((i, j) => {
      const a = this.#values[i]!;
      const b = this.#values[j]!;
      if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
      return this.#wantMax ? b - a || 0 : a - b || 0;
    });
    return order.map((i) => this.#rows[i]!);
  }

  /** Whether a value is to be given up before another. */
  #less(a: number, b: number): boolean {
    return Number.isNaN(a) || (this.#wantMax ? a < b : a > b);
  }

  #swap(i: number, j: number): void {
    const row = this.#rows[i]!;
    this.#rows[i] = this.#rows[j]!;
    this.#rows[j] = row;
    const value = this.#values[i]!;
    this.#values[i] = this.#values[j]!;
    this.#values[j] = value;
  }

  #siftUp(from: number): void {
    for (let j = from; j > 0; ) {
      const parent = (j - 1) >> 1;
      if (!this.#less(this.#values[j]!, this.#values[parent]!)) return;
      this.#swap(parent, j);
      j = parent;
    }
  }

  #siftDown(): void {
    const n = this.#rows.length;
    for (let i = 0; ; ) {
      let child = 2 * i + 1;
      if (child >= n) return;
      if (child + 1 < n && this.#less(this.#values[child + 1]!, this.#values[child]!)) child++;
      if (!this.#less(this.#values[child]!, this.#values[i]!)) return;
      this.#swap(i, child);
      i = child;
    }
  }
}
