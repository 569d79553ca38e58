/** Bit order, padding and ends of the bit stream, against a string of zeros and ones. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BitReader, BitWriter } from './bit-stream.ts';

const item = fc.tuple(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.integer({ min: 0, max: 64 }));

function binary(value: bigint, count: number): string {
  return count === 0 ? '' : BigInt.asUintN(count, value).toString(2).padStart(count, '0');
}

describe('bit stream', () => {
  test('most significant bit first, last byte filled with zeros, no byte after a full one', () => {
    const out = new BitWriter();
    out.writeBits(0b101, 3);
    out.writeBits(0b11, 2);
    expect([...out.bytes()]).toEqual([0b10111000]);
    out.writeBits(0b001, 3);
    expect([...out.bytes()]).toEqual([0b10111001]);
    out.writeBit(1);
    out.writeByte(0xff);
    expect([...out.bytes()]).toEqual([0b10111001, 0xff, 0x80]);
    out.reset();
    out.writeBit(0);
    out.writeBytes(Uint8Array.of(0x80, 0x01));
    expect([...out.bytes()]).toEqual([0x40, 0, 0x80]);
  });

  test('what is written is the string of bits, and comes back', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), (items) => {
        const out = new BitWriter(1);
        let bits = '';
        for (const [value, count] of items) {
          // Bits above `count` must not leak.
          out.writeBits64(Number(value >> 32n), Number(value & 0xffffffffn), count);
          bits += binary(value, count);
        }
        expect(out.bitLength).toBe(bits.length);
        const written = [...out.bytes()].map((byte) => byte.toString(2).padStart(8, '0')).join('');
        expect(written).toBe(bits.padEnd(Math.ceil(bits.length / 8) * 8, '0'));
        const reader = new BitReader(out.bytes());
        for (const [value, count] of items) {
          if (count <= 32 && count % 2 === 0) {
            expect(reader.readBits(count)).toBe(Number(BigInt.asUintN(count, value)));
          } else {
            reader.readBits64(count);
            expect((BigInt(reader.hi) << 32n) | BigInt(reader.lo)).toBe(BigInt.asUintN(count, value));
          }
        }
        expect(reader.bitsLeft).toBeLessThan(8);
      }),
    );
  });

  test('a read past the end throws and moves nothing', () => {
    const bytes = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
    const reader = new BitReader(bytes, 1, 2);
    expect(reader.readBits(3)).toBe(7);
    expect(() => reader.readBits(6)).toThrow('read bits at offset 1: want 6 bits, 5 left');
    expect(() => reader.readBits64(40)).toThrow('want 40 bits, 5 left');
    expect(reader.bitOffset).toBe(11);
    expect(reader.readBits(5)).toBe(31);
    expect(() => reader.readBit()).toThrow('want 1 bits, 0 left');
    expect(() => new BitReader(bytes, 3, 5)).toThrow(RangeError);
  });
});

test('peeking shows the next 32 bits, zeros behind the end, and stays', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.nat(12 * 8), fc.nat(3), (bytes, from, cut) => {
      const end = Math.max(0, bytes.length - cut);
      const reader = new BitReader(bytes, 0, end);
      const at = Math.min(from, end * 8);
      reader.skip(at);
      const bits = Array.from(bytes.subarray(0, end), (byte) => byte.toString(2).padStart(8, '0')).join('');
      expect(reader.peek32() >>> 0).toBe(Number.parseInt(bits.slice(at, at + 32).padEnd(32, '0'), 2));
      expect(reader.bitOffset).toBe(at);
      expect(() => reader.skip(end * 8 - at + 1)).toThrow(expect.objectContaining({ code: 'ERR_BYTES_TRUNCATED' }));
    }),
  );
});
