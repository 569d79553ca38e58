/**
 * Native histograms of a scrape: from what a metric says to what the database takes, and the limits a job may set.
 *
 *   spans and buckets agree? ─► no empty buckets ─► schema at most 8 and at most what the bucket factor allows ─► coarser until few enough buckets
 *
 * Source: Prometheus model/textparse/protobufparse.go, Histogram; scrape/target.go, bucketLimitAppender, maxSchemaAppender.
 */
import { compactHistogram, createHistogram, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, fromIntegerHistogram, type HistogramSpan, type IntegerHistogram, reduceResolution, RESET_HINTS } from '@gauntlet/model';
import { ScrapeError } from './errors.ts';
import type { BucketSide, MetricReader } from './read-metric.ts';

/** Coarsest and finest schema that is stored; finer ones up to the reserved limit are made coarser. */
const SCHEMA_MIN = -4;
const SCHEMA_MAX = 8;
const SCHEMA_RESERVED_MAX = 52;
const SCHEMA_RESERVED_MIN = -9;

/** Index of a bucket at most: far beyond what a double can hold in any schema, and sums of two stay 32-bit integers. */
const INDEX_MAX = 2 ** 30;

/**
 * The native histogram of a metric, without empty buckets; shares nothing with it.
 * @throws ScrapeError ERR_SCRAPE_PARSE where spans and buckets disagree, or counts are beyond 2^53
 */
export function nativeHistogram(metric: MetricReader, isGauge: boolean): FloatHistogram | IntegerHistogram {
  const { isFloat } = metric;
  const refuse = (reason: string): ScrapeError => new ScrapeError('ERR_SCRAPE_PARSE', `histogram: ${reason}`);
  const spans = (name: string, side: BucketSide): HistogramSpan[] => {
    const reason = spanFault(side, isFloat ? side.counts.length : side.deltas.length);
    if (reason !== undefined) throw refuse(`${name} side: ${reason}`);
    return side.offsets.map((offset, i) => ({ offset, length: side.lengths[i]! }));
  };
  const positiveSpans = spans('positive', metric.positive);
  const negativeSpans = spans('negative', metric.negative);
  const shared = {
    schema: metric.schema,
    zeroThreshold: metric.zeroThreshold,
    sum: metric.sum,
    resetHint: isGauge ? RESET_HINTS.gauge : RESET_HINTS.unknown,
  };
  if (isFloat) {
    const counts = { count: metric.countFloat, zeroCount: metric.zeroCountFloat };
    const buckets = { positiveBuckets: Float64Array.from(metric.positive.counts), negativeBuckets: Float64Array.from(metric.negative.counts) };
    return compactHistogram(createHistogram({ ...shared, ...counts, ...buckets, positiveSpans, negativeSpans }), 0);
  }
  const isWhole = metric.countIsExact && metric.zeroCountIsExact && metric.positive.deltas.every(Number.isSafeInteger) && metric.negative.deltas.every(Number.isSafeInteger);
  if (!isWhole) throw refuse('counts beyond 2^53 are not taken');
  return compactIntegers({
    ...shared,
    count: metric.count,
    zeroCount: metric.zeroCount,
    positiveSpans,
    positiveDeltas: metric.positive.deltas.slice(),
    negativeSpans,
    negativeDeltas: metric.negative.deltas.slice(),
    customValues: new Float64Array(0),
  });
}

/** Why spans do not stand for so many buckets; undefined if they do. */
function spanFault(side: BucketSide, buckets: number): string | undefined {
  let total = 0;
  let index = 0;
  for (let i = 0; i < side.offsets.length; i++) {
    const offset = side.offsets[i]!;
    if (i > 0 && offset < 0) return `span number ${i + 1} has the offset ${offset}, which must not be negative`;
    total += side.lengths[i]!;
    index += offset + side.lengths[i]!;
    if (Math.abs(offset) > INDEX_MAX || index > INDEX_MAX) return `span number ${i + 1} lies beyond bucket ${INDEX_MAX}`;
  }
  return total === buckets ? undefined : `spans require ${total} buckets, have ${buckets}`;
}

/** The finest schema whose buckets grow by at least this factor. @param bucketFactor 1 and less: as fine as they come */
export function schemaOfBucketFactor(bucketFactor: number): number {
  if (!(bucketFactor > 1)) return SCHEMA_MAX;
  return Math.max(SCHEMA_MIN, Math.min(SCHEMA_MAX, Math.floor(-Math.log2(Math.log2(bucketFactor)))));
}

/**
 * The histogram within the limits of a job.
 * @param schemaMax as `schemaOfBucketFactor` says
 * @param bucketsMax 0 = no limit
 * @returns undefined if it cannot be made coarse enough
 */
export function limitHistogram(histogram: FloatHistogram | IntegerHistogram, schemaMax: number, bucketsMax: number): FloatHistogram | IntegerHistogram | undefined {
  let limited = histogram;
  const { schema } = histogram;
  const isExponential = schema >= SCHEMA_RESERVED_MIN && schema <= SCHEMA_RESERVED_MAX;
  if (isExponential && schema > schemaMax) limited = coarser(limited, schemaMax);
  if (bucketsMax === 0) return limited;
  while (bucketCount(limited) > bucketsMax) {
    if (limited.schema === CUSTOM_BUCKETS_SCHEMA || limited.schema <= SCHEMA_MIN || limited.schema > SCHEMA_MAX) return undefined;
    limited = coarser(limited, limited.schema - 1);
  }
  return limited;
}

function bucketCount(histogram: FloatHistogram | IntegerHistogram): number {
  return 'positiveDeltas' in histogram ? histogram.positiveDeltas.length + histogram.negativeDeltas.length : histogram.positiveBuckets.length + histogram.negativeBuckets.length;
}

function coarser(histogram: FloatHistogram | IntegerHistogram, schema: number): FloatHistogram | IntegerHistogram {
  if (!('positiveDeltas' in histogram)) return reduceResolution(histogram, schema);
  return asIntegers(reduceResolution(fromIntegerHistogram(histogram), schema));
}

/** Without empty buckets; itself if it has none. */
function compactIntegers(histogram: IntegerHistogram): IntegerHistogram {
  const float = fromIntegerHistogram(histogram);
  const compact = compactHistogram(float, 0);
  return compact === float ? histogram : asIntegers(compact);
}

function asIntegers(histogram: FloatHistogram): IntegerHistogram {
  const { positiveBuckets, negativeBuckets, ...rest } = histogram;
  return { ...rest, positiveDeltas: deltasOf(positiveBuckets), negativeDeltas: deltasOf(negativeBuckets) };
}

function deltasOf(counts: Float64Array): number[] {
  return Array.from(counts, (count, i) => count - (i === 0 ? 0 : counts[i - 1]!));
}
