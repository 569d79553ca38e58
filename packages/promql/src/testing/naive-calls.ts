/**
 * Function calls: over range vectors, series by series, and over instant vectors and scalars, time by time. What a function makes of one number
 * (`sqrt`, `month`, …) is shared with the engine and compared with known values by functions.test.ts.
 */
import { averageOfHistogram, compareLabels, type FloatHistogram, getLabel, isValidLabelName, type Labels, labelsFromPairs, varianceOfHistogram } from '@gauntlet/model';
import { DATE_FUNCTIONS } from '../functions/dates.ts';
import { max, min } from '../functions/go-math.ts';
import { ELEMENTWISE } from '../functions/math.ts';
import type { Call, Expr, MatrixSelector, SubqueryExpr } from '../parser/ast.ts';
import { bucketFunction } from './naive-buckets.ts';
import { info } from './naive-info.ts';
import { applyToWindow } from './naive-range-functions.ts';
import { keyOf, NaiveError, type NaiveQuery, type NaiveValue, refuseTwins, renamed, type Sample, type Scope, setLabel, settle, type Vectors } from './naive-samples.ts';
import { lookTime, selectPoints, selectWindows } from './naive-select.ts';

const HISTOGRAM_FUNCTIONS: Readonly<Record<string, (histogram: FloatHistogram) => number>> = {
  histogram_avg: averageOfHistogram,
  histogram_count: (histogram) => histogram.count,
  histogram_stddev: (histogram) => Math.sqrt(varianceOfHistogram(histogram)),
  histogram_stdvar: varianceOfHistogram,
  histogram_sum: (histogram) => histogram.sum,
};
/** For these, histograms are read without buckets. */
const STATS: readonly string[] = ['histogram_avg', 'histogram_count', 'histogram_sum'];
const COUNTER_NAME = /_(total|sum|count|bucket)$/;

function unwrap(expr: Expr): Expr {
  return expr.type === 'paren' ? unwrap(expr.expr) : expr;
}

function stringOf(expr: Expr): string {
  const inner = unwrap(expr);
  return inner.type === 'string' ? inner.value : '';
}

/** As `renamed`; but of histograms' numbers, type and unit stay if the name is dropped at once, as in Prometheus. */
function unnamed(sample: Sample, value: number, query: NaiveQuery): Sample {
  return { labels: query.delayedNameRemoval ? sample.labels : setLabel(sample.labels, '__name__', ''), value, dropName: true };
}

/** Calls that give a scalar. */
export function callScalars(call: Call, scope: Scope): readonly number[] {
  const { query, times } = scope;
  const constant = (value: number): readonly number[] => times.map(() => value);
  switch (call.func) {
    case 'time':
      return times.map((time) => time / 1000);
    case 'pi':
      return constant(Math.PI);
    case 'start':
      return constant(query.startMs / 1000);
    case 'end':
      return constant(query.endMs / 1000);
    case 'range':
      return constant((query.endMs - query.startMs) / 1000);
    case 'step':
      return constant(query.startMs === query.endMs ? 0 : query.stepMs / 1000);
    case 'max_of':
    case 'min_of': {
      const other = scope.scalars(call.args[1]!, scope);
      return scope.scalars(call.args[0]!, scope).map((x, k) => (call.func === 'max_of' ? max : min)(x, other[k]!));
    }
    case 'scalar':
      return scope.vectors(call.args[0]!, scope).map((samples) => {
        const floats = samples.filter(({ value }) => typeof value === 'number');
        return floats.length === 1 ? (floats[0]!.value as number) : NaN;
      });
    default:
      throw new Error(`naive evaluation of ${call.func}`);
  }
}

