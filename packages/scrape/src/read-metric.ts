/**
 * One metric of a protobuf exposition, read into fields that the next one reuses:
 *
 *   Metric    label*  gauge | counter | summary | untyped | histogram  timestamp_ms
 *
 * Only the part that the family's type names is looked at. Sub-messages are kept as byte ranges until somebody asks for them: exemplars are asked
 * for rarely. Source: prometheus/client_model io/prometheus/client/metrics.proto.
 */
import { ProtoError, WireReader } from '@gauntlet/proto';

/** Types of metrics by their numbers in the message. */
export const PROTO_METRIC_TYPES = ['counter', 'gauge', 'summary', 'unknown', 'histogram', 'gaugehistogram'] as const;
/** One of them. */
export type ProtoMetricType = (typeof PROTO_METRIC_TYPES)[number];

/** Field of Metric that has the value of a type. */
const VALUE_FIELD: Readonly<Record<ProtoMetricType, number>> = { gauge: 2, counter: 3, summary: 4, unknown: 5, histogram: 7, gaugehistogram: 7 };

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/** A range of the exposition's bytes; start −1 where there is none. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Spans of one sign, and its buckets as differences (whole counts) or as they are (floats). */
export interface BucketSide {
  readonly offsets: number[];
  readonly lengths: number[];
  readonly deltas: number[];
  readonly counts: number[];
}

/** See the head of this file. Arrays are reused; all bytes are offsets into the exposition. */
export class MetricReader {
  /** Per label: name start, name end, value start, value end; as far as `labelsEnd`, what follows is of an earlier metric. */
  readonly labels: number[] = [];
  labelsEnd = 0;
  /** 0 = none. */
  timestampMs = 0;
  /** Of a counter, gauge or untyped metric. */
  value = 0;
  /** 0 = not said. */
  startMs = 0;
  /** Of a summary or histogram. `countIsExact` says whether the whole count is below 2^53. */
  count = 0;
  countIsExact = true;
  countFloat = 0;
  sum = 0;
  /** Quantiles of a summary, upper bounds of the classic buckets of a histogram; and their values or cumulative counts. */
  readonly bounds: number[] = [];
  readonly boundValues: number[] = [];
  /** Exemplar of each classic bucket: start and end, −1 −1 where there is none. */
  readonly bucketExemplars: number[] = [];
  schema = 0;
  zeroThreshold = 0;
  zeroCount = 0;
  zeroCountIsExact = true;
  zeroCountFloat = 0;
  readonly positive: BucketSide = { offsets: [], lengths: [], deltas: [], counts: [] };
  readonly negative: BucketSide = { offsets: [], lengths: [], deltas: [], counts: [] };
  /** Exemplars of the native histogram: start and end. */
  readonly nativeExemplars: number[] = [];
  /** Exemplar of a counter. */
  readonly exemplar: ByteRange = { start: -1, end: -1 };

  /** Whether there is something of a native histogram: a span, or a zero bucket of some width or count. */
  get isNative(): boolean {
    return this.positive.offsets.length > 0 || this.negative.offsets.length > 0 || this.zeroThreshold > 0 || this.zeroCount > 0;
  }

  /** Whether the native histogram has counts that need not be whole. */
  get isFloat(): boolean {
    return this.countFloat > 0 || this.zeroCountFloat > 0;
  }

  /**
   * Reads a metric.
   * @param wire at the first field of the message, which ends at `wire.end`
   * @throws ProtoError
   */
  read(wire: WireReader, type: ProtoMetricType): void {
    this.#reset();
    const wanted = (VALUE_FIELD[type] << 3) | BYTES;
    for (;;) {
      const tag = wire.tag();
      if (tag === 0) return;
      if (tag === ((1 << 3) | BYTES)) this.#readLabel(wire);
      else if (tag === ((6 << 3) | VARINT)) this.timestampMs = wire.int64();
      else if (tag === wanted) {
        const outer = wire.enter();
        if (type === 'histogram' || type === 'gaugehistogram') this.#readHistogram(wire);
        else if (type === 'summary') this.#readSummary(wire);
        else this.#readValue(wire, type === 'counter');
        wire.leave(outer);
      } else passOver(wire, tag, 0b1111_1110);
    }
  }

