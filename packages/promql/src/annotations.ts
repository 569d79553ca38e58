/**
 * Annotations: what a query wants its author to know beside the answer. A warning says the answer may be wrong, an info that the query looks
 * unusual. They are kept by message, so the same remark made for a thousand series appears once, and get their place in the query text at the end.
 *
 * Texts as Prometheus util/annotations/annotations.go (3.14).
 */
import type { PositionRange } from './parser/ast.ts';
import { lineColumn } from './parser/position.ts';
import { quoteString } from './parser/quote.ts';
import { formatG, formatG2 } from './functions/go-format.ts';

const WARNING = 'PromQL warning: ';
const INFO = 'PromQL info: ';
/** Different texts kept; there can be one per metric name, and readers are shown ten. */
const ENTRIES_MAX = 10_000;

/** What was done to histograms when something about them was noticed. */
export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation';

/** Monotonicity repairs of one `histogram_quantile`, summed up over steps and groups; they stay at the place of the first. */
interface Monotonicity {
  minMs: number;
  maxMs: number;
  minBucket: number;
  maxBucket: number;
  maxDiff: number;
  count: number;
}

interface Entry {
  pos: PositionRange;
  /** How often it was noticed, for the one remark that says so. */
  occurrences?: number;
  monotonicity: Monotonicity | undefined;
}

/** Warnings and infos of one query. */
export class Annotations {
  readonly #entries = new Map<string, Entry>();
  /** Warnings of storage: they have no place in the query text. */
  readonly #plain = new Set<string>();

  /** A text as it is, without position; for warnings of storage. */
  addPlain(text: string): void {
    this.#plain.add(text);
  }

  invalidQuantile(q: number, pos: PositionRange): void {
    this.#add(`${WARNING}quantile value should be between 0 and 1, got ${formatG(q)}`, pos);
  }

  invalidRatio(ratio: number, cap: number, pos: PositionRange): void {
    this.#add(`${WARNING}ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${formatG(cap)}`, pos);
  }

  badBucketLabel(metricName: string, value: string, pos: PositionRange): void {
    this.#add(`${WARNING}bucket label "le" is missing or has a malformed value of ${quoteString(value)}${forMetric(metricName)}`, pos);
  }

  sortInRangeQuery(pos: PositionRange): void {
    this.#add(`${WARNING}sort is ineffective for range queries since results are always ordered by labels`, pos);
  }

  possibleNonCounter(metricName: string, pos: PositionRange): void {
    this.#add(`${INFO}metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quoteString(metricName)}`, pos);
  }

