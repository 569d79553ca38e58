/**
 * topk and bottomk: rows come one after the other, and each step of each group keeps the best k values seen so far in a heap. Nothing else of
 * the rows is kept, so that memory follows k and not the number of series.
 *
 *   group        step 0         step 1         step 2
 *   values    │ 7  9  8 … │ 3  –  – … │ 5  6  – … │   `capacity` slots per step, the value to give up first at slot 0
 *   rows      │ 4  0  7   │ 2         │ 2  9      │
 *
 * Which of several equal values is kept depends on the heap, so it is that of Go's container/heap with Prometheus' comparison
 * (promql/engine.go, `aggregationK`): push until k, then replace the root and sift down.
 */
import type { Labels } from '@gauntlet/model';
import type { AggregateExpr } from '../parser/ast.ts';
import { checkParameter } from './aggregate-k.ts';
import { isHistogramAt, type StepHistograms } from './difference-row.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { groupingKey } from './labels.ts';
import { type Grid, isOneTime, type QueryContext } from './query-context.ts';
import type { RowSink } from './rows.ts';
import { StepMatrix } from './step-matrix.ts';

/** Slots per step to begin with; groups are often smaller than k. */
const FIRST_CAPACITY = 8;
/** Fewer rows are not worth looking through. */
const COMPACT_ROWS_MIN = 1024;
/** Bytes of one slot. */
const SLOT_BYTES = 12;
/** Bytes per step beside the slots. */
const STEP_BYTES = 12;

/** The heaps of one group, one per step. */
interface GroupHeaps {
  capacity: number;
  /** Slots, [step][slot]. */
  values: Float64Array;
  rows: Int32Array;
  readonly sizes: Int32Array;
  /** What a value must beat, so that most are turned away without a call; NaN while there is room. */
  readonly roots: Float64Array;
}

/** Takes the rows of a vector and gives the chosen ones. */
export class ChoosingSink implements RowSink {
  readonly #context: QueryContext;
  readonly #expr: AggregateExpr;
  /** k at each step. */
  readonly #param: Float64Array;
  readonly #steps: number;
  readonly #isOneTime: boolean;
  readonly #wantMax: boolean;
  readonly #keyOf: (labels: Labels) => string;
  readonly #keys: KeyTable;
  /** By number of the key. */
  readonly #groups: GroupHeaps[] = [];
  /** Of rows that were among the best when they came. */
  #labels: Labels[] = [];
  #dropName: boolean[] = [];
  #labelBytes = 0;
  /** Rows at which those that lost their places are forgotten. */
  #compactAt = COMPACT_ROWS_MIN;
  #reserved = 0;
  /** Whether a value of the row at hand was taken. */
  #isTaken = false;
  /** Samples that came in and are counted as held until the choice is made. */
  #held = 0;
  #isHistogramIgnored = false;

  constructor(context: QueryContext, expr: AggregateExpr, param: Float64Array, grid: Grid) {
    this.#context = context;
    this.#expr = expr;
    this.#param = param;
    this.#steps = grid.steps;
    this.#isOneTime = isOneTime(grid);
    this.#wantMax = expr.op === 'topk';
    this.#keyOf = groupingKey(expr.without ? [...expr.grouping, '__name__'] : expr.grouping, expr.without);
    this.#keys = new KeyTable(context);
  }

