/** Recorded samples (README of the golden data) and what a query gives, in the same terms. For tests. */
import { readFileSync } from 'node:fs';
import { createMatcher, type FloatHistogram, isStaleHistogram, type Queryable } from '@gauntlet/model';

/** The lines of a JSONL file. */
export function lines<T>(path: string): T[] {
  return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

/** A series as it was recorded. */
export interface SampleLine {
  labels: [string, string][];
  floats?: [number, string][];
  histograms?: [number, DumpedHistogram][];
}

/** As the recording has it: README of the golden data. Zero values are left out. */
export interface DumpedHistogram {
  type: 'int' | 'float';
  schema: number;
  zeroThreshold: string;
  count: string;
  zeroCount: string;
  sum: string;
  hint: number;
  positiveSpans?: [number, number][];
  negativeSpans?: [number, number][];
  positiveDeltas?: (number | string)[];
  negativeDeltas?: (number | string)[];
  positiveCounts?: string[];
  negativeCounts?: string[];
  customValues?: string[];
}

/** Sixteen hex digits. */
export function bitsOf(x: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return view.getBigUint64(0).toString(16).padStart(16, '0');
}

/** A recorded histogram as a query sees it: absolute counts, one stale marker. */
export function seenHistogram(dumped: DumpedHistogram): unknown {
  if (dumped.sum === STALE_BITS) return 'stale';
  const count = (text: string): string => (dumped.type === 'int' ? bitsOf(Number(text)) : text);
  const buckets = (deltas: (number | string)[] = [], counts: string[] = []): string[] => {
    let total = 0;
    return counts.length > 0 ? counts : deltas.map((delta) => bitsOf((total += Number(delta))));
  };
  const { schema, zeroThreshold, sum, hint, positiveSpans = [], negativeSpans = [], customValues = [] } = dumped;
  const positive = buckets(dumped.positiveDeltas, dumped.positiveCounts);
  const negative = buckets(dumped.negativeDeltas, dumped.negativeCounts);
  return { schema, zeroThreshold, sum, hint, count: count(dumped.count), zeroCount: count(dumped.zeroCount), positiveSpans, negativeSpans, positive, negative, customValues };
}

/** A histogram of a query in the same terms. */
export function dumpHistogram(histogram: FloatHistogram): unknown {
  if (isStaleHistogram(histogram)) return 'stale';
  const spans = (side: FloatHistogram['positiveSpans']): number[][] => side.map(({ offset, length }) => [offset, length]);
  return {
    schema: histogram.schema,
    zeroThreshold: bitsOf(histogram.zeroThreshold),
    sum: bitsOf(histogram.sum),
    hint: histogram.resetHint,
    count: bitsOf(histogram.count),
    zeroCount: bitsOf(histogram.zeroCount),
    positiveSpans: spans(histogram.positiveSpans),
    negativeSpans: spans(histogram.negativeSpans),
    positive: Array.from(histogram.positiveBuckets, bitsOf),
    negative: Array.from(histogram.negativeBuckets, bitsOf),
    customValues: Array.from(histogram.customValues, bitsOf),
  };
}

const STALE_BITS = '7ff0000000000002';

/** One series as dumps have it, histograms as a query sees them. */
export interface SeenSeries {
  labels: [string, string][];
  floats: [number, string][];
  histograms: [number, unknown][];
}

/** A recorded series as a query sees it. */
export function seenSeries({ labels, floats = [], histograms = [] }: SampleLine): SeenSeries {
  return { labels, floats, histograms: histograms.map(([time, dumped]) => [time, seenHistogram(dumped)]) };
}

/** Everything a queryable has in a range. */
export async function dumpAll(queryable: Queryable, mint = 0, maxt = 2 ** 52): Promise<SeenSeries[]> {
  const dump: SeenSeries[] = [];
  for await (const batch of queryable.select({ matchers: [createMatcher('=~', '__name__', '.+')], mint, maxt })) {
    const view = new DataView(batch.values.buffer, batch.values.byteOffset, batch.values.byteLength);
    for (const [i, labels] of batch.labels.entries()) {
      const one: SeenSeries = { labels: pairsOf(labels), floats: [], histograms: [] };
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const words = [view.getUint32(s * 8 + 4, true), view.getUint32(s * 8, true)];
        const bits = words.map((word) => word.toString(16).padStart(8, '0')).join('');
        const id = batch.histograms?.ids[s] ?? -1;
        // The recording client's protobuf leaves out fields that equal 0, and so lost the sign of −0.
        if (id < 0) one.floats.push([batch.timestampsMs[s]!, bits === '8000000000000000' ? '0000000000000000' : bits]);
        else {
          const histogram = batch.histograms!.get(id);
          const want = isStaleHistogram(histogram) ? STALE_BITS : '0000000000000000';
          if (bits !== want) throw new Error(`float beside the histogram at ${batch.timestampsMs[s]}: got ${bits}, want ${want}`);
          one.histograms.push([batch.timestampsMs[s]!, dumpHistogram(histogram)]);
        }
      }
      dump.push(one);
    }
  }
  return dump;
}

/** Flat names and values as pairs. */
export function pairsOf(labels: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let l = 0; l < labels.length; l += 2) pairs.push([labels[l]!, labels[l + 1]!]);
  return pairs;
}

/** By labels. */
export function sorted<T extends { labels: unknown }>(dump: T[]): T[] {
  return dump.sort((a, b) => (JSON.stringify(a.labels) < JSON.stringify(b.labels) ? -1 : 1));
}
