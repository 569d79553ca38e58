/**
 * Binary operators where an operand is a native histogram.
 *
 *   histogram + − histogram      sum, difference            histogram * / float, float * histogram      scaled
 *   histogram == != histogram    comparison                 histogram </ >/ float                       trimmed
 *
 * Everything else gives nothing, with a remark. Source: Prometheus promql/engine.go, vectorElemBinop (3.14).
 */
import { addHistograms, compactHistogram, divHistogram, type FloatHistogram, histogramsEqual, keepAbove, keepBelow, mulHistogram, RESET_HINTS, subHistograms, withResetHint } from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import type { BinaryExpr } from '../parser/ast.ts';

/** What an operator gives for one pair. */
export interface OpOutcome {
  /** The histogram; the left one for comparisons. Undefined: no result at all. */
  readonly histogram: FloatHistogram | undefined;
  /** Whether a comparison holds; true for other operators. */
  readonly keep: boolean;
  /** A remark; of the remarks of one step only the last is made. */
  readonly remark: ((annotations: Annotations) => void) | undefined;
}

function result(histogram: FloatHistogram): OpOutcome {
  return { histogram, keep: true, remark: undefined };
}

/** Applies an operator to two values of which at least one is a histogram; numbers are floats. */
export function applyHistogramOp(expr: BinaryExpr, left: FloatHistogram | number, right: FloatHistogram | number): OpOutcome {
  const { op, pos } = expr;
  if (typeof left === 'object' && typeof right === 'object') {
    if (op === '+' || op === '-') return sumOrDifference(expr, left, right);
    if (op === '==' || op === '!=') return { histogram: left, keep: histogramsEqual(left, right) === (op === '=='), remark: undefined };
  } else if (typeof left === 'object' && typeof right === 'number') {
    if (op === '*') return result(compactHistogram(mulHistogram(left, right), 0));
    if (op === '/') return result(compactHistogram(divHistogram(left, right), 0));
    if (op === '</') return result(keepBelow(left, right));
    if (op === '>/') return result(keepAbove(left, right));
  } else if (typeof right === 'object' && typeof left === 'number' && op === '*') return result(compactHistogram(mulHistogram(right, left), 0));
  const kind = (value: FloatHistogram | number): string => (typeof value === 'object' ? 'histogram' : 'float');
  return { histogram: undefined, keep: false, remark: (annotations) => annotations.incompatibleTypes(kind(left), op, kind(right), pos) };
}

function sumOrDifference({ op, pos }: BinaryExpr, left: FloatHistogram, right: FloatHistogram): OpOutcome {
  const isSum = op === '+';
  const operation = isSum ? 'addition' : 'subtraction';
  const done = isSum ? addHistograms(left, right) : subHistograms(left, right);
  if (done === undefined) return { histogram: undefined, keep: false, remark: (annotations) => annotations.incompatibleBucketLayout(op, pos) };
  // As Prometheus: between two vectors, conflicting hints leave no result.
  if (done.counterResetCollision) return { histogram: undefined, keep: false, remark: (annotations) => annotations.counterResetCollision(operation, pos) };
  return {
    histogram: compactHistogram(isSum ? done.histogram : withResetHint(done.histogram, RESET_HINTS.gauge), 0),
    keep: true,
    remark: done.boundsReconciled ? (annotations) => annotations.mismatchedCustomBuckets(operation, pos) : undefined,
  };
}
