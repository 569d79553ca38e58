/**
 * Vectors that stand in several places of a plan: the first place to be evaluated computes, the others wait for it and get copies.
 *
 * A place looks as if it had computed for itself: its copy is held and charged until it is used up, its remarks point to its own part of the
 * query, and its samples are counted.
 */
import { Annotations } from '../annotations.ts';
import type { Expr, PositionRange, SharedExpr } from '../parser/ast.ts';
import { childrenOf } from '../parser/children.ts';
import { evaluateVector } from './operators.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { countsBytes, SampleCounts } from './sample-counts.ts';
import { StepMatrix } from './step-matrix.ts';

interface SharedValue {
  readonly here: Expr;
  readonly part: QueryContext;
  readonly matrix: Promise<StepMatrix>;
  /** Places that have not taken it. */
  left: number;
}

/** By the number of the plan. */
export type SharedValues = Map<number, SharedValue>;

/** Evaluates one of the places. */
export async function evaluateShared(context: QueryContext, expr: SharedExpr, grid: Grid): Promise<StepMatrix> {
  const { sharedValues } = context;
  let value = sharedValues.get(expr.id);
  const isFirst = value === undefined;
  if (value === undefined) {
    if (context.counts !== undefined) context.reserve(countsBytes(grid));
    const part = context.part({ annotations: new Annotations(), counts: context.counts === undefined ? undefined : new SampleCounts(grid) });
    value = { here: expr.here, part, matrix: evaluateVector(part, expr.expr, grid), left: expr.uses };
    sharedValues.set(expr.id, value);
  }
  const computed = await value.matrix;
  value.left--;
  if (isFirst) context.join(value.part);
  else context.samples += value.part.samples;
  if (context.counts !== undefined && value.part.counts !== undefined) context.counts.addAll(value.part.counts);
  context.annotations.addAll(value.part.annotations, placesOf(value.here, expr.here));
  if (value.left === 0) return computed;
  const copy = copyMatrix(context, computed);
  context.hold(copy.count());
  return copy;
}

function copyMatrix(context: QueryContext, matrix: StepMatrix): StepMatrix {
  const { steps, rows } = matrix;
  const copy = new StepMatrix(context, steps, rows);
  for (let row = 0; row < rows; row++) {
    copy.addRow(matrix.labels[row]!, matrix.dropName[row]!);
  }
  copy.values.set(matrix.values.subarray(0, rows * steps));
  copy.present.set(matrix.present.subarray(0, rows * steps));
  matrix.histograms?.forEach((histograms, row) => {
    if (histograms === undefined || row >= rows) return;
    histograms.forEach((histogram, k) => {
      if (histogram !== undefined && matrix.present[row * steps + k] === 1) copy.setHistogram(row, k, histogram);
    });
  });
  context.worked(rows * steps, rows);
  return copy;
}

/** Turns places of one tree into those of an equal one; parentheses may differ. */
function placesOf(from: Expr, to: Expr): (pos: PositionRange) => PositionRange {
  if (from === to) return (pos) => pos;
  const places = new Map<string, PositionRange>();
  const key = ({ start, end }: PositionRange): string => `${start}:${end}`;
  const walk = (a: Expr, b: Expr): void => {
    const [left, right] = [withoutParens(a), withoutParens(b)];
    places.set(key(left.pos), right.pos);
    const others = childrenOf(right);
    childrenOf(left).forEach((child, i) => walk(child, others[i]!));
  };
  walk(from, to);
  return (pos) => places.get(key(pos)) ?? pos;
}

function withoutParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren' || inner.type === 'shared') inner = inner.type === 'shared' ? inner.here : inner.expr;
  return inner;
}
