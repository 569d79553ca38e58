/**
 * Selectors of which only counts and sums of native histograms are looked at: directly or further out in `histogram_count`, `histogram_sum` or
 * `histogram_avg`. Their histograms are read without buckets. As buckets are what tells a counter reset, resets are looked for while reading and
 * noted as hints. Source: Prometheus promql/engine.go, detectHistogramStatsDecoding; promql/histogram_stats_iterator.go.
 */
import { createHistogram, detectReset, type FloatHistogram, isStaleHistogram, RESET_HINTS } from '@gauntlet/model';
import type { Expr, VectorSelector } from '../parser/ast.ts';
import { childrenOf } from '../parser/children.ts';
import type { SeriesHistograms } from './read-series.ts';

const STATS_FUNCTIONS: ReadonlySet<string> = new Set(['histogram_avg', 'histogram_count', 'histogram_sum']);
const BUCKET_FUNCTIONS: ReadonlySet<string> = new Set(['histogram_fraction', 'histogram_quantile', 'histogram_quantiles']);

/** Selectors whose histograms are read without buckets. */
export function statsSelectors(root: Expr): ReadonlySet<VectorSelector> {
  const found = new Set<VectorSelector>();
  const visit = (expr: Expr, isStats: boolean): void => {
    if (expr.type === 'vectorSelector') {
      if (isStats) found.add(expr);
      return;
    }
    // What needs buckets needs them for everything in it, however far in a count is taken.
    if (needsBuckets(expr)) return;
    const inner = isStats || (expr.type === 'call' && STATS_FUNCTIONS.has(expr.func));
    for (const child of childrenOf(expr)) visit(child, inner);
  };
  visit(root, false);
  return found;
}

/** Subqueries look for resets between their steps, and a trimmed histogram depends on its buckets. */
function needsBuckets(expr: Expr): boolean {
  return expr.type === 'subquery' || (expr.type === 'call' && BUCKET_FUNCTIONS.has(expr.func)) || (expr.type === 'binary' && (expr.op === '</' || expr.op === '>/'));
}

/** The histograms of a series without their buckets; hints that say nothing are made to say whether there was a reset since the sample before. */
export function withoutBuckets(histograms: SeriesHistograms, count: number): SeriesHistograms {
  const stats: (FloatHistogram | undefined)[] = [];
  let last: FloatHistogram | undefined;
  for (let i = 0; i < count; i++) {
    const histogram = histograms.at(i);
    if (histogram === undefined || isStaleHistogram(histogram)) {
      stats.push(histogram);
      continue;
    }
    const { schema, sum } = histogram;
    let { resetHint } = histogram;
    if (resetHint === RESET_HINTS.unknown && last !== undefined) resetHint = detectReset(histogram, last) ? RESET_HINTS.reset : RESET_HINTS.notReset;
    stats.push(createHistogram({ schema, sum, count: histogram.count, resetHint }));
    last = histogram;
  }
  return { at: (index) => stats[index] };
}
