/** Snappy: element forms by hand, round trips, damage at every byte, and length bombs. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BytesError } from './errors.ts';
import { snappyBoundBytes, snappyDecode, snappyEncode, snappyPlainLength } from './snappy.ts';
import { utf8Decode, utf8Encode } from './utf8.ts';

const repetitive = fc
  .array(fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.tuple(fc.nat(3), fc.nat(200)).map(([byte, count]) => new Uint8Array(count).fill(byte))), {
    maxLength: 30,
  })
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part, ...part.subarray(0, 7)])));

/** Plain bytes, or the code of the BytesError; anything else is a failure. */
function outcome(bytes: Uint8Array, maxBytes?: number): string {
  try {
    return utf8Decode(snappyDecode(bytes, maxBytes === undefined ? {} : { maxBytes }));
  } catch (error) {
    if (error instanceof BytesError) return error.code;
    throw error;
  }
}

describe('snappy', () => {
  test.each([
    ['nothing', [0], ''],
    ['literal', [3, 8, 97, 98, 99], 'abc'],
    ['literal with one length byte', [3, 0xf0, 2, 97, 98, 99], 'abc'],
    ['literal with two', [3, 0xf4, 2, 0, 97, 98, 99], 'abc'],
    ['literal with three', [3, 0xf8, 2, 0, 0, 97, 98, 99], 'abc'],
    ['literal with four', [3, 0xfc, 2, 0, 0, 0, 97, 98, 99], 'abc'],
    ['copy of 4, one offset byte', [6, 4, 97, 98, 1, 2], 'ababab'],
    ['copy of 1, two offset bytes', [3, 4, 97, 98, 2, 2, 0], 'aba'],
    ['copy of 5, four offset bytes', [7, 4, 97, 98, 0x13, 1, 0, 0, 0], 'abbbbbb'],
  ])('decodes %s', (_name, bytes, plain) => {
    expect(outcome(Uint8Array.from(bytes))).toBe(plain);
  });

  test.each([
    ['no header', [], 'ERR_BYTES_TRUNCATED'],
    ['header cut', [0x80], 'ERR_BYTES_TRUNCATED'],
    ['missing elements', [3], 'ERR_BYTES_SNAPPY'],
    ['too few plain bytes', [3, 4, 97, 98], 'ERR_BYTES_SNAPPY'],
    ['more than declared', [1, 4, 97, 98], 'ERR_BYTES_SNAPPY'],
    ['literal cut', [3, 8, 97], 'ERR_BYTES_SNAPPY'],
    ['literal length cut', [3, 0xf4, 2], 'ERR_BYTES_SNAPPY'],
    ['literal of 4 GiB', [3, 0xfc, 255, 255, 255, 255, 97], 'ERR_BYTES_SNAPPY'],
    ['copy from before the start', [6, 4, 97, 98, 1, 3], 'ERR_BYTES_SNAPPY'],
    ['copy from offset 0', [6, 4, 97, 98, 1, 0], 'ERR_BYTES_SNAPPY'],
    ['copy beyond the declared length', [5, 4, 97, 98, 1, 2], 'ERR_BYTES_SNAPPY'],
    ['copy offset cut', [6, 4, 97, 98, 2, 2], 'ERR_BYTES_SNAPPY'],
    ['copy offset of 4 GiB', [6, 4, 97, 98, 15, 255, 255, 255, 255], 'ERR_BYTES_SNAPPY'],
    ['length bomb', [255, 255, 255, 255, 7, 0, 97], 'ERR_BYTES_TOO_LARGE'],
    ['length bomb under the limit', [255, 255, 127, 0, 97], 'ERR_BYTES_SNAPPY'],
  ])('refuses %s', (_name, bytes, code) => {
    expect(outcome(Uint8Array.from(bytes))).toBe(code);
  });

  test('the limit counts plain bytes', () => {
    const bytes = snappyEncode(utf8Encode('x'.repeat(1000)));
    expect(snappyPlainLength(bytes)).toBe(1000);
    expect(outcome(bytes, 1000)).toHaveLength(1000);
    expect(outcome(bytes, 999)).toBe('ERR_BYTES_TOO_LARGE');
  });

  test('round trips', () => {
    fc.assert(
      fc.property(fc.oneof(repetitive, fc.uint8Array({ maxLength: 300 })), (plain) => {
        const bytes = snappyEncode(plain);
        expect(bytes.length).toBeLessThanOrEqual(snappyBoundBytes(plain.length));
        expect(Buffer.compare(snappyDecode(bytes), plain)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('round trips across windows, and compresses', () => {
    const plain = Uint8Array.from({ length: 300_000 }, (_, i) => (i % 1000 < 700 ? i % 50 : (i * i * 31) >>> 3));
    const bytes = snappyEncode(plain);
    expect(Buffer.compare(snappyDecode(bytes), plain)).toBe(0);
    expect(bytes.length).toBeLessThan(plain.length / 2);
    const noise = Uint8Array.from({ length: 200_000 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) ^ (Math.imul(i, 0x85ebca77) >>> 13)) >>> 24);
    expect(Buffer.compare(snappyDecode(snappyEncode(noise)), noise)).toBe(0);
  });

  test('every cut and every flipped byte is refused or decodes to the declared length', () => {
    const plain = utf8Encode('http_requests_total http_requests_total{code="200"} http_requests_total{code="500"} tail');
    const bytes = snappyEncode(plain);
    for (let end = 0; end < bytes.length; end++) expect(outcome(bytes.subarray(0, end))).toMatch(/^ERR_BYTES_/);
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [1, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[at]! ^= flip;
        const result = outcome(damaged);
        if (!result.startsWith('ERR_BYTES_')) expect(snappyDecode(damaged)).toHaveLength(snappyPlainLength(damaged));
      }
    }
  });
});
