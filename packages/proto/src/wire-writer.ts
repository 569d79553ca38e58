/**
 * Writes protobuf wire format into one growing buffer. The length of a nested message is not known before its fields are
 * written: `open` leaves one byte for it, `close` writes the length and moves the fields when it needs more.
 * Zero scalars are left out by the callers, as proto3 has it. MIN_TIME_MS and MAX_TIME_MS are written as the int64 limits.
 * Source: protobuf.dev "Encoding".
 */
import { utf8EncodeInto } from '@gauntlet/bytes';
import { ProtoError } from './errors.ts';
import { MAX_TIME_MS, MIN_TIME_MS } from './wire-reader.ts';

/** Bytes that the varint of `n` (up to 32 bits) takes. */
export function uint32Length(n: number): number {
  return n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : n < 0x10000000 ? 4 : 5;
}

/** Bytes that {@link WireWriter.int64} takes for `n`. */
export function int64Length(n: number): number {
  if (n < 0) return 10;
  if (n < 0x80000000) return uint32Length(n);
  // 2^35, 2^42, 2^49: timestamps of our time take six bytes.
  if (n < 0x800000000) return 5;
  if (n < 0x40000000000) return 6;
  if (n < 0x2000000000000) return 7;
  return n >= MAX_TIME_MS ? 9 : 8;
}

/** Append-only buffer. `bytes()` is a view that the next write or reset may change; `take()` copies. */
export class WireWriter {
  buffer: Uint8Array;
  pos = 0;

  constructor(initialBytes = 256) {
    this.buffer = new Uint8Array(initialBytes);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const wanted = this.pos + count;
    if (wanted <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.buffer.length * 2));
    grown.set(this.buffer.subarray(0, this.pos));
    this.buffer = grown;
  }

  reset(): void {
    this.pos = 0;
  }

  /** View of what was written. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.pos);
  }

  /** Copy of what was written. */
  take(): Uint8Array {
    return this.buffer.slice(0, this.pos);
  }

  byte(b: number): void {
    this.reserve(1);
    this.buffer[this.pos++] = b;
  }

  uint32(n: number): void {
    this.reserve(5);
    let rest = n >>> 0;
    while (rest >= 0x80) {
      this.buffer[this.pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.pos++] = rest;
  }

  /** A 64-bit varint from its halves. */
  words64(lo: number, hi: number): void {
    this.reserve(10);
    let low = lo >>> 0;
    let high = hi >>> 0;
    while (high !== 0 || low >= 0x80) {
      this.buffer[this.pos++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.buffer[this.pos++] = low;
  }

  /** @throws ProtoError ERR_PROTO_VALUE if `n` is not an integer */
  int64(n: number): void {
    if (n >= 0x10000000 && n < 0x100000000000000 && n < MAX_TIME_MS && Number.isInteger(n)) {
      // 28 bits at once keep timestamps off 64-bit arithmetic.
      this.reserve(10);
      const out = this.buffer;
      let low = n % 0x10000000;
      let high = (n - low) / 0x10000000;
      let p = this.pos;
      for (let i = 0; i < 4; i++) {
        out[p++] = (low & 0x7f) | 0x80;
        low >>>= 7;
      }
      while (high >= 0x80) {
        out[p++] = (high & 0x7f) | 0x80;
        high >>>= 7;
      }
      out[p++] = high;
      this.pos = p;
      return;
    }
    if (n >= MAX_TIME_MS) return this.words64(0xffffffff, 0x7fffffff);
    if (n <= MIN_TIME_MS) return this.words64(0, 0x80000000);
    if (!Number.isSafeInteger(n)) throw new ProtoError('ERR_PROTO_VALUE', `write protobuf: int64 field got ${n}`);
    this.words64(n >>> 0, Math.floor(n / 0x100000000) >>> 0);
  }

  /** int32 and enums: negative ones take ten bytes. */
  int32(n: number): void {
    this.words64(n >>> 0, n < 0 ? 0xffffffff : 0);
  }

  sint32(n: number): void {
    this.uint32((n << 1) ^ (n >> 31));
  }

  /** @param n safe integer */
  sint64(n: number): void {
    const magnitude = n < 0 ? -n - 1 : n;
    const lo = (magnitude * 2) >>> 0;
    this.words64(n < 0 ? (lo | 1) >>> 0 : lo, Math.floor(magnitude / 0x80000000) >>> 0);
  }

  double(value: number): void {
    this.reserve(8);
    new DataView(this.buffer.buffer, this.buffer.byteOffset + this.pos, 8).setFloat64(0, value, true);
    this.pos += 8;
  }

  /** Little-endian 64-bit words: a double with its NaN payload. */
  fixed64Words(lo: number, hi: number): void {
    this.reserve(8);
    const view = new DataView(this.buffer.buffer, this.buffer.byteOffset + this.pos, 8);
    view.setUint32(0, lo, true);
    view.setUint32(4, hi, true);
    this.pos += 8;
  }

  /** Bytes as they are, no length. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.pos);
    this.pos += bytes.length;
  }

  /** Length and bytes. */
  lengthDelimited(bytes: Uint8Array): void {
    this.uint32(bytes.length);
    this.raw(bytes);
  }

  /** Length and UTF-8 text. */
  string(text: string): void {
    const mark = this.open();
    this.reserve(text.length * 3);
    this.pos += utf8EncodeInto(text, this.buffer, this.pos);
    this.close(mark);
  }

  /** Starts a length-delimited value; give the result to {@link close}. */
  open(): number {
    this.reserve(1);
    return ++this.pos;
  }

  /** Writes the length in front of what was written since {@link open}. */
  close(mark: number): void {
    const length = this.pos - mark;
    const prefix = uint32Length(length);
    if (prefix > 1) {
      this.reserve(prefix - 1);
      this.buffer.copyWithin(mark - 1 + prefix, mark, this.pos);
    }
    // In place: `reserve` would give up what lies behind `pos`.
    let at = mark - 1;
    let rest = length;
    for (; rest >= 0x80; rest >>>= 7) this.buffer[at++] = (rest & 0x7f) | 0x80;
    this.buffer[at] = rest;
    this.pos = mark - 1 + prefix + length;
  }
}
