/**
 * Binary operators: what an operator makes of two values, of a vector and a scalar, and of two vectors whose samples find each other by labels.
 * Source: Prometheus promql/engine.go, vectorElemBinop, VectorBinop, VectorscalarBinop (3.14).
 */
import { addHistograms, compactHistogram, divHistogram, getLabel, histogramsEqual, keepAbove, keepBelow, type Labels, mulHistogram, RESET_HINTS, subHistograms, withResetHint } from '@gauntlet/model';
import { pow } from '../functions/go-math.ts';
import type { BinaryExpr, VectorMatching } from '../parser/ast.ts';
import { valueType } from '../parser/check-types.ts';
import { keyOf, NaiveError, type NaiveQuery, type NaiveValue, pick, renamed, type Sample, type Scope, setLabel, settle, type Vectors, withoutName } from './naive-samples.ts';

const COMPARISONS: readonly string[] = ['==', '!=', '<', '<=', '>', '>='];
const TRIMS: readonly string[] = ['</', '>/'];

/** What an operator gives: a value and whether a comparison holds, or a remark instead of a value. */
type Outcome = { readonly value: NaiveValue; readonly holds: boolean; readonly remark?: Remark } | { readonly value: undefined; readonly remark: Remark };
type Remark = (annotations: NaiveQuery['annotations']) => void;

function apply(expr: BinaryExpr, a: NaiveValue, b: NaiveValue): Outcome {
  const { op, pos } = expr;
  const kind = (value: NaiveValue): string => (typeof value === 'number' ? 'float' : 'histogram');
  const done = (value: NaiveValue): Outcome => ({ value, holds: true });
  if (typeof a === 'number' && typeof b === 'number' && !TRIMS.includes(op)) return { value: COMPARISONS.includes(op) ? a : compute(op, a, b), holds: !COMPARISONS.includes(op) || compare(op, a, b) };
  if (typeof a !== 'number' && typeof b === 'number') {
    if (op === '*') return done(compactHistogram(mulHistogram(a, b), 0));
    if (op === '/') return done(compactHistogram(divHistogram(a, b), 0));
    if (op === '</') return done(keepBelow(a, b));
    if (op === '>/') return done(keepAbove(a, b));
  }
  if (typeof a === 'number' && typeof b !== 'number' && op === '*') return done(compactHistogram(mulHistogram(b, a), 0));
  if (typeof a !== 'number' && typeof b !== 'number') {
    if (op === '==') return { value: a, holds: histogramsEqual(a, b) };
    if (op === '!=') return { value: a, holds: !histogramsEqual(a, b) };
    if (op === '+' || op === '-') {
      const operation = op === '+' ? 'addition' : 'subtraction';
      const result = op === '+' ? addHistograms(a, b) : subHistograms(a, b);
      if (result === undefined) return { value: undefined, remark: (annotations) => annotations.incompatibleBucketLayout(op, pos) };
      if (result.counterResetCollision) return { value: undefined, remark: (annotations) => annotations.counterResetCollision(operation, pos) };
      const { histogram } = result;
      const compact = compactHistogram(op === '-' ? withResetHint(histogram, RESET_HINTS.gauge) : histogram, 0);
      return result.boundsReconciled ? { ...done(compact), remark: (annotations) => annotations.mismatchedCustomBuckets(operation, pos) } : done(compact);
    }
  }
  return { value: undefined, remark: (annotations) => annotations.incompatibleTypes(kind(a), op, kind(b), pos) };
}

function compute(op: string, a: number, b: number): number {
  if (op === '+') return a + b;
  if (op === '-') return a - b;
  if (op === '*') return a * b;
  if (op === '/') return a / b;
  if (op === '%') return a % b;
  if (op === '^') return pow(a, b);
  if (op === 'atan2') return Math.atan2(a, b);
  throw new Error(`naive evaluation of ${op}`);
}

function compare(op: string, a: number, b: number): boolean {
  if (op === '==') return a === b;
  if (op === '!=') return a !== b;
  if (op === '<') return a < b;
  if (op === '<=') return a <= b;
  return op === '>' ? a > b : a >= b;
}

/** Two scalars; comparisons give 0 or 1. */
export function binaryScalars(expr: BinaryExpr, scope: Scope): readonly number[] {
  const rhs = scope.scalars(expr.rhs, scope);
  return scope.scalars(expr.lhs, scope).map((a, k) => (COMPARISONS.includes(expr.op) ? Number(compare(expr.op, a, rhs[k]!)) : compute(expr.op, a, rhs[k]!)));
}

/** At least one vector. */
export function binaryVectors(expr: BinaryExpr, outer: Scope): Vectors {
  const scope: Scope = TRIMS.includes(expr.op) ? { ...outer, histograms: 'always whole' } : outer;
  if (valueType(expr.lhs) === 'scalar' || valueType(expr.rhs) === 'scalar') return settle(withScalar(expr, scope), scope);
  const lhs = scope.vectors(expr.lhs, scope);
  const rhs = scope.vectors(expr.rhs, scope);
  const isSet = expr.op === 'and' || expr.op === 'or' || expr.op === 'unless';
  return settle(lhs.map((samples, k) => (isSet ? setOperation(expr, samples, rhs[k]!) : joined(expr, samples, rhs[k]!, scope.query))), scope);
}

