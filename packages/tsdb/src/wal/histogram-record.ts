/**
 * Records of native histograms.
 *
 *   7, 8     u64 first ref, u64 first t │ (varint ref − first, varint t − first, histogram)…        8, 10, 13: counts are floats
 *   9, 10    the same for histograms with custom bounds
 *   12, 13   of any bounds, with start timestamps, in the form of samples with start timestamps (record.ts)
 *   histogram   hint │ varint schema │ f64 zero threshold │ uvarint zero count │ uvarint count │ f64 sum │ positive spans │ negative spans
 *               │ positive buckets │ negative buckets │ custom bounds, when the schema is −53
 *     spans     uvarint n, (varint offset, uvarint length)…      buckets  uvarint n, varint differences…      bounds  uvarint n, f64…
 *     floats    zero count and count are f64; buckets are absolute, f64
 *
 * Source: Prometheus tsdb/record/record.go.
 */
import { ByteReader, type GrowableBytes } from '@gauntlet/bytes';
import { createHistogram, type HistogramSpan, reduceResolution, RESET_HINTS, type ResetHint, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { CUSTOM_BUCKETS_SCHEMA } from '../chunkenc/histogram-layout.ts';
import { EMPTY_LAYOUT, type HistogramLayout, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { floatToSample } from '../chunkenc/histogram-sample.ts';
import { badRecord, RECORD, StartTimestampPrefix, StartTimestampReader } from './record.ts';

const SCHEMA_MAX = 8;
/** Finest schema that the format knows; finer ones than SCHEMA_MAX are brought to it. */
const SCHEMA_MAX_RESERVED = 52;
const SCHEMA_MIN_RESERVED = -9;
const NO_COUNTS = new Float64Array(0);
const TWO_32 = 4294967296;

/** A histogram of a series. */
export interface HistogramEntry {
  readonly ref: number;
  readonly sample: HistogramSample;
}

/** The type of record a sample goes into. */
export function histogramRecordType(sample: HistogramSample): number {
  const isCustom = sample.layout.schema === CUSTOM_BUCKETS_SCHEMA;
  if (sample.isFloat) return isCustom ? RECORD.customFloatHistograms : RECORD.floatHistograms;
  return isCustom ? RECORD.customHistograms : RECORD.histograms;
}

/** Whether a record holds histograms. */
export function isHistogramRecord(type: number): boolean {
  return (type >= RECORD.histograms && type <= RECORD.customFloatHistograms) || type === RECORD.histogramsWithStart || type === RECORD.floatHistogramsWithStart;
}

/**
 * Appends a record of the entries of one type, which it must be of; nothing when there are none.
 * @param withStarts with start timestamps, type 12 or 13
 */
export function encodeHistogramRecord(type: number, entries: readonly HistogramEntry[], out: GrowableBytes, withStarts: boolean = false): void {
  const first = entries[0];
  if (first === undefined) return;
  if (withStarts) {
    out.putU8(first.sample.isFloat ? RECORD.floatHistogramsWithStart : RECORD.histogramsWithStart);
    const prefix = new StartTimestampPrefix(out);
    for (const { ref, sample } of entries) {
      prefix.put(ref, sample.timeMs, sample.startTimestamp ?? 0);
      putHistogram(out, sample);
    }
    return;
  }
  out.putU8(type);
  out.putBE64(first.ref);
  out.putBE64(first.sample.timeMs);
  for (const { ref, sample } of entries) {
    out.putVarint(ref - first.ref);
    out.putVarint(sample.timeMs - first.sample.timeMs);
    putHistogram(out, sample);
  }
}

function putHistogram(out: GrowableBytes, sample: HistogramSample): void {
  const { layout, isFloat } = sample;
  out.putU8(sample.isGauge ? RESET_HINT.gauge : sample.isReset === true ? RESET_HINT.reset : RESET_HINT.unknown);
  out.putVarint(layout.schema);
  out.putFloat64BE(layout.zeroThreshold);
  if (isFloat) {
    out.putFloat64BE(sample.zeroCount);
    out.putFloat64BE(sample.count);
  } else {
    out.putUvarint(sample.zeroCount);
    out.putUvarint(sample.count);
  }
  out.putBE32(sample.sumHigh);
  out.putBE32(sample.sumLow);
  putSpans(out, layout.positiveSpans);
  putSpans(out, layout.negativeSpans);
  putBuckets(out, sample.positive, isFloat);
  putBuckets(out, sample.negative, isFloat);
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  out.putUvarint(layout.customBounds.length);
  for (const bound of layout.customBounds) out.putFloat64BE(bound);
}

function putSpans(out: GrowableBytes, spans: Int32Array): void {
  out.putUvarint(spans.length / 2);
  for (let i = 0; i < spans.length; i += 2) {
    out.putVarint(spans[i]!);
    out.putUvarint(spans[i + 1]!);
  }
}

function putBuckets(out: GrowableBytes, counts: Float64Array, isFloat: boolean): void {
  out.putUvarint(counts.length);
  for (let i = 0; i < counts.length; i++) {
    if (isFloat) out.putFloat64BE(counts[i]!);
    else out.putVarint(counts[i]! - (i === 0 ? 0 : counts[i - 1]!));
  }
}

/**
 * Reads a record of histograms.
 * @returns how many were left out: schemas that nobody knows, and counts beyond 2^53
 * @throws TsdbError ERR_WAL_RECORD
 */
export function decodeHistogramRecord(record: Uint8Array, visit: (ref: number, sample: HistogramSample) => void): number {
  const type = record[0]!;
  const isFloat = type === RECORD.floatHistograms || type === RECORD.customFloatHistograms || type === RECORD.floatHistogramsWithStart;
  const reader = new ByteReader(record, 1);
  let leftOut = 0;
  const take = (ref: number, timeMs: number, startMs: number): void => {
    const sample = readHistogram(reader, isFloat, timeMs);
    if (sample === undefined) leftOut++;
    else visit(ref, startMs === 0 ? sample : { ...sample, startTimestamp: startMs });
  };
  try {
    if (type === RECORD.histogramsWithStart || type === RECORD.floatHistogramsWithStart) {
      const prefix = new StartTimestampReader();
      while (reader.remaining > 0) {
        prefix.next(reader);
        take(prefix.ref, prefix.timeMs, prefix.startMs);
      }
    } else if (reader.remaining > 0) {
      const firstRef = reader.be64();
      const firstTime = reader.beI64();
      while (reader.remaining > 0) {
        const ref = firstRef + reader.varint();
        take(ref, firstTime + reader.varint(), 0);
      }
    }
  } catch (error) {
    throw badRecord('histograms', error);
  }
  return leftOut;
}

function readHistogram(reader: ByteReader, isFloat: boolean, timeMs: number): HistogramSample | undefined {
  const hint = reader.u8();
  const schema = reader.varint();
  const zeroThreshold = reader.float64BE();
  const zeroCount = isFloat ? reader.float64BE() : readCount(reader);
  const count = isFloat ? reader.float64BE() : readCount(reader);
  const sumHigh = reader.be32();
  const sumLow = reader.be32();
  const positiveSpans = readSpans(reader);
  const negativeSpans = readSpans(reader);
  const positive = readBuckets(reader, isFloat);
  const negative = readBuckets(reader, isFloat);
  const customBounds = schema === CUSTOM_BUCKETS_SCHEMA ? readDoubles(reader) : NO_COUNTS;
  if (schema !== CUSTOM_BUCKETS_SCHEMA && (schema < SCHEMA_MIN_RESERVED || schema > SCHEMA_MAX_RESERVED)) return undefined;
  if (!isFloat && !(isSafe(zeroCount) && isSafe(count) && positive.every(isSafe) && negative.every(isSafe))) return undefined;
  const isStale = sumHigh === STALE_NAN_HI && sumLow === STALE_NAN_LO;
  const layout: HistogramLayout = isStale ? EMPTY_LAYOUT : { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds };
  const sample: HistogramSample = {
    isFloat,
    isStale,
    isGauge: hint === RESET_HINT.gauge,
    isReset: hint === RESET_HINT.reset,
    timeMs,
    count,
    zeroCount,
    sumHigh,
    sumLow,
    layout,
    positive: isStale ? NO_COUNTS : positive,
    negative: isStale ? NO_COUNTS : negative,
  };
  return schema > SCHEMA_MAX && !isStale ? coarser(sample) : sample;
}

/** The sample at the finest schema that is in use; a newer Prometheus may have written finer ones. */
function coarser(sample: HistogramSample): HistogramSample {
  const { layout } = sample;
  const spans = (flat: Int32Array): HistogramSpan[] => Array.from({ length: flat.length / 2 }, (_, i) => ({ offset: flat[i * 2]!, length: flat[i * 2 + 1]! }));
  const reduced = reduceResolution(
    createHistogram({
      schema: layout.schema,
      zeroThreshold: layout.zeroThreshold,
      zeroCount: sample.zeroCount,
      count: sample.count,
      resetHint: (sample.isGauge ? RESET_HINTS.gauge : sample.isReset === true ? RESET_HINTS.reset : RESET_HINTS.unknown) satisfies ResetHint,
      positiveSpans: spans(layout.positiveSpans),
      positiveBuckets: sample.positive,
      negativeSpans: spans(layout.negativeSpans),
      negativeBuckets: sample.negative,
    }),
    SCHEMA_MAX,
  );
  return { ...floatToSample(reduced, sample.timeMs, sample.isFloat), sumHigh: sample.sumHigh, sumLow: sample.sumLow };
}

function isSafe(count: number): boolean {
  return count >= 0 && count <= Number.MAX_SAFE_INTEGER;
}

/** Beyond 2^53 rounded; the caller leaves the sample out. */
function readCount(reader: ByteReader): number {
  const { hi, lo } = reader.uvarintWords();
  return hi * TWO_32 + lo;
}

function checkedCount(reader: ByteReader, bytesEach: number): number {
  const count = reader.uvarint();
  if (count * bytesEach > reader.remaining) throw new RangeError(`${count} entries in ${reader.remaining} bytes`);
  return count;
}

function readSpans(reader: ByteReader): Int32Array {
  const count = checkedCount(reader, 2);
  const spans = new Int32Array(count * 2);
  for (let i = 0; i < count; i++) {
    spans[i * 2] = reader.varint();
    spans[i * 2 + 1] = reader.uvarint();
  }
  return spans;
}

function readDoubles(reader: ByteReader): Float64Array {
  const doubles = new Float64Array(checkedCount(reader, 8));
  for (let i = 0; i < doubles.length; i++) doubles[i] = reader.float64BE();
  return doubles;
}

function readBuckets(reader: ByteReader, isFloat: boolean): Float64Array {
  if (isFloat) return readDoubles(reader);
  const counts = new Float64Array(checkedCount(reader, 1));
  let count = 0;
  for (let i = 0; i < counts.length; i++) {
    const { hi, lo } = reader.varintWords();
    count += (hi | 0) * TWO_32 + lo;
    counts[i] = count;
  }
  return counts;
}
