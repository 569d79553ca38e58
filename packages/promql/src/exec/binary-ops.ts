/**
 * Arithmetic and comparison of two columns. The loops are written out per operator: a function per sample would cost more than the operation.
 *
 * Comparisons come in two forms: as filters (the left value stays where the comparison holds) and with `bool` (0 or 1).
 */
import { pow } from '../functions/go-math.ts';
import type { BinaryOp } from '../parser/ast.ts';

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

export function isComparison(op: BinaryOp): boolean {
  return COMPARISONS.has(op);
}

/** Operators whose result is another quantity, so that the metric name no longer fits. */
export function changesQuantity(op: BinaryOp): boolean {
  return op === '+' || op === '-' || op === '*' || op === '/' || op === '^' || op === '%' || op === 'atan2';
}

/**
 * One value. For comparisons 1 or 0.
 */
export function applyOp(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    case '^':
      return pow(a, b);
    case 'atan2':
      return Math.atan2(a, b);
    case '==':
      return a === b ? 1 : 0;
    case '!=':
      return a !== b ? 1 : 0;
    case '<':
      return a < b ? 1 : 0;
    case '<=':
      return a <= b ? 1 : 0;
    case '>':
      return a > b ? 1 : 0;
    case '>=':
      return a >= b ? 1 : 0;
    default:
      throw new Error(`apply operator ${op}: not an operator on numbers`);
  }
}

/**
 * `out[k] = a[k] op b[k]` for `n` entries; for comparisons 1 or 0. Presence is the caller's business: absent entries are computed too.
 */
export function applyColumns(
  op: BinaryOp,
  a: Float64Array,
  aFrom: number,
  b: Float64Array,
  bFrom: number,
  out: Float64Array,
  outFrom: number,
  n: number,
): void {
  switch (op) {
    case '+':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! + b[bFrom + k]!;
      return;
    case '-':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! - b[bFrom + k]!;
      return;
    case '*':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! * b[bFrom + k]!;
      return;
    case '/':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! / b[bFrom + k]!;
      return;
    case '==':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! === b[bFrom + k]! ? 1 : 0;
      return;
    case '!=':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! !== b[bFrom + k]! ? 1 : 0;
      return;
    case '<':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! < b[bFrom + k]! ? 1 : 0;
      return;
    case '<=':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! <= b[bFrom + k]! ? 1 : 0;
      return;
    case '>':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! > b[bFrom + k]! ? 1 : 0;
      return;
    case '>=':
      for (let k = 0; k < n; k++) out[outFrom + k] = a[aFrom + k]! >= b[bFrom + k]! ? 1 : 0;
      return;
    default:
      for (let k = 0; k < n; k++) out[outFrom + k] = applyOp(op, a[aFrom + k]!, b[bFrom + k]!);
  }
}