function withScalar(expr: BinaryExpr, scope: Scope): Vectors {
  const isLeft = valueType(expr.lhs) === 'scalar';
  const scalars = scope.scalars(isLeft ? expr.lhs : expr.rhs, scope);
  const { query } = scope;
  const isComparison = COMPARISONS.includes(expr.op);
  return scope.vectors(isLeft ? expr.rhs : expr.lhs, scope).map((samples, k) =>
    samples.flatMap((sample): Sample[] => {
      const outcome = isLeft ? apply(expr, scalars[k]!, sample.value) : apply(expr, sample.value, scalars[k]!);
      if (outcome.value === undefined) {
        outcome.remark(query.annotations);
        return [];
      }
      if (expr.returnBool) return [renamed(sample, Number(outcome.holds), query)];
      if (isComparison) return outcome.holds ? [sample] : [];
      return TRIMS.includes(expr.op) ? [{ ...sample, value: outcome.value }] : [renamed(sample, outcome.value, query)];
    }),
  );
}

/** The labels by which two samples find each other. */
function matchLabels(m: VectorMatching, labels: Labels): Labels {
  return pick(labels, (name) => (m.on ? m.labels.includes(name) : name !== '__name__' && !m.labels.includes(name)));
}

function setOperation(expr: BinaryExpr, lhs: readonly Sample[], rhs: readonly Sample[]): readonly Sample[] {
  const keys = (samples: readonly Sample[]): Set<string> => new Set(samples.map(({ labels }) => keyOf(matchLabels(expr.matching!, labels))));
  const meets = (sample: Sample, others: Set<string>): boolean => others.has(keyOf(matchLabels(expr.matching!, sample.labels)));
  const [left, right] = [keys(lhs), keys(rhs)];
  if (expr.op === 'and') return lhs.filter((sample) => meets(sample, right));
  if (expr.op === 'unless') return lhs.filter((sample) => !meets(sample, right));
  return [...lhs, ...rhs.filter((sample) => !meets(sample, left))];
}

/** A side of a pair: a sample, or what `fill` puts in its place. */
interface Side {
  readonly labels: Labels;
  readonly value: NaiveValue;
}

function joined(expr: BinaryExpr, lhs: readonly Sample[], rhs: readonly Sample[], query: NaiveQuery): Sample[] {
  const m = expr.matching!;
  const isSwapped = m.card === 'one-to-many';
  const [many, one] = isSwapped ? [rhs, lhs] : [lhs, rhs];
  // Not swapped with the sides, as in Prometheus.
  const [fillMany, fillOne] = [m.fill.lhs, m.fill.rhs];
  if ((many.length === 0 || one.length === 0) && fillMany === undefined && fillOne === undefined) return [];
  if (many.length === 0 && one.length === 0) return [];
  const groupOf = ({ labels }: Side): string => keyOf(matchLabels(m, labels));
  const oneByGroup = new Map<string, Side>();
  for (const sample of one) {
    if (oneByGroup.has(groupOf(sample))) throw new NaiveError('many-to-many matching not allowed');
    oneByGroup.set(groupOf(sample), sample);
  }
  const pairs: { readonly many: Side; readonly one: Side; readonly group: string }[] = [];
  for (const sample of many) {
    const group = groupOf(sample);
    const partner = oneByGroup.get(group) ?? (fillOne === undefined ? undefined : { labels: matchLabels(m, sample.labels), value: fillOne });
    if (partner !== undefined) pairs.push({ many: sample, one: partner, group });
  }

  const taken = new Map<string, Set<string>>();
  const out: Sample[] = [];
  let lastRemark: Remark | undefined;
  const add = (pair: (typeof pairs)[number]): void => {
    const outcome = isSwapped ? apply(expr, pair.one.value, pair.many.value) : apply(expr, pair.many.value, pair.one.value);
    lastRemark = outcome.remark ?? lastRemark;
    if (outcome.value === undefined) return;
    const labels = pairLabels(expr, pair.many.labels, pair.one.labels, query);
    const known = taken.get(pair.group) ?? new Set<string>();
    if (m.card === 'one-to-one' ? known.size > 0 : known.has(keyOf(labels))) throw new NaiveError('multiple matches for labels');
    taken.set(pair.group, known.add(keyOf(labels)));
    if (expr.returnBool) out.push({ labels, value: Number(outcome.holds), dropName: true });
    else if (outcome.holds) out.push({ labels, value: outcome.value, dropName: false });
  };
  pairs.forEach(add);
  // What is left of the "one" side, in its order, with the other side filled in.
  for (const sample of one) {
    if (fillMany !== undefined && !taken.has(groupOf(sample))) add({ many: { labels: matchLabels(m, sample.labels), value: fillMany }, one: sample, group: groupOf(sample) });
  }
  lastRemark?.(query.annotations);
  return out;
}

function pairLabels(expr: BinaryExpr, many: Labels, one: Labels, query: NaiveQuery): Labels {
  const m = expr.matching!;
  const isSameQuantity = COMPARISONS.includes(expr.op) || TRIMS.includes(expr.op);
  let labels = !isSameQuantity || (expr.returnBool && !query.delayedNameRemoval) ? withoutName(many) : many;
  if (m.card === 'one-to-one') labels = pick(labels, (name) => m.on === m.labels.includes(name));
  for (const name of m.include) labels = setLabel(labels, name, getLabel(one, name));
  return labels;
}
