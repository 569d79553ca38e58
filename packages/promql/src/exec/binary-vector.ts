/**
 * Arithmetic and comparison between two vectors.
 *
 * Series find each other by match group. In the usual case a group has one series on the "one" side over the whole query: then pairs are made
 * once and computed row by row. Otherwise every step is looked at on its own, since duplicates are an error only when they meet at one step.
 *
 * `group_right` is `group_left` with the sides swapped; values are swapped back before the operator is applied.
 * Source: Prometheus promql/engine.go, `VectorBinop` and `resultMetric`.
 */
import { type FloatHistogram, formatLabels, getLabel, type Labels, withLabel } from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import { PromqlError } from '../errors.ts';
import type { BinaryExpr } from '../parser/ast.ts';
import { applyColumns, applyOp, changesQuantity, isComparison } from './binary-ops.ts';
import { applyHistogramOp } from './histogram-ops.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { dropMetadata, filterLabels, labelsKey } from './labels.ts';
import { type MatchGroups, matchGroups, matchLabels } from './match-signature.ts';
import type { QueryContext } from './query-context.ts';
import { duplicateLabelset, StepMatrix } from './step-matrix.ts';

/** Heap bytes of a pair while the result is made: an object in a list, or an entry of a Map. */
const PAIR_BYTES = 96;

/** Evaluates an operator between two vectors; both operands are used up. */
export function matchVectors(context: QueryContext, expr: BinaryExpr, lhs: StepMatrix, rhs: StepMatrix): StepMatrix {
  const matching = expr.matching!;
  const groups = matchGroups(context, matching, lhs, rhs);
  const swapped = matching.card === 'one-to-many';
  const sides: Sides = swapped
    ? { many: rhs, one: lhs, manyGroups: groups.rhs, oneGroups: groups.lhs, swapped }
    : { many: lhs, one: rhs, manyGroups: groups.lhs, oneGroups: groups.rhs, swapped };
  const trims = expr.op === '</' || expr.op === '>/';
  const hasHistograms = lhs.histograms !== undefined || rhs.histograms !== undefined;
  const result = (trims || hasHistograms ? undefined : pairRows(context, expr, sides, groups)) ?? matchSteps(context, expr, sides, groups);
  lhs.release();
  rhs.release();
  return result;
}

interface Sides {
  /** The side that may have many series per match group; the left one when neither may. */
  readonly many: StepMatrix;
  readonly one: StepMatrix;
  readonly manyGroups: Int32Array;
  readonly oneGroups: Int32Array;
  /** The "many" side is the right operand. */
  readonly swapped: boolean;
}

/** Labels of the result of a pair; `one` are the labels of the "one" side. */
function resultLabels(context: QueryContext, expr: BinaryExpr, many: Labels, one: Labels): Labels {
  const matching = expr.matching!;
  const dropsName = changesQuantity(expr.op) || (expr.returnBool && !context.settings.delayedNameRemoval);
  let labels = dropsName ? dropMetadata(many) : many;
  if (matching.card === 'one-to-one') {
    labels = matching.on
      ? filterLabels(labels, (name) => matching.labels.includes(name))
      : filterLabels(labels, (name) => !matching.labels.includes(name));
  }
  for (const name of matching.include) labels = withLabel(labels, name, getLabel(one, name));
  return labels;
}

