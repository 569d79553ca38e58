/**
 * Walks the buckets of a histogram, with their bounds.
 *
 *   all             … −4 −3 │ zero │ +1 +2 …   ascending; the zero bucket only if it has observations
 *   allDescending   the same from above
 *   positive        +1 +2 …   away from zero
 *   negative        −3 −4 …   away from zero, so descending
 *
 * The fields are read after `next()` said true, and keep the last bucket once it says false.
 * Source: Prometheus model/histogram/float_histogram.go, the iterators.
 */
import { boundOf } from './bucket-bounds.ts';
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramSpan } from './float-histogram.ts';

const NO_BUCKETS = new Float64Array(0);

type Segment = 'positive' | 'positive-reverse' | 'zero' | 'negative' | 'negative-reverse';

const ALL: readonly Segment[] = ['negative-reverse', 'zero', 'positive'];
const ALL_DESCENDING: readonly Segment[] = ['positive-reverse', 'zero', 'negative'];
const POSITIVE: readonly Segment[] = ['positive'];
const NEGATIVE: readonly Segment[] = ['negative'];

/** Buckets in the order of a plan. */
export class BucketCursor {
  lower = 0;
  upper = 0;
  lowerInclusive = false;
  upperInclusive = false;
  count = 0;
  /** Within schema and sign; of no meaning for the zero bucket. */
  index = 0;
  /** Position in positiveBuckets or negativeBuckets; −1 for the zero bucket. */
  position = -1;

  readonly #histogram: FloatHistogram;
  readonly #plan: readonly Segment[];
  readonly #clampsToZero: boolean;
  #nextSegment = 0;
  #isPositive = true;
  #segment: Segment = 'zero';
  #spans: readonly HistogramSpan[] = [];
  #buckets: Float64Array = NO_BUCKETS;
  #span = 0;
  #inSpan = 0;
  #bucketIndex = 0;
  #at = 0;

  /** @param clampsToZero whether buckets that reach into the zero bucket end at its threshold */
  constructor(histogram: FloatHistogram, plan: readonly Segment[], clampsToZero: boolean) {
    this.#histogram = histogram;
    this.#plan = plan;
    this.#clampsToZero = clampsToZero;
  }

  /** Moves to the next bucket. @returns false at the end */
  next(): boolean {
    for (;;) {
      if (this.#segment !== 'zero' && this.#advance()) return true;
      const segment = this.#plan[this.#nextSegment++];
      if (segment === undefined) {
        this.#segment = 'zero';
        return false;
      }
      this.#segment = segment;
      if (segment !== 'zero') this.#start(segment);
      else if (this.#histogram.zeroCount > 0) {
        this.#showZero();
        return true;
      }
    }
  }

  #start(segment: Segment): void {
    const h = this.#histogram;
    this.#isPositive = segment === 'positive' || segment === 'positive-reverse';
    this.#spans = this.#isPositive ? h.positiveSpans : h.negativeSpans;
    this.#buckets = this.#isPositive ? h.positiveBuckets : h.negativeBuckets;
    if (segment === 'positive' || segment === 'negative') {
      this.#span = 0;
      this.#inSpan = 0;
      this.#at = -1;
      this.#bucketIndex = (this.#spans[0]?.offset ?? 0) - 1;
    } else {
      this.#span = this.#spans.length - 1;
      this.#inSpan = this.#spans.at(-1)?.length ?? 0;
      this.#at = this.#buckets.length;
      this.#bucketIndex = this.#spans.reduce((end, { offset, length }) => end + offset + length, 0);
    }
  }

  #advance(): boolean {
    return this.#segment === 'positive' || this.#segment === 'negative' ? this.#forward() : this.#backward();
  }

  #forward(): boolean {
    if (this.#at + 1 >= this.#buckets.length) return false;
    this.#bucketIndex++;
    for (let span = this.#spans[this.#span]; ; span = this.#spans[this.#span]) {
      if (span === undefined) return false;
      if (this.#inSpan < span.length) break;
      this.#inSpan = 0;
      this.#span++;
      this.#bucketIndex += this.#spans[this.#span]?.offset ?? 0;
    }
    this.#inSpan++;
    this.#at++;
    this.#show();
    return true;
  }

  #backward(): boolean {
    if (this.#at <= 0) return false;
    this.#bucketIndex--;
    while (this.#inSpan === 0) {
      if (this.#span <= 0) return false;
      this.#bucketIndex -= this.#spans[this.#span]!.offset;
      this.#span--;
      this.#inSpan = this.#spans[this.#span]!.length;
    }
    this.#inSpan--;
    this.#at--;
    this.#show();
    return true;
  }

  #show(): void {
    const h = this.#histogram;
    const index = this.#bucketIndex;
    const outer = boundOf(h.schema, index, h.customValues);
    const inner = boundOf(h.schema, index - 1, h.customValues);
    this.index = index;
    this.position = this.#at;
    this.count = this.#buckets[this.#at]!;
    this.lower = this.#isPositive ? inner : -outer;
    this.upper = this.#isPositive ? outer : -inner;
    if (h.schema === CUSTOM_BUCKETS_SCHEMA) {
      this.lowerInclusive = index === 0;
      this.upperInclusive = true;
      return;
    }
    this.lowerInclusive = this.lower < 0;
    this.upperInclusive = this.upper > 0;
    if (!this.#clampsToZero) return;
    if (this.lower > 0 && this.lower < h.zeroThreshold) this.lower = h.zeroThreshold;
    else if (this.upper < 0 && this.upper > -h.zeroThreshold) this.upper = -h.zeroThreshold;
  }

  #showZero(): void {
    const h = this.#histogram;
    this.lower = -h.zeroThreshold;
    this.upper = h.zeroThreshold;
    this.lowerInclusive = true;
    this.upperInclusive = true;
    this.count = h.zeroCount;
    this.index = 0;
    this.position = -1;
  }
}

/** Every bucket, ascending. */
export function allBuckets(histogram: FloatHistogram): BucketCursor {
  return new BucketCursor(histogram, ALL, true);
}

/** Every bucket, descending. */
export function allBucketsDescending(histogram: FloatHistogram): BucketCursor {
  return new BucketCursor(histogram, ALL_DESCENDING, true);
}

/** Positive buckets, ascending. */
export function positiveBuckets(histogram: FloatHistogram): BucketCursor {
  return new BucketCursor(histogram, POSITIVE, false);
}

/** Negative buckets from zero on, so descending. */
export function negativeBuckets(histogram: FloatHistogram): BucketCursor {
  return new BucketCursor(histogram, NEGATIVE, false);
}
