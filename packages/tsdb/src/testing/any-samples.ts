/**
 * Samples of every kind that a chunk can hold, at random: floats of any bits, histograms with whole counts and with floats of any bits, gauges, custom
 * buckets, stale markers, start timestamps. With chunks of them, and what samples mean, to compare. For tests.
 */
import fc from 'fast-check';
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, wordsOf } from '@gauntlet/model';
import type { BlockChunk } from '../block/block-writer.ts';
import { decodeXorColumns, encodeFloatColumns, type FloatColumns } from '../chunkenc/float-chunks.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import { decodeHistogramChunk, isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { CUSTOM_BUCKETS_SCHEMA } from '../chunkenc/histogram-layout.ts';
import { histogramSampleAt, type HistogramLayout, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { staleSample } from '../chunkenc/histogram-sample.ts';
import { bucketIndexes } from '../chunkenc/spans.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';

/** A float by its bits. */
export interface FloatSample {
  readonly timeMs: number;
  readonly high: number;
  readonly low: number;
  /** 0 = not known. */
  readonly startTimestamp: number;
}

/** A sample of any kind. */
export type AnySample = FloatSample | HistogramSample;

const isFloatSample = (sample: AnySample): sample is FloatSample => 'high' in sample;
const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
const bitsOf = (value: number): string => {
  const words = wordsOf(Float64Array.of(value));
  return hex(words[1]!) + hex(words[0]!);
};

/** What a sample means, time included; empty buckets say nothing, nor does the kind of a histogram's stale marker. */
export function meaningOf(sample: AnySample): string {
  const start = (sample.startTimestamp ?? 0) === 0 ? '' : ` since ${sample.startTimestamp}`;
  if (isFloatSample(sample)) return `${sample.timeMs}: ${hex(sample.high)}${hex(sample.low)}${start}`;
  if (sample.isStale) return `${sample.timeMs}: stale histogram${start}`;
  const { isFloat, isGauge, timeMs, count, zeroCount, sumHigh, sumLow, layout } = sample;
  const number = (value: number): string => (isFloat ? bitsOf(value) : String(value));
  const buckets = (spans: Int32Array, counts: Float64Array): string => bucketIndexes(spans).flatMap((index, i) => (bitsOf(counts[i]!) === bitsOf(0) ? [] : [`${index}=${number(counts[i]!)}`])).join(' ');
  const scale = `schema ${layout.schema} threshold ${bitsOf(layout.zeroThreshold)} bounds ${[...layout.customBounds].map(bitsOf).join(' ')}`;
  return `${timeMs}: ${isFloat ? 'float' : 'integer'}${isGauge ? ' gauge' : ''} ${scale} count ${number(count)} zeros ${number(zeroCount)} sum ${hex(sumHigh)}${hex(sumLow)} {${buckets(layout.positiveSpans, sample.positive)}} {${buckets(layout.negativeSpans, sample.negative)}}${start}`;
}

/** Bits that encoders get wrong. */
const word64 = fc.oneof(
  fc.constantFrom([0x7ff00000, 2], [0x7ff80000, 1], [0xfff80000, 0], [0x7ff00000, 0], [0xfff00000, 0], [0x80000000, 0], [0, 0], [0, 1], [0xffffffff, 0xffffffff], [0x7fefffff, 0xffffffff], [0x3ff00000, 0]),
  fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)),
);
/** Numbers that are not NaN, whose bits would pass through variables. */
const double = fc.oneof(fc.constantFrom(0, -0, 1, 1.5, Infinity, -Infinity, 5e-324, 1.7976931348623157e308), fc.double({ noNaN: true }));
const whole = fc.oneof(fc.nat(4), fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: 2 ** 45 }));

/** Spans and their counts at a few places. */
const side = (count: fc.Arbitrary<number>): fc.Arbitrary<{ spans: Int32Array; counts: Float64Array }> =>
  fc.array(fc.tuple(fc.nat(3), fc.array(count, { minLength: 1, maxLength: 3 })), { maxLength: 3 }).map((runs) => ({
    spans: Int32Array.from(runs.flatMap(([offset, counts], i) => [i === 0 ? offset - 2 : offset + 1, counts.length])),
    counts: Float64Array.from(runs.flatMap(([, counts]) => counts)),
  }));

