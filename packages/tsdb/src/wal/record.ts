/**
 * Records of the log. The first byte is the type:
 *
 *   1 series       (u64 ref, uvarint labels, (name, value)…)…
 *   2 samples      u64 first ref, u64 first t │ (varint ref − first, varint t − first, u64 value bits)…
 *   3 tombstones   (u64 ref, varint mint, varint maxt)…
 *   11 with start  varint ref, varint t, varint start, u64 bits │ (varint ref − previous, varint t − first, start, u64 bits)…
 *     start          0 = none │ 1 = as before │ 2, varint start − first
 *   7–10, 12, 13   native histograms: histogram-record.ts
 *   others         exemplars, metadata: counted, not read
 *
 * Samples go in and out as columns. Source: Prometheus tsdb/docs/format/wal.md, tsdb/record/record.go.
 */
import { ByteReader, type GrowableBytes, writeVarint } from '@gauntlet/bytes';
import type { SymbolTable } from '../head/symbol-table.ts';
import { TsdbError } from '../errors.ts';

/** Record types. */
export const RECORD = {
  series: 1,
  samples: 2,
  tombstones: 3,
  exemplars: 4,
  mmapMarkers: 5,
  metadata: 6,
  histograms: 7,
  floatHistograms: 8,
  customHistograms: 9,
  customFloatHistograms: 10,
  samplesWithStart: 11,
  histogramsWithStart: 12,
  floatHistogramsWithStart: 13,
} as const;

/** Names of all types of Prometheus 3.14, for reports. */
export const RECORD_NAMES: readonly string[] = [
  'unknown',
  'series',
  'samples',
  'tombstones',
  'exemplars',
  'mmap markers',
  'metadata',
  'histogram samples',
  'float histogram samples',
  'custom-bucket histogram samples',
  'custom-bucket float histogram samples',
  'samples with start timestamps',
  'histogram samples with start timestamps',
  'float histogram samples with start timestamps',
];

/** Samples as columns, growing. Values are kept as bits. */
export class SampleColumns {
  count = 0;
  refs: Float64Array = new Float64Array(256);
  /** Slots in the head, where whoever fills the columns knows them; 0 otherwise. */
  slots: Int32Array = new Int32Array(256);
  timesMs: Float64Array = new Float64Array(256);
  high: Uint32Array = new Uint32Array(256);
  low: Uint32Array = new Uint32Array(256);
  /** Start timestamps, 0 = not known; empty as long as no sample has had one. */
  starts: Float64Array = new Float64Array(0);

  push(ref: number, timeMs: number, high: number, low: number, startMs: number = 0, slot: number = 0): void {
    const i = this.count;
    if (i === this.refs.length) this.#grow(i + 1);
    this.refs[i] = ref;
    this.slots[i] = slot;
    this.timesMs[i] = timeMs;
    this.high[i] = high;
    this.low[i] = low;
    if (startMs !== 0 || this.starts.length > 0) this.#putStart(i, startMs);
    this.count = i + 1;
  }

  /** Start timestamp of sample `i`, 0 when it is not known. */
  start(i: number): number {
    return this.starts.length > 0 ? this.starts[i]! : 0;
  }

  reset(): void {
    this.count = 0;
  }

  /** Makes room for `more` samples, so that the columns can be filled without `push`. */
  reserve(more: number): void {
    if (this.count + more > this.refs.length) this.#grow(this.count + more);
  }

  /** Replaces sample `i`, which is there; the count stays. */
  put(i: number, ref: number, timeMs: number, high: number, low: number, startMs: number = 0, slot: number = 0): void {
    this.refs[i] = ref;
    this.slots[i] = slot;
    this.timesMs[i] = timeMs;
    this.high[i] = high;
    this.low[i] = low;
    if (startMs !== 0 || this.starts.length > 0) this.#putStart(i, startMs);
  }

  #putStart(i: number, startMs: number): void {
    if (this.starts.length < this.refs.length) {
      const starts = new Float64Array(this.refs.length);
      starts.set(this.starts);
      this.starts = starts;
    }
    this.starts[i] = startMs;
  }

  #grow(count: number): void {
    let size = this.refs.length * 2;
    while (size < count) size *= 2;
    const refs = new Float64Array(size);
    refs.set(this.refs);
    const slots = new Int32Array(size);
    slots.set(this.slots);
    const times = new Float64Array(size);
    times.set(this.timesMs);
    const high = new Uint32Array(size);
    high.set(this.high);
    const low = new Uint32Array(size);
    low.set(this.low);
    this.refs = refs;
    this.slots = slots;
    this.timesMs = times;
    this.high = high;
    this.low = low;
  }
}

