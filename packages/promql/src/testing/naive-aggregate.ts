/**
 * Aggregations: at each time the samples fall into groups by their labels, in the order in which they come, and each group gives a sample, or the
 * samples that were chosen of it.
 */
import { compactHistogram, formatHistogram, getLabel, hashLabels, HistogramMean, HistogramSum, isValidLabelName } from '@gauntlet/model';
import { formatF } from '../functions/go-format.ts';
import type { AggregateExpr, Expr } from '../parser/ast.ts';
import { extreme, mean, quantile, sum, varianceOverSeries } from './naive-math.ts';
import { keyOf, NaiveError, type NaiveValue, pick, type Sample, type Scope, setLabel, settle, type Vectors } from './naive-samples.ts';

/** Evaluates an aggregation. @throws NaiveError for parameters that are no usable numbers */
export function aggregate(expr: AggregateExpr, scope: Scope): Vectors {
  const inner = scope.vectors(expr.expr, scope);
  switch (expr.op) {
    case 'count_values':
      return countValues(expr, inner, scope);
    case 'topk':
    case 'bottomk':
    case 'limitk':
    case 'limit_ratio':
      return choose(expr, inner, scope);
    default: {
      const params = expr.op === 'quantile' ? scope.scalars(expr.param!, scope) : undefined;
      if (params !== undefined) noteQuantiles(params, expr.param!, scope);
      return withLastFlags(inner.map((samples, k) => groups(expr, samples).flatMap((group) => fold(expr, group, params?.[k] ?? NaN, scope))));
    }
  }
}

function groups(expr: AggregateExpr, samples: readonly Sample[]): Sample[][] {
  const found = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = keyOf(groupLabels(expr, sample));
    const group = found.get(key);
    if (group === undefined) found.set(key, [sample]);
    else group.push(sample);
  }
  return [...found.values()];
}

function groupLabels(expr: AggregateExpr, { labels }: Sample): Sample['labels'] {
  return pick(labels, (name) => (expr.without ? name !== '__name__' && !expr.grouping.includes(name) : expr.grouping.includes(name)));
}

/** Prometheus keeps, of the flags a group has at several times, that of the last. */
function withLastFlags(vectors: Vectors): Vectors {
  const flags = new Map(vectors.flatMap((samples) => samples.map(({ labels, dropName }) => [keyOf(labels), dropName] as const)));
  return vectors.map((samples) => samples.map((sample) => ({ ...sample, dropName: flags.get(keyOf(sample.labels))! })));
}

function fold(expr: AggregateExpr, members: readonly Sample[], param: number, { query }: Scope): Sample[] {
  const value = foldValues(expr, members, param, query.annotations);
  return value === undefined ? [] : [{ labels: groupLabels(expr, members[0]!), value, dropName: members.some(({ dropName }) => dropName) }];
}

function foldValues(expr: AggregateExpr, members: readonly Sample[], param: number, annotations: Scope['query']['annotations']): NaiveValue | undefined {
  const { op } = expr;
  const floats = members.flatMap(({ value }) => (typeof value === 'number' ? [value] : []));
  if (op === 'count') return members.length;
  if (op === 'group') return 1;
  if (op === 'sum' || op === 'avg') {
    if (floats.length === members.length) return op === 'sum' ? sumOfSeries(floats) : mean(floats);
    return addHistograms(expr, members, floats.length > 0, annotations);
  }
  if (floats.length < members.length) annotations.histogramIgnoredInAggregation(op, expr.expr.pos);
  if (floats.length === 0) return undefined;
  switch (op) {
    case 'min':
      return extreme(floats, (a, b) => a < b);
    case 'max':
      return extreme(floats, (a, b) => a > b);
    case 'stdvar':
      return varianceOverSeries(floats);
    case 'stddev':
      return Math.sqrt(varianceOverSeries(floats));
    case 'quantile':
      return quantile(param, floats);
    default:
      throw new Error(`naive evaluation of ${op}`);
  }
}

/** The first value is the sum as it is: −0 stays. */
function sumOfSeries(values: readonly number[]): number {
  return values.length === 1 ? values[0]! : sum(values);
}

function addHistograms(expr: AggregateExpr, members: readonly Sample[], hasFloats: boolean, annotations: Scope['query']['annotations']): NaiveValue | undefined {
  const { pos } = expr.expr;
  let total: HistogramSum | HistogramMean | undefined;
  let isIncompatible = false;
  // Behind a float in the first place, histograms are not looked at.
  if (typeof members[0]!.value === 'number') {
    annotations.mixedFloatsHistogramsAggregation(pos);
    return undefined;
  }
  for (const { value, labels } of members) {
    if (typeof value === 'number' || isIncompatible) continue;
    if (total === undefined) total = expr.op === 'sum' ? new HistogramSum(value) : new HistogramMean(value);
    else if (!total.add(value)) {
      annotations.mixedExponentialCustom(getLabel(labels, '__name__'), pos);
      isIncompatible = true;
    }
  }
  if (hasFloats) annotations.mixedFloatsHistogramsAggregation(pos);
  if (total?.boundsReconciled === true) annotations.mismatchedCustomBuckets('aggregation', pos);
  if (hasFloats || isIncompatible || total === undefined) return undefined;
  if (total.counterResetCollision) annotations.counterResetCollision('aggregation', pos);
  return compactHistogram(total.result(), 0);
}

