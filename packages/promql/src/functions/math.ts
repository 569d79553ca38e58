/** Functions of one value, applied to every element of a vector in place. Source: Prometheus promql/functions.go. */
import type { StepMatrix } from '../exec/step-matrix.ts';
import { log10, log2, max, min } from './go-math.ts';

/** Number in, number out. */
export type Elementwise = (x: number) => number;

/** Functions of one argument by name. */
export const ELEMENTWISE: ReadonlyMap<string, Elementwise> = new Map<string, Elementwise>([
  ['abs', Math.abs],
  ['ceil', Math.ceil],
  ['floor', Math.floor],
  ['exp', Math.exp],
  ['sqrt', Math.sqrt],
  ['ln', Math.log],
  ['log2', log2],
  ['log10', log10],
  ['sgn', (x) => (x < 0 ? -1 : x > 0 ? 1 : x)],
  ['deg', (x) => (x * 180) / Math.PI],
  ['rad', (x) => (x * Math.PI) / 180],
  ['sin', Math.sin],
  ['cos', Math.cos],
  ['tan', Math.tan],
  ['asin', Math.asin],
  ['acos', Math.acos],
  ['atan', Math.atan],
  ['sinh', Math.sinh],
  ['cosh', Math.cosh],
  ['tanh', Math.tanh],
  ['asinh', Math.asinh],
  ['acosh', Math.acosh],
  ['atanh', Math.atanh],
]);

/** Applies a function to all values of a matrix. */
export function mapValues(matrix: StepMatrix, f: Elementwise): StepMatrix {
  const end = matrix.rows * matrix.steps;
  const { values, present } = matrix;
  for (let i = 0; i < end; i++) if (present[i] === 1) values[i] = f(values[i]!);
  return matrix;
}

/** round(v, to): to the nearest multiple, halves up; `to` has one value per step. */
export function roundTo(matrix: StepMatrix, to: Float64Array): StepMatrix {
  const { steps, values } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < steps; k++) {
      const inverse = 1 / to[k]!;
      const i = row * steps + k;
      values[i] = Math.floor(values[i]! * inverse + 0.5) / inverse;
    }
  }
  return matrix;
}

/** clamp(v, lower, upper): steps at which upper < lower are empty. */
export function clamp(matrix: StepMatrix, lower: Float64Array, upper: Float64Array): StepMatrix {
  const { steps, values, present } = matrix;
  let empties = false;
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < steps; k++) {
      const i = row * steps + k;
      if (upper[k]! < lower[k]!) {
        present[i] = 0;
        empties = true;
      } else values[i] = max(lower[k]!, min(upper[k]!, values[i]!));
    }
  }
  if (empties) matrix.keepRows((row) => matrix.hasValues(row));
  return matrix;
}