/** Appends a samples record of all samples; nothing when there are none. @param withStarts with start timestamps, type 11 */
export function encodeSamplesRecord(samples: SampleColumns, out: GrowableBytes, withStarts: boolean = false): void {
  if (samples.count === 0) return;
  if (withStarts) {
    out.putU8(RECORD.samplesWithStart);
    const prefix = new StartTimestampPrefix(out);
    for (let i = 0; i < samples.count; i++) {
      prefix.put(samples.refs[i]!, samples.timesMs[i]!, samples.start(i));
      out.putBE32(samples.high[i]!);
      out.putBE32(samples.low[i]!);
    }
    return;
  }
  const firstRef = samples.refs[0]!;
  const firstTime = samples.timesMs[0]!;
  out.putU8(RECORD.samples);
  out.putBE64(firstRef);
  out.putBE64(firstTime);
  const start = out.length;
  out.advance(putSamples(samples, firstRef, firstTime, out.room(samples.count * SAMPLE_ENTRY_BYTES_MAX), start));
}

/** Two varints and a value. */
const SAMPLE_ENTRY_BYTES_MAX = 28;

/** Writes entries of a samples record at `at`, where there is room for them. Returns the end. */
function putSamples({ count, refs, timesMs, high, low }: SampleColumns, firstRef: number, firstTime: number, out: Uint8Array, at: number): number {
  for (let i = 0; i < count; i++) {
    at = putDifference(refs[i]! - firstRef, out, at);
    at = putDifference(timesMs[i]! - firstTime, out, at);
    const [a, b] = [high[i]!, low[i]!];
    out[at] = a >>> 24;
    out[at + 1] = a >>> 16;
    out[at + 2] = a >>> 8;
    out[at + 3] = a;
    out[at + 4] = b >>> 24;
    out[at + 5] = b >>> 16;
    out[at + 6] = b >>> 8;
    out[at + 7] = b;
    at += 8;
  }
  return at;
}

