/**
 * Rows on their way: operators that read storage hand each finished row of steps, still in kernel memory, to a sink. A sink that keeps
 * everything makes a matrix; a sink that aggregates keeps one accumulator per group, so memory follows the result.
 */
import type { Labels } from '@gauntlet/model';
import type { StepHistograms } from './difference-row.ts';
import type { EngineKernels, QueryContext } from './query-context.ts';
import { type HistogramRow, StepMatrix } from './step-matrix.ts';

/** Takes rows in label order. */
export interface RowSink {
  /**
   * @param valuesPtr Float64 column in kernel memory, one entry per step; valid during the call
   * @param presentPtr one byte per step
   * @param found samples of the row as limits count them, at least 1
   * @param histograms present steps that are native histograms; their values are 0. The histograms may be kept, the row itself not
   */
  add(labels: Labels, dropName: boolean, valuesPtr: number, presentPtr: number, found: number, histograms?: StepHistograms): void;
}

/** Collects rows into a matrix. */
export class MatrixSink implements RowSink {
  readonly matrix: StepMatrix;
  readonly #kernels: EngineKernels;

  constructor(context: QueryContext, steps: number) {
    this.matrix = new StepMatrix(context, steps);
    this.#kernels = context.kernels;
  }

  add(labels: Labels, dropName: boolean, valuesPtr: number, presentPtr: number, _found: number, histograms?: StepHistograms): void {
    const { matrix } = this;
    const row = matrix.addRow(labels, dropName);
    const at = row * matrix.steps;
    matrix.values.set(this.#kernels.memory.f64(valuesPtr, matrix.steps), at);
    matrix.present.set(this.#kernels.memory.u8(presentPtr, matrix.steps), at);
    if (histograms !== undefined) matrix.setHistograms(row, histograms);
  }
}

/** Memory of the kernels that one operator uses over and over; grows, and is given back with `free`. */
export class Scratch {
  readonly #context: QueryContext;
  #ptr = 0;
  #bytes = 0;

  constructor(context: QueryContext) {
    this.#context = context;
  }

  /** At least `bytes` bytes; what they held before is lost when they had to grow. */
  ensure(bytes: number): number {
    if (bytes > this.#bytes) {
      this.free();
      const size = Math.max(1024, Math.ceil(bytes * 1.25));
      this.#context.reserve(size);
      this.#ptr = this.#context.kernels.memory.alloc(size);
      this.#bytes = size;
    }
    return this.#ptr;
  }

  free(): void {
    if (this.#bytes === 0) return;
    this.#context.kernels.memory.free(this.#ptr);
    this.#context.release(this.#bytes);
    this.#bytes = 0;
  }
}

/** Passes the rows of a finished matrix to a sink and gives the matrix back. */
export function sendRows(context: QueryContext, matrix: StepMatrix, sink: RowSink): void {
  const { steps } = matrix;
  const scratch = new Scratch(context);
  try {
    const valuesPtr = scratch.ensure(steps * 9);
    const presentPtr = valuesPtr + steps * 8;
    for (let row = 0; row < matrix.rows; row++) {
      const found = matrix.countRow(row);
      if (found === 0) continue;
      context.kernels.memory.f64(valuesPtr, steps).set(matrix.values.subarray(row * steps, (row + 1) * steps));
      context.kernels.memory.u8(presentPtr, steps).set(matrix.present.subarray(row * steps, (row + 1) * steps));
      sink.add(matrix.labels[row]!, matrix.dropName[row]!, valuesPtr, presentPtr, found, presentHistograms(matrix, row));
      context.worked(steps, 1);
    }
  } finally {
    scratch.free();
  }
  matrix.release();
}

/** Histograms of a row at the steps that are present. */
export function presentHistograms(matrix: StepMatrix, row: number): HistogramRow | undefined {
  return matrix.histograms?.[row]?.map((_histogram, k) => matrix.histogramAt(row, k));
}
