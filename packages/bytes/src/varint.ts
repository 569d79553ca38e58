/**
 * Varints as Go's encoding/binary and protobuf write them: seven bits per byte, low group first, bit 7 set on all but the last;
 * at most ten bytes. Signed ones are zig-zag: 0, −1, 1, −2, … → 0, 1, 2, 3, …
 *
 *   300 = 0b10_0101100  →  1010_1100  0000_0010
 *
 * These are the writers and sizes; ByteReader reads.
 */

/** Most bytes a 64-bit varint takes. */
export const VARINT_BYTES_MAX = 10;

/**
 * Writes an unsigned varint.
 * @param value safe integer ≥ 0
 * @returns offset after it; the caller has ten bytes of room
 */
export function writeUvarint(target: Uint8Array, offset: number, value: number): number {
  while (value > 0x7fffffff) {
    target[offset++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  let rest = value | 0;
  while (rest > 0x7f) {
    target[offset++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[offset++] = rest;
  return offset;
}

/**
 * Writes a zig-zag varint.
 * @param value safe integer
 * @returns offset after it; the caller has ten bytes of room
 */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  // 2·value may pass 2^53, so the lowest seven bits are taken from the magnitude first.
  const sign = value < 0 ? 1 : 0;
  const magnitude = sign === 1 ? -value - 1 : value;
  const low = ((magnitude % 64) << 1) | sign;
  if (magnitude < 64) {
    target[offset++] = low;
    return offset;
  }
  target[offset++] = low | 0x80;
  return writeUvarint(target, offset, Math.floor(magnitude / 64));
}

/** Writes an unsigned 64-bit varint given as words; the caller has ten bytes of room. */
export function writeUvarintWords(target: Uint8Array, offset: number, hi: number, lo: number): number {
  hi >>>= 0;
  lo >>>= 0;
  while (hi !== 0 || lo > 0x7f) {
    target[offset++] = (lo & 0x7f) | 0x80;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  target[offset++] = lo;
  return offset;
}

/** Bytes `writeUvarint` takes for `value`. */
export function uvarintBytes(value: number): number {
  let bytes = 1;
  while (value > 0x7f) {
    value = Math.floor(value / 128);
    bytes++;
  }
  return bytes;
}

/** Bytes `writeVarint` takes for `value`. */
export function varintBytes(value: number): number {
  const magnitude = value < 0 ? -value - 1 : value;
  return magnitude < 64 ? 1 : 1 + uvarintBytes(Math.floor(magnitude / 64));
}
