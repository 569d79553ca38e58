/** What the twins of the chunk decoders share: as/chunk-bits.ts on 32-bit words and doubles, to the bit and with the same refusals. */

const TWO_32 = 4294967296;

/** 32 bits from a bit position, as a signed number. */
export function read32(bytes: Uint8Array, data: DataView, chunkPtr: number, bit: number): number {
  const at = chunkPtr + (bit >>> 3);
  const shift = bit & 7;
  return (data.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift));
}

/** Whether an integer is beyond what doubles hold exactly. */
export function beyondSafe(value: number): boolean {
  return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER;
}

/** Offset after the varint at `at`, or 0 if it is cut or has more than 64 bits. */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = 0; i < 10 && at < end; i++, at++) {
    const byte = bytes[at]!;
    if (byte < 0x80) return i === 9 && byte > 1 ? 0 : at + 1;
  }
  return 0;
}

/** Zig-zag value; beyond 2^53 it is inexact but stays beyond. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = end - 1; i > at; i--) value = value * 128 + (bytes[i]! & 0x7f);
  value = value * 64 + ((bytes[at]! & 0x7f) >>> 1);
  return (bytes[at]! & 1) === 1 ? -value - 1 : value;
}

/** Two's complement of the unsigned 64 bits; beyond 2^53 it is inexact but stays beyond. */
export function readUvarintAsSigned(bytes: Uint8Array, at: number, end: number): number {
  let hi = 0;
  let lo = 0;
  for (let i = end - 1; i >= at; i--) {
    hi = (hi << 7) | (lo >>> 25);
    lo = (lo << 7) | (bytes[i]! & 0x7f);
  }
  return hi * TWO_32 + (lo >>> 0);
}
