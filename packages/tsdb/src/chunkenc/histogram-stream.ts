/**
 * Writes native histograms into a chunk one after the other, bit for bit as Prometheus 3.14 appends them. The layout of the chunk is given
 * when it begins; a sample may lack buckets of it, which are 0 then, and must not have others. Layout of the payload: histogram-chunk.ts; its samples
 * are written by kernels' `HistogramRowWriter`. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { BitWriter } from '@gauntlet/bytes';
import { HistogramRowWriter, writeVarbitInt, writeVarbitUint } from '@gauntlet/kernels';
import { RESET_HINT } from './histogram-chunk.ts';
import { CUSTOM_BUCKETS_SCHEMA } from './histogram-layout.ts';
import type { HistogramLayout, HistogramSample } from './histogram-encoder.ts';
import { bucketCount, bucketIndexes, isSameSpans } from './spans.ts';

const double = new DataView(new ArrayBuffer(8));

/** A chunk being written. */
export class HistogramStream {
  readonly isFloat: boolean;
  readonly layout: HistogramLayout;
  /** How the chunk begins, a RESET_HINT. */
  readonly header: number;
  readonly #writer: BitWriter;
  readonly #rows: HistogramRowWriter;
  readonly #withStarts: boolean;

  /** @param withStarts whether the chunk has start timestamps: encoding 5 or 6 */
  constructor(isFloat: boolean, layout: HistogramLayout, header: number, withStarts: boolean = false) {
    this.isFloat = isFloat;
    this.layout = layout;
    this.header = header;
    this.#writer = beginHistogramChunk(layout);
    const positive = bucketCount(layout.positiveSpans);
    this.#rows = new HistogramRowWriter(this.#writer, isFloat, positive, positive + bucketCount(layout.negativeSpans), withStarts);
    this.#withStarts = withStarts;
  }

  /** Samples written. */
  get count(): number {
    return this.#rows.count;
  }

  /** Bytes so far. */
  get byteLength(): number {
    return Math.ceil(this.#writer.bitLength / 8);
  }

  /** The payload so far; a view valid until the next sample. */
  bytes(): Uint8Array {
    const bytes = this.#writer.bytes();
    writeHistogramHeader(bytes, this.count, this.header, this.#withStarts);
    if (this.#withStarts) bytes[2] = this.#rows.startHeader;
    return bytes;
  }

  /** Appends a sample of the same kind, after the last one. */
  add(sample: HistogramSample): void {
    const { isStale, layout } = sample;
    const positive = isStale ? sample.positive : expandCounts(sample.positive, layout.positiveSpans, this.layout.positiveSpans);
    const negative = isStale ? sample.negative : expandCounts(sample.negative, layout.negativeSpans, this.layout.negativeSpans);
    this.#rows.add(sample.timeMs, sample.count, sample.zeroCount, sample.sumHigh, sample.sumLow, isStale, positive, negative, sample.startTimestamp ?? 0);
  }
}

/** A chunk up to its first sample: three bytes for the header, written at the end, and the layout. */
export function beginHistogramChunk(layout: HistogramLayout): BitWriter {
  const writer = new BitWriter(256);
  writer.writeBits(0, 24);
  writeLayout(writer, layout);
  return writer;
}

/**
 * Writes count and reset header into the first bytes of a chunk.
 * @param header a RESET_HINT
 * @param withStarts then the third byte is the header of start timestamps, and left as it is
 */
export function writeHistogramHeader(bytes: Uint8Array, count: number, header: number, withStarts: boolean): void {
  // 10 reset, 01 not reset, 11 gauge, 00 unknown.
  const reset = (header === RESET_HINT.reset ? 2 : header === RESET_HINT.notReset ? 1 : header === RESET_HINT.gauge ? 3 : 0) << 6;
  bytes[0] = (count >>> 8) | (withStarts ? reset : 0);
  bytes[1] = count & 0xff;
  if (!withStarts) bytes[2] = reset;
}

/** The counts of `spans` where `wanted` has its buckets, which are all of `spans` and perhaps more. */
export function expandCounts(counts: Float64Array, spans: Int32Array, wanted: Int32Array): Float64Array {
  if (isSameSpans(spans, wanted)) return counts;
  const have = bucketIndexes(spans);
  const expanded = bucketIndexes(wanted);
  const out = new Float64Array(expanded.length);
  let at = 0;
  for (const [i, index] of expanded.entries()) if (have[at] === index) out[i] = counts[at++]!;
  return out;
}

function writeLayout(writer: BitWriter, layout: HistogramLayout): void {
  const exponent = layout.zeroThreshold > 0 ? Math.log2(layout.zeroThreshold) : Number.NaN;
  if (layout.zeroThreshold === 0) writer.writeByte(0);
  else if (Number.isInteger(exponent) && exponent >= -243 && exponent <= 10 && 2 ** exponent === layout.zeroThreshold) writer.writeByte(exponent + 244);
  else {
    writer.writeByte(255);
    double.setFloat64(0, layout.zeroThreshold);
    writer.writeBits64(double.getUint32(0), double.getUint32(4), 64);
  }
  writeVarbitInt(writer, layout.schema);
  for (const spans of [layout.positiveSpans, layout.negativeSpans]) {
    writeVarbitUint(writer, spans.length / 2);
    for (let i = 0; i < spans.length; i += 2) {
      writeVarbitUint(writer, spans[i + 1]!);
      writeVarbitInt(writer, spans[i]!);
    }
  }
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  writeVarbitUint(writer, layout.customBounds.length);
  for (const bound of layout.customBounds) {
    const thousandths = bound * 1000;
    if (thousandths >= 0 && thousandths <= 33_554_430 && Math.round(thousandths) / 1000 === bound) writeVarbitUint(writer, Math.round(thousandths) + 1);
    else {
      writer.writeBit(0);
      double.setFloat64(0, bound);
      writer.writeBits64(double.getUint32(0), double.getUint32(4), 64);
    }
  }
}