  #reset(): void {
    this.labelsEnd = 0;
    this.timestampMs = 0;
    this.value = 0;
    this.startMs = 0;
    this.count = 0;
    this.countIsExact = true;
    this.countFloat = 0;
    this.sum = 0;
    // Emptying an array gives its memory away, even if it has none in use.
    if (this.bounds.length > 0) this.bounds.length = this.boundValues.length = this.bucketExemplars.length = 0;
    this.schema = 0;
    this.zeroThreshold = 0;
    this.zeroCount = 0;
    this.zeroCountIsExact = true;
    this.zeroCountFloat = 0;
    emptySide(this.positive);
    emptySide(this.negative);
    if (this.nativeExemplars.length > 0) this.nativeExemplars.length = 0;
    this.exemplar.start = this.exemplar.end = -1;
  }

  /** Offsets of name and value; an absent one is empty. */
  #readLabel(wire: WireReader): void {
    const outer = wire.enter();
    this.labelsEnd = readLabelPair(wire, this.labels, this.labelsEnd);
    wire.leave(outer);
  }

  #readValue(wire: WireReader, isCounter: boolean): void {
    for (;;) {
      const tag = wire.tag();
      if (tag === 0) return;
      if (tag === ((1 << 3) | FIXED64)) this.value = readDouble(wire);
      else if (isCounter && tag === ((2 << 3) | BYTES)) takeRange(wire, this.exemplar);
      else if (isCounter && tag === ((3 << 3) | BYTES)) this.startMs = readTimestamp(wire);
      else passOver(wire, tag, isCounter ? 0b1110 : 0b10);
    }
  }

  #readSummary(wire: WireReader): void {
    for (;;) {
      const tag = wire.tag();
      if (tag === 0) return;
      if (tag === ((1 << 3) | VARINT)) this.count = readCount(wire);
      else if (tag === ((2 << 3) | FIXED64)) this.sum = readDouble(wire);
      else if (tag === ((3 << 3) | BYTES)) {
        const outer = wire.enter();
        this.#readQuantile(wire);
        wire.leave(outer);
      } else if (tag === ((4 << 3) | BYTES)) this.startMs = readTimestamp(wire);
      else passOver(wire, tag, 0b11110);
    }
  }

  #readQuantile(wire: WireReader): void {
    let quantile = 0;
    let value = 0;
    for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
      if (tag === ((1 << 3) | FIXED64)) quantile = readDouble(wire);
      else if (tag === ((2 << 3) | FIXED64)) value = readDouble(wire);
      else passOver(wire, tag, 0b110);
    }
    this.bounds.push(quantile);
    this.boundValues.push(value);
  }

  #readHistogram(wire: WireReader): void {
    for (;;) {
      const tag = wire.tag();
      switch (tag) {
        case 0:
          return;
        case (1 << 3) | VARINT:
          this.count = readCount(wire);
          this.countIsExact = isExact(wire);
          break;
        case (2 << 3) | FIXED64:
          this.sum = readDouble(wire);
          break;
        case (3 << 3) | BYTES: {
          const outer = wire.enter();
          this.#readBucket(wire);
          wire.leave(outer);
          break;
        }
        case (4 << 3) | FIXED64:
          this.countFloat = readDouble(wire);
          break;
        case (5 << 3) | VARINT:
          this.schema = wire.sint32();
          break;
        case (6 << 3) | FIXED64:
          this.zeroThreshold = readDouble(wire);
          break;
        case (7 << 3) | VARINT:
          this.zeroCount = readCount(wire);
          this.zeroCountIsExact = isExact(wire);
          break;
        case (8 << 3) | FIXED64:
          this.zeroCountFloat = readDouble(wire);
          break;
        case (9 << 3) | BYTES:
          readSpan(wire, this.negative);
          break;
        case (10 << 3) | VARINT:
        case (10 << 3) | BYTES:
          readNumbers(wire, tag, this.negative.deltas);
          break;
        case (11 << 3) | FIXED64:
        case (11 << 3) | BYTES:
          readNumbers(wire, tag, this.negative.counts);
          break;
        case (12 << 3) | BYTES:
          readSpan(wire, this.positive);
          break;
        case (13 << 3) | VARINT:
        case (13 << 3) | BYTES:
          readNumbers(wire, tag, this.positive.deltas);
          break;
        case (14 << 3) | FIXED64:
        case (14 << 3) | BYTES:
          readNumbers(wire, tag, this.positive.counts);
          break;
        case (15 << 3) | BYTES:
          this.startMs = readTimestamp(wire);
          break;
        case (16 << 3) | BYTES: {
          const bytes = wire.length();
          const start = wire.skipBytes(bytes);
          this.nativeExemplars.push(start, start + bytes);
          break;
        }
        default:
          passOver(wire, tag, 0x1fffe);
      }
    }
  }

  #readBucket(wire: WireReader): void {
    let count = 0;
    let countFloat = 0;
    let bound = 0;
    const exemplar = { start: -1, end: -1 };
    for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
      if (tag === ((1 << 3) | VARINT)) count = readCount(wire);
      else if (tag === ((2 << 3) | FIXED64)) bound = readDouble(wire);
      else if (tag === ((3 << 3) | BYTES)) takeRange(wire, exemplar);
      else if (tag === ((4 << 3) | FIXED64)) countFloat = readDouble(wire);
      else passOver(wire, tag, 0b11110);
    }
    this.bounds.push(bound);
    this.boundValues.push(countFloat === 0 ? count : countFloat);
    this.bucketExemplars.push(exemplar.start, exemplar.end);
  }
}

