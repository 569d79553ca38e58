/**
 * A histogram to which others are added with compensated summation: what rounding takes from a count is kept beside it.
 *
 *   totals   zero count │ count │ sum     losses of each     positive, negative: indexes │ counts │ losses
 *
 * Source: Prometheus model/histogram/float_histogram.go, KahanAdd.
 */
import { combineHints } from './arithmetic.ts';
import { type BucketList, bucketsWithin, coarsenCompensated, type CompensatedList, listBuckets, mergeCompensated, spansMatchIndexes, spansOf, startsBeyond } from './bucket-list.ts';
import { addToSharedBounds, intersectBounds, populatedBuckets } from './custom-bounds.ts';
import { createHistogram, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramSpan, type ResetHint, usesCustomBuckets } from './float-histogram.ts';
import { addCompensated } from './float-math.ts';
import { boundsMatch } from './layout.ts';
import { reconcileZeroBuckets, type ZeroState } from './zero-bucket.ts';

/** Places in the columns of totals. */
const ZERO = 0;
const COUNT = 1;
const SUM = 2;

/** Owns its columns. */
export class CompensatedHistogram {
  /** Whether custom bounds differed so far. */
  boundsReconciled = false;
  #schema: number;
  #zeroThreshold: number;
  #resetHint: ResetHint;
  #customValues: Float64Array;
  #totals: Float64Array;
  #totalLosses: Float64Array = new Float64Array(3);
  #positive: CompensatedList;
  #negative: CompensatedList;

  /** @param losses of the counts of `first`, in its layout; default none */
  constructor(first: FloatHistogram, losses?: FloatHistogram) {
    this.#schema = first.schema;
    this.#zeroThreshold = first.zeroThreshold;
    this.#resetHint = first.resetHint;
    this.#customValues = first.customValues;
    this.#totals = Float64Array.of(first.zeroCount, first.count, first.sum);
    this.#positive = ownList(first.positiveSpans, first.positiveBuckets, losses?.positiveBuckets);
    this.#negative = ownList(first.negativeSpans, first.negativeBuckets, losses?.negativeBuckets);
    if (losses !== undefined) this.#totalLosses = Float64Array.of(losses.zeroCount, losses.count, losses.sum);
  }

  /** A second one, independent of this. */
  clone(): CompensatedHistogram {
    const copy = new CompensatedHistogram(this.value());
    copy.boundsReconciled = this.boundsReconciled;
    copy.#totals = this.#totals.slice();
    copy.#totalLosses = this.#totalLosses.slice();
    copy.#positive = copyList(this.#positive);
    copy.#negative = copyList(this.#negative);
    return copy;
  }

