/**
 * A cursor over protobuf wire format. Nested messages narrow `end` and put it back:
 *
 *   const outer = r.enter(); while ((tag = r.tag()) !== 0) …; r.leave(outer)
 *
 * int64 fields come out as safe integers. The API uses the int64 limits as "no limit"; whatever lies past ±(2^53-1) is clamped
 * to MIN_TIME_MS / MAX_TIME_MS here, and those two are written as the int64 limits again (wire-writer.ts).
 * Source: protobuf.dev "Encoding".
 */
import { utf8Decode } from '@gauntlet/bytes';
import { ProtoError } from './errors.ts';

/** Stands for int64 minimum: "since ever". */
export const MIN_TIME_MS: number = Number.MIN_SAFE_INTEGER;
/** Stands for int64 maximum: "for ever". */
export const MAX_TIME_MS: number = Number.MAX_SAFE_INTEGER;

/** Wire types of protobuf. Groups (3, 4) are refused. */
export const WIRE = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;

const TWO_28 = 0x10000000;

/** Reads fields in place; never copies, never retains more than `bytes`. All methods throw {@link ProtoError}. */
export class WireReader {
  bytes: Uint8Array = new Uint8Array(0);
  pos = 0;
  /** Exclusive end of the message being read. */
  end = 0;
  /** Low and high half of the last {@link words64}. */
  lo = 0;
  hi = 0;

  /** Points the cursor at `bytes[start, end)`. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
    return this;
  }

  /** Next tag (field number << 3 | wire type), or 0 at the end of the message. */
  tag(): number {
    if (this.pos >= this.end) return 0;
    const at = this.pos;
    const tag = this.uint32();
    if (tag < 8) throw new ProtoError('ERR_PROTO_WIRE_TYPE', `read protobuf: field number 0 at offset ${at}`, at);
    return tag;
  }

  /** Varint up to 32 bits, as tags and lengths are. */
  uint32(): number {
    const bytes = this.bytes;
    let p = this.pos;
    let b = bytes[p++]!;
    let n = b & 0x7f;
    let shift = 7;
    while (b >= 0x80) {
      if (shift > 28) return this.#wideUint32();
      b = bytes[p++]!;
      n |= (b & 0x7f) << shift;
      shift += 7;
    }
    if (p > this.end) throw this.truncated();
    this.pos = p;
    return n >>> 0;
  }

