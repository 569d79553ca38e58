/**
 * Selectors of the same series at the same times read storage once, and one with more matchers picks its series out of what a wider one reads:
 *
 *   sum(rate(requests{code="500"}[5m])) / sum(rate(requests[5m]))        one read of requests, filtered for the first
 *
 * Nothing is kept for that: each series, as it comes, is given to all who take part. So they must all be waiting when the read begins; taken
 * together are only selectors that evaluation reaches without waiting for another read, and one that comes late all the same reads by itself.
 *
 * Times must be equal, not only overlap: deduplication of replicas may depend on where a read begins. So must be what a store makes of the
 * function (see `storageUse`). `timestamp` of a selector, `anchored` and `smoothed` look elsewhere and read by themselves.
 */
import type { Matcher, SelectHints } from '@gauntlet/model';
import { lookTimes } from '../../exec/look-times.ts';
import type { Call, Expr, SharedRead, VectorSelector } from '../../parser/ast.ts';
import { rewrite } from '../rewrite.ts';
import type { PlanContext, Rule } from '../rule.ts';
import { matcherKey } from './merge-matchers.ts';

/** See the head of this file. */
export const shareReads: Rule = { name: 'share-reads', says: 'selectors of the same series read storage once', apply };

interface Reader {
  readonly selector: VectorSelector;
  readonly hints: SelectHints;
  readonly matchers: ReadonlyMap<string, Matcher>;
  /** Equal for readers of the same times for the same use. */
  readonly place: string;
}

function apply(root: Expr, context: PlanContext): Expr {
  const shares = new Map<VectorSelector, SharedRead>();
  let id = 0;
  for (const together of readersTogether(root, context)) {
    for (const group of groupReaders(together)) {
      id++;
      const [widest] = group;
      const { selector: wide, matchers: wideMatchers } = widest!;
      const common = commonHints(group.map((reader) => reader.hints));
      // Filters look at labels that the answer may not depend on.
      const hints = group.every(({ matchers }) => matchers.size === wideMatchers.size) ? common : { ...common, projection: undefined };
      for (const { selector, matchers } of group) {
        const filters = [...matchers].filter(([key]) => !wideMatchers.has(key)).map(([, matcher]) => matcher);
        shares.set(selector, { id, members: group.length, matchers: wide.matchers, hints, filters });
      }
    }
  }
  if (shares.size === 0) return root;
  return rewrite(root, (expr) => {
    const shared = expr.type === 'vectorSelector' ? shares.get(expr) : undefined;
    return shared === undefined ? expr : { ...(expr as VectorSelector), read: { ...(expr as VectorSelector).read, shared } };
  });
}

/** Selectors that are compared with each other; those of a longer query read by themselves. */
const TOGETHER_MAX = 500;

/** Readers that go together, the widest first; only groups of two and more. */
function groupReaders(readers: readonly Reader[]): readonly (readonly Reader[])[] {
  const left = readers.slice(0, TOGETHER_MAX).sort((a, b) => a.matchers.size - b.matchers.size);
  const groups: Reader[][] = [];
  while (left.length > 0) {
    const widest = left.shift()!;
    const group = [widest];
    for (let i = 0; i < left.length; ) {
      const other = left[i]!;
      if (other.place === widest.place && [...widest.matchers.keys()].every((key) => other.matchers.has(key))) group.push(...left.splice(i, 1));
      else i++;
    }
    if (group.length > 1) groups.push(group);
  }
  return groups;
}

/** Lists of readers that all wait before the first of them gets a series. */
function readersTogether(root: Expr, { times, lookbackMs }: PlanContext): readonly (readonly Reader[])[] {
  const lists: Reader[][] = [];
  const seen = new Set<number>();
  const finish = (readers: Reader[]): Reader[] => {
    if (readers.length > 1) lists.push(readers);
    return [];
  };
  const readerOf = (selector: VectorSelector, rangeMs: number, steps: number): Reader[] => {
    const hints = selector.read?.hints;
    if (hints === undefined || selector.anchored || selector.smoothed) return [];
    const look = lookTimes(selector, { startMs: times.startMs, stepMs: Math.max(1, times.stepMs), steps });
    const place = JSON.stringify([look.firstMs - (rangeMs > 0 ? rangeMs : lookbackMs), look.lastMs, storageUse(hints.func)]);
    return [{ selector, hints, matchers: new Map(selector.matchers.map((matcher) => [matcherKey(matcher), matcher])), place }];
  };

  /** The readers that begin at once when a node is evaluated; those that begin later are finished lists. */
  const walk = (expr: Expr, steps: number): Reader[] => {
    switch (expr.type) {
      case 'vectorSelector':
        return readerOf(expr, 0, steps);
      case 'matrixSelector':
        return readerOf(expr.vector, expr.rangeMs, steps);
      case 'paren':
      case 'unary':
        return walk(expr.expr, steps);
      case 'stepInvariant':
        return walk(expr.expr, 1);
      case 'shared': {
        const isFirst = !seen.has(expr.id);
        seen.add(expr.id);
        return isFirst ? walk(expr.expr, steps) : [];
      }
      case 'aggregate':
        return inTurn(expr.param === undefined ? [expr.expr] : [expr.param, expr.expr], steps);
      case 'call':
        return walkCall(expr, steps);
      case 'binary':
        if (expr.matching === undefined) return inTurn([expr.lhs, expr.rhs], steps);
        return [...walk(expr.lhs, steps), ...walk(expr.rhs, steps)];
      default:
        // Subqueries have times of their own.
        return [];
    }
  };
  const walkCall = (call: Call, steps: number): Reader[] => {
    if (call.func === 'info' || call.func === 'timestamp') return [];
    return inTurn(call.args, steps);
  };
  /** One operand after the other: only the first that reads begins at once. */
  const inTurn = (operands: readonly Expr[], steps: number): Reader[] => {
    let first: Reader[] | undefined;
    for (const operand of operands) {
      if (isConstant(operand)) continue;
      if (first === undefined) first = walk(operand, steps);
      else finish(walk(operand, steps));
    }
    return first ?? [];
  };
  const steps = times.stepMs === 0 ? 1 : times.endMs < times.startMs ? 0 : Math.floor((times.endMs - times.startMs) / times.stepMs) + 1;
  finish(walk(root, steps));
  return lists;
}

function isConstant(expr: Expr): boolean {
  return expr.type === 'number' || expr.type === 'string' || ((expr.type === 'paren' || expr.type === 'stepInvariant') && isConstant(expr.expr));
}

/** What a function makes stores do: which aggregates of downsampled data they choose, whether replicas are united as counters. */
function storageUse(func: string): string {
  if (func === 'rate' || func === 'increase') return 'counter';
  if (func === '' || func === 'sum' || func === 'avg' || func === 'group' || func === 'avg_over_time' || func === 'last_over_time') return 'value';
  return func;
}

/** Hints that are true for all. */
function commonHints(all: readonly SelectHints[]): SelectHints {
  const [first] = all;
  const { stepMs, func, rangeMs, grouping, by, projection } = first!;
  const same = (of: (hints: SelectHints) => unknown): boolean => all.every((hints) => JSON.stringify(of(hints)) === JSON.stringify(of(first!)));
  const common = {
    stepMs,
    func: same((hints) => hints.func) || storageUse(func) !== 'value' ? func : '',
    rangeMs: same((hints) => hints.rangeMs) ? rangeMs : 0,
    ...(same((hints) => [hints.grouping, hints.by]) ? { grouping, by } : { grouping: [], by: false }),
  };
  return projection !== undefined && same((hints) => hints.projection) ? { ...common, projection } : common;
}