/** Whole rows at once; undefined when duplicates are possible and steps must be looked at one by one. */
function pairRows(context: QueryContext, expr: BinaryExpr, sides: Sides, groups: MatchGroups): StepMatrix | undefined {
  const { many, one, manyGroups, oneGroups, swapped } = sides;
  const { steps } = many;
  const matching = expr.matching!;
  if (matching.fill.lhs !== undefined || matching.fill.rhs !== undefined) return undefined;
  const partnerOf = new Int32Array(groups.count).fill(-1);
  for (let row = 0; row < one.rows; row++) {
    const group = oneGroups[row]!;
    if (partnerOf[group] !== -1) return undefined;
    partnerOf[group] = row;
  }
  const pairs: { readonly row: number; readonly partner: number; readonly labels: Labels }[] = [];
  /** Until they lie in the result. */
  let pairBytes = 0;
  const seenGroups = new Uint8Array(groups.count);
  const giveUp = (): undefined => {
    seenLabels?.free();
    context.release(pairBytes);
  };
  const seenLabels = matching.card === 'one-to-one' ? undefined : new KeyTable(context);
  for (let row = 0; row < many.rows; row++) {
    const group = manyGroups[row]!;
    const partner = partnerOf[group]!;
    if (partner === -1) continue;
    const labels = resultLabels(context, expr, many.labels[row]!, one.labels[partner]!);
    if (seenLabels === undefined) {
      if (seenGroups[group] === 1) return giveUp();
      seenGroups[group] = 1;
    } else {
      const known = seenLabels.size;
      if (seenLabels.idOf(labelsKey(labels)) < known) return giveUp();
    }
    const bytes = PAIR_BYTES + bytesOfLabels(labels);
    context.reserve(bytes);
    pairBytes += bytes;
    pairs.push({ row, partner, labels });
    context.worked(0, 1);
  }
  seenLabels?.free();

  const filters = isComparison(expr.op) && !expr.returnBool;
  const out = new StepMatrix(context, steps, pairs.length);
  const verdict = new Float64Array(steps);
  for (const { row, partner, labels } of pairs) {
    const manyAt = row * steps;
    const oneAt = partner * steps;
    const at = out.addRow(labels, expr.returnBool) * steps;
    const target = filters ? verdict : out.values;
    const targetAt = filters ? 0 : at;
    if (swapped) applyColumns(expr.op, one.values, oneAt, many.values, manyAt, target, targetAt, steps);
    else applyColumns(expr.op, many.values, manyAt, one.values, oneAt, target, targetAt, steps);
    for (let k = 0; k < steps; k++) out.present[at + k] = many.present[manyAt + k]! & one.present[oneAt + k]!;
    if (filters) {
      // A filter keeps the left operand's value.
      const left = swapped ? one : many;
      const leftAt = swapped ? oneAt : manyAt;
      out.values.set(left.values.subarray(leftAt, leftAt + steps), at);
      for (let k = 0; k < steps; k++) out.present[at + k] = out.present[at + k]! & verdict[k]!;
    }
    context.worked(steps, 1);
  }
  context.release(pairBytes);
  out.keepRows((row) => out.hasValues(row));
  return out;
}

