/**
 * histogram_quantile, histogram_quantiles and histogram_fraction, time by time. Classic buckets are gathered by their labels without `le`; a native
 * histogram with the labels of such a group stands in its way, and neither is evaluated. What is estimated from one native histogram is shared with
 * the engine: model compares that with Prometheus' own answers. Source: Prometheus promql/quantile.go, resetHistograms (3.14).
 */
import { fractionOfHistogram, getLabel, type Labels, quantileOfHistogram } from '@gauntlet/model';
import { formatOpenMetrics } from '../functions/go-format.ts';
import type { Call, Expr, PositionRange } from '../parser/ast.ts';
import { keyOf, pick, renamed, type Sample, type Scope, setLabel, settle, type Vectors } from './naive-samples.ts';

interface Bucket {
  readonly bound: number;
  count: number;
}

interface Family {
  /** Labels without `le`. */
  readonly sample: Sample;
  readonly buckets: readonly Bucket[];
}

interface Found {
  readonly natives: readonly Sample[];
  readonly families: readonly Family[];
}

/** Evaluates one of the three functions. */
export function bucketFunction(call: Call, outer: Scope): Vectors {
  const scope: Scope = { ...outer, histograms: 'always whole' };
  const isFraction = call.func === 'histogram_fraction';
  const isMany = call.func === 'histogram_quantiles';
  const vectorArg = call.args[isFraction ? 2 : isMany ? 0 : 1]!;
  const numberArgs = isFraction ? call.args.slice(0, 2) : isMany ? call.args.slice(2) : call.args.slice(0, 1);
  const numbers = numberArgs.map((arg) => scope.scalars(arg, scope));
  const { annotations } = scope.query;
  const results = scope.vectors(vectorArg, scope).map((samples, k) => {
    const at = numbers.map((values) => values[k]!);
    if (!isFraction) at.forEach((q, i) => (q >= 0 && q <= 1 ? undefined : annotations.invalidQuantile(q, numberArgs[i]!.pos)));
    const found = sortOut(samples, vectorArg.pos, scope);
    if (isFraction) return fractions(found, at[0]!, at[1]!, vectorArg.pos, scope);
    if (!isMany) return quantiles(found, at[0]!, vectorArg.pos, scope, scope.times[k]!);
    const label = stringOf(call.args[1]!);
    return at.flatMap((q) =>
      quantiles(found, q, vectorArg.pos, scope, scope.times[k]!).map((sample) => ({ ...sample, labels: setLabel(sample.labels, label, formatOpenMetrics(q)) })),
    );
  });
  return settle(results, scope);
}

function stringOf(expr: Expr): string {
  if (expr.type === 'paren') return stringOf(expr.expr);
  return expr.type === 'string' ? expr.value : '';
}

/** With delayed names, remarks may name the metric. */
function nameIn(labels: Labels, { query }: Scope): string {
  return query.delayedNameRemoval ? getLabel(labels, '__name__') : '';
}

function sortOut(samples: readonly Sample[], pos: PositionRange, scope: Scope): Found {
  const { annotations } = scope.query;
  const families = new Map<string, { sample: Sample; buckets: Bucket[] }>();
  const natives: Sample[] = [];
  for (const sample of samples) {
    if (typeof sample.value !== 'number') {
      natives.push(sample);
      continue;
    }
    const le = getLabel(sample.labels, 'le');
    const bound = /^[+-]?inf$/i.test(le) ? (le.startsWith('-') ? -Infinity : Infinity) : /^-?[\d.]+(e-?\d+)?$/.test(le) ? Number(le) : undefined;
    if (bound === undefined) {
      annotations.badBucketLabel(nameIn(sample.labels, scope), le, pos);
      continue;
    }
    const labels = pick(sample.labels, (name) => name !== 'le');
    const family = families.get(keyOf(labels)) ?? { sample: { ...sample, labels }, buckets: [] };
    families.set(keyOf(labels), family);
    family.buckets.push({ bound, count: sample.value });
  }
  const alone = natives.filter(({ labels }) => {
    if (!families.has(keyOf(labels))) return true;
    annotations.mixedClassicNative(nameIn(labels, scope), pos);
    families.delete(keyOf(labels));
    return false;
  });
  return { natives: alone, families: [...families.values()].map(({ sample, buckets }) => ({ sample, buckets: inOrder(buckets) })) };
}

