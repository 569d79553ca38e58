/**
 * The naive evaluator: PromQL as a reader would do it by hand, one time at a time, one sample at a time, with no regard for speed. The engine is
 * compared with it on random queries. It shares the parser and the label helpers with the engine, and nothing else.
 *
 * It covers floats without delayed name removal, and the functions that random-query.ts makes.
 */
import { compareLabels, getLabel, labelsFromPairs, type Labels, type Matcher } from '@gauntlet/model';
import type { AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, SubqueryExpr, VectorMatching, VectorSelector } from '../parser/ast.ts';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

interface Point {
  readonly timeMs: number;
  readonly value: number;
}

interface Range {
  readonly labels: Labels;
  readonly points: Point[];
}

/** Errors are equal when their kinds are: texts are compared by tables elsewhere. */
export class NaiveError extends Error {}

export interface NaiveOptions {
  readonly series: readonly MemorySeries[];
  readonly lookbackMs: number;
  readonly noStepSubqueryIntervalMs: number;
  /** Times of the whole query, for `@ start()` and `@ end()`. */
  readonly startMs: number;
  readonly endMs: number;
}

/** The value of an expression at one time: a number, or samples without order. @throws NaiveError */
export function evaluateNaive(expr: Expr, timeMs: number, options: NaiveOptions): number | Sample[] {
  const at = (inner: Expr): number | Sample[] => evaluateNaive(inner, timeMs, options);
  switch (expr.type) {
    case 'number':
      return expr.value;
    case 'paren':
      return at(expr.expr);
    case 'unary': {
      const value = at(expr.expr);
      if (expr.op === '+') return value;
      return typeof value === 'number' ? -value : unique(value.map((s) => ({ labels: withoutName(s.labels), value: -s.value })));
    }
    case 'vectorSelector':
      return selectInstant(expr, timeMs, options);
    case 'aggregate':
      return aggregate(expr, at(expr.expr) as Sample[], expr.param === undefined ? NaN : (at(expr.param) as number));
    case 'binary':
      return binary(expr, at(expr.lhs), at(expr.rhs));
    case 'call':
      return call(expr, timeMs, options);
    default:
      throw new Error(`naive evaluation of ${expr.type}`);
  }
}

function withoutName(labels: Labels): Labels {
  return pick(labels, (name) => name !== '__name__');
}

function pick(labels: Labels, keep: (name: string) => boolean): Labels {
  const pairs: [string, string][] = [];
  for (let i = 0; i < labels.length; i += 2) if (keep(labels[i]!)) pairs.push([labels[i]!, labels[i + 1]!]);
  return labelsFromPairs(pairs);
}

function same(a: Labels, b: Labels): boolean {
  return compareLabels(a, b) === 0;
}

function unique(samples: Sample[]): Sample[] {
  samples.forEach((a, i) => {
    if (samples.slice(i + 1).some((b) => same(a.labels, b.labels))) throw new NaiveError('vector cannot contain metrics with the same labelset');
  });
  return samples;
}

function isStale(values: Float64Array, i: number): boolean {
  const view = new DataView(values.buffer, values.byteOffset + i * 8, 8);
  return view.getUint32(4, true) === 0x7ff00000 && view.getUint32(0, true) === 2;
}

function matching(series: readonly MemorySeries[], matchers: readonly Matcher[]): MemorySeries[] {
  return series.filter((one) => matchers.every((m) => m.matches(getLabel(one.labels, m.name)))).sort((a, b) => compareLabels(a.labels, b.labels));
}

function referenceTime(node: VectorSelector | SubqueryExpr, timeMs: number, options: NaiveOptions): number {
  const base = node.startOrEnd === 'start' ? options.startMs : node.startOrEnd === 'end' ? options.endMs : (node.timestampMs ?? timeMs);
  return base - node.originalOffsetMs;
}

function selectInstant(selector: VectorSelector, timeMs: number, options: NaiveOptions): Sample[] {
  const ref = referenceTime(selector, timeMs, options);
  const samples: Sample[] = [];
  for (const { labels, timestampsMs, values } of matching(options.series, selector.matchers)) {
    const i = timestampsMs.findLastIndex((t) => t <= ref && t > ref - options.lookbackMs);
    if (i >= 0 && !isStale(values, i)) samples.push({ labels, value: values[i]! });
  }
  return samples;
}