function emptySide(side: BucketSide): void {
  if (side.offsets.length > 0) side.offsets.length = side.lengths.length = 0;
  if (side.deltas.length > 0) side.deltas.length = 0;
  if (side.counts.length > 0) side.counts.length = 0;
}

/** Reads a LabelPair, to `wire.end`: name start, name end, value start, value end from `out[at]` on. @returns the end of these @throws ProtoError */
export function readLabelPair(wire: WireReader, out: number[], at: number): number {
  let nameStart = wire.pos;
  let nameEnd = nameStart;
  let valueStart = nameStart;
  let valueEnd = nameStart;
  for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
    if (tag !== ((1 << 3) | BYTES) && tag !== ((2 << 3) | BYTES)) {
      passOver(wire, tag, 0b110);
      continue;
    }
    const bytes = wire.length();
    const start = wire.skipBytes(bytes);
    if (tag === ((1 << 3) | BYTES)) {
      nameStart = start;
      nameEnd = start + bytes;
    } else {
      valueStart = start;
      valueEnd = start + bytes;
    }
  }
  out[at] = nameStart;
  out[at + 1] = nameEnd;
  out[at + 2] = valueStart;
  out[at + 3] = valueEnd;
  return at + 4;
}

/** Reads a google.protobuf.Timestamp. @returns ms since 1970, what is below a millisecond cut off @throws ProtoError */
export function readTimestamp(wire: WireReader): number {
  const outer = wire.enter();
  let seconds = 0;
  let nanos = 0;
  for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
    if (tag === ((1 << 3) | VARINT)) seconds = wire.int64();
    else if (tag === ((2 << 3) | VARINT)) nanos = wire.int32();
    else passOver(wire, tag, 0b110);
  }
  wire.leave(outer);
  const ms = seconds * 1000 + Math.trunc(nanos / 1_000_000);
  if (!Number.isSafeInteger(ms)) throw new ProtoError('ERR_PROTO_VALUE', `read protobuf: timestamp of ${seconds} s is out of range at offset ${wire.pos}`, wire.pos);
  return ms;
}

/** Steps over an unknown field. @param known bit per field number of the message: their wire types are checked @throws ProtoError */
export function passOver(wire: WireReader, tag: number, known: number): void {
  const number = tag >>> 3;
  if (number < 32 && ((known >>> number) & 1) === 1) throw wire.wireType(tag, 'field');
  wire.skip(tag);
}

/** A uint64 as the nearest float; `wire` has its words afterwards. */
function readCount(wire: WireReader): number {
  wire.words64();
  return wire.hi * 0x1_0000_0000 + wire.lo;
}

/** Whether the uint64 just read is below 2^53. */
function isExact(wire: WireReader): boolean {
  return wire.hi < 0x20_0000;
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
double[0] = 1;
/** Index of the high word of a double in memory. */
const HIGH = words[1] === 0 ? 0 : 1;

/** A double without a view of its own: called per sample and bucket. */
function readDouble(wire: WireReader): number {
  wire.fixed64Words();
  words[1 - HIGH] = wire.lo;
  words[HIGH] = wire.hi;
  return double[0]!;
}

function takeRange(wire: WireReader, range: ByteRange): void {
  const bytes = wire.length();
  range.start = wire.skipBytes(bytes);
  range.end = range.start + bytes;
}

function readSpan(wire: WireReader, side: BucketSide): void {
  const outer = wire.enter();
  let offset = 0;
  let length = 0;
  for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
    if (tag === ((1 << 3) | VARINT)) offset = wire.sint32();
    else if (tag === ((2 << 3) | VARINT)) length = wire.uint32();
    else passOver(wire, tag, 0b110);
  }
  wire.leave(outer);
  side.offsets.push(offset);
  side.lengths.push(length);
}

/** Repeated sint64 or double, packed or one by one. */
function readNumbers(wire: WireReader, tag: number, out: number[]): void {
  const number = tag >>> 3;
  const areDoubles = number === 11 || number === 14;
  if ((tag & 7) !== BYTES) {
    out.push(areDoubles ? readDouble(wire) : wire.sint64());
    return;
  }
  const outer = wire.enter();
  while (wire.pos < wire.end) out.push(areDoubles ? readDouble(wire) : wire.sint64());
  wire.leave(outer);
}