/** Ascending bounds; equal ones are added up. */
function inOrder(buckets: readonly Bucket[]): Bucket[] {
  const merged: Bucket[] = [];
  for (const bucket of [...buckets].sort((a, b) => (a.bound < b.bound ? -1 : Number(a.bound > b.bound)))) {
    const last = merged.at(-1);
    if (last?.bound === bucket.bound) last.count += bucket.count;
    else merged.push({ ...bucket });
  }
  return merged;
}

function quantiles({ natives, families }: Found, q: number, pos: PositionRange, scope: Scope, timeMs: number): Sample[] {
  const { query } = scope;
  const ofNatives = natives.map((sample) => {
    const { value, nanObservations } = quantileOfHistogram(q, sample.value as Exclude<Sample['value'], number>);
    if (nanObservations !== 'none') query.annotations.quantileOfNaN(nanObservations, nameIn(sample.labels, scope), pos);
    return renamed(sample, value, query);
  });
  const ofFamilies = families.map(({ sample, buckets }) => {
    const repaired = buckets.map((bucket) => ({ ...bucket }));
    if (q >= 0 && q <= 1 && buckets.at(-1)!.bound === Infinity && repair(repaired)) {
      query.annotations.forcedMonotonicity(nameIn(sample.labels, scope), pos, timeMs, 0, 0, 0);
    }
    return renamed(sample, bucketQuantile(q, repaired), query);
  });
  return [...ofNatives, ...ofFamilies];
}

/** Lifts counts that are below their predecessor. @returns whether one was lifted by more than rounding explains */
function repair(buckets: Bucket[]): boolean {
  let isForced = false;
  for (let i = 1; i < buckets.length; i++) {
    const [before, { count }] = [buckets[i - 1]!.count, buckets[i]!];
    const isNear = Math.abs(before - count) < 1e-12 * Math.min(Math.abs(before) + Math.abs(count), Number.MAX_VALUE) && before !== 0 && count !== 0;
    if (count === before || isNear || count < before || (Number.isNaN(count) && Number.isNaN(before))) buckets[i]!.count = before;
    if (count < before && !isNear) isForced = true;
  }
  return isForced;
}

function bucketQuantile(q: number, buckets: readonly Bucket[]): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  if (buckets.at(-1)!.bound !== Infinity || buckets.length < 2 || buckets.at(-1)!.count === 0) return NaN;
  const rank = q * buckets.at(-1)!.count;
  const finite = buckets.slice(0, -1);
  const at = searchFirst(finite.length, (i) => finite[i]!.count >= rank);
  if (at === finite.length) return finite.at(-1)!.bound;
  if (at === 0 && finite[0]!.bound <= 0) return finite[0]!.bound;
  const [from, below] = at === 0 ? [0, 0] : [finite[at - 1]!.bound, finite[at - 1]!.count];
  return from + (finite[at]!.bound - from) * ((rank - below) / (finite[at]!.count - below));
}

/** By bisection: where NaN makes the order unclear, it ends where Go's sort.Search ends. */
function searchFirst(n: number, holds: (i: number) => boolean): number {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function fractions({ natives, families }: Found, lower: number, upper: number, pos: PositionRange, scope: Scope): Sample[] {
  const { query } = scope;
  const ofNatives = natives.map((sample) => {
    const { value, nanObservations } = fractionOfHistogram(lower, upper, sample.value as Exclude<Sample['value'], number>);
    if (nanObservations !== 'none') query.annotations.fractionOfNaN(nameIn(sample.labels, scope), pos);
    return renamed(sample, value, query);
  });
  return [...ofNatives, ...families.map(({ sample, buckets }) => renamed(sample, bucketFraction(lower, upper, buckets), query))];
}

function bucketFraction(lower: number, upper: number, buckets: readonly Bucket[]): number {
  const total = buckets.at(-1)!.count;
  if (buckets.at(-1)!.bound !== Infinity || total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  const ranks = [lower, upper].map((value) => {
    const rank = rankBelow(value, buckets);
    return rank > total ? total : rank;
  });
  return (ranks[1]! - ranks[0]!) / total;
}

/** Observations below a value, spread evenly inside each bucket; the first one begins at 0 unless it ends there or below. */
function rankBelow(value: number, buckets: readonly Bucket[]): number {
  let rank = 0;
  for (const [i, { bound, count }] of buckets.entries()) {
    const from = i > 0 ? buckets[i - 1]!.bound : bound <= 0 ? -Infinity : 0;
    if (from >= value) return rank;
    if (bound > value) return from === -Infinity ? count : rank + ((count - rank) * (value - from)) / (bound - from);
    rank = count;
  }
  return buckets.at(-1)!.count;
}