/** All samples in (end − range, end], with the window's end. */
function selectRange(node: MatrixSelector | SubqueryExpr, timeMs: number, options: NaiveOptions): { ranges: Range[]; endMs: number } {
  if (node.type === 'matrixSelector') {
    const endMs = referenceTime(node.vector, timeMs, options);
    const ranges: Range[] = [];
    for (const { labels, timestampsMs, values } of matching(options.series, node.vector.matchers)) {
      const points: Point[] = [];
      timestampsMs.forEach((t, i) => {
        if (t > endMs - node.rangeMs && t <= endMs && !isStale(values, i)) points.push({ timeMs: t, value: values[i]! });
      });
      if (points.length > 0) ranges.push({ labels, points });
    }
    return { ranges, endMs };
  }
  const endMs = referenceTime(node, timeMs, options);
  const stepMs = node.stepMs === 0 ? options.noStepSubqueryIntervalMs : node.stepMs;
  const ranges: Range[] = [];
  for (let t = Math.ceil((endMs - node.rangeMs) / stepMs) * stepMs; t <= endMs; t += stepMs) {
    if (t <= endMs - node.rangeMs) continue;
    const value = evaluateNaive(node.expr, t, options);
    const samples = typeof value === 'number' ? [{ labels: [], value }] : value;
    for (const sample of samples) {
      const known = ranges.find((range) => same(range.labels, sample.labels));
      const point = { timeMs: t, value: sample.value };
      if (known === undefined) ranges.push({ labels: sample.labels, points: [point] });
      else known.points.push(point);
    }
  }
  return { ranges, endMs };
}

/** Neumaier's sum. */
function sum(values: readonly number[]): number {
  let total = 0;
  let lost = 0;
  for (const x of values) {
    const next = total + x;
    if (!Number.isFinite(next) && !Number.isNaN(next)) lost = 0;
    else lost += Math.abs(total) >= Math.abs(x) ? total - next + x : x - next + total;
    total = next;
  }
  return total + lost;
}

function extreme(values: readonly number[], better: (a: number, b: number) => boolean): number {
  return values.reduce((best, x) => (Number.isNaN(best) || better(x, best) ? x : best));
}

function quantile(q: number, values: readonly number[]): number {
  if (Number.isNaN(q) || values.length === 0) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const sorted = [...values].sort((a, b) => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b));
  const rank = q * (sorted.length - 1);
  const lower = Math.floor(rank);
  const upper = Math.min(sorted.length - 1, lower + 1);
  return sorted[lower]! * (1 - (rank - lower)) + sorted[upper]! * (rank - lower);
}

function variance(values: readonly number[]): number {
  const mean = sum(values) / values.length;
  return sum(values.map((x) => (x - mean) ** 2)) / values.length;
}

function rate(points: readonly Point[], startMs: number, endMs: number, isCounter: boolean, isRate: boolean): number | undefined {
  if (points.length < 2) return undefined;
  const first = points[0]!;
  const last = points[points.length - 1]!;
  let result = last.value - first.value;
  if (isCounter) for (let i = 1; i < points.length; i++) if (points[i]!.value < points[i - 1]!.value) result += points[i - 1]!.value;
  const sampled = (last.timeMs - first.timeMs) / 1000;
  const average = sampled / (points.length - 1);
  let toStart = (first.timeMs - startMs) / 1000;
  let toEnd = (endMs - last.timeMs) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  if (isCounter && result > 0 && first.value >= 0) toStart = Math.min(toStart, sampled * (first.value / result));
  if (toEnd >= average * 1.1) toEnd = average / 2;
  const factor = (sampled + toStart + toEnd) / sampled;
  return result * (isRate ? factor / ((endMs - startMs) / 1000) : factor);
}

