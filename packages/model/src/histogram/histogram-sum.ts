/**
 * Sum and average of many histograms, as `sum`, `avg` and their `_over_time` functions compute them.
 * Source: Prometheus promql/engine.go, aggregation; promql/functions.go, avg_over_time.
 */
import { divHistogram } from './arithmetic.ts';
import { CompensatedHistogram } from './compensated-histogram.ts';
import { type FloatHistogram, RESET_HINTS } from './float-histogram.ts';

/** Below this no sum of counts can overflow, whatever buckets are merged. */
const MAGNITUDE_SAFE = 1e300;

/** What both have. */
class HistogramAccumulator {
  /** Histograms added so far. */
  size = 1;
  protected total: CompensatedHistogram;
  #hasReset: boolean;
  #hasNotReset: boolean;

  /** @param first read, not changed @param losses see `HistogramSum` */
  constructor(first: FloatHistogram, losses?: FloatHistogram) {
    this.total = new CompensatedHistogram(first, losses);
    this.#hasReset = first.resetHint === RESET_HINTS.reset;
    this.#hasNotReset = first.resetHint === RESET_HINTS.notReset;
  }

  /** Whether one histogram said reset and another not reset: a query warns then. */
  get counterResetCollision(): boolean {
    return this.#hasReset && this.#hasNotReset;
  }

  /** Whether custom bounds differed: a query says so. */
  get boundsReconciled(): boolean {
    return this.total.boundsReconciled;
  }

  protected noteHint(histogram: FloatHistogram): void {
    this.#hasReset ||= histogram.resetHint === RESET_HINTS.reset;
    this.#hasNotReset ||= histogram.resetHint === RESET_HINTS.notReset;
  }
}

/**
 * Adds histograms up. One that goes on from a sum made elsewhere is begun with that sum and what rounding took from its counts: a second histogram of
 * the same layout, of which the hint says nothing.
 */
export class HistogramSum extends HistogramAccumulator {
  /**
   * Adds one; it is read, not kept.
   * @returns false, and nothing is added, if it has custom buckets and those before have not, or the other way round
   */
  add(histogram: FloatHistogram): boolean {
    this.noteHint(histogram);
    if (!this.total.add(histogram)) return false;
    this.size++;
    return true;
  }

  /** The sum, as a histogram of its own. Not compacted: empty buckets remain. */
  result(): FloatHistogram {
    return this.total.value();
  }
}

/** Averages histograms: their sum, divided at the end; from an overflow on, the mean so far is carried instead. */
export class HistogramMean extends HistogramAccumulator {
  #magnitude: number;
  #isIncremental = false;

  constructor(first: FloatHistogram) {
    super(first);
    this.#magnitude = magnitudeOf(first);
  }

  /** Adds one, see `HistogramSum`. */
  add(histogram: FloatHistogram): boolean {
    this.noteHint(histogram);
    if (!(this.#isIncremental ? this.#addToMean(histogram) : this.#addToSum(histogram))) return false;
    this.size++;
    return true;
  }

  /** The average, as a histogram of its own. Not compacted. */
  result(): FloatHistogram {
    if (this.#isIncremental) return this.total.value();
    const mean = this.total.clone();
    mean.divide(this.size);
    return mean.value();
  }

  #addToSum(histogram: FloatHistogram): boolean {
    this.#magnitude += magnitudeOf(histogram);
    if (this.#magnitude < MAGNITUDE_SAFE) return this.total.add(histogram);
    const sum = this.total.clone();
    if (!sum.add(histogram)) return false;
    if (!sum.hasOverflow()) {
      this.total = sum;
      return true;
    }
    this.#isIncremental = true;
    this.total.boundsReconciled = sum.boundsReconciled;
    this.total.divide(this.size);
    return this.#addToMean(histogram);
  }

  #addToMean(histogram: FloatHistogram): boolean {
    const size = this.size + 1;
    this.total.multiply((size - 1) / size);
    return this.total.add(divHistogram(histogram, size));
  }
}

/** No bucket, merged with whatever others, can be larger. */
function magnitudeOf(histogram: FloatHistogram): number {
  let magnitude = Math.abs(histogram.zeroCount) + Math.abs(histogram.count) + Math.abs(histogram.sum);
  for (let i = 0; i < histogram.positiveBuckets.length; i++) magnitude += Math.abs(histogram.positiveBuckets[i]!);
  for (let i = 0; i < histogram.negativeBuckets.length; i++) magnitude += Math.abs(histogram.negativeBuckets[i]!);
  return magnitude;
}
