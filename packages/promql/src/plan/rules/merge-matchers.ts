/**
 * Matchers that say nothing go: one that repeats another, and `=~".*"`, which every series passes. Selectors below are then equal more often, and
 * storage has less to look up.
 *
 * `absent` and `absent_over_time` make labels out of the matchers as written (a label named twice is left out), and `info` reads its second
 * argument itself: their selectors stay.
 */
import type { Matcher } from '@gauntlet/model';
import type { Expr, VectorSelector } from '../../parser/ast.ts';
import { mapChildren } from '../rewrite.ts';
import type { Rule } from '../rule.ts';

const READS_MATCHERS: ReadonlySet<string> = new Set(['absent', 'absent_over_time', 'info']);

/** See the head of this file. */
export const mergeMatchers: Rule = {
  name: 'merge-matchers',
  says: 'matchers that repeat others or match everything are left out',
  apply: merge,
};

function merge(expr: Expr): Expr {
  if (expr.type === 'vectorSelector') return mergeSelector(expr);
  if (expr.type === 'call' && READS_MATCHERS.has(expr.func)) return mapChildren(expr, (arg) => (arg.type === 'vectorSelector' || arg.type === 'matrixSelector' ? arg : merge(arg)));
  return mapChildren(expr, merge);
}

function mergeSelector(selector: VectorSelector): VectorSelector {
  const known = new Set<string>();
  const kept = selector.matchers.filter((matcher) => {
    const key = matcherKey(matcher);
    if (known.has(key) || (matcher.type === '=~' && matcher.value === '.*')) return false;
    known.add(key);
    return true;
  });
  return kept.length === selector.matchers.length || kept.length === 0 ? selector : { ...selector, matchers: kept };
}

/** Equal for matchers that say the same in the same words. */
export function matcherKey({ name, type, value }: Matcher): string {
  return JSON.stringify([name, type, value]);
}