  possibleNonCounterType(metricName: string, type: string, pos: PositionRange): void {
    this.#add(
      `${INFO}metric might not be a counter, __type__ label is not set to "counter" or "histogram", got ${quoteString(type)}: ${quoteString(metricName)}`,
      pos,
    );
  }

  mixedFloatsHistograms(metricName: string, pos: PositionRange): void {
    this.#add(`${WARNING}encountered a mix of histograms and floats for metric name ${quoteString(metricName)}`, pos);
  }

  mixedFloatsHistogramsAggregation(pos: PositionRange): void {
    this.#add(`${WARNING}encountered a mix of histograms and floats for aggregation`, pos);
  }

  mixedClassicNative(metricName: string, pos: PositionRange): void {
    this.#add(`${WARNING}vector contains a mix of classic and native histograms${forMetric(metricName)}`, pos);
  }

  mixedExponentialCustom(metricName: string, pos: PositionRange): void {
    this.#add(`${WARNING}vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${quoteString(metricName)}`, pos);
  }

  /** Says at the end in how many windows it was so. */
  startTimeOverlap(metricName: string, pos: PositionRange): void {
    const text = `${WARNING}sample has start time that overlaps with previous sample timestamp for metric ${quoteString(metricName)}`;
    const occurrences = (this.#entries.get(text)?.occurrences ?? 0) + 1;
    this.#set(text, { pos, monotonicity: undefined, occurrences });
  }

  histogramNotCounter(metricName: string, pos: PositionRange): void {
    this.#add(`${WARNING}this native histogram metric is not a counter: ${quoteString(metricName)}`, pos);
  }

  histogramNotGauge(metricName: string, pos: PositionRange): void {
    this.#add(`${WARNING}this native histogram metric is not a gauge: ${quoteString(metricName)}`, pos);
  }

  incompatibleBucketLayout(op: string, pos: PositionRange): void {
    this.#add(`${WARNING}incompatible bucket layout encountered for binary operator ${op}`, pos);
  }

  counterResetCollision(operation: HistogramOperation, pos: PositionRange): void {
    this.#add(`${WARNING}conflicting counter resets during histogram ${operation}`, pos);
  }

  mismatchedCustomBuckets(operation: HistogramOperation, pos: PositionRange): void {
    this.#add(`${INFO}mismatched custom buckets were reconciled during ${operation}`, pos);
  }

  histogramIgnoredInAggregation(op: string, pos: PositionRange): void {
    this.#add(`${INFO}ignored histogram in ${op} aggregation`, pos);
  }

  histogramIgnoredInMixedRange(metricName: string, pos: PositionRange): void {
    this.#add(`${INFO}ignored histograms in a range containing both floats and histograms for metric name ${quoteString(metricName)}`, pos);
  }

  quantileOfNaN(kind: 'result' | 'skew', metricName: string, pos: PositionRange): void {
    const consequence = kind === 'result' ? 'result is NaN' : 'result is skewed higher';
    this.#add(`${INFO}input to histogram_quantile has NaN observations, ${consequence}${forMetric(metricName)}`, pos);
  }

  fractionOfNaN(metricName: string, pos: PositionRange): void {
    this.#add(`${INFO}input to histogram_fraction has NaN observations, which are excluded from all fractions${forMetric(metricName)}`, pos);
  }

  incompatibleTypes(lhs: string, op: string, rhs: string, pos: PositionRange): void {
    this.#add(`${INFO}incompatible sample types encountered for binary operator ${quoteString(op)}: ${lhs} ${op} ${rhs}`, pos);
  }

  forcedMonotonicity(metricName: string, pos: PositionRange, timeMs: number, minBucket: number, maxBucket: number, maxDiff: number): void {
    const text = `${INFO}input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)${forMetric(metricName)}`;
    this.#addMonotonicity(text, pos, { minMs: timeMs, maxMs: timeMs, minBucket, maxBucket, maxDiff, count: 1 });
  }

  #addMonotonicity(text: string, pos: PositionRange, more: Monotonicity): void {
    const first = this.#entries.get(text);
    const known = first?.monotonicity;
    const merged =
      known === undefined
        ? { ...more }
        : {
            minMs: Math.min(known.minMs, more.minMs),
            maxMs: Math.max(known.maxMs, more.maxMs),
            minBucket: Math.min(known.minBucket, more.minBucket),
            maxBucket: Math.max(known.maxBucket, more.maxBucket),
            maxDiff: Math.max(known.maxDiff, more.maxDiff),
            count: known.count + more.count,
          };
    this.#set(text, { pos: first?.pos ?? pos, monotonicity: merged });
  }

  /**
   * The texts, each with `(line:column)`.
   * @param query text the positions refer to
   * @param max most texts of a kind; what is left out is counted in one more text; 0 = all
   */
  toStrings(query: string, max: number): { warnings: string[]; infos: string[] } {
    const warnings: string[] = [];
    const infos: string[] = [];
    let warningsOmitted = 0;
    let infosOmitted = 0;
    for (const [message, entry] of this.#entries) {
      const times = entry.occurrences === undefined || entry.occurrences === 1 ? '' : ` (${entry.occurrences} occurrences)`;
      const text = `${message}${entry.monotonicity === undefined ? times : describe(entry.monotonicity)} (${lineColumn(query, entry.pos.start)})`;
      if (message.startsWith(INFO)) {
        if (max === 0 || infos.length < max) infos.push(text);
        else infosOmitted++;
      } else if (max === 0 || warnings.length < max) warnings.push(text);
      else warningsOmitted++;
    }
    for (const text of this.#plain) {
      if (max === 0 || warnings.length < max) warnings.push(text);
      else warningsOmitted++;
    }
    if (warningsOmitted > 0) warnings.push(`${warningsOmitted} more warning annotations omitted`);
    if (infosOmitted > 0) infos.push(`${infosOmitted} more info annotations omitted`);
    return { warnings, infos };
  }

  /** All texts without their places and without what was summed up, as Thanos shows them. */
  toBareStrings(): { warnings: string[]; infos: string[] } {
    const texts = [...this.#entries.keys()];
    return { warnings: [...texts.filter((text) => !text.startsWith(INFO)), ...this.#plain], infos: texts.filter((text) => text.startsWith(INFO)) };
  }

  /** Takes over the remarks of a part of the query. @param place where they are now */
  addAll(others: Annotations, place: (pos: PositionRange) => PositionRange): void {
    for (const [message, { pos, monotonicity, occurrences }] of others.#entries) {
      if (monotonicity !== undefined) this.#addMonotonicity(message, place(pos), monotonicity);
      else if (occurrences !== undefined) this.#entries.set(message, { pos: place(pos), monotonicity, occurrences: (this.#entries.get(message)?.occurrences ?? 0) + occurrences });
      else this.#add(message, place(pos));
    }
    for (const text of others.#plain) this.#plain.add(text);
  }

  /** The same remark made again moves to the later place, as in Prometheus. */
  #add(message: string, pos: PositionRange): void {
    this.#set(message, { pos, monotonicity: undefined });
  }

  #set(message: string, entry: Entry): void {
    if (this.#entries.size < ENTRIES_MAX || this.#entries.has(message)) this.#entries.set(message, entry);
  }
}

function forMetric(metricName: string): string {
  return metricName === '' ? '' : ` for metric name ${quoteString(metricName)}`;
}

function describe(m: Monotonicity): string {
  return `, from buckets ${formatG(m.minBucket)} to ${formatG(m.maxBucket)}, with a max diff of ${formatG2(m.maxDiff)}, over ${m.count} samples from ${rfc3339(m.minMs)} to ${rfc3339(m.maxMs)}`;
}

function rfc3339(timeMs: number): string {
  return new Date(Math.trunc(timeMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
