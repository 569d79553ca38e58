/** sort, sort_desc, sort_by_label: the order of an instant query's answer. Over a range nothing is sorted: answers are in the order of their labels. */
import { compareLabels, getLabel } from '@gauntlet/model';
import type { StepMatrix } from '../exec/step-matrix.ts';

/** Heap bytes of a row while rows are put in order. */
const ROW_BYTES = 64;

/** By value, in a matrix of one step; NaN last both ways. */
export function sortByValue(matrix: StepMatrix, descending: boolean): StepMatrix {
  const { values } = matrix;
  return reorder(matrix, (a, b) => {
    const x = values[a]!;
    const y = values[b]!;
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return x === y ? 0 : x < y === descending ? 1 : -1;
  });
}

/** By the values of labels in natural order (`node9` before `node10`), then by all labels, in a matrix of one step. */
export function sortByLabel(matrix: StepMatrix, names: readonly string[], descending: boolean): StepMatrix {
  const sign = descending ? -1 : 1;
  return reorder(matrix, (a, b) => {
    for (const name of names) {
      const order = compareNatural(getLabel(matrix.labels[a]!, name), getLabel(matrix.labels[b]!, name));
      if (order !== 0) return sign * order;
    }
    return sign * compareLabels(matrix.labels[a]!, matrix.labels[b]!);
  });
}

/** Orders rows of a one-step matrix. */
function reorder(matrix: StepMatrix, compare: (a: number, b: number) => number): StepMatrix {
  const { context } = matrix;
  const bytes = matrix.rows * ROW_BYTES;
  context.reserve(bytes);
  const order = Array.from({ length: matrix.rows }, (_unused, row) => row).sort((a, b) => {
    context.worked(1, 0);
    return compare(a, b);
  });
  const labels = order.map((row) => matrix.labels[row]!);
  const dropName = order.map((row) => matrix.dropName[row]!);
  const values = Float64Array.from(order, (row) => matrix.values[row]!);
  const present = Uint8Array.from(order, (row) => matrix.present[row]!);
  if (matrix.histograms !== undefined) matrix.histograms = order.map((row) => matrix.histograms![row]);
  matrix.labels = labels;
  matrix.dropName = dropName;
  matrix.values.set(values);
  matrix.present.set(present);
  context.release(bytes);
  return matrix;
}

/** Natural order: runs of digits compare as numbers, everything else by character. */
export function compareNatural(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  const common = Math.min(left.length, right.length);
  for (let i = 0; i < common; i++) {
    const x = left[i]!;
    const y = right[i]!;
    if (x === y) continue;
    if (isDigit(x) && isDigit(y)) {
      const trimmedX = x.replace(/^0+/, '');
      const trimmedY = y.replace(/^0+/, '');
      if (trimmedX.length !== trimmedY.length) return trimmedX.length - trimmedY.length;
      if (trimmedX !== trimmedY) return trimmedX < trimmedY ? -1 : 1;
      return x.length - y.length;
    }
    return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

function isDigit(run: string): boolean {
  return run.charCodeAt(0) >= 48 && run.charCodeAt(0) <= 57;
}
