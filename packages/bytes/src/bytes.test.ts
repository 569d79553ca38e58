/** Varints, fixed-width integers, strings and their order: ByteReader and GrowableBytes against each other and against Buffer. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.ts';
import { BytesError } from './errors.ts';
import { GrowableBytes } from './growable-bytes.ts';
import { compareBytes, compareUtf8, utf8Decode, utf8Encode, utf8EncodeInto, utf8Length } from './utf8.ts';
import { uvarintBytes, varintBytes } from './varint.ts';
import {
  addWords,
  compareWords,
  mulWords,
  signedWordsToNumber,
  subWords,
  wordsFromBigInt,
  wordsFromNumber,
  wordsToBigInt,
  wordsToHex,
  wordsToNumber,
} from './words64.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const safe = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(0, 1, -1, 63, 64, -64, -65, 127, 128, MAX, -MAX, 2 ** 31, 2 ** 32));
const words = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BytesError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('varint', () => {
  test.each([
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 1]],
    [300, [0xac, 2]],
    [2 ** 32, [0x80, 0x80, 0x80, 0x80, 0x10]],
    [MAX, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('uvarint %p', (value, bytes) => {
    const out = new GrowableBytes();
    out.putUvarint(value);
    expect([...out.bytes()]).toEqual(bytes);
    expect(uvarintBytes(value)).toBe(bytes.length);
    expect(new ByteReader(out.bytes()).uvarint()).toBe(value);
  });

  test.each([
    [0, [0]],
    [-1, [1]],
    [1, [2]],
    [-64, [0x7f]],
    [64, [0x80, 1]],
    [-65, [0x81, 1]],
    [MAX, [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]],
    [-MAX, [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]],
  ])('varint %p', (value, bytes) => {
    const out = new GrowableBytes();
    out.putVarint(value);
    expect([...out.bytes()]).toEqual(bytes);
    expect(varintBytes(value)).toBe(bytes.length);
    expect(new ByteReader(out.bytes()).varint()).toBe(value);
  });

  test('any safe integer comes back, and equals the words form', () => {
    fc.assert(
      fc.property(safe, (value) => {
        const out = new GrowableBytes();
        out.putVarint(value);
        expect(new ByteReader(out.bytes()).varint()).toBe(value);
        expect(signedWordsToNumber(new ByteReader(out.bytes()).varintWords())).toBe(value);
        expect(varintBytes(value)).toBe(out.length);
        out.reset();
        out.putUvarint(Math.abs(value));
        expect(new ByteReader(out.bytes()).uvarint()).toBe(Math.abs(value));
        expect(uvarintBytes(Math.abs(value))).toBe(out.length);
      }),
    );
  });

  test('words of 64 bits come back', () => {
    fc.assert(
      fc.property(words, (value) => {
        const out = new GrowableBytes();
        out.putUvarintWords(wordsFromBigInt(value));
        expect(wordsToBigInt(new ByteReader(out.bytes()).uvarintWords())).toBe(value);
        const signed = wordsToBigInt(new ByteReader(out.bytes()).varintWords());
        expect(BigInt.asIntN(64, signed)).toBe((value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n);
      }),
    );
  });

  test.each([
    ['empty', [], 'ERR_BYTES_TRUNCATED'],
    ['cut after a continued byte', [0x80], 'ERR_BYTES_TRUNCATED'],
    ['ten continued bytes', Array<number>(10).fill(0x80), 'ERR_BYTES_VARINT'],
    ['65 bits', [...Array<number>(9).fill(0xff), 2], 'ERR_BYTES_VARINT'],
    ['2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], 'ERR_BYTES_UNSAFE_INTEGER'],
    ['2^64 − 1', [...Array<number>(9).fill(0xff), 1], 'ERR_BYTES_UNSAFE_INTEGER'],
  ])('uvarint refuses: %s', (_name, bytes, code) => {
    expect(codeOf(() => new ByteReader(Uint8Array.from(bytes)).uvarint())).toBe(code);
  });

  test('overlong forms of small values are accepted, as Go does', () => {
    expect(new ByteReader(Uint8Array.of(0x81, 0x80, 0)).uvarint()).toBe(1);
  });
});

describe('fixed width', () => {
  test('every put has its read, little and big end told apart', () => {
    const out = new GrowableBytes(1);
    out.putU8(0x12);
    out.putBE16(0x1234);
    out.putLE16(0x1234);
    out.putBE32(0xfedcba98);
    out.putLE32(0xfedcba98);
    out.putBE64(MAX);
    out.putBE64(-2);
    out.putLE64(MAX);
    out.putLE64(-2);
    out.putBE64Words({ hi: 0x80000001, lo: 0xffffffff });
    out.putLE64Words({ hi: 0x80000001, lo: 0xffffffff });
    out.putFloat64BE(1.5);
    out.putFloat64LE(-1.5);
    out.putZeros(2);
    out.putUvarintString('zażółć 😀');
    out.putUvarintBytes(Uint8Array.of(7, 8));
    expect([...out.bytes().subarray(0, 13)]).toEqual([0x12, 0x12, 0x34, 0x34, 0x12, 0xfe, 0xdc, 0xba, 0x98, 0x98, 0xba, 0xdc, 0xfe]);
    const reader = new ByteReader(out.bytes());
    expect([reader.u8(), reader.be16(), reader.le16(), reader.be32(), reader.le32()]).toEqual([0x12, 0x1234, 0x1234, 0xfedcba98, 0xfedcba98]);
    expect([reader.be64(), reader.beI64(), reader.le64(), reader.leI64()]).toEqual([MAX, -2, MAX, -2]);
    expect(reader.be64Words()).toEqual({ hi: 0x80000001, lo: 0xffffffff });
    expect(reader.le64Words()).toEqual({ hi: 0x80000001, lo: 0xffffffff });
    expect([reader.float64BE(), reader.float64LE(), reader.be16()]).toEqual([1.5, -1.5, 0]);
    expect(reader.uvarintString()).toBe('zażółć 😀');
    expect([...reader.uvarintBytes()]).toEqual([7, 8]);
    expect(reader.remaining).toBe(0);
  });

  test('64-bit numbers beyond 2^53 are refused', () => {
    const bytes = Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0);
    expect(codeOf(() => new ByteReader(bytes).be64())).toBe('ERR_BYTES_UNSAFE_INTEGER');
    expect(codeOf(() => new ByteReader(bytes.toReversed()).le64())).toBe('ERR_BYTES_UNSAFE_INTEGER');
    expect(codeOf(() => new ByteReader(Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0)).beI64())).toBe('ERR_BYTES_UNSAFE_INTEGER');
  });

  test('every read past the end names offset and need', () => {
    const reads: ReadonlyArray<readonly [string, (reader: ByteReader) => unknown, number]> = [
      ['u8', (r) => r.u8(), 1],
      ['be16', (r) => r.be16(), 2],
      ['le16', (r) => r.le16(), 2],
      ['be32', (r) => r.be32(), 4],
      ['le32', (r) => r.le32(), 4],
      ['be64', (r) => r.be64(), 8],
      ['beI64', (r) => r.beI64(), 8],
      ['le64', (r) => r.le64(), 8],
      ['leI64', (r) => r.leI64(), 8],
      ['be64Words', (r) => r.be64Words(), 8],
      ['le64Words', (r) => r.le64Words(), 8],
      ['float64BE', (r) => r.float64BE(), 8],
      ['float64LE', (r) => r.float64LE(), 8],
      ['bytes', (r) => r.bytes(5), 5],
      ['string', (r) => r.string(5), 5],
      ['skip', (r) => r.skip(5), 5],
    ];
    for (const [name, read, width] of reads) {
      for (let have = 0; have < width; have++) {
        // The bytes exist, but lie past the reader's end: the view must not leak into its neighbour.
        const reader = new ByteReader(new Uint8Array(64), 3, 3 + have);
        expect([name, have, codeOf(() => read(reader))]).toEqual([name, have, 'ERR_BYTES_TRUNCATED']);
        expect(reader.offset).toBe(3);
      }
    }
    expect(() => new ByteReader(new Uint8Array(4), 2).be32()).toThrow('read be32 at offset 2: want 4 bytes, 2 left');
    expect(codeOf(() => new ByteReader(Uint8Array.of(200, 1, 0)).uvarintBytes())).toBe('ERR_BYTES_TRUNCATED');
    expect(codeOf(() => new ByteReader(new Uint8Array(4)).seek(5))).toBe('ERR_BYTES_TRUNCATED');
    expect(codeOf(() => new ByteReader(new Uint8Array(4)).bytes(-1))).toBe('ERR_BYTES_TRUNCATED');
    expect(codeOf(() => new ByteReader(new Uint8Array(4)).bytes(NaN))).toBe('ERR_BYTES_TRUNCATED');
  });

  test('slices are views; patches and truncation work; wrong use is a RangeError', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const view = new ByteReader(bytes, 1).bytes(2);
    bytes[1] = 9;
    expect([...view]).toEqual([9, 3]);
    const out = new GrowableBytes();
    out.putBE32(0);
    out.putU8(1);
    out.patchBE32(0, 7);
    out.truncate(4);
    expect([...out.copy()]).toEqual([0, 0, 0, 7]);
    const room = out.room(1000);
    room.set([8, 9], out.length);
    out.advance(out.length + 2);
    expect([...out.copy()]).toEqual([0, 0, 0, 7, 8, 9]);
    expect(() => out.advance(5)).toThrow(RangeError);
    expect(() => out.advance(room.length + 1)).toThrow(RangeError);
    out.truncate(4);
    expect(() => out.patchBE32(1, 1)).toThrow(RangeError);
    expect(() => out.truncate(5)).toThrow(RangeError);
    expect(() => out.putUvarint(-1)).toThrow(RangeError);
    expect(() => out.putBE64(2 ** 53)).toThrow(RangeError);
    expect(() => new ByteReader(bytes, 0, 5)).toThrow(RangeError);
  });
});

describe('words64', () => {
  test('arithmetic equals BigInt modulo 2^64', () => {
    fc.assert(
      fc.property(words, words, (x, y) => {
        const a = wordsFromBigInt(x);
        const b = wordsFromBigInt(y);
        expect(wordsToBigInt(addWords(a, b))).toBe(BigInt.asUintN(64, x + y));
        expect(wordsToBigInt(subWords(a, b))).toBe(BigInt.asUintN(64, x - y));
        expect(wordsToBigInt(mulWords(a, b))).toBe(BigInt.asUintN(64, x * y));
        expect(Math.sign(compareWords(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
        expect(wordsToHex(a)).toBe(x.toString(16).padStart(16, '0'));
      }),
    );
  });

  test('numbers go both ways within 2^53 and are refused beyond', () => {
    fc.assert(fc.property(safe, (value) => expect(signedWordsToNumber(wordsFromNumber(value))).toBe(value)));
    expect(wordsToNumber(wordsFromNumber(MAX))).toBe(MAX);
    expect(codeOf(() => wordsToNumber({ hi: 0x200000, lo: 0 }))).toBe('ERR_BYTES_UNSAFE_INTEGER');
    expect(codeOf(() => signedWordsToNumber({ hi: 0x80000000, lo: 0 }))).toBe('ERR_BYTES_UNSAFE_INTEGER');
    expect(() => wordsFromNumber(0.5)).toThrow(RangeError);
  });
});

describe('utf8', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });

  test('equals Buffer', () => {
    fc.assert(
      fc.property(text, (value) => {
        const expected = Buffer.from(value, 'utf8');
        expect(Buffer.from(utf8Encode(value)).equals(expected)).toBe(true);
        expect(utf8Length(value)).toBe(expected.length);
        expect(utf8Decode(expected)).toBe(value);
        const target = new Uint8Array(expected.length + 2);
        expect(utf8EncodeInto(value, target, 1)).toBe(expected.length);
        expect(Buffer.from(target.subarray(1, -1)).equals(expected)).toBe(true);
      }),
    );
  });

  test('order equals the order of the bytes', () => {
    const near = fc.tuple(text, fc.constantFrom('', 'a', '\u00e9', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'), text).map((parts) => parts.join(''));
    fc.assert(
      fc.property(near, near, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
        expect(Math.sign(compareBytes(utf8Encode(a), utf8Encode(b)))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
    expect(compareUtf8('\uffff', '\u{10000}')).toBeLessThan(0);
    expect(['\u{10000}', '\uffff'].toSorted()).toEqual(['\u{10000}', '\uffff']);
  });

  test('a byte order mark is kept, invalid bytes become U+FFFD', () => {
    expect(utf8Decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
    expect(utf8Decode(Uint8Array.of(0x61, 0xff, 0x62))).toBe('a\ufffdb');
    expect(utf8EncodeInto('éé', new Uint8Array(3), 0)).toBe(2);
  });
});
