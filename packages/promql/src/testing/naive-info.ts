/**
 * info(v, {labels}): every sample gets labels of the info series (`target_info` unless told otherwise) that has its `instance` and `job` and the
 * newest sample. Source: Prometheus promql/info.go (3.14).
 */
import { createMatcher, getLabel, type Labels, type Matcher } from '@gauntlet/model';
import type { Call, Expr, SubqueryExpr, VectorSelector } from '../parser/ast.ts';
import { childrenOf } from '../parser/children.ts';
import { keyOf, NaiveError, type Sample, type Scope, setLabel, settle, toPairs, type Vectors } from './naive-samples.ts';
import { lookTime, matchingSeries, newestPoint, storedPoints } from './naive-select.ts';

interface InfoSample {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly isFloat: boolean;
}

/** Evaluates info(). @throws NaiveError where info series contradict each other */
export function info(call: Call, scope: Scope): Vectors {
  const base = scope.vectors(call.args[0]!, scope);
  const given = call.args[1]?.type === 'vectorSelector' ? call.args[1].matchers : [];
  const nameMatchers = namesLookedFor(given.filter(({ name }) => name === '__name__'));
  const dataMatchers = given.filter(({ name }) => name !== '__name__');
  const isInfo = ({ labels }: Sample): boolean => nameMatchers.every((m) => m.matches(getLabel(labels, '__name__')));

  const all = base.flat().filter((sample) => !isInfo(sample));
  const idMatchers = ['instance', 'job'].flatMap((id) => {
    const values = new Set(all.map(({ labels }) => getLabel(labels, id)).filter((value) => value !== ''));
    return values.size === 0 ? [] : [{ name: id, matches: (value: string) => values.has(value) }];
  });
  const matchers = [...nameMatchers, ...dataMatchers, ...idMatchers] as readonly Matcher[];
  const series = idMatchers.length === 0 ? [] : matchingSeries(matchers, scope.query);
  const looks = firstSelectorTimes(call.args[0]!, scope);

  const result = base.map((samples, k) => {
    if (samples.length === 0) return [];
    const known = newestByKey(
      series.flatMap((one): InfoSample[] => {
        const point = newestPoint(storedPoints(one, -Infinity, Infinity, 'whole'), looks[k]!, scope.query.lookbackMs);
        return point === undefined ? [] : [{ labels: one.labels, timeMs: point.timeMs, isFloat: typeof point.value === 'number' }];
      }),
    );
    return samples.flatMap((sample) => (isInfo(sample) ? [sample] : enriched(sample, known, dataMatchers)));
  });
  // Here a label set may not occur twice at a time, not even in an instant query.
  return settle(result, { ...scope, query: { ...scope.query, delayedNameRemoval: false } });
}

function namesLookedFor(matchers: readonly Matcher[]): readonly Matcher[] {
  if (matchers.length === 0) return [createMatcher('=', '__name__', 'target_info')];
  return matchers.some(({ type }) => type === '=' || type === '=~') ? matchers : [createMatcher('=~', '__name__', '.+_info'), ...matchers];
}

function identity(name: string, labels: Labels): string {
  return JSON.stringify([name, getLabel(labels, 'instance'), getLabel(labels, 'job')]);
}

function newestByKey(samples: readonly InfoSample[]): Map<string, InfoSample> {
  const known = new Map<string, InfoSample>();
  for (const sample of samples) {
    if (!sample.isFloat) throw new NaiveError('info sample should be float');
    const key = identity(getLabel(sample.labels, '__name__'), sample.labels);
    const other = known.get(key);
    if (other?.timeMs === sample.timeMs) throw new NaiveError('found duplicate series for info metric');
    if (other === undefined || other.timeMs < sample.timeMs) known.set(key, sample);
  }
  return known;
}

function enriched(sample: Sample, known: ReadonlyMap<string, InfoSample>, dataMatchers: readonly Matcher[]): Sample[] {
  const matches = [...known.values()].filter(({ labels }) => {
    const name = getLabel(labels, '__name__');
    return identity(name, labels) === identity(name, sample.labels);
  });
  if (matches.length === 0 && dataMatchers.some((m) => !m.matches(''))) return [];
  const added = new Map<string, string>();
  for (const [name, value] of matches.flatMap(({ labels }) => toPairs(labels))) {
    if (name === '__name__' || (dataMatchers.length > 0 && !dataMatchers.some((m) => m.name === name))) continue;
    if (added.has(name) && added.get(name) !== value) throw new NaiveError('conflicting label');
    if (getLabel(sample.labels, name) === '') added.set(name, value);
  }
  let { labels } = sample;
  for (const [name, value] of added) labels = setLabel(labels, name, value);
  return keyOf(labels) === keyOf(sample.labels) ? [sample] : [{ ...sample, labels }];
}

/** Info series are looked up at the times of the first selector, with what subqueries around it add. */
function firstSelectorTimes(root: Expr, { query, times }: Scope): number[] {
  const path: SubqueryExpr[] = [];
  const find = (expr: Expr): VectorSelector | undefined => {
    if (expr.type === 'vectorSelector') return expr;
    for (const child of childrenOf(expr)) {
      if (expr.type === 'subquery') path.push(expr);
      const found = find(child);
      if (found !== undefined) return found;
      if (expr.type === 'subquery') path.pop();
    }
    return undefined;
  };
  const selector = find(root);
  return times.map((time) => {
    if (selector === undefined) return time;
    const isPinned = (node: VectorSelector | SubqueryExpr): boolean => node.timestampMs !== undefined || node.startOrEnd !== undefined;
    let at = lookTime(selector, time, query);
    let isFixed = isPinned(selector);
    for (const subquery of path.toReversed()) {
      if (isFixed) break;
      at += lookTime(subquery, time, query) - time;
      isFixed = isPinned(subquery);
    }
    return at;
  });
}
