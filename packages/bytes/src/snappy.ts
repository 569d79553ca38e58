/**
 * Snappy block format (remote write, remote read, WAL records, cached postings).
 *
 *   uvarint length of the plain bytes | elements
 *   element, by the two low bits of its tag:
 *     00 literal   length − 1 in the upper six bits, or 60…63: in the next 1…4 bytes; then the bytes
 *     01 copy      4…11 bytes, offset 11 bits (three in the tag, one byte)
 *     10 copy      1…64 bytes, offset 16 bits little-endian
 *     11 copy      1…64 bytes, offset 32 bits little-endian
 *
 * Source: google/snappy format_description.txt. The encoder is greedy with a 4-byte hash, over windows of 64 KiB.
 */
import { ByteReader } from './byte-reader.ts';
import { BytesError } from './errors.ts';
import { VARINT_BYTES_MAX, writeUvarint } from './varint.ts';

/** Options of `snappyDecode`. */
export interface SnappyDecodeOptions {
  /** Most plain bytes accepted; default 256 MiB. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;
const WINDOW_BYTES = 65536;
const HASH_BITS_MIN = 8;
const HASH_BITS_MAX = 14;
/** Below this the encoder emits one literal: matches need four bytes and slack for the hash reads. */
const MATCH_INPUT_MIN = 16;

/**
 * Decompresses one block.
 * @returns freshly allocated plain bytes
 * @throws BytesError ERR_BYTES_TOO_LARGE when the declared length passes `maxBytes` (before allocating);
 *   ERR_BYTES_SNAPPY, ERR_BYTES_TRUNCATED or ERR_BYTES_VARINT on damage
 */
export function snappyDecode(bytes: Uint8Array, options: SnappyDecodeOptions = {}): Uint8Array {
  const plainBytes = snappyPlainLength(bytes, options);
  const reader = new ByteReader(bytes);
  reader.uvarint();
  const out = new Uint8Array(plainBytes);
  const end = bytes.length;
  let at = reader.offset;
  let to = 0;
  while (at < end) {
    const start = at;
    const tag = bytes[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      let length = tag >>> 2;
      if (length >= 60) {
        const extra = length - 59;
        if (at + extra > end) throw damaged('literal length beyond the end', start);
        length = 0;
        for (let i = extra - 1; i >= 0; i--) length = length * 256 + bytes[at + i]!;
        at += extra;
      }
      length++;
      if (length > end - at) throw damaged(`literal of ${length} bytes, ${end - at} left`, start);
      if (length > plainBytes - to) throw damaged(`literal of ${length} bytes, room for ${plainBytes - to}`, start);
      copyLiteral(bytes, at, out, to, length);
      at += length;
      to += length;
      continue;
    }
    const wide = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    if (at + wide > end) throw damaged('copy offset beyond the end', start);
    let length = (tag >>> 2) + 1;
    let offset: number;
    if (kind === 1) {
      length = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | bytes[at]!;
    } else if (kind === 2) {
      offset = bytes[at]! | (bytes[at + 1]! << 8);
    } else {
      offset = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    }
    at += wide;
    if (offset === 0 || offset > to) throw damaged(`copy from ${offset} bytes back, ${to} written`, start);
    if (length > plainBytes - to) throw damaged(`copy of ${length} bytes, room for ${plainBytes - to}`, start);
    // Source and target may overlap, which repeats the last `offset` bytes; hence byte by byte, forwards.
    for (const stop = to + length; to < stop; to++) out[to] = out[to - offset]!;
  }
  if (to !== plainBytes) throw damaged(`${to} bytes, declared ${plainBytes}`, end);
  return out;
}

/**
 * The declared plain length of a block, checked against the limit and against what a block of this size can hold at most.
 * @throws BytesError as `snappyDecode`
 */
export function snappyPlainLength(bytes: Uint8Array, options: SnappyDecodeOptions = {}): number {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const reader = new ByteReader(bytes);
  const plainBytes = reader.uvarint();
  if (plainBytes > maxBytes) {
    throw new BytesError('ERR_BYTES_TOO_LARGE', `decompress snappy block: declared ${plainBytes} bytes, limit ${maxBytes}`, 0);
  }
  // The densest element is a copy: three bytes for 64.
  if (plainBytes > reader.remaining * 22) throw damaged(`declared ${plainBytes} bytes out of ${reader.remaining}`, 0);
  return plainBytes;
}

/**
 * Compresses into one block.
 * @returns freshly allocated bytes
 */
export function snappyEncode(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(snappyBoundBytes(bytes.length));
  let to = writeUvarint(out, 0, bytes.length);
  for (let start = 0; start < bytes.length; start += WINDOW_BYTES) {
    const end = Math.min(bytes.length, start + WINDOW_BYTES);
    // Emptying a large table would cost more than a short input.
    let bits = HASH_BITS_MIN;
    while (bits < HASH_BITS_MAX && 1 << bits < end - start) bits++;
    const table = new Uint16Array(1 << bits);
    to = encodeWindow(bytes, start, end, table, out, to);
  }
  return out.slice(0, to);
}

/** Most bytes `snappyEncode` can make of `plainBytes`. */
export function snappyBoundBytes(plainBytes: number): number {
  return VARINT_BYTES_MAX + 32 + plainBytes + Math.floor(plainBytes / 6);
}

/** Encodes bytes[start, end), at most 64 KiB; table entries are offsets from `start`. Returns the new end of `out`. */
function encodeWindow(bytes: Uint8Array, start: number, end: number, table: Uint16Array, out: Uint8Array, to: number): number {
  let literalStart = start;
  if (end - start >= MATCH_INPUT_MIN) {
    const stop = end - 15;
    const shift = Math.clz32(table.length) + 1;
    let at = start + 1;
    // The longer nothing matched, the larger the stride: incompressible input stays cheap.
    let skip = 32;
    while (at < stop) {
      const word = le32(bytes, at);
      const slot = Math.imul(word, 0x1e35a7bd) >>> shift;
      const candidate = start + table[slot]!;
      table[slot] = at - start;
      if (candidate >= at || le32(bytes, candidate) !== word) {
        at += skip++ >>> 5;
        continue;
      }
      to = writeLiteral(bytes, literalStart, at, out, to);
      let length = 4;
      while (at + length < end && bytes[candidate + length] === bytes[at + length]) length++;
      to = writeCopy(at - candidate, length, out, to);
      at += length;
      literalStart = at;
      skip = 32;
      if (at < stop) table[Math.imul(le32(bytes, at - 1), 0x1e35a7bd) >>> shift] = at - 1 - start;
    }
  }
  return writeLiteral(bytes, literalStart, end, out, to);
}

function writeLiteral(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  const length = end - start;
  if (length === 0) return to;
  const last = length - 1;
  if (last < 60) {
    out[to++] = last << 2;
  } else if (last < 256) {
    out[to++] = 60 << 2;
    out[to++] = last;
  } else {
    out[to++] = 61 << 2;
    out[to++] = last & 0xff;
    out[to++] = last >>> 8;
  }
  copyLiteral(bytes, start, out, to, length);
  return to + length;
}

function writeCopy(offset: number, length: number, out: Uint8Array, to: number): number {
  while (length >= 68) {
    to = writeCopy16(offset, 64, out, to);
    length -= 64;
  }
  // Leave at least four bytes for the last copy, so that it may use the short form.
  if (length > 64) {
    to = writeCopy16(offset, 60, out, to);
    length -= 60;
  }
  if (length >= 12 || offset >= 2048) return writeCopy16(offset, length, out, to);
  out[to] = 1 | ((length - 4) << 2) | ((offset >>> 8) << 5);
  out[to + 1] = offset & 0xff;
  return to + 2;
}

function writeCopy16(offset: number, length: number, out: Uint8Array, to: number): number {
  out[to] = 2 | ((length - 1) << 2);
  out[to + 1] = offset & 0xff;
  out[to + 2] = offset >>> 8;
  return to + 3;
}

/** Short runs are cheaper in a loop than through `set` with two views. */
function copyLiteral(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length <= 32) {
    for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
  } else {
    to.set(from.subarray(start, start + length), at);
  }
}

function le32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function damaged(what: string, offset: number): BytesError {
  return new BytesError('ERR_BYTES_SNAPPY', `decompress snappy block at offset ${offset}: ${what}`, offset);
}