function line(points: readonly Point[], originMs: number): { slope: number; intercept: number } | undefined {
  if (points.length < 2) return undefined;
  const y0 = points[0]!.value;
  if (points.every((p) => p.value === y0)) return Number.isFinite(y0) ? { slope: 0, intercept: y0 } : { slope: NaN, intercept: NaN };
  const n = points.length;
  const xs = points.map((p) => (p.timeMs - originMs) / 1000);
  const ys = points.map((p) => p.value);
  const meanX = sum(xs);
  const meanY = sum(ys);
  const slope = (sum(xs.map((x, i) => x * ys[i]!)) - (meanX * meanY) / n) / (sum(xs.map((x) => x * x)) - (meanX * meanX) / n);
  return { slope, intercept: meanY / n - (slope * meanX) / n };
}

/** What a range function makes of one series' window; undefined = nothing. */
function overTime(func: string, points: readonly Point[], startMs: number, endMs: number, timeMs: number, args: readonly number[]): number | undefined {
  const values = points.map((p) => p.value);
  const last = points[points.length - 1]!;
  const previous = points[points.length - 2];
  switch (func) {
    case 'rate':
      return rate(points, startMs, endMs, true, true);
    case 'increase':
      return rate(points, startMs, endMs, true, false);
    case 'delta':
      return rate(points, startMs, endMs, false, false);
    case 'irate':
      if (previous === undefined) return undefined;
      return (last.value < previous.value ? last.value : last.value - previous.value) / ((last.timeMs - previous.timeMs) / 1000);
    case 'idelta':
      return previous === undefined ? undefined : last.value - previous.value;
    case 'count_over_time':
      return points.length;
    case 'sum_over_time':
      return sum(values);
    case 'avg_over_time':
      return sum(values) / values.length;
    case 'min_over_time':
      return extreme(values, (a, b) => a < b);
    case 'max_over_time':
      return extreme(values, (a, b) => a > b);
    case 'first_over_time':
      return values[0];
    case 'last_over_time':
      return last.value;
    case 'present_over_time':
      return 1;
    case 'stdvar_over_time':
      return variance(values);
    case 'stddev_over_time':
      return Math.sqrt(variance(values));
    case 'quantile_over_time':
      return quantile(args[0]!, values);
    case 'changes':
      return points.filter((p, i) => i > 0 && p.value !== values[i - 1] && !(Number.isNaN(p.value) && Number.isNaN(values[i - 1]))).length;
    case 'resets':
      return points.filter((p, i) => i > 0 && p.value < values[i - 1]!).length;
    case 'deriv':
      return line(points, points[0]!.timeMs)?.slope;
    case 'predict_linear': {
      const fit = line(points, timeMs);
      return fit === undefined ? undefined : fit.slope * args[0]! + fit.intercept;
    }
    default:
      throw new Error(`naive evaluation of ${func}`);
  }
}

const MATH: Readonly<Record<string, (x: number) => number>> = { abs: Math.abs, ceil: Math.ceil, floor: Math.floor, sqrt: Math.sqrt, exp: Math.exp };

function call(expr: Call, timeMs: number, options: NaiveOptions): number | Sample[] {
  const at = (i: number): number | Sample[] => evaluateNaive(expr.args[i]!, timeMs, options);
  const range = expr.args.find((arg) => arg.type === 'matrixSelector' || arg.type === 'subquery') as MatrixSelector | SubqueryExpr | undefined;
  if (range !== undefined) {
    const { ranges, endMs } = selectRange(range, timeMs, options);
    if (expr.func === 'absent_over_time') return ranges.length > 0 ? [] : [{ labels: absentLabels(range), value: 1 }];
    const args = expr.args.filter((arg) => arg !== range).map((arg) => evaluateNaive(arg, timeMs, options) as number);
    const samples: Sample[] = [];
    for (const { labels, points } of ranges) {
      const value = overTime(expr.func, points, endMs - range.rangeMs, endMs, timeMs, args);
      const keeps = expr.func === 'last_over_time' || expr.func === 'first_over_time';
      if (value !== undefined) samples.push({ labels: keeps ? labels : withoutName(labels), value });
    }
    return unique(samples);
  }
  const mapped = (f: (x: number) => number): Sample[] => unique((at(0) as Sample[]).map((s) => ({ labels: withoutName(s.labels), value: f(s.value) })));
  const simple = MATH[expr.func];
  if (simple !== undefined) return mapped(simple);
  switch (expr.func) {
    case 'time':
      return timeMs / 1000;
    case 'vector':
      return [{ labels: [], value: at(0) as number }];
    case 'scalar': {
      const samples = at(0) as Sample[];
      return samples.length === 1 ? samples[0]!.value : NaN;
    }
    case 'absent':
      return (at(0) as Sample[]).length > 0 ? [] : [{ labels: absentLabels(expr.args[0]!), value: 1 }];
    case 'clamp': {
      const [low, high] = [at(1) as number, at(2) as number];
      const samples = at(0) as Sample[];
      return high < low ? [] : unique(samples.map((s) => ({ labels: withoutName(s.labels), value: Math.max(low, Math.min(high, s.value)) })));
    }
    case 'timestamp':
      return timestampOf(expr, timeMs, options);
    default:
      throw new Error(`naive evaluation of ${expr.func}`);
  }
}