  /** The rare forms: five bytes with bits past 32, or padded to ten. */
  #wideUint32(): number {
    const at = this.pos;
    this.words64();
    if (this.hi !== 0) throw new ProtoError('ERR_PROTO_VARINT', `read protobuf: varint past 32 bits at offset ${at}`, at);
    return this.lo;
  }

  /** Varint up to 64 bits into `lo` and `hi`, both unsigned. */
  words64(): void {
    const bytes = this.bytes;
    const at = this.pos;
    let p = at;
    let lo = 0;
    let hi = 0;
    for (let i = 0; i < 10; i++) {
      if (p >= this.end) throw this.truncated();
      const b = bytes[p++]!;
      const bits = b & 0x7f;
      if (i < 4) lo |= bits << (7 * i);
      else if (i === 4) {
        lo |= bits << 28;
        hi = bits >>> 4;
      } else hi |= bits << (7 * i - 32);
      if (b < 0x80) {
        this.pos = p;
        this.lo = lo >>> 0;
        this.hi = hi >>> 0;
        return;
      }
    }
    throw new ProtoError('ERR_PROTO_VARINT', `read protobuf: varint longer than 10 bytes at offset ${at}`, at);
  }

  /** int64 as a safe integer, clamped to MIN_TIME_MS and MAX_TIME_MS. */
  int64(): number {
    const bytes = this.bytes;
    let p = this.pos;
    // Two spans of 28 bits cover every timestamp before the year 10000 without touching 64-bit arithmetic.
    let b = bytes[p++]!;
    let low = b & 0x7f;
    for (let shift = 7; b >= 0x80 && shift < 28; shift += 7) {
      b = bytes[p++]!;
      low |= (b & 0x7f) << shift;
    }
    if (b < 0x80) {
      if (p > this.end) throw this.truncated();
      this.pos = p;
      return low;
    }
    let mid = 0;
    for (let shift = 0; b >= 0x80 && shift < 28; shift += 7) {
      b = bytes[p++]!;
      mid |= (b & 0x7f) << shift;
    }
    if (b < 0x80) {
      if (p > this.end) throw this.truncated();
      this.pos = p;
      const n = low + mid * TWO_28;
      return n > MAX_TIME_MS ? MAX_TIME_MS : n;
    }
    this.words64();
    const high = this.hi | 0;
    const n = high * 0x100000000 + this.lo;
    return n > MAX_TIME_MS ? MAX_TIME_MS : n < MIN_TIME_MS ? MIN_TIME_MS : n;
  }

  /** sint64 (zig-zag) as a safe integer, clamped as {@link int64}. */
  sint64(): number {
    this.words64();
    const odd = (this.lo & 1) === 1;
    const half = Math.floor(this.hi / 2) * 0x100000000 + (((this.lo >>> 1) | (this.hi << 31)) >>> 0);
    const n = odd ? -half - 1 : half;
    return n > MAX_TIME_MS ? MAX_TIME_MS : n < MIN_TIME_MS ? MIN_TIME_MS : n;
  }

  /** int32 and enums: ten bytes on the wire when negative. */
  int32(): number {
    this.words64();
    return this.lo | 0;
  }

  /** sint32 (zig-zag). */
  sint32(): number {
    const n = this.uint32();
    return (n >>> 1) ^ -(n & 1);
  }

  bool(): boolean {
    this.words64();
    return this.lo !== 0 || this.hi !== 0;
  }

  /** Little-endian double. Use {@link fixed64Words} where NaN payloads matter. */
  double(): number {
    const at = this.skipBytes(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getFloat64(0, true);
  }

  /** Little-endian 64-bit words into `lo` and `hi`. */
  fixed64Words(): void {
    const p = this.skipBytes(8);
    const b = this.bytes;
    this.lo = (b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24)) >>> 0;
    this.hi = (b[p + 4]! | (b[p + 5]! << 8) | (b[p + 6]! << 16) | (b[p + 7]! << 24)) >>> 0;
  }

  /** Reads a length and checks that so many bytes follow; `pos` is then at the first of them. */
  length(): number {
    const n = this.uint32();
    if (n > this.end - this.pos) throw this.truncated();
    return n;
  }

  /** Steps over `count` bytes and returns where they began. */
  skipBytes(count: number): number {
    const at = this.pos;
    if (count > this.end - at) throw this.truncated();
    this.pos = at + count;
    return at;
  }

  /** Length-delimited field as a view into the message. */
  view(): Uint8Array {
    const n = this.length();
    const at = this.skipBytes(n);
    return this.bytes.subarray(at, at + n);
  }

  /** Length-delimited field as text. */
  string(): string {
    const n = this.length();
    const at = this.skipBytes(n);
    return utf8Decode(this.bytes, at, at + n);
  }

  /** Enters a nested message; pass the result to {@link leave} once its fields are read. */
  enter(): number {
    const n = this.length();
    const outer = this.end;
    this.end = this.pos + n;
    return outer;
  }

  leave(outer: number): void {
    this.end = outer;
  }

  /** Steps over the value of an unknown field. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WIRE.varint:
        this.words64();
        return;
      case WIRE.fixed64:
        this.skipBytes(8);
        return;
      case WIRE.lengthDelimited:
        this.skipBytes(this.length());
        return;
      case WIRE.fixed32:
        this.skipBytes(4);
        return;
      default:
        throw this.wireType(tag, 'unknown field');
    }
  }

  /** The error for a tag whose wire type does not fit. */
  wireType(tag: number, what: string): ProtoError {
    return new ProtoError('ERR_PROTO_WIRE_TYPE', `read protobuf: ${what} ${tag >>> 3} has wire type ${tag & 7} at offset ${this.pos}`, this.pos);
  }

  truncated(): ProtoError {
    return new ProtoError('ERR_PROTO_TRUNCATED', `read protobuf: message ends inside a field at offset ${this.pos} of ${this.end}`, this.pos);
  }
}
