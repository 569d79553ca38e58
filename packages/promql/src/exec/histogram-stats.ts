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
  const { ids, runOf } = histograms;
  return ids === undefined || runOf === undefined ? objectsWithoutBuckets(histograms, count) : runsWithoutBuckets(histograms, ids, runOf, count);
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

/** The same for columns: those of the series alone, numbered anew, and runs without buckets. */
function runsWithoutBuckets(histograms: SeriesHistograms, ids: Int32Array, runOf: (id: number) => HistogramRun, count: number): SeriesHistograms {
  const own = new Int32Array(count).fill(-1);
  const indexes = new Int32Array(count);
  let [size, present] = [0, 0];
  for (let i = 0; i < count; i++) if (ids[i] !== -1) own[i] = size++;
  const counts = new Float64Array(size);
  const sums = new Float64Array(size);
  const hints = new Uint8Array(size);
  const bucketAt = new Int32Array(size);
  const columns = { zeroThreshold: 0, positiveSpans: [], negativeSpans: [], customValues: NO_NUMBERS, positiveBuckets: 0, negativeBuckets: 0, counts, zeroCounts: new Float64Array(size), sums, hints, bucketAt, buckets: NO_NUMBERS };
  const firsts: { readonly schema: number; readonly firstId: number }[] = [];
  let run: HistogramRun | undefined;
  for (let i = 0; i < count; i++) {
    const at = own[i]!;
    if (at === -1) continue;
    const id = ids[i]!;
    if (run === undefined || !holds(run, id)) {
      run = runOf(id);
      firsts.push({ schema: run.schema, firstId: at });
    }
    counts[at] = run.counts[id]!;
    sums[at] = run.sums[id]!;
    hints[at] = run.hints[id]!;
    bucketAt[at] = Math.min(run.bucketAt[id]!, 0);
    if (bucketAt[at] === 0) indexes[present++] = i;
  }
  const stored = HistogramList.at(histograms, indexes.subarray(0, present));
  for (let i = 1; i < present; i++) {
    const at = own[indexes[i]!]!;
    if (hints[at] === RESET_HINTS.unknown) hints[at] = stored.isReset(i) ? RESET_HINTS.reset : RESET_HINTS.notReset;
  }
  const runs = firsts.map(({ schema, firstId }, i): HistogramRun => ({ ...columns, schema, firstId, endId: firsts[i + 1]?.firstId ?? size }));
  let last = 0;
  const ownRunOf = (id: number): HistogramRun => {
    // Mostly asked for in order.
    if (!holds(runs[last]!, id)) last = last + 1 < runs.length && holds(runs[last + 1]!, id) ? last + 1 : runs.findIndex((one) => holds(one, id));
    return runs[last]!;
  };
  return {
    at(index) {
      const id = own[index]!;
      return id === -1 ? undefined : histogramOfRun(ownRunOf(id), id);
    },
    ids: own,
    runOf: ownRunOf,
  };
}

function holds({ firstId, endId }: HistogramRun, id: number): boolean {
  return id >= firstId && id < endId;
}
