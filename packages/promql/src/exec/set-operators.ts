/** Set operators `and`, `or`, `unless`: by match group and step, any number of series on either side; values and names stay. */
import type { BinaryExpr } from '../parser/ast.ts';
import { matchGroups } from './match-signature.ts';
import { type Grid, isOneTime, type QueryContext } from './query-context.ts';
import { presentHistograms } from './rows.ts';
import { mergeDuplicates, type StepMatrix } from './step-matrix.ts';

/** Evaluates a set operator; both operands are used up. */
export function combineSets(context: QueryContext, expr: BinaryExpr, grid: Grid, lhs: StepMatrix, rhs: StepMatrix): StepMatrix {
  const { steps } = grid;
  const groups = matchGroups(context, expr.matching!, lhs, rhs);
  // The side that decides, as one presence row per match group.
  const decider = expr.op === 'or' ? lhs : rhs;
  const deciderGroups = expr.op === 'or' ? groups.lhs : groups.rhs;
  const bytes = groups.count * steps;
  context.reserve(bytes);
  const some = new Uint8Array(bytes);
  for (let row = 0; row < decider.rows; row++) {
    const at = deciderGroups[row]! * steps;
    for (let k = 0; k < steps; k++) some[at + k] = some[at + k]! | decider.present[row * steps + k]!;
    context.worked(steps, 0);
  }
  if (expr.op === 'or') {
    mask(rhs, groups.rhs, some, 0);
    for (let row = 0; row < rhs.rows; row++) {
      if (!rhs.hasValues(row)) continue;
      const added = lhs.addRow(rhs.labels[row]!, rhs.dropName[row]!);
      const at = added * steps;
      lhs.values.set(rhs.values.subarray(row * steps, (row + 1) * steps), at);
      lhs.present.set(rhs.present.subarray(row * steps, (row + 1) * steps), at);
      const histograms = presentHistograms(rhs, row);
      if (histograms !== undefined) lhs.setHistograms(added, histograms);
    }
  } else {
    mask(lhs, groups.lhs, some, expr.op === 'and' ? 1 : 0);
    lhs.keepRows((row) => lhs.hasValues(row));
  }
  rhs.release();
  context.release(bytes);
  const { delayedNameRemoval } = context.settings;
  // At one time and with delayed names, equal labels are looked at when the names are gone; without delay one side has none.
  const isLeft = delayedNameRemoval ? isOneTime(grid) : expr.op !== 'or';
  return isLeft ? lhs : mergeDuplicates(lhs);
}

/** Keeps a value where its match group's byte equals `wanted`. */
function mask(matrix: StepMatrix, groupOf: Int32Array, some: Uint8Array, wanted: 0 | 1): void {
  const { steps, present } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    const at = groupOf[row]! * steps;
    const from = row * steps;
    if (wanted === 1) for (let k = 0; k < steps; k++) present[from + k] = present[from + k]! & some[at + k]!;
    else for (let k = 0; k < steps; k++) present[from + k] = present[from + k]! & (some[at + k]! ^ 1);
  }
}
