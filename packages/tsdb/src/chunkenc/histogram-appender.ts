/**
 * Appends native histograms one by one and decides where chunks end, as Prometheus does: where a counter was reset, where the layout
 * cannot be brought together, where a stale marker ends a run, where the kind changes, and after a number of samples.
 *
 *   counter   buckets may come; a bucket may go when it was 0     gauge   buckets come and go
 *   the layout grows:  chunk {0 1 3}  +  sample {0 2 3}, bucket 1 was 0   →   {0 1 2 3}
 *
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go, `appendable`, `appendableGauge`, `AppendHistogram`.
 */
import { bucketIndexes, EMPTY_LAYOUT, encodeHistogramChunk, type EncodedHistograms, type HistogramLayout, type HistogramSample } from './histogram-encoder.ts';
import { CUSTOM_BUCKETS_SCHEMA, RESET_HINT } from './histogram-chunk.ts';

/** Says that a sample cannot go into the chunk: how the next one begins. */
interface Refusal {
  readonly nextHeader: number;
}

/** Collects samples of one series and writes them as chunks. */
export class HistogramAppender {
  readonly #samplesMax: number;
  readonly #chunks: EncodedHistograms[] = [];
  #samples: HistogramSample[] = [];
  #layout: HistogramLayout = EMPTY_LAYOUT;
  #header: number = RESET_HINT.unknown;

  /** @param samplesMax samples in a chunk */
  constructor(samplesMax: number) {
    this.#samplesMax = samplesMax;
  }

  /** Adds the next sample; times ascend. */
  append(sample: HistogramSample): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && (last.isFloat !== sample.isFloat || this.#samples.length >= this.#samplesMax)) this.#cut();
    if (this.#samples.length === 0) {
      this.#begin(sample, sample.isGauge ? RESET_HINT.gauge : RESET_HINT.unknown);
      return;
    }
    const answer = sample.isGauge ? this.#fitGauge(sample) : this.#fitCounter(sample);
    if ('nextHeader' in answer) {
      this.#cut();
      this.#begin(sample, answer.nextHeader);
      return;
    }
    this.#layout = answer;
    this.#samples.push(sample);
  }

  /** Ends the chunk begun. @returns all chunks since the last call */
  finish(): EncodedHistograms[] {
    this.#cut();
    return this.#chunks.splice(0);
  }

  #begin(sample: HistogramSample, header: number): void {
    this.#samples.push(sample);
    this.#layout = sample.layout;
    this.#header = header;
  }

  #cut(): void {
    if (this.#samples.length > 0) this.#chunks.push(encodeHistogramChunk(this.#samples, this.#layout, this.#header));
    this.#samples = [];
  }

  /** The layout with the sample in it, or why not. */
  #fitCounter(sample: HistogramSample): HistogramLayout | Refusal {
    const last = this.#samples.at(-1)!;
    const layout = this.#layout;
    if (this.#header === RESET_HINT.gauge) return { nextHeader: sample.isFloat ? RESET_HINT.unknown : RESET_HINT.notReset };
    if (sample.isStale) return layout;
    if (last.isStale) return { nextHeader: RESET_HINT.unknown };
    if (sample.count < last.count) return { nextHeader: RESET_HINT.reset };
    if (!isSameScale(sample.layout, layout)) return { nextHeader: RESET_HINT.unknown };
    if (!isSameBounds(sample.layout, layout) || sample.zeroCount < last.zeroCount) return { nextHeader: RESET_HINT.reset };
    const positive = compareCounts(layout.positiveSpans, last.layout.positiveSpans, last.positive, sample.layout.positiveSpans, sample.positive);
    const negative = compareCounts(layout.negativeSpans, last.layout.negativeSpans, last.negative, sample.layout.negativeSpans, sample.negative);
    if (positive === undefined || negative === undefined) return { nextHeader: RESET_HINT.reset };
    if (!positive.isMore && !negative.isMore) return layout;
    return {
      ...layout,
      positiveSpans: positive.isLess ? unionSpans(layout.positiveSpans, sample.layout.positiveSpans) : sample.layout.positiveSpans,
      negativeSpans: negative.isLess ? unionSpans(layout.negativeSpans, sample.layout.negativeSpans) : sample.layout.negativeSpans,
    };
  }

  #fitGauge(sample: HistogramSample): HistogramLayout | Refusal {
    const layout = this.#layout;
    const refused = { nextHeader: RESET_HINT.gauge };
    if (this.#header !== RESET_HINT.gauge) return refused;
    if (this.#samples.at(-1)!.isStale || !isSameScale(sample.layout, layout) || !isSameBounds(sample.layout, layout)) return refused;
    const positive = compareIndexes(layout.positiveSpans, sample.layout.positiveSpans);
    const negative = compareIndexes(layout.negativeSpans, sample.layout.negativeSpans);
    if (!positive.isMore && !negative.isMore) return layout;
    if (!positive.isLess && !negative.isLess) return { ...layout, positiveSpans: sample.layout.positiveSpans, negativeSpans: sample.layout.negativeSpans };
    return { ...layout, positiveSpans: unionSpans(layout.positiveSpans, sample.layout.positiveSpans), negativeSpans: unionSpans(layout.negativeSpans, sample.layout.negativeSpans) };
  }
}

function isSameScale(a: HistogramLayout, b: HistogramLayout): boolean {
  return a.schema === b.schema && a.zeroThreshold === b.zeroThreshold;
}

function isSameBounds(a: HistogramLayout, b: HistogramLayout): boolean {
  if (a.schema !== CUSTOM_BUCKETS_SCHEMA) return true;
  return a.customBounds.length === b.customBounds.length && a.customBounds.every((bound, i) => bound === b.customBounds[i]);
}

/** What the second has that the first has not, and the other way round. */
interface Difference {
  readonly isMore: boolean;
  readonly isLess: boolean;
}

function compareIndexes(a: Int32Array, b: Int32Array): Difference {
  const inA = new Set(bucketIndexes(a));
  const inB = new Set(bucketIndexes(b));
  return { isMore: [...inB].some((index) => !inA.has(index)), isLess: [...inA].some((index) => !inB.has(index)) };
}

/**
 * Compares a sample's counts with the last one's.
 * @param layout buckets of the chunk; those that the last sample lacks count 0
 * @returns undefined when a bucket went down or away
 */
function compareCounts(layout: Int32Array, lastSpans: Int32Array, lastCounts: Float64Array, spans: Int32Array, counts: Float64Array): Difference | undefined {
  const last = new Map(bucketIndexes(lastSpans).map((index, i) => [index, lastCounts[i]!]));
  const present = new Map(bucketIndexes(spans).map((index, i) => [index, counts[i]!]));
  for (const [index, count] of last) {
    const now = present.get(index);
    if (now === undefined ? count !== 0 : count > now) return undefined;
  }
  const all = bucketIndexes(layout);
  for (const index of all) if (!last.has(index) && (present.get(index) ?? 0) < 0) return undefined;
  const inLayout = new Set(all);
  return { isMore: [...present.keys()].some((index) => !inLayout.has(index)), isLess: all.some((index) => !present.has(index)) };
}

/** Spans of the buckets of either, adjacent ones joined. */
function unionSpans(a: Int32Array, b: Int32Array): Int32Array {
  const indexes = [...new Set([...bucketIndexes(a), ...bucketIndexes(b)])].sort((x, y) => x - y);
  const spans: number[] = [];
  let next = 0;
  for (const index of indexes) {
    if (spans.length > 0 && index === next) spans[spans.length - 1]!++;
    else spans.push(index - next, 1);
    next = index + 1;
  }
  return Int32Array.from(spans);
}
