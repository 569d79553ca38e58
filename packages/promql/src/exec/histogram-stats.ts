/**
 * Selectors of which only counts and sums of native histograms are looked at: directly or further out in `histogram_count`, `histogram_sum` or
 * `histogram_avg`. Their histograms are read without buckets. As buckets are what tells a counter reset, resets are looked for while reading and
 * noted as hints. Source: Prometheus promql/engine.go, detectHistogramStatsDecoding; promql/histogram_stats_iterator.go.
 */
import { createHistogram, detectReset, type FloatHistogram, histogramOfRun, type HistogramRun, isStaleHistogram, RESET_HINTS } from '@gauntlet/model';
import type { Expr, VectorSelector } from '../parser/ast.ts';
import { childrenOf } from '../parser/children.ts';
import { HistogramList } from './histogram-list.ts';
import type { SeriesHistograms } from './read-series.ts';

const STATS_FUNCTIONS: ReadonlySet<string> = new Set(['histogram_avg', 'histogram_count', 'histogram_sum']);
const NO_NUMBERS = new Float64Array(0);
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
  const { idAt, runOf } = histograms;
  return idAt === undefined || runOf === undefined ? objectsWithoutBuckets(histograms, count) : runsWithoutBuckets(histograms, idAt, runOf, count);
}

function objectsWithoutBuckets(histograms: SeriesHistograms, count: number): SeriesHistograms {
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

/** The same for columns: each run loses its buckets. */
function runsWithoutBuckets(histograms: SeriesHistograms, idAt: (index: number) => number, runOf: (id: number) => HistogramRun, count: number): SeriesHistograms {
  const indexes = new Int32Array(count);
  let found = 0;
  let run: HistogramRun | undefined;
  for (let i = 0; i < count; i++) {
    const id = idAt(i);
    if (id === -1) continue;
    if (run === undefined || !holds(run, id)) run = runOf(id);
    if (run.bucketAt[id - run.firstId]! >= 0) indexes[found++] = i;
  }
  const list = HistogramList.at(histograms, indexes.subarray(0, found));
  const stats = list.runs.map(statsOf);
  for (let i = 1; i < found; i++) {
    if (list.hintAt(i) === RESET_HINTS.unknown) stats[list.runAt[i]!]!.hints[list.places[i]!] = list.isReset(i) ? RESET_HINTS.reset : RESET_HINTS.notReset;
  }
  let at = 0;
  let last: HistogramRun | undefined;
  const statsRunOf = (id: number): HistogramRun => {
    if (last !== undefined && holds(last, id)) return last;
    // Mostly asked for in order. One that is not there has nothing but stale markers.
    if (at + 1 < stats.length && holds(stats[at + 1]!, id)) at++;
    else at = Math.max(0, stats.findIndex((one) => holds(one, id)));
    const found = stats[at];
    last = found !== undefined && holds(found, id) ? found : statsOf(runOf(id));
    return last;
  };
  return {
    at(index) {
      const id = idAt(index);
      if (id === -1) return undefined;
      const own = statsRunOf(id);
      return histogramOfRun(own, id - own.firstId);
    },
    idAt,
    runOf: statsRunOf,
  };
}

function holds({ firstId, counts }: HistogramRun, id: number): boolean {
  return id >= firstId && id < firstId + counts.length;
}

function statsOf({ firstId, schema, counts, sums, hints, bucketAt }: HistogramRun): HistogramRun {
  return {
    firstId,
    schema,
    zeroThreshold: 0,
    positiveSpans: [],
    negativeSpans: [],
    customValues: NO_NUMBERS,
    positiveBuckets: 0,
    negativeBuckets: 0,
    counts,
    zeroCounts: new Float64Array(counts.length),
    sums,
    hints: hints.slice(),
    bucketAt: bucketAt.map((from) => Math.min(from, 0)),
    buckets: NO_NUMBERS,
  };
}
