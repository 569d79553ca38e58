/**
 * Whether a histogram from outside is sound: spans and buckets agree, nothing is negative, no field is used that the schema has no use for.
 * Messages are those of Prometheus, which clients of remote write see. Source: Prometheus model/histogram, Validate.
 */
import { ModelError } from '../errors.ts';
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, fromIntegerHistogram, type HistogramSpan, type IntegerHistogram, SCHEMA_MAX, SCHEMA_MIN } from './float-histogram.ts';
import { formatGoFloat } from './format-histogram.ts';

const NEGATIVE_BUCKET = 'histogram has a bucket whose observation count is negative';

/**
 * Checks a histogram of floats. Its count is not compared with its buckets: rounding may make them differ.
 * @throws ModelError ERR_HISTOGRAM
 */
export function checkHistogram(histogram: FloatHistogram): void {
  const { schema, positiveBuckets, negativeBuckets } = histogram;
  if (schema === CUSTOM_BUCKETS_SCHEMA) {
    checkCustomBounds(histogram);
    if (histogram.zeroCount !== 0) throw fail('custom buckets: must have zero count of 0');
    if (histogram.zeroThreshold !== 0) throw fail('custom buckets: must have zero threshold of 0');
    if (histogram.negativeSpans.length > 0) throw fail('custom buckets: must not have negative spans');
    if (negativeBuckets.length > 0) throw fail('custom buckets: must not have negative buckets');
  } else if (schema >= SCHEMA_MIN && schema <= SCHEMA_MAX && Number.isInteger(schema)) {
    checkSpans('positive side', histogram.positiveSpans, positiveBuckets.length, false);
    checkSpans('negative side', histogram.negativeSpans, negativeBuckets.length, false);
    checkCounts('negative side', negativeBuckets);
    if (histogram.zeroCount < 0) throw fail(`zero bucket has observation count of ${formatGoFloat(histogram.zeroCount)}: ${NEGATIVE_BUCKET}`);
    if (histogram.customValues.length > 0) throw fail('histogram with exponential schema must not have custom bounds');
  } else {
    throw fail(
      `histogram has an invalid schema, which must be between ${SCHEMA_MIN} and ${SCHEMA_MAX} for exponential buckets, or ${CUSTOM_BUCKETS_SCHEMA} for custom buckets, got schema ${schema}`,
    );
  }
  if (histogram.count < 0) throw fail(`observation count is  ${formatGoFloat(histogram.count)}: histogram's observation count is negative`);
  checkCounts('positive side', positiveBuckets);
}

/**
 * Checks a histogram of whole counts: as `checkHistogram`, and its count is what its buckets have, or more if its sum is NaN. Counts are exact up
 * to 2^53.
 * @throws ModelError ERR_HISTOGRAM
 */
export function checkIntegerHistogram(histogram: IntegerHistogram): void {
  const { schema, zeroThreshold, zeroCount, negativeSpans, negativeDeltas, customValues } = histogram;
  const float = fromIntegerHistogram(histogram);
  // Fields without use are left out there; here they are errors.
  checkHistogram({ ...float, schema, zeroThreshold, zeroCount, negativeSpans, negativeBuckets: Float64Array.from(negativeDeltas).map((_, i) => float.negativeBuckets[i] ?? 0), customValues });
  let observations = float.zeroCount;
  for (const buckets of [float.positiveBuckets, float.negativeBuckets]) for (let i = 0; i < buckets.length; i++) observations += buckets[i]!;
  const found = `${observations} observations found in buckets, but the Count field is ${histogram.count}`;
  if (Number.isNaN(histogram.sum)) {
    if (observations > histogram.count) throw fail(`${found}: histogram's observation count should be at least the number of observations found in the buckets`);
  } else if (observations !== histogram.count) {
    throw fail(`${found}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)`);
  }
}

function checkSpans(side: string, spans: readonly HistogramSpan[], buckets: number, firstToo: boolean): void {
  let wanted = 0;
  for (const [i, { offset, length }] of spans.entries()) {
    if (offset < 0 && (firstToo || i > 0)) throw fail(`${side}: span number ${i + 1} with offset ${offset}: histogram has a span whose offset is negative`);
    wanted += length;
  }
  if (wanted !== buckets) {
    throw fail(`${side}: spans need ${wanted} buckets, have ${buckets} buckets: histogram spans specify different number of buckets than provided`);
  }
}

function checkCounts(side: string, buckets: Float64Array): void {
  for (let i = 0; i < buckets.length; i++) {
    if (buckets[i]! < 0) throw fail(`${side}: bucket number ${i + 1} has observation count of ${formatGoFloat(buckets[i]!)}: ${NEGATIVE_BUCKET}`);
  }
}

function checkCustomBounds({ customValues, positiveSpans, positiveBuckets }: FloatHistogram): void {
  let previous = -Infinity;
  for (const [i, bound] of customValues.entries()) {
    if (Number.isNaN(bound)) throw fail('custom buckets: histogram custom bounds must not be NaN');
    if (i > 0 && bound <= previous) {
      throw fail(`custom buckets: previous bound is ${fixed(previous)} and current is ${fixed(bound)}: histogram custom bounds must be in strictly increasing order`);
    }
    previous = bound;
  }
  if (previous === Infinity) throw fail('custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite');
  checkSpans('custom buckets', positiveSpans, positiveBuckets.length, true);
  const reach = positiveSpans.reduce((end, { offset, length }) => end + offset + length, 0);
  if (customValues.length + 1 < reach) {
    throw fail(`custom buckets: only ${customValues.length} custom bounds defined which is insufficient to cover total span length of ${reach}: histogram custom bounds are too few`);
  }
}

/** Go's `%f`. */
function fixed(x: number): string {
  return Number.isFinite(x) && Math.abs(x) < 1e21 ? x.toFixed(6) : formatGoFloat(x);
}

function fail(message: string): ModelError {
  return new ModelError('ERR_HISTOGRAM', message);
}