  /** @returns false, and nothing is added, if one of the two has custom buckets and the other has not */
  add(histogram: FloatHistogram): boolean {
    const isCustom = usesCustomBuckets(histogram);
    if (isCustom !== (this.#schema === CUSTOM_BUCKETS_SCHEMA)) return false;
    this.#resetHint = combineHints(this.#resetHint, histogram.resetHint);
    addCompensated(this.#totals, this.#totalLosses, COUNT, histogram.count);
    addCompensated(this.#totals, this.#totalLosses, SUM, histogram.sum);
    if (isCustom) this.#addCustom(histogram);
    else this.#addExponential(histogram);
    return true;
  }

  /** Multiplies counts, sum and what they lost. */
  multiply(factor: number): void {
    for (const column of this.#columns()) for (let i = 0; i < column.length; i++) column[i]! *= factor;
  }

  /** Divides counts, sum and what they lost. */
  divide(divisor: number): void {
    for (const column of this.#columns()) for (let i = 0; i < column.length; i++) column[i]! /= divisor;
  }

  /** Whether a count or the sum is infinite. */
  hasOverflow(): boolean {
    return hasInfinity(this.#totals) || hasInfinity(this.#positive.counts) || hasInfinity(this.#negative.counts);
  }

  /** Counts with their losses. Not compacted. */
  value(): FloatHistogram {
    return createHistogram({
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      zeroCount: this.#totals[ZERO]! + this.#totalLosses[ZERO]!,
      count: this.#totals[COUNT]! + this.#totalLosses[COUNT]!,
      sum: this.#totals[SUM]! + this.#totalLosses[SUM]!,
      resetHint: this.#resetHint,
      positiveSpans: spansOf(this.#positive.indexes),
      positiveBuckets: this.#positive.counts.map((count, i) => count + this.#positive.losses[i]!),
      negativeSpans: spansOf(this.#negative.indexes),
      negativeBuckets: this.#negative.counts.map((count, i) => count + this.#negative.losses[i]!),
      customValues: this.#customValues,
    });
  }

  #columns(): readonly Float64Array[] {
    return [this.#totals, this.#totalLosses, this.#positive.counts, this.#positive.losses, this.#negative.counts, this.#negative.losses];
  }

  #addCustom(other: FloatHistogram): void {
    if (boundsMatch(this.#customValues, other.customValues)) {
      this.#positive = addSide(this.#positive, other.positiveSpans, other.positiveBuckets);
      return;
    }
    this.boundsReconciled = true;
    const shared = intersectBounds(this.#customValues, other.customValues);
    const counts = new Float64Array(shared.length + 1);
    const losses = new Float64Array(counts.length);
    addToSharedBounds(this.#positive, this.#customValues, shared, 1, counts, losses);
    addToSharedBounds(listBuckets(other.positiveSpans, other.positiveBuckets), other.customValues, shared, 1, counts, losses);
    this.#positive = populatedBuckets(counts, losses);
    this.#customValues = shared;
  }

  #addExponential(other: FloatHistogram): void {
    const { schema: otherSchema, zeroThreshold } = other;
    const isSameLayout = otherSchema === this.#schema && zeroThreshold === this.#zeroThreshold;
    if (isSameLayout && startsBeyond(other.positiveSpans, otherSchema, zeroThreshold) && startsBeyond(other.negativeSpans, otherSchema, zeroThreshold)) {
      addCompensated(this.#totals, this.#totalLosses, ZERO, other.zeroCount);
      this.#positive = addSide(this.#positive, other.positiveSpans, other.positiveBuckets);
      this.#negative = addSide(this.#negative, other.negativeSpans, other.negativeBuckets);
      return;
    }
    const [own, others] = reconcileZeroBuckets(this.#zeroState(), zeroStateOf(other));
    this.#zeroThreshold = own.zeroThreshold;
    this.#totals[ZERO] = own.zeroCount;
    this.#totalLosses[ZERO] = own.zeroLoss;
    addCompensated(this.#totals, this.#totalLosses, ZERO, others.zeroCount);
    addCompensated(this.#totals, this.#totalLosses, ZERO, others.zeroLoss);
    const schema = Math.min(this.#schema, otherSchema);
    this.#positive = this.#mergeSide(own.positive, others.positive, otherSchema, schema);
    this.#negative = this.#mergeSide(own.negative, others.negative, otherSchema, schema);
    this.#schema = schema;
  }

  #mergeSide(own: CompensatedList, other: BucketList, otherSchema: number, schema: number): CompensatedList {
    const coarse = coarsenCompensated(own, this.#schema, schema);
    const coarseOther = otherSchema === schema ? other : coarsenCompensated({ ...other, losses: new Float64Array(other.counts.length) }, otherSchema, schema);
    return mergeCompensated(coarse, coarseOther, bucketsWithin(coarseOther, schema, this.#zeroThreshold));
  }

  #zeroState(): ZeroState<CompensatedList> {
    return {
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      zeroCount: this.#totals[ZERO]!,
      zeroLoss: this.#totalLosses[ZERO]!,
      positive: this.#positive,
      negative: this.#negative,
    };
  }
}

/** Adds the buckets of one sign; those at hand are written to if they are the same ones. */
function addSide(own: CompensatedList, spans: readonly HistogramSpan[], buckets: Float64Array): CompensatedList {
  if (!spansMatchIndexes(spans, own.indexes) || buckets.length !== own.counts.length) return mergeCompensated(own, listBuckets(spans, buckets), 0);
  for (let i = 0; i < buckets.length; i++) addCompensated(own.counts, own.losses, i, buckets[i]!);
  return own;
}

function ownList(spans: readonly HistogramSpan[], buckets: Float64Array, losses?: Float64Array): CompensatedList {
  const list = listBuckets(spans, buckets);
  return { indexes: list.indexes, counts: list.counts.slice(), losses: losses?.slice() ?? new Float64Array(list.counts.length) };
}

function copyList(list: CompensatedList): CompensatedList {
  return { indexes: list.indexes, counts: list.counts.slice(), losses: list.losses.slice() };
}

function zeroStateOf(histogram: FloatHistogram): ZeroState {
  return {
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    zeroLoss: 0,
    positive: listBuckets(histogram.positiveSpans, histogram.positiveBuckets),
    negative: listBuckets(histogram.negativeSpans, histogram.negativeBuckets),
  };
}

function hasInfinity(column: Float64Array): boolean {
  for (let i = 0; i < column.length; i++) if (column[i] === Infinity || column[i] === -Infinity) return true;
  return false;
}