function absentLabels(arg: Expr): Labels {
  const matchers = arg.type === 'vectorSelector' ? arg.matchers : arg.type === 'matrixSelector' ? arg.vector.matchers : [];
  const once = matchers.filter((m) => m.name !== '__name__' && m.type === '=' && matchers.filter((other) => other.name === m.name).length === 1);
  return labelsFromPairs(once.map((m) => [m.name, m.value] as [string, string]));
}

function timestampOf(expr: Call, timeMs: number, options: NaiveOptions): Sample[] {
  const arg = expr.args[0]!;
  if (arg.type !== 'vectorSelector') {
    const samples = evaluateNaive(arg, timeMs, options) as Sample[];
    return unique(samples.map((s) => ({ labels: withoutName(s.labels), value: timeMs / 1000 })));
  }
  const asTimes = options.series.map((one) => {
    const times = Float64Array.from(one.timestampsMs, (t) => t / 1000);
    const bits = new BigUint64Array(times.buffer);
    one.values.forEach((_v, i) => {
      if (isStale(one.values, i)) bits[i] = 0x7ff0000000000002n;
    });
    return { ...one, values: times };
  });
  // As in Prometheus, an offset beside `@` has no effect inside timestamp().
  const pinned = arg.timestampMs !== undefined || arg.startOrEnd !== undefined;
  const samples = selectInstant(pinned ? { ...arg, originalOffsetMs: 0 } : arg, timeMs, { ...options, series: asTimes });
  return unique(samples.map((s) => ({ labels: withoutName(s.labels), value: s.value })));
}

function aggregate(expr: AggregateExpr, samples: Sample[], param: number): Sample[] {
  const grouped: { labels: Labels; members: Sample[] }[] = [];
  for (const sample of samples) {
    const labels = pick(sample.labels, (name) => (expr.without ? name !== '__name__' && !expr.grouping.includes(name) : expr.grouping.includes(name)));
    const known = grouped.find((group) => same(group.labels, labels));
    if (known === undefined) grouped.push({ labels, members: [sample] });
    else known.members.push(sample);
  }
  if (expr.op === 'topk' || expr.op === 'bottomk') {
    const sign = expr.op === 'topk' ? -1 : 1;
    const order = (a: Sample, b: Sample): number => (Number.isNaN(a.value) || Number.isNaN(b.value) ? Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value)) : sign * (a.value - b.value));
    return grouped.flatMap(({ members }) => [...members].sort(order).slice(0, Math.max(0, Math.trunc(param))));
  }
  return grouped.map(({ labels, members }) => ({ labels, value: fold(expr, members.map((m) => m.value), param) }));
}

function fold(expr: AggregateExpr, values: readonly number[], param: number): number {
  switch (expr.op) {
    case 'sum':
      return sum(values);
    case 'avg':
      return sum(values) / values.length;
    case 'min':
      return extreme(values, (a, b) => a < b);
    case 'max':
      return extreme(values, (a, b) => a > b);
    case 'count':
      return values.length;
    case 'group':
      return 1;
    case 'stdvar':
      return variance(values);
    case 'stddev':
      return Math.sqrt(variance(values));
    case 'quantile':
      return quantile(param, values);
    default:
      throw new Error(`naive evaluation of ${expr.op}`);
  }
}