/** Calls that give a vector. */
export function callVectors(call: Call, outer: Scope): Vectors {
  const { query, times } = outer;
  const scope: Scope = STATS.includes(call.func) && outer.histograms === 'whole' ? { ...outer, histograms: 'stats' } : outer;
  const range = call.args.map(unwrap).find((arg) => arg.type === 'matrixSelector' || arg.type === 'subquery') as MatrixSelector | SubqueryExpr | undefined;
  if (range !== undefined) return rangeFunction(call, range, scope);

  const vectors = (): Vectors => scope.vectors(call.args[0]!, scope);
  const scalars = (i: number): readonly number[] => scope.scalars(call.args[i]!, scope);
  /** Floats one by one; histograms are left out. */
  const eachFloat = (f: (x: number, k: number) => number | undefined): Vectors =>
    settle(
      vectors().map((samples, k) =>
        samples.flatMap((sample) => {
          const value = typeof sample.value === 'number' ? f(sample.value, k) : undefined;
          return value === undefined ? [] : [renamed(sample, value, query)];
        }),
      ),
      scope,
    );
  const elementwise = ELEMENTWISE.get(call.func);
  if (elementwise !== undefined) return eachFloat(elementwise);
  const date = DATE_FUNCTIONS.get(call.func);
  if (date !== undefined) return call.args.length > 0 ? eachFloat(date) : times.map((time) => [{ labels: [], value: date(time / 1000), dropName: false }]);
  const ofHistogram = HISTOGRAM_FUNCTIONS[call.func];
  if (ofHistogram !== undefined) {
    return settle(vectors().map((samples) => samples.flatMap((sample) => (typeof sample.value === 'number' ? [] : [unnamed(sample, ofHistogram(sample.value), query)]))), scope);
  }
  switch (call.func) {
    case 'vector':
      return scalars(0).map((value) => [{ labels: [], value, dropName: false }]);
    case 'absent':
      return vectors().map((samples) => (samples.length > 0 ? [] : [{ labels: absentLabels(call.args[0]!), value: 1, dropName: false }]));
    case 'timestamp':
      return timestamps(call, scope);
    case 'start_timestamp':
      return vectors().map(() => []);
    case 'clamp':
      return clamp(eachFloat, scalars(1), scalars(2));
    case 'clamp_min':
      return clamp(eachFloat, scalars(1), times.map(() => Infinity));
    case 'clamp_max':
      return clamp(eachFloat, times.map(() => -Infinity), scalars(1));
    case 'round': {
      const inverses = call.args.length > 1 ? scalars(1).map((to) => 1 / to) : times.map(() => 1);
      return eachFloat((x, k) => Math.floor(x * inverses[k]! + 0.5) / inverses[k]!);
    }
    case 'sort':
    case 'sort_desc':
    case 'sort_by_label':
    case 'sort_by_label_desc':
      return sorted(call, vectors(), scope);
    case 'label_replace':
    case 'label_join':
      return relabelled(call, vectors(), scope);
    case 'histogram_quantile':
    case 'histogram_quantiles':
    case 'histogram_fraction':
      return bucketFunction(call, scope);
    case 'info':
      return info(call, scope);
    default:
      throw new Error(`naive evaluation of ${call.func}`);
  }
}

function clamp(eachFloat: (f: (x: number, k: number) => number | undefined) => Vectors, low: readonly number[], high: readonly number[]): Vectors {
  return eachFloat((x, k) => (high[k]! < low[k]! ? undefined : max(low[k]!, min(high[k]!, x))));
}

function rangeFunction(call: Call, range: MatrixSelector | SubqueryExpr, scope: Scope): Vectors {
  const { query, times } = scope;
  const { annotations } = query;
  const { pos } = call.args[0]!;
  const args = call.args.filter((arg) => unwrap(arg) !== range).map((arg) => scope.scalars(arg, scope));
  const selector = range.type === 'matrixSelector' ? range.vector : undefined;
  const extended = selector?.anchored === true ? 'anchored' : selector?.smoothed === true ? 'smoothed' : 'no';
  const allowed = extended === 'smoothed' ? ['delta', 'increase', 'rate'] : ['changes', 'delta', 'increase', 'rate', 'resets'];
  if (extended !== 'no' && !allowed.includes(call.func)) throw new NaiveError(`${extended} modifier`);
  const keepsName = call.func === 'first_over_time' || call.func === 'last_over_time';

  const lookBehindMs = call.func.startsWith('x') ? 3_600_000 : 0;
  const series = selectWindows(range, scope, lookBehindMs).map(({ labels, dropName, windows }) => {
    const metricName = getLabel(labels, '__name__');
    const values = windows.map((window, k) => {
      const call_ = { func: call.func, args: args.map((values) => values[k]!), timeMs: times[k]!, extended, remarks: { annotations, metricName, pos } } as const;
      return window.points.length === 0 ? undefined : applyToWindow(call_, window);
    });
    const isCounterFunction = call.func === 'rate' || call.func === 'increase';
    if (isCounterFunction && metricName !== '' && !COUNTER_NAME.test(metricName) && values.some((value) => typeof value === 'number')) annotations.possibleNonCounter(metricName, pos);
    return { labels, dropName: dropName || !keepsName, values };
  });
  if (call.func === 'absent_over_time') {
    return times.map((_time, k) => (series.some(({ values }) => values[k] !== undefined) ? [] : [{ labels: absentLabels(call.args[0]!), value: 1, dropName: true }]));
  }
  const renamedSeries = series
    .filter(({ values }) => values.some((value) => value !== undefined))
    .map(({ labels, dropName, values }) => ({ before: labels, after: dropName ? renamed({ labels, value: 0, dropName }, 0, query).labels : labels, dropName, values }));
  refuseTwins(renamedSeries, query);
  return times.map((_time, k) =>
    renamedSeries.flatMap(({ after, dropName, values }): Sample[] => {
      const value: NaiveValue | undefined = values[k];
      return value === undefined ? [] : [{ labels: after, value, dropName }];
    }),
  );
}

