/**
 * The native histograms of one series, without stale markers: objects where somebody touches one, columns for everybody else.
 *
 *   samples of the series   f h h s h      list   0 1 2
 *   runs of storage         A A   B        runAt  0 0 1     ids  7 8 10
 *
 * Valid as long as the series is: during the visit of whoever reads it.
 */
import { bucketsBefore, detectReset, type FloatHistogram, hasSameRunSpans, histogramOfRun, type HistogramRun, isRunBeyondZero, isSameRunScale, RESET_HINTS } from '@gauntlet/model';
import type { SeriesHistograms } from './read-series.ts';
import { samplesOfHistogram, samplesOfHistogramSizes } from './step-matrix.ts';

/** See the head of this file. */
export class HistogramList {
  readonly length: number;
  /** What storage has; empty where it has objects only. */
  readonly runs: readonly HistogramRun[];
  /** Of each histogram its run, and its place in the columns of runs; empty likewise. */
  readonly runAt: Int32Array;
  readonly places: Int32Array;
  readonly #made: (FloatHistogram | undefined)[];
  /** Of each run, the first from which on all have its scale, and none lost a bucket. */
  #layoutSince: Int32Array | undefined;
  /** Of each histogram, how many up to it come after a reset, or are gauges. */
  #breaks: Int32Array | undefined;
  /** What `placesBefore` found, by both runs. */
  readonly #places: Map<number, Int32Array | undefined> = new Map();

  private constructor(made: (FloatHistogram | undefined)[], runs: readonly HistogramRun[], runAt: Int32Array, places: Int32Array) {
    this.length = made.length;
    this.#made = made;
    this.runs = runs;
    this.runAt = runAt;
    this.places = places;
  }

  /** A list of objects. */
  static of(histograms: readonly FloatHistogram[]): HistogramList {
    return new HistogramList([...histograms], [], new Int32Array(0), new Int32Array(0));
  }

  /** The histograms of a series at these indexes, none of them stale. */
  static at(source: SeriesHistograms, indexes: Int32Array): HistogramList {
    const { ids, runOf } = source;
    if (ids === undefined || runOf === undefined) return HistogramList.of(Array.from(indexes, (index) => source.at(index)!));
    const runs: HistogramRun[] = [];
    const runAt = new Int32Array(indexes.length);
    const places = new Int32Array(indexes.length);
    let [first, end] = [0, 0];
    for (let i = 0; i < indexes.length; i++) {
      const id = ids[indexes[i]!]!;
      if (id < first || id >= end) {
        const run = runOf(id);
        first = run.firstId;
        end = run.endId;
        runs.push(run);
      }
      runAt[i] = runs.length - 1;
      places[i] = id;
    }
    const made: (FloatHistogram | undefined)[] = [];
    made.length = indexes.length;
    return new HistogramList(made, runs, runAt, places);
  }