function noteQuantiles(params: readonly number[], { pos }: Expr, { query }: Scope): void {
  const [low, high] = [Math.min(...params), Math.max(...params)];
  if (params.some(Number.isNaN)) query.annotations.invalidQuantile(NaN, pos);
  if (high > 1) query.annotations.invalidQuantile(high, pos);
  if (low < 0) query.annotations.invalidQuantile(low, pos);
}

/** One sample per group and value; the value becomes a label. */
function countValues(expr: AggregateExpr, inner: Vectors, scope: Scope): Vectors {
  let param = expr.param!;
  while (param.type === 'paren') param = param.expr;
  const label = param.type === 'string' ? param.value : '';
  if (!isValidLabelName(label)) throw new NaiveError('invalid label name');
  const grouping = expr.without ? expr.grouping : [...expr.grouping, label];
  const counted = inner.map((samples) => {
    const labelled = samples.map((sample) => ({
      ...sample,
      labels: setLabel(sample.labels, label, typeof sample.value === 'number' ? formatF(sample.value) : formatHistogram(sample.value)),
    }));
    return groups({ ...expr, grouping }, labelled).map((group) => ({ labels: groupLabels({ ...expr, grouping }, group[0]!), value: group.length, dropName: false }));
  });
  return settle(counted, scope);
}

/** topk, bottomk, limitk, limit_ratio: samples with all their labels. */
function choose(expr: AggregateExpr, inner: Vectors, scope: Scope): Vectors {
  const { annotations } = scope.query;
  const params = scope.scalars(expr.param!, scope);
  const { pos } = expr.param!;
  const [low, high] = [Math.min(...params), Math.max(...params)];
  const nothing = inner.map(() => []);
  if (expr.op === 'limit_ratio') {
    if (low === 0 && high === 0) return nothing;
    if (Number.isNaN(low)) throw new NaiveError('Ratio value is NaN');
    if (high > 1) annotations.invalidRatio(high, 1, pos);
    if (low < -1) annotations.invalidRatio(low, -1, pos);
  } else {
    if (high < 1) return nothing;
    if (Number.isNaN(low) || low <= -(2 ** 63) || high >= 2 ** 63) throw new NaiveError('parameter is no count');
  }
  return inner.map((samples, k) => {
    const param = params[k]!;
    if (expr.op === 'limit_ratio') return samples.filter((sample) => isInRatio(param, sample));
    const count = Math.trunc(param);
    if (count < 1) return [];
    const chosen = new Set(
      groups(expr, samples).flatMap((group) => {
        if (expr.op === 'limitk') return group.slice(0, count);
        const floats = group.filter(({ value }) => typeof value === 'number');
        if (floats.length < group.length) annotations.histogramIgnoredInAggregation(expr.op, expr.pos);
        return best(floats, count, expr.op === 'topk');
      }),
    );
    return samples.filter((sample) => chosen.has(sample));
  });
}

function isInRatio(param: number, { labels }: Sample): boolean {
  const { hi, lo } = hashLabels(labels);
  const place = ((hi >>> 0) * 2 ** 32 + (lo >>> 0)) / 2 ** 64;
  return param > 0 ? place < Math.min(1, param) : param < 0 && place >= 1 + Math.max(-1, param);
}

/**
 * The best of a group. Which of several equal values stay is what a binary heap makes of it, with the value to be given up first at its root: the
 * heap of Go's container/heap.
 */
function best(samples: readonly Sample[], count: number, wantMax: boolean): Sample[] {
  const heap: Sample[] = [];
  const valueAt = (i: number): number => heap[i]!.value as number;
  const isWorse = (i: number, j: number): boolean => Number.isNaN(valueAt(i)) || (wantMax ? valueAt(i) < valueAt(j) : valueAt(i) > valueAt(j));
  const swap = (i: number, j: number): void => void ([heap[i], heap[j]] = [heap[j]!, heap[i]!]);
  for (const sample of samples) {
    if (heap.length < count) {
      let at = heap.push(sample) - 1;
      for (let parent = (at - 1) >> 1; at > 0 && isWorse(at, parent); parent = (at - 1) >> 1) {
        swap(at, parent);
        at = parent;
      }
      continue;
    }
    const [value, root] = [sample.value as number, valueAt(0)];
    if (!(wantMax ? root < value : root > value) && !(Number.isNaN(root) && !Number.isNaN(value))) continue;
    heap[0] = sample;
    for (let at = 0; ; ) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && isWorse(child + 1, child)) child++;
      if (child >= heap.length || !isWorse(child, at)) break;
      swap(at, child);
      at = child;
    }
  }
  return heap;
}
