/**
 * The layout of a native histogram chunk: which buckets all of its samples have.
 *
 *   zero threshold: a byte, or 255 and a double │ schema │ positive spans │ negative spans │ custom bounds, when the schema is −53
 *   spans: how many │ length, offset │ …        custom bound: thousandths + 1, or 0 and a double
 *
 * Chunks that follow one another mostly have the same: `hasLayout` tells without reading it again.
 * Source: Prometheus tsdb/chunkenc/histogram_meta.go.
 */
import { BitReader } from '@gauntlet/bytes';
import { readVarbitInt, readVarbitUint } from '@gauntlet/kernels';
import { TsdbError } from '../errors.ts';

/** Buckets with bounds of their own; other schemas are exponents. */
export const CUSTOM_BUCKETS_SCHEMA = -53;

/** Bytes before the layout: sample count, reset header, start header. */
export const HEADER_BYTES = 3;

/** Finest schema that is read as it is. */
export const SCHEMA_MAX = 8;
const SCHEMA_MIN = -9;
const SCHEMA_MAX_RESERVED = 52;

/** See the head of this file. */
export interface HistogramChunkLayout {
  /** −9 … 52, or −53. */
  readonly schema: number;
  readonly zeroThreshold: number;
  /** Offset, length, offset, length, … */
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  /** Upper bounds of the buckets; empty but for custom buckets. */
  readonly customBounds: Float64Array;
  readonly positiveBuckets: number;
  readonly negativeBuckets: number;
  /** Where it ends in the chunk, and sample 0 begins. */
  readonly endBit: number;
  /** The chunk's bytes from HEADER_BYTES to there, the last filled with zeros. */
  readonly bytes: Uint8Array;
}

/** Of a chunk without samples. */
export const NO_LAYOUT: HistogramChunkLayout = {
  schema: 0,
  zeroThreshold: 0,
  positiveSpans: new Int32Array(0),
  negativeSpans: new Int32Array(0),
  customBounds: new Float64Array(0),
  positiveBuckets: 0,
  negativeBuckets: 0,
  endBit: HEADER_BYTES * 8,
  bytes: new Uint8Array(0),
};

/** The error for damage. @param name of series and block */
export function damaged(name: string, what: string): TsdbError {
  return new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${what}`);
}

/**
 * Reads the layout of a chunk that has samples.
 * @throws TsdbError ERR_CHUNK_CORRUPT; BytesError where the chunk ends early
 */
export function readHistogramLayout(data: Uint8Array, name: string): HistogramChunkLayout {
  const reader = new BitReader(data, HEADER_BYTES);
  const threshold = reader.readBits(8);
  // One byte for 0 and for powers of two from 2^-243 to 2^10; other values follow whole.
  const zeroThreshold = threshold === 255 ? readDouble(reader) : threshold > 0 ? 2 ** (threshold - 244) : 0;
  const schema = readVarbitInt(reader);
  const positiveSpans = readSpans(reader, name);
  const negativeSpans = readSpans(reader, name);
  if (schema !== CUSTOM_BUCKETS_SCHEMA && (schema < SCHEMA_MIN || schema > SCHEMA_MAX_RESERVED)) throw damaged(name, `unknown schema ${schema}`);
  const customBounds = schema === CUSTOM_BUCKETS_SCHEMA ? readCustomBounds(reader, name) : new Float64Array(0);
  const positiveBuckets = spanBuckets(positiveSpans);
  const negativeBuckets = spanBuckets(negativeSpans);
  // A bucket takes a bit at least: more of them than that are damage, and must not become an allocation.
  const buckets = positiveBuckets + negativeBuckets;
  if (buckets > reader.bitsLeft) throw damaged(name, `${buckets} buckets in ${reader.bitsLeft} bits`);
  const endBit = reader.bitOffset;
  // A copy, which `slice` of Node's buffers is not.
  const bytes = new Uint8Array(data.subarray(HEADER_BYTES, Math.ceil(endBit / 8)));
  if ((endBit & 7) > 0) bytes[bytes.length - 1]! &= 0xff << (8 - (endBit & 7));
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds, positiveBuckets, negativeBuckets, endBit, bytes };
}

/** Whether a chunk begins with this layout, and has room for its buckets. */
export function hasLayout(data: Uint8Array, { bytes, endBit, positiveBuckets, negativeBuckets }: HistogramChunkLayout): boolean {
  const last = bytes.length - 1;
  if (last < 0 || data.length * 8 < endBit + positiveBuckets + negativeBuckets) return false;
  for (let i = 0; i < last; i++) if (data[HEADER_BYTES + i] !== bytes[i]) return false;
  return ((data[HEADER_BYTES + last]! ^ bytes[last]!) & (0xff << ((8 - (endBit & 7)) & 7)) & 0xff) === 0;
}

function readDouble(reader: BitReader): number {
  reader.readBits64(64);
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, reader.hi);
  view.setUint32(4, reader.lo);
  return view.getFloat64(0);
}

function readSpans(reader: BitReader, name: string): Int32Array {
  const count = readVarbitUint(reader);
  if (count * 2 > reader.bitsLeft) throw damaged(name, `${count} spans in ${reader.bitsLeft} bits`);
  const spans = new Int32Array(count * 2);
  for (let i = 0; i < count; i++) {
    const length = readVarbitUint(reader);
    const offset = readVarbitInt(reader);
    if (length > 0x7fffffff || Math.abs(offset) > 0x7fffffff) throw damaged(name, `span of ${length} buckets at offset ${offset}`);
    spans[i * 2] = offset;
    spans[i * 2 + 1] = length;
  }
  return spans;
}

function readCustomBounds(reader: BitReader, name: string): Float64Array {
  const count = readVarbitUint(reader);
  if (count > reader.bitsLeft) throw damaged(name, `${count} custom bounds in ${reader.bitsLeft} bits`);
  const bounds = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    // Thousandths plus one; 0 says that the bound follows whole.
    const bound = readVarbitUint(reader);
    bounds[i] = bound === 0 ? readDouble(reader) : (bound - 1) / 1000;
  }
  return bounds;
}

function spanBuckets(spans: Int32Array): number {
  let buckets = 0;
  for (let i = 1; i < spans.length; i += 2) buckets += spans[i]!;
  return buckets;
}
