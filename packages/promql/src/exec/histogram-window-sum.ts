/**
 * `sum_over_time` and `avg_over_time` of native histograms that storage has as columns, when those of a window have one scale and none lacks a bucket
 * of an earlier one: the same additions as `HistogramSum` and `HistogramMean`, in the same order, without an object for each.
 */
import { combineHints, createHistogram, type FloatHistogram, type HistogramSpan, RESET_HINTS, type ResetHint } from '@gauntlet/model';
import type { HistogramList } from './histogram-list.ts';
import { addCompensatedPair } from './histogram-sums.ts';

/** Below this no average of as many as fit into memory overflows on the way. */
const MAGNITUDE_SAFE = 1e280;
const TOTALS = 6;

/** A sum, and whether some histogram said reset and another not reset. */
export interface WindowSum {
  readonly histogram: FloatHistogram;
  readonly counterResetCollision: boolean;
}

let cells = new Float64Array(256);

/** The sum, or average, of histograms [lo, hi), at least one, of which `isNested` holds; undefined if it has to be made of objects. */
export function sumOfWindow(list: HistogramList, lo: number, hi: number, isMean: boolean): WindowSum | undefined {
  const run = list.runs[list.runAt[hi - 1]!]!;
  if (!isCanonical(run.positiveSpans) || !isCanonical(run.negativeSpans)) return undefined;
  const size = run.positiveBuckets + run.negativeBuckets;
  const end = TOTALS + 2 * size;
  if (end > cells.length) cells = new Float64Array(2 * end);
  cells.fill(0, 0, end);
  let hint = list.hintAt(lo) as ResetHint;
  let [hasReset, hasNotReset] = [false, false];
  for (let i = lo; i < hi; i++) {
    const own = list.runs[list.runAt[i]!]!;
    const place = list.places[i]!;
    const ownHint = own.hints[place]! as ResetHint;
    hint = combineHints(hint, ownHint);
    hasReset ||= ownHint === RESET_HINTS.reset;
    hasNotReset ||= ownHint === RESET_HINTS.notReset;
    const [zeroCount, count, sum] = [own.zeroCounts[place]!, own.counts[place]!, own.sums[place]!];
    if (isMean && !(Math.abs(zeroCount) < MAGNITUDE_SAFE && Math.abs(count) < MAGNITUDE_SAFE && Math.abs(sum) < MAGNITUDE_SAFE)) return undefined;
    addCompensatedPair(cells, 0, zeroCount);
    addCompensatedPair(cells, 2, count);
    addCompensatedPair(cells, 4, sum);
    const { buckets } = own;
    const at = own.bucketAt[place]!;
    const places = list.placesBefore(hi - 1, i);
    for (let bucket = 0, cell = TOTALS; bucket < size; bucket++, cell += 2) {
      const from = places === undefined ? bucket : places[bucket]!;
      if (from < 0) continue;
      const x = buckets[at + from]!;
      if (isMean && !(Math.abs(x) < MAGNITUDE_SAFE)) return undefined;
      addCompensatedPair(cells, cell, x);
    }
  }
  const divisor = isMean ? hi - lo : 1;
  const value = (cell: number): number => cells[cell]! / divisor + cells[cell + 1]! / divisor;
  const side = (first: number, count: number): Float64Array => {
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) out[i] = value(TOTALS + 2 * (first + i));
    return out;
  };
  return {
    histogram: createHistogram({
      schema: run.schema,
      zeroThreshold: run.zeroThreshold,
      zeroCount: value(0),
      count: value(2),
      sum: value(4),
      resetHint: hint,
      positiveSpans: run.positiveSpans,
      positiveBuckets: side(0, run.positiveBuckets),
      negativeSpans: run.negativeSpans,
      ...(run.negativeBuckets > 0 ? { negativeBuckets: side(run.positiveBuckets, run.negativeBuckets) } : {}),
      customValues: run.customValues,
    }),
    counterResetCollision: hasReset && hasNotReset,
  };
}

/** Whether spans are as they are made from indexes: none of length 0, none adjacent. */
function isCanonical(spans: readonly HistogramSpan[]): boolean {
  for (let i = 0; i < spans.length; i++) if (spans[i]!.length === 0 || (i > 0 && spans[i]!.offset <= 0)) return false;
  return true;
}