  add(labels: Labels, dropName: boolean, valuesPtr: number, presentPtr: number, found: number, histograms?: StepHistograms): void {
    this.#held += found;
    if (this.#labels.length >= this.#compactAt) this.#compact();
    const row = this.#labels.length;
    const group = this.#groups[this.#keys.idOf(this.#keyOf(labels))] ?? this.#newGroup();
    const { memory } = this.#context.kernels;
    const values = memory.f64(valuesPtr, this.#steps);
    const present = memory.u8(presentPtr, this.#steps);
    if (histograms !== undefined) this.#leaveOut(histograms, present);
    if (this.#wantMax) this.#offerMax(group, row, values, present);
    else this.#offerMin(group, row, values, present);
    if (!this.#isTaken) return;
    this.#isTaken = false;
    const bytes = bytesOfLabels(labels);
    this.#context.reserve(bytes);
    this.#labelBytes += bytes;
    this.#labels.push(labels);
    this.#dropName.push(dropName);
  }

  /** Forgets the rows that are no longer among the best at any step; the others keep their order. */
  #compact(): void {
    const steps = this.#steps;
    const numberOf = new Int32Array(this.#labels.length).fill(-1);
    const slots = (visit: (rows: Int32Array, at: number) => void): void => {
      for (const { rows, sizes, capacity } of this.#groups) {
        for (let k = 0; k < steps; k++) for (let at = k * capacity; at < k * capacity + sizes[k]!; at++) visit(rows, at);
        this.#context.worked(steps, 1);
      }
    };
    slots((rows, at) => {
      numberOf[rows[at]!] = 0;
    });
    const labels: Labels[] = [];
    const dropName: boolean[] = [];
    let bytes = 0;
    numberOf.forEach((mark, row) => {
      if (mark === -1) return;
      numberOf[row] = labels.length;
      labels.push(this.#labels[row]!);
      dropName.push(this.#dropName[row]!);
      bytes += bytesOfLabels(this.#labels[row]!);
    });
    slots((rows, at) => {
      rows[at] = numberOf[rows[at]!]!;
    });
    this.#labels = labels;
    this.#dropName = dropName;
    this.#context.release(this.#labelBytes - bytes);
    this.#labelBytes = bytes;
    this.#compactAt = Math.max(COMPACT_ROWS_MIN, 2 * labels.length);
  }

  #leaveOut(histograms: StepHistograms, present: Uint8Array): void {
    for (let k = 0; k < present.length; k++) {
      if (present[k] === 0 || !isHistogramAt(histograms, k)) continue;
      present[k] = 0;
      if (this.#param[k]! >= 1) this.#isHistogramIgnored = true;
    }
  }

  #offerMax(group: GroupHeaps, row: number, values: Float64Array, present: Uint8Array): void {
    const { roots } = group;
    const steps = this.#steps;
    for (let k = 0; k < steps; k++) {
      if (present[k] === 0 || values[k]! <= roots[k]!) continue;
      this.#offer(group, k, row, values[k]!);
    }
  }

  #offerMin(group: GroupHeaps, row: number, values: Float64Array, present: Uint8Array): void {
    const { roots } = group;
    const steps = this.#steps;
    for (let k = 0; k < steps; k++) {
      if (present[k] === 0 || values[k]! >= roots[k]!) continue;
      this.#offer(group, k, row, values[k]!);
    }
  }

  /** Takes a value if it is among the best k of its step so far. */
  #offer(group: GroupHeaps, k: number, row: number, value: number): void {
    const limit = Math.trunc(this.#param[k]!);
    if (!(limit >= 1)) return;
    const size = group.sizes[k]!;
    if (size < limit) {
      if (size === group.capacity) this.#grow(group, Math.min(limit, size * 2));
      const at = k * group.capacity;
      this.#isTaken = true;
      group.values[at + size] = value;
      group.rows[at + size] = row;
      group.sizes[k] = size + 1;
      siftUp(group, at, size, this.#wantMax);
      if (size + 1 === limit) group.roots[k] = group.values[at]!;
      return;
    }
    const at = k * group.capacity;
    const root = group.values[at]!;
    const isBetter = this.#wantMax ? root < value : root > value;
    if (!isBetter && !(Number.isNaN(root) && !Number.isNaN(value))) return;
    this.#isTaken = true;
    group.values[at] = value;
    group.rows[at] = row;
    if (limit > 1) siftDown(group, at, size, this.#wantMax);
    group.roots[k] = group.values[at]!;
  }

  #newGroup(): GroupHeaps {
    const steps = this.#steps;
    const capacity = Math.min(FIRST_CAPACITY, maxOf(this.#param));
    this.#reserve(steps * (STEP_BYTES + capacity * SLOT_BYTES));
    const group = { capacity, values: new Float64Array(steps * capacity), rows: new Int32Array(steps * capacity), sizes: new Int32Array(steps), roots: new Float64Array(steps).fill(NaN) };
    this.#groups.push(group);
    return group;
  }

  #grow(group: GroupHeaps, capacity: number): void {
    const steps = this.#steps;
    this.#reserve(steps * (capacity - group.capacity) * SLOT_BYTES);
    const values = new Float64Array(steps * capacity);
    const rows = new Int32Array(steps * capacity);
    for (let k = 0; k < steps; k++) {
      const from = k * group.capacity;
      values.set(group.values.subarray(from, from + group.sizes[k]!), k * capacity);
      rows.set(group.rows.subarray(from, from + group.sizes[k]!), k * capacity);
    }
    group.values = values;
    group.rows = rows;
    group.capacity = capacity;
  }

  #reserve(bytes: number): void {
    this.#context.reserve(bytes);
    this.#reserved += bytes;
  }

  /**
   * The chosen rows: at one time in the order of values, group by group, otherwise in that of the input.
   * @throws PromqlError ERR_EXECUTION for a parameter that is no usable number
   */
  finish(): StepMatrix {
    const context = this.#context;
    const isAny = checkParameter(context, this.#expr, this.#param);
    if (this.#isHistogramIgnored && isAny) context.annotations.histogramIgnoredInAggregation(this.#expr.op, this.#expr.pos);
    const result = !isAny ? new StepMatrix(context, this.#steps, 1) : this.#isOneTime ? this.#inOrderOfValues() : this.#inOrderOfRows();
    context.drop(this.#held);
    context.hold(result.count());
    return result;
  }

  #inOrderOfValues(): StepMatrix {
    let size = 0;
    for (const { sizes } of this.#groups) size += sizes[0]!;
    const out = new StepMatrix(this.#context, 1, size);
    for (const group of this.#groups) {
      for (const slot of bestFirst(group.values.subarray(0, group.sizes[0]), this.#wantMax)) {
        const row = group.rows[slot]!;
        const at = out.addRow(this.#labels[row]!, this.#dropName[row]!);
        out.values[at] = group.values[slot]!;
        out.present[at] = 1;
      }
    }
    return out;
  }

  #inOrderOfRows(): StepMatrix {
    const steps = this.#steps;
    /** Row of the result by row of the input; −1 for rows that are nowhere among the best. */
    const rowOf = new Int32Array(this.#labels.length).fill(-1);
    for (const { rows, sizes, capacity } of this.#groups) {
      for (let k = 0; k < steps; k++) for (let at = k * capacity; at < k * capacity + sizes[k]!; at++) rowOf[rows[at]!] = 0;
    }
    let count = 0;
    for (const mark of rowOf) if (mark === 0) count++;
    const out = new StepMatrix(this.#context, steps, count);
    rowOf.forEach((mark, row) => {
      if (mark === 0) rowOf[row] = out.addRow(this.#labels[row]!, this.#dropName[row]!);
    });
    for (const { rows, values, sizes, capacity } of this.#groups) {
      for (let k = 0; k < steps; k++) {
        for (let at = k * capacity; at < k * capacity + sizes[k]!; at++) {
          const cell = rowOf[rows[at]!]! * steps + k;
          out.values[cell] = values[at]!;
          out.present[cell] = 1;
        }
      }
    }
    return out;
  }

  /** Gives the memory charge back. */
  free(): void {
    this.#context.release(this.#reserved + this.#labelBytes);
    this.#reserved = 0;
    this.#labelBytes = 0;
    this.#groups.length = 0;
    this.#keys.free();
  }
}

/** The largest k, at least 1. */
function maxOf(param: Float64Array): number {
  let max = 1;
  for (const value of param) if (value > max) max = Math.trunc(value);
  return max;
}

/** Slots from the best value to the worst; NaN last. */
function bestFirst(values: Float64Array, wantMax: boolean): number[] {
  // Stable, as Go's sort is for up to twelve elements; the order of equal values in longer answers is defined nowhere.
  return Array.from(values, (_value, i) => i).sort((i, j) => {
    const a = values[i]!;
    const b = values[j]!;
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return wantMax ? b - a || 0 : a - b || 0;
  });
}

/** Whether a value is to be given up before another; NaN goes before anything else. */
function isWorse(a: number, b: number, wantMax: boolean): boolean {
  return a !== a || (wantMax ? a < b : a > b);
}

function swap({ values, rows }: GroupHeaps, i: number, j: number): void {
  const value = values[i]!;
  values[i] = values[j]!;
  values[j] = value;
  const row = rows[i]!;
  rows[i] = rows[j]!;
  rows[j] = row;
}

/** Restores the heap at `base` after its slot `from` got a value. */
function siftUp(group: GroupHeaps, base: number, from: number, wantMax: boolean): void {
  for (let j = from; j > 0; ) {
    const parent = (j - 1) >> 1;
    if (!isWorse(group.values[base + j]!, group.values[base + parent]!, wantMax)) return;
    swap(group, base + parent, base + j);
    j = parent;
  }
}

/** Restores the heap of `size` slots at `base` after its root was replaced. */
function siftDown(group: GroupHeaps, base: number, size: number, wantMax: boolean): void {
  for (let i = 0; ; ) {
    let child = 2 * i + 1;
    if (child >= size) return;
    if (child + 1 < size && isWorse(group.values[base + child + 1]!, group.values[base + child]!, wantMax)) child++;
    if (!isWorse(group.values[base + child]!, group.values[base + i]!, wantMax)) return;
    swap(group, base + i, base + child);
    i = child;
  }
}