function compute(op: string, a: number, b: number): number | boolean {
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
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    default:
      throw new Error(`naive evaluation of ${op}`);
  }
}

function binary(expr: BinaryExpr, lhs: number | Sample[], rhs: number | Sample[]): number | Sample[] {
  if (typeof lhs === 'number' && typeof rhs === 'number') return Number(compute(expr.op, lhs, rhs));
  if (typeof lhs !== 'number' && typeof rhs !== 'number') {
    return expr.op === 'and' || expr.op === 'or' || expr.op === 'unless' ? setOperation(expr, lhs, rhs) : joined(expr, lhs, rhs);
  }
  const vector = (typeof lhs === 'number' ? rhs : lhs) as Sample[];
  const out: Sample[] = [];
  for (const { labels, value } of vector) {
    const result = typeof lhs === 'number' ? compute(expr.op, lhs, value) : compute(expr.op, value, rhs as number);
    if (typeof result === 'number') out.push({ labels: withoutName(labels), value: result });
    else if (expr.returnBool) out.push({ labels: withoutName(labels), value: Number(result) });
    else if (result) out.push({ labels, value });
  }
  return unique(out);
}

function matchKey(m: VectorMatching, labels: Labels): Labels {
  return pick(labels, (name) => (m.on ? m.labels.includes(name) : name !== '__name__' && !m.labels.includes(name)));
}

function setOperation(expr: BinaryExpr, lhs: Sample[], rhs: Sample[]): Sample[] {
  const m = expr.matching!;
  const meets = (a: Sample, others: Sample[]): boolean => others.some((b) => same(matchKey(m, a.labels), matchKey(m, b.labels)));
  if (expr.op === 'and') return lhs.filter((a) => meets(a, rhs));
  if (expr.op === 'unless') return lhs.filter((a) => !meets(a, rhs));
  return unique([...lhs, ...rhs.filter((b) => !meets(b, lhs))]);
}

function joined(expr: BinaryExpr, lhs: Sample[], rhs: Sample[]): Sample[] {
  const m = expr.matching!;
  if (lhs.length === 0 || rhs.length === 0) return [];
  const swapped = m.card === 'one-to-many';
  const [many, one] = swapped ? [rhs, lhs] : [lhs, rhs];
  one.forEach((a, i) => {
    if (one.slice(i + 1).some((b) => same(matchKey(m, a.labels), matchKey(m, b.labels)))) throw new NaiveError('many-to-many matching not allowed');
  });
  const out: (Sample & { readonly key: Labels; readonly keep: boolean })[] = [];
  for (const a of many) {
    const key = matchKey(m, a.labels);
    const b = one.find((other) => same(matchKey(m, other.labels), key));
    if (b === undefined) continue;
    const [left, right] = swapped ? [b, a] : [a, b];
    const result = compute(expr.op, left.value, right.value);
    let labels = typeof result === 'number' || expr.returnBool ? withoutName(a.labels) : a.labels;
    if (m.card === 'one-to-one') {
      labels = pick(labels, (name) => m.on === m.labels.includes(name));
    } else {
      const include: [string, string][] = m.include.map((name) => [name, getLabel(b.labels, name)]);
      const rest = pick(labels, (name) => !m.include.includes(name));
      labels = labelsFromPairs([...toPairs(rest), ...include.filter(([, value]) => value !== '')]);
    }
    const clash = m.card === 'one-to-one' ? out.some((o) => same(o.key, key)) : out.some((o) => same(o.key, key) && same(o.labels, labels));
    if (clash) throw new NaiveError('multiple matches for labels');
    const keep = typeof result === 'number' || expr.returnBool || result;
    out.push({ labels, key, keep, value: typeof result === 'number' || expr.returnBool ? Number(result) : left.value });
  }
  return unique(out.filter((o) => o.keep).map(({ labels, value }) => ({ labels, value })));
}

function toPairs(labels: Labels): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i]!, labels[i + 1]!]);
  return pairs;
}