/** Writes a varint, short ones in line. Returns the end. */
function putDifference(value: number, out: Uint8Array, at: number): number {
  // Within 27 bits the zig-zag form fits into 28, which are four bytes at most.
  const small = value | 0;
  if (small !== value || small >= 0x8000000 || small < -0x8000000) return writeVarint(out, at, value);
  let rest = (small << 1) ^ (small >> 31);
  while (rest >= 0x80) {
    out[at++] = rest | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** Begins a series record; entries follow with `putSeries`. */
export function beginSeriesRecord(out: GrowableBytes): void {
  out.putU8(RECORD.series);
}

/** Appends one series to a series record. @param labels flat names and values */
export function putSeries(out: GrowableBytes, ref: number, labels: readonly string[]): void {
  out.putBE64(ref);
  out.putUvarint(labels.length / 2);
  for (const text of labels) out.putUvarintString(text);
}

/** The error of a record that cannot be decoded. */
export function badRecord(type: string, error: unknown): TsdbError {
  return new TsdbError('ERR_WAL_RECORD', `decode WAL record of ${type}: ${(error as Error).message}`, { cause: error });
}

/**
 * Reads a series record, interning its strings.
 * @param visit gets label ids in `ids[0, idCount)`, valid during the call
 * @throws TsdbError ERR_WAL_RECORD
 */
export function decodeSeriesRecord(record: Uint8Array, symbols: SymbolTable, visit: (ref: number, ids: Uint32Array, idCount: number) => void): void {
  const reader = new ByteReader(record, 1);
  let ids = new Uint32Array(64);
  // Series that follow one another share most of their strings: comparing with those of the last one costs less than looking each up.
  let starts = new Uint32Array(64);
  let lengths = new Int32Array(64).fill(-1);
  try {
    while (reader.remaining > 0) {
      const ref = reader.be64();
      const idCount = reader.uvarint() * 2;
      if (idCount > record.length) throw new RangeError(`${idCount / 2} labels in a record of ${record.length} bytes`);
      if (idCount > ids.length) {
        ids = new Uint32Array(idCount * 2);
        starts = new Uint32Array(idCount * 2);
        lengths = new Int32Array(idCount * 2).fill(-1);
      }
      for (let i = 0; i < idCount; i++) {
        const length = reader.uvarint();
        const start = reader.offset;
        reader.skip(length);
        if (length !== lengths[i] || !isRepeated(record, starts[i]!, start, length)) {
          ids[i] = symbols.internBytes(record, start, start + length);
          lengths[i] = length;
        }
        starts[i] = start;
      }
      visit(ref, ids, idCount);
    }
  } catch (error) {
    throw badRecord('series', error);
  }
}

function isRepeated(record: Uint8Array, before: number, at: number, length: number): boolean {
  // Where they differ they mostly do so at the end.
  for (let i = length - 1; i >= 0; i--) if (record[before + i] !== record[at + i]) return false;
  return true;
}

/** Writes what precedes a value in records with start timestamps. */
export class StartTimestampPrefix {
  readonly #out: GrowableBytes;
  #isBegun = false;
  #ref = 0;
  #startMs = 0;
  #firstTimeMs = 0;
  #firstStartMs = 0;

  constructor(out: GrowableBytes) {
    this.#out = out;
  }

  put(ref: number, timeMs: number, startMs: number): void {
    const out = this.#out;
    if (this.#isBegun) {
      out.putVarint(ref - this.#ref);
      out.putVarint(timeMs - this.#firstTimeMs);
      if (startMs === 0) out.putU8(0);
      else if (startMs === this.#startMs) out.putU8(1);
      else {
        out.putU8(2);
        out.putVarint(startMs - this.#firstStartMs);
      }
    } else {
      this.#isBegun = true;
      this.#firstTimeMs = timeMs;
      this.#firstStartMs = startMs;
      out.putVarint(ref);
      out.putVarint(timeMs);
      out.putVarint(startMs);
    }
    this.#ref = ref;
    this.#startMs = startMs;
  }
}

/** What precedes a value in records with start timestamps. */
export class StartTimestampReader {
  ref = 0;
  timeMs = 0;
  startMs = 0;
  #isBegun = false;
  #firstTimeMs = 0;
  #firstStartMs = 0;

  /** Reads up to the value. @throws BytesError */
  next(reader: ByteReader): void {
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.ref = reader.varint();
      this.timeMs = this.#firstTimeMs = reader.varint();
      this.startMs = this.#firstStartMs = reader.varint();
      return;
    }
    this.ref += reader.varint();
    this.timeMs = this.#firstTimeMs + reader.varint();
    const marker = reader.u8();
    if (marker === 0) this.startMs = 0;
    else if (marker !== 1) this.startMs = this.#firstStartMs + reader.varint();
  }
}

/** Reads a record of samples, with or without start timestamps, into `out`, replacing what it held. @throws TsdbError ERR_WAL_RECORD */
export function decodeSamplesRecord(record: Uint8Array, out: SampleColumns): void {
  out.reset();
  const reader = new ByteReader(record, 1);
  try {
    if (record[0] === RECORD.samplesWithStart) {
      const prefix = new StartTimestampReader();
      while (reader.remaining > 0) {
        prefix.next(reader);
        const high = reader.be32();
        out.push(prefix.ref, prefix.timeMs, high, reader.be32(), prefix.startMs);
      }
      return;
    }
    if (reader.remaining === 0) return;
    const firstRef = reader.be64();
    const firstTime = reader.beI64();
    while (reader.remaining > 0) {
      const ref = firstRef + reader.varint();
      const timeMs = firstTime + reader.varint();
      const high = reader.be32();
      out.push(ref, timeMs, high, reader.be32());
    }
  } catch (error) {
    throw badRecord('samples', error);
  }
}

/** The least and the greatest 64-bit number as varints: as deleted range they say that the series was removed. */
const LEAST_VARINT: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
const GREATEST_VARINT: Uint8Array = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);

/**
 * Appends one deleted range to a tombstones record that begins with its type byte.
 * @param mint, maxt ms; −Infinity and Infinity for the bounds of 64 bits
 */
export function putTombstone(out: GrowableBytes, ref: number, mint: number, maxt: number): void {
  out.putBE64(ref);
  if (mint === Number.NEGATIVE_INFINITY) out.putBytes(LEAST_VARINT);
  else out.putVarint(mint);
  if (maxt === Number.POSITIVE_INFINITY) out.putBytes(GREATEST_VARINT);
  else out.putVarint(maxt);
}

/** Reads a varint; one beyond what a number holds exactly is taken as ±Infinity. */
function boundedVarint(reader: ByteReader): number {
  const { source, offset } = reader;
  let bytes = 1;
  while (bytes < 10 && (source[offset + bytes - 1] ?? 0) >= 0x80) bytes++;
  if (bytes < 9) return reader.varint();
  reader.skip(bytes);
  return (source[offset]! & 1) === 1 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/**
 * Reads a tombstones record.
 * @param visit gets ranges with bounds of 2^55 ms and more as ±Infinity; from −Infinity to Infinity: the series was removed
 * @throws TsdbError ERR_WAL_RECORD
 */
export function decodeTombstonesRecord(record: Uint8Array, visit: (ref: number, mint: number, maxt: number) => void): void {
  const reader = new ByteReader(record, 1);
  try {
    while (reader.remaining > 0) visit(reader.be64(), boundedVarint(reader), boundedVarint(reader));
  } catch (error) {
    throw badRecord('tombstones', error);
  }
}