  /** A histogram as an object, which may be kept. */
  at(i: number): FloatHistogram {
    return (this.#made[i] ??= histogramOfRun(this.runs[this.runAt[i]!]!, this.places[i]!));
  }

  /** Its count of observations. */
  countAt(i: number): number {
    return this.runs.length === 0 ? this.#made[i]!.count : this.runs[this.runAt[i]!]!.counts[this.places[i]!]!;
  }

  /** Its reset hint. */
  hintAt(i: number): number {
    return this.runs.length === 0 ? this.#made[i]!.resetHint : this.runs[this.runAt[i]!]!.hints[this.places[i]!]!;
  }

  /** What it counts for in sample limits. */
  sizeAt(i: number): number {
    return this.runs.length === 0 ? samplesOfHistogram(this.#made[i]!) : sizeOfRun(this.runs[this.runAt[i]!]!);
  }

  /** What all count for. */
  size(): number {
    let [size, run, inRun] = [0, -1, 0];
    for (let i = 0; i < this.length; i++) {
      if (this.runs.length === 0 || this.runAt[i]! !== run) {
        inRun = this.sizeAt(i);
        run = this.runAt[i] ?? -1;
      }
      size += inRun;
    }
    return size;
  }

  /** Whether a counter was reset between histograms i − 1 and i. */
  isReset(i: number): boolean {
    const hint = this.hintAt(i);
    if (hint === RESET_HINTS.reset) return true;
    if (hint === RESET_HINTS.notReset) return false;
    if (this.runs.length > 0 && this.#hasGrown(i)) return false;
    return detectReset(this.at(i), this.at(i - 1));
  }

  /**
   * Whether histograms [lo, hi), at least two, are of a counter that was not reset, and differences of them are taken bucket by bucket. False also where nothing is known without making objects.
   */
  isPlainCounter(lo: number, hi: number): boolean {
    if (this.runs.length === 0) return false;
    const breaks = (this.#breaks ??= this.#countBreaks());
    return this.isNested(lo, hi) && breaks[hi - 1] === breaks[lo] && this.hintAt(lo) !== RESET_HINTS.gauge;
  }

  /** Whether histograms [lo, hi) have one scale, none lacks a bucket of an earlier one, and they are added bucket by bucket. */
  isNested(lo: number, hi: number): boolean {
    if (this.runs.length === 0) return false;
    const since = (this.#layoutSince ??= this.#findLayouts());
    return since[this.runAt[hi - 1]!]! <= this.runAt[lo]!;
  }

  #countBreaks(): Int32Array {
    const breaks = new Int32Array(this.length);
    for (let i = 1; i < this.length; i++) {
      const hint = this.hintAt(i);
      breaks[i] = breaks[i - 1]! + (hint === RESET_HINTS.notReset ? 0 : hint === RESET_HINTS.unknown && !this.isReset(i) ? 0 : 1);
    }
    return breaks;
  }

  /**
   * Where the buckets of a histogram are among those of an earlier one, see `bucketsBefore`; undefined if they have the same.
   * For histograms of which `isNested` holds.
   */
  placesBefore(after: number, before: number): Int32Array | undefined {
    const [runAt, runAtBefore] = [this.runAt[after]!, this.runAt[before]!];
    if (runAt === runAtBefore) return undefined;
    const [run, runBefore] = [this.runs[runAt]!, this.runs[runAtBefore]!];
    if (run.positiveSpans === runBefore.positiveSpans && run.negativeSpans === runBefore.negativeSpans) return undefined;
    const key = runAt * this.runs.length + runAtBefore;
    const known = this.#places.get(key);
    if (known !== undefined || this.#places.has(key)) return known;
    const places = hasSameRunSpans(run, runBefore) ? undefined : bucketsBefore(run, runBefore);
    this.#places.set(key, places);
    return places;
  }

  #findLayouts(): Int32Array {
    const { runs } = this;
    const since = new Int32Array(runs.length);
    for (let run = 0; run < runs.length; run++) {
      since[run] = run > 0 && this.#hasBucketsOf(run, run - 1) ? since[run - 1]! : run;
      // Buckets within the zero bucket are not subtracted one by one: such a run is like none.
      if (!isRunBeyondZero(runs[run]!)) since[run] = runs.length;
    }
    return since;
  }

  /** Whether a run has the scale of the one before it, and all of its buckets. */
  #hasBucketsOf(runAt: number, runAtBefore: number): boolean {
    const [run, before] = [this.runs[runAt]!, this.runs[runAtBefore]!];
    return isSameRunScale(run, before) && (hasSameRunSpans(run, before) || bucketsBefore(run, before) !== undefined);
  }

  /** Whether a histogram has no count that is smaller than in the one before, seen without making objects. */
  #hasGrown(i: number): boolean {
    const [run, before] = [this.runs[this.runAt[i]!]!, this.runs[this.runAt[i - 1]!]!];
    const [place, placeBefore] = [this.places[i]!, this.places[i - 1]!];
    if (run !== before && !this.#hasBucketsOf(this.runAt[i]!, this.runAt[i - 1]!)) return false;
    const places = this.placesBefore(i, i - 1);
    if (!(run.counts[place]! >= before.counts[placeBefore]! && run.zeroCounts[place]! >= before.zeroCounts[placeBefore]!)) return false;
    const at = run.bucketAt[place]!;
    const atBefore = before.bucketAt[placeBefore]!;
    const size = run.positiveBuckets + run.negativeBuckets;
    if (places === undefined) {
      for (let bucket = 0; bucket < size; bucket++) if (!(run.buckets[at + bucket]! >= before.buckets[atBefore + bucket]!)) return false;
    } else for (let bucket = 0; bucket < size; bucket++) if (places[bucket]! >= 0 && !(run.buckets[at + bucket]! >= before.buckets[atBefore + places[bucket]!]!)) return false;
    return true;
  }
}

function sizeOfRun({ positiveSpans, negativeSpans, positiveBuckets, negativeBuckets, customValues }: HistogramRun): number {
  return samplesOfHistogramSizes(positiveSpans.length + negativeSpans.length, positiveBuckets + negativeBuckets, customValues.length);
}