/** What a selector says the missing series would have had: labels with a single matcher, which is an equality. */
function absentLabels(arg: Expr): Labels {
  const inner = unwrap(arg);
  const matchers = inner.type === 'vectorSelector' ? inner.matchers : inner.type === 'matrixSelector' ? inner.vector.matchers : [];
  const named = matchers.filter(({ name }) => name !== '__name__');
  return labelsFromPairs(named.filter((m) => m.type === '=' && m.value !== '' && named.every((other) => other === m || other.name !== m.name)).map((m) => [m.name, m.value]));
}

/** Of a selector the times of its samples, of anything else the evaluation time. */
function timestamps(call: Call, scope: Scope): Vectors {
  const { query, times } = scope;
  const arg = unwrap(call.args[0]!);
  if (arg.type !== 'vectorSelector') {
    return settle(scope.vectors(arg, scope).map((samples, k) => samples.map((sample) => renamed(sample, times[k]! / 1000, query))), scope);
  }
  // As in Prometheus, an offset beside `@` moves what is read from storage, but not the time that is looked at.
  const isPinned = arg.timestampMs !== undefined || arg.startOrEnd !== undefined;
  const looks = times.map((time) => lookTime(isPinned ? { ...arg, originalOffsetMs: 0, offsetExpr: undefined } : arg, time, query));
  const found = selectPoints(arg, scope, looks, times.map((time) => lookTime(arg, time, query)));
  return settle(found.map((samples) => samples.map(({ labels, point }) => renamed({ labels, value: 0, dropName: false }, point.timeMs / 1000, query))), scope);
}

function sorted(call: Call, vectors: Vectors, scope: Scope): Vectors {
  if (scope.endMs !== scope.times[0]) scope.query.annotations.sortInRangeQuery(call.pos);
  const sign = call.func.endsWith('_desc') ? -1 : 1;
  const isByLabel = call.func.startsWith('sort_by_label');
  const names = isByLabel ? call.args.slice(1).map(stringOf) : [];
  const byLabel = (a: Sample, b: Sample): number => {
    const name = names.find((one) => getLabel(a.labels, one) !== getLabel(b.labels, one));
    if (name === undefined) return sign * compareLabels(a.labels, b.labels);
    // The generated data has digits or letters, never both in one value.
    const [x, y] = [getLabel(a.labels, name), getLabel(b.labels, name)];
    return sign * (/^\d+$/.test(x) && /^\d+$/.test(y) ? Number(x) - Number(y) : x < y ? -1 : 1);
  };
  const byValue = ({ value: a }: Sample, { value: b }: Sample): number => {
    const [x, y] = [a as number, b as number];
    return Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(x)) - Number(Number.isNaN(y)) : x === y ? 0 : sign * (x < y ? -1 : 1);
  };
  const kept = vectors.map((samples) => (isByLabel ? samples : samples.filter(({ value }) => typeof value === 'number')));
  return settle(scope.endMs !== scope.times[0] ? kept : kept.map((samples) => [...samples].sort(isByLabel ? byLabel : byValue)), scope);
}

/** label_replace and label_join. The regular expressions of the generator mean the same in JavaScript. */
function relabelled(call: Call, vectors: Vectors, scope: Scope): Vectors {
  const [target, ...rest] = call.args.slice(1).map(stringOf) as [string, string, string, string];
  const isReplace = call.func === 'label_replace';
  const valueFor = (labels: Labels): string | undefined => {
    if (!isReplace) return rest.slice(1).map((name) => getLabel(labels, name)).join(rest[0]);
    const [replacement, source, regex] = rest;
    const groups = new RegExp(`^(?:${regex})$`, 's').exec(getLabel(labels, source));
    return groups === null ? undefined : replacement.replace(/\$\{?(\w+)\}?/g, (_all, name: string) => groups[Number(name)] ?? '');
  };
  if (!isValidLabelName(target) || (!isReplace && !rest.slice(1).every((name) => isValidLabelName(name)))) throw new NaiveError('invalid label name');
  // A series keeps one flag, and label sets may not meet at a time whatever the settings.
  const flags = new Map<string, boolean>();
  return settle(
    vectors.map((samples) =>
      samples.map((sample) => {
        const value = valueFor(sample.labels);
        const labels = value === undefined ? sample.labels : setLabel(sample.labels, target, value);
        const dropName = sample.dropName && !(value !== undefined && target === '__name__');
        if (!flags.has(keyOf(labels))) flags.set(keyOf(labels), dropName);
        return { labels, value: sample.value, dropName: flags.get(keyOf(labels))! };
      }),
    ),
    { ...scope, query: { ...scope.query, delayedNameRemoval: false } },
  );
}

/** The raw samples of a range vector, as the whole query. */
export function rangeVector(range: MatrixSelector | SubqueryExpr, scope: Scope): ReturnType<typeof selectWindows> {
  return selectWindows(range, scope, 0, true);
}
