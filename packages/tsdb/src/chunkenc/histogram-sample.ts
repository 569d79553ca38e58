/** Histograms of the model → samples as chunks and log hold them: spans as flat columns, counts absolute, the sum as bits. */
import {
  checkHistogram,
  checkIntegerHistogram,
  type FloatHistogram,
  fromIntegerHistogram,
  type HistogramSpan,
  type IntegerHistogram,
  isStaleHistogram,
  RESET_HINTS,
  STALE_NAN_HI,
  STALE_NAN_LO,
} from '@gauntlet/model';
import { EMPTY_LAYOUT, type HistogramSample } from './histogram-encoder.ts';
import { isSameBounds } from './histogram-fit.ts';
import { bucketIndexes, isSameSpans } from './spans.ts';

const NO_COUNTS = new Float64Array(0);
const double = new DataView(new ArrayBuffer(8));

/** A stale marker of a histogram series. */
export function staleSample(isFloat: boolean, timeMs: number): HistogramSample {
  return { isFloat, isStale: true, isGauge: false, timeMs, count: 0, zeroCount: 0, sumHigh: STALE_NAN_HI, sumLow: STALE_NAN_LO, layout: EMPTY_LAYOUT, positive: NO_COUNTS, negative: NO_COUNTS };
}

/** Whether counts are whole: how a histogram is stored. */
export function isIntegerHistogram(histogram: FloatHistogram | IntegerHistogram): histogram is IntegerHistogram {
  return 'positiveDeltas' in histogram;
}

/**
 * Checks a histogram and makes a sample of it, which shares counts and bounds with it.
 * @throws ModelError ERR_HISTOGRAM
 */
export function histogramToSample(histogram: FloatHistogram | IntegerHistogram, timeMs: number): HistogramSample {
  if (isIntegerHistogram(histogram)) {
    checkIntegerHistogram(histogram);
    return floatToSample(fromIntegerHistogram(histogram), timeMs, false);
  }
  if (isStaleHistogram(histogram)) return staleSample(true, timeMs);
  checkHistogram(histogram);
  return floatToSample(histogram, timeMs, true);
}

/** Makes a sample of a histogram that is known to be sound. @param isFloat false stores whole counts */
export function floatToSample(histogram: FloatHistogram, timeMs: number, isFloat: boolean): HistogramSample {
  double.setFloat64(0, histogram.sum);
  return {
    isFloat,
    isStale: false,
    isGauge: histogram.resetHint === RESET_HINTS.gauge,
    isReset: histogram.resetHint === RESET_HINTS.reset,
    timeMs,
    count: histogram.count,
    zeroCount: histogram.zeroCount,
    sumHigh: double.getUint32(0),
    sumLow: double.getUint32(4),
    layout: {
      schema: histogram.schema,
      zeroThreshold: histogram.zeroThreshold,
      positiveSpans: flatSpans(histogram.positiveSpans),
      negativeSpans: flatSpans(histogram.negativeSpans),
      customBounds: histogram.customValues,
    },
    positive: histogram.positiveBuckets,
    negative: histogram.negativeBuckets,
  };
}

function flatSpans(spans: readonly HistogramSpan[]): Int32Array {
  const flat = new Int32Array(spans.length * 2);
  for (let i = 0; i < spans.length; i++) {
    flat[i * 2] = spans[i]!.offset;
    flat[i * 2 + 1] = spans[i]!.length;
  }
  return flat;
}

/** Whether two samples say the same, time and hint aside. */
export function isSameHistogram(a: HistogramSample, b: HistogramSample): boolean {
  if (a.isFloat !== b.isFloat || a.sumHigh !== b.sumHigh || a.sumLow !== b.sumLow) return false;
  if (a.isStale || b.isStale) return a.isStale === b.isStale;
  return (
    Object.is(a.count, b.count) &&
    Object.is(a.zeroCount, b.zeroCount) &&
    a.layout.schema === b.layout.schema &&
    a.layout.zeroThreshold === b.layout.zeroThreshold &&
    isSameBounds(a.layout, b.layout) &&
    isSameSide(a.layout.positiveSpans, a.positive, b.layout.positiveSpans, b.positive) &&
    isSameSide(a.layout.negativeSpans, a.negative, b.layout.negativeSpans, b.negative)
  );
}

function isSameSide(aSpans: Int32Array, a: Float64Array, bSpans: Int32Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  if (isSameSpans(aSpans, bSpans)) return true;
  const [inA, inB] = [bucketIndexes(aSpans), bucketIndexes(bSpans)];
  return inA.every((index, i) => index === inB[i]);
}