/** Step by step, with all checks. */
function matchSteps(context: QueryContext, expr: BinaryExpr, sides: Sides, groups: MatchGroups): StepMatrix {
  const { many, one, manyGroups, oneGroups, swapped } = sides;
  const { steps } = many;
  const matching = expr.matching!;
  // Not swapped with the sides: with group_right Prometheus fills the "many" side with fill_left.
  const fillOne = matching.fill.rhs;
  const fillMany = matching.fill.lhs;
  const filters = isComparison(expr.op) && !expr.returnBool;
  const trims = expr.op === '</' || expr.op === '>/';
  const oneToOne = matching.card === 'one-to-one';

  const out = new StepMatrix(context, steps, many.rows);
  const outRows = new KeyTable(context);
  /** Result row of a pair (row of "many", row of "one"; −1 where filled). */
  const pairRowsKnown = new Map<number, number>();
  let knownBytes = 0;
  const rowOf = (manyRow: number, oneRow: number): number => {
    const pair = (manyRow + 1) * (one.rows + 1) + oneRow + 1;
    const known = pairRowsKnown.get(pair);
    if (known !== undefined) return known;
    const manyLabels = manyRow === -1 ? matchLabels(matching, one.labels[oneRow]!) : many.labels[manyRow]!;
    const oneLabels = oneRow === -1 ? matchLabels(matching, many.labels[manyRow]!) : one.labels[oneRow]!;
    const labels = resultLabels(context, expr, manyLabels, oneLabels);
    const row = outRows.idOf(labelsKey(labels));
    if (row === out.rows) out.addRow(labels, expr.returnBool);
    context.reserve(PAIR_BYTES);
    knownBytes += PAIR_BYTES;
    pairRowsKnown.set(pair, row);
    return row;
  };

  const partnerOf = new Int32Array(groups.count);
  const matched = new Uint8Array(groups.count);
  /** Result rows already made at this step, with the match group that made them. */
  const insertedBy = new Map<number, Set<number>>();

  const hasHistograms = many.histograms !== undefined || one.histograms !== undefined;
  /** The last remark of a step. */
  let remark: ((annotations: Annotations) => void) | undefined;
  const emit = (k: number, group: number, manyRow: number, oneRow: number): void => {
    const a = manyRow === -1 ? fillMany! : many.values[manyRow * steps + k]!;
    const b = oneRow === -1 ? fillOne! : one.values[oneRow * steps + k]!;
    const left = swapped ? b : a;
    const right = swapped ? a : b;
    let histogram: FloatHistogram | undefined;
    let value: number;
    const manyHistogram = manyRow === -1 || !hasHistograms ? undefined : many.histogramAt(manyRow, k);
    const oneHistogram = oneRow === -1 || !hasHistograms ? undefined : one.histogramAt(oneRow, k);
    if (manyHistogram !== undefined || oneHistogram !== undefined) {
      const ofMany = manyHistogram ?? a;
      const ofOne = oneHistogram ?? b;
      const outcome = swapped ? applyHistogramOp(expr, ofOne, ofMany) : applyHistogramOp(expr, ofMany, ofOne);
      remark = outcome.remark ?? remark;
      if (outcome.histogram === undefined) return;
      if (!expr.returnBool) ({ histogram } = outcome);
      value = outcome.keep ? 1 : 0;
    } else if (trims) {
      remark = (annotations) => annotations.incompatibleTypes('float', expr.op, 'float', expr.pos);
      return;
    } else value = applyOp(expr.op, left, right);
    const row = rowOf(manyRow, oneRow);
    if (oneToOne) {
      if (matched[group] === 1) {
        throw new PromqlError('ERR_EXECUTION', 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)', { pos: expr.pos });
      }
    } else {
      let rows = insertedBy.get(group);
      if (rows === undefined) insertedBy.set(group, (rows = new Set()));
      if (rows.has(row)) {
        throw new PromqlError('ERR_EXECUTION', 'multiple matches for labels: grouping labels must ensure unique matches', { pos: expr.pos });
      }
      rows.add(row);
    }
    matched[group] = 1;
    if (filters && value === 0) return;
    const at = row * steps + k;
    if (out.present[at] === 1) throw duplicateLabelset();
    if (histogram !== undefined) return out.setHistogram(row, k, histogram);
    out.present[at] = 1;
    out.values[at] = filters ? left : value;
    if (hasHistograms) out.setFloat(row, k, out.values[at]!);
  };

  for (let k = 0; k < steps; k++) {
    const manyAny = anyAt(many, k);
    const oneAny = anyAt(one, k);
    const fills = fillOne !== undefined || fillMany !== undefined;
    if ((!manyAny && !oneAny) || ((!manyAny || !oneAny) && !fills)) continue;
    partnerOf.fill(-1);
    matched.fill(0);
    insertedBy.clear();
    for (let row = 0; row < one.rows; row++) {
      if (one.present[row * steps + k] === 0) continue;
      const group = oneGroups[row]!;
      if (partnerOf[group] !== -1) throw duplicateSeries(expr, one.labels[row]!, one.labels[partnerOf[group]!]!);
      partnerOf[group] = row;
    }
    for (let row = 0; row < many.rows; row++) {
      if (many.present[row * steps + k] === 0) continue;
      const group = manyGroups[row]!;
      const partner = partnerOf[group]!;
      if (partner !== -1 || fillOne !== undefined) emit(k, group, row, partner);
    }
    if (fillMany !== undefined) {
      for (let row = 0; row < one.rows; row++) {
        if (one.present[row * steps + k] === 1 && matched[oneGroups[row]!] === 0) emit(k, oneGroups[row]!, -1, row);
      }
    }
    remark?.(context.annotations);
    remark = undefined;
    context.worked(many.rows + one.rows, 0);
  }
  outRows.free();
  context.release(knownBytes);
  out.keepRows((row) => out.hasValues(row));
  return out;
}

function anyAt(matrix: StepMatrix, k: number): boolean {
  for (let row = 0; row < matrix.rows; row++) if (matrix.present[row * matrix.steps + k] === 1) return true;
  return false;
}

function duplicateSeries(expr: BinaryExpr, a: Labels, b: Labels): PromqlError {
  const matching = expr.matching!;
  const side = matching.card === 'one-to-many' ? 'left' : 'right';
  const [first, second] = [formatLabels(a), formatLabels(b)].sort() as [string, string];
  return new PromqlError(
    'ERR_EXECUTION',
    `found duplicate series for the match group ${formatLabels(matchLabels(matching, a))} on the ${side} hand-side of the operation: [${first}, ${second}];many-to-many matching not allowed: matching labels must be unique on one side`,
    { pos: expr.pos },
  );
}