const histogram = (isFloat: boolean): fc.Arbitrary<Omit<HistogramSample, 'timeMs' | 'startTimestamp'>> => {
  const count = isFloat ? double : whole;
  return fc
    .record({ positive: side(count), negative: side(count), count, zeroCount: count, sum: word64, isGauge: fc.nat(3).map((n) => n === 0), schema: fc.constantFrom(-4, 0, 0, 0, 8, CUSTOM_BUCKETS_SCHEMA), threshold: fc.constantFrom(0, 2 ** -128, 2 ** -128, 0.001) })
    .filter(({ sum: [high, low] }) => high !== 0x7ff00000 || low !== 2)
    .map(({ positive, negative, count: total, zeroCount, sum, isGauge, schema, threshold }) => {
      const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
      const layout: HistogramLayout = {
        schema,
        zeroThreshold: isCustom ? 0 : threshold,
        positiveSpans: positive.spans,
        negativeSpans: isCustom ? new Int32Array(0) : negative.spans,
        customBounds: isCustom ? Float64Array.of(-1.5, 0.001, 2, 33554.43, 1e9) : new Float64Array(0),
      };
      return { isFloat, isStale: false, isGauge, count: total, zeroCount, sumHigh: sum[0]!, sumLow: sum[1]!, layout, positive: positive.counts, negative: isCustom ? new Float64Array(0) : negative.counts };
    });
};

type Timeless = { readonly kind: 'float'; readonly bits: readonly number[] } | { readonly kind: 'stale' } | { readonly kind: 'histogram'; readonly sample: Omit<HistogramSample, 'timeMs' | 'startTimestamp'> };

const timeless: fc.Arbitrary<Timeless> = fc.oneof(
  { weight: 6, arbitrary: word64.map((bits) => ({ kind: 'float' as const, bits })) },
  { weight: 4, arbitrary: histogram(false).map((sample) => ({ kind: 'histogram' as const, sample })) },
  { weight: 4, arbitrary: histogram(true).map((sample) => ({ kind: 'histogram' as const, sample })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'stale' as const }) },
);

/**
 * Samples at distinct times, ascending; kinds come in runs, as they do.
 * @param timesMs from which times are taken
 */
export function anySamples(timesMs: fc.Arbitrary<number>, maxLength: number): fc.Arbitrary<AnySample[]> {
  const one = fc.tuple(timesMs, fc.nat(5), timeless, fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }) }));
  return fc.uniqueArray(one, { selector: ([timeMs]) => timeMs, minLength: 1, maxLength }).map((drawn) => {
    const times = drawn.map(([timeMs]) => timeMs).sort((a, b) => a - b);
    let kind = drawn[0]![2];
    return times.map((timeMs, i): AnySample => {
      const [, stay, next, ago] = drawn[i]!;
      // Mostly the kind of the one before, with values of its own where it has them.
      if (stay === 0 || next.kind === kind.kind) kind = next;
      // 0 says that there is none.
      const startTimestamp = ago === 0 ? 0 : timeMs - ago;
      if (kind.kind === 'float') return { timeMs, high: kind.bits[0]!, low: kind.bits[1]!, startTimestamp };
      if (kind.kind === 'stale') return staleSample(stay % 2 === 0, timeMs);
      return { ...kind.sample, timeMs, ...(startTimestamp !== 0 && { startTimestamp }) };
    });
  });
}

/** Chunks of the samples: a new one where the kind changes, where a start comes behind samples without, and after `samplesMax`. */
export function encodeAnySamples(samples: readonly AnySample[], samplesMax: number, kernels: Kernels): BlockChunk[] {
  const chunks: BlockChunk[] = [];
  const histograms = new HistogramAppender(samplesMax);
  let floats: FloatSample[] = [];
  const endFloats = (): void => {
    if (floats.length === 0) return;
    const values = new Float64Array(floats.length);
    wordsOf(values).set(floats.flatMap(({ high, low }) => [low, high]));
    const columns = { timestampsMs: Float64Array.from(floats, ({ timeMs }) => timeMs), values, startTimestamps: Float64Array.from(floats, ({ startTimestamp }) => startTimestamp) };
    chunks.push(encodeFloatColumns(columns, 0, floats.length, kernels));
    floats = [];
  };
  for (const sample of samples) {
    if (isFloatSample(sample)) {
      chunks.push(...histograms.finish());
      if (floats.length === samplesMax) endFloats();
      floats.push(sample);
    } else {
      endFloats();
      histograms.append(sample);
    }
  }
  endFloats();
  chunks.push(...histograms.finish());
  return chunks;
}

/** The samples of a chunk. */
export function decodeAnyChunk({ encoding, data }: BlockChunk, kernels: Kernels): AnySample[] {
  if (isHistogramEncoding(encoding)) {
    const columns = decodeHistogramChunk(encoding, data, 'a chunk', kernels);
    return Array.from({ length: columns.count }, (_, i) => histogramSampleAt(columns, i));
  }
  const columns: FloatColumns & { readonly startTimestamps?: Float64Array } = encoding === CHUNK_ENCODING.xor ? decodeXorColumns(data, kernels, 'a chunk') : decodeXor2Chunk(data, 'a chunk');
  const words = wordsOf(columns.values);
  return Array.from(columns.timestampsMs, (timeMs, i) => ({ timeMs, high: words[i * 2 + 1]!, low: words[i * 2]!, startTimestamp: columns.startTimestamps?.[i] ?? 0 }));
}
