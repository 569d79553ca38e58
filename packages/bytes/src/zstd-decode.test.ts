/**
 * Zstd: frames made with zstd 1.5.7 of plain bytes that are made anew here, damage at every byte, length bombs; where Node can encode, random
 * bytes at random levels.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as zlib from 'node:zlib';
import { BytesError } from './errors.ts';
import { utf8Encode } from './utf8.ts';
import { zstdDecode } from './zstd-decode.ts';

/** Numbers in [0, 2^32), always the same. */
function numbers(seed: number): () => number {
  let x = seed;
  return () => (x = (Math.imul(x, 1103515245) + 12345) >>> 0);
}

function exposition(length: number): Uint8Array {
  const next = numbers(1);
  let text = '';
  while (text.length < length) {
    const x = next();
    text += ['node_cpu_seconds_total ', 'mode="idle" ', 'instance="', String(x % 1000), 'job="node" ', '0.', '\n'][(x >>> 16) % 7]!;
  }
  return utf8Encode(text.slice(0, length));
}

function skewed(length: number): Uint8Array {
  const next = numbers(7);
  return Uint8Array.from({ length }, () => Math.floor(((next() >>> 8) / 2 ** 24) ** 4 * 256));
}

const frames = [
  { name: 'nothing', plain: new Uint8Array(0), packed: 'KLUv/SAAAQAA' },
  { name: 'text, level 3', plain: exposition(2000), packed: 'KLUv/WTQBjULAJILIRqANW0DlArSUURvZJ9gZqA3iWyvnKabSas+ArpZWO1+vZue08pq7rzMV3MMc7+wcjZu5rnftPVJPmmMiNe73Y9pBrExjeE7vtzLNipvF7N7bttieecim721m0lhAdxNQNIBGcggoRUgOBCOdRAGUqtIBjEgUBAJLUUGqVCEw1CG+/1nA2uogRZRI0ql/QwQHMawqgMSYCAQBFYuoEDhhAhUGEisSCkd+l/vWYWELx5E0TK6/AO0RvFhgFtknGsxn2pI3JRyOnT/GJNsEIguTFjDyp4PUbPDiCosEXeGvK2atucYlRT/F63R4g9JcPN/Adyv21EZVqeyggROONKy2IgKMi1bXW/EQPClOAhAk7+/ZRoj2d7giBd+woUgfRO+b2mQ637xPTJ91W4GaIyz6y9RFpbHuk19YGJIpuhSdwxq+ZRVCa4NlyPv2jRhxwIyT2OBX5+yLxuQOxoPu6ldLihoVgFaIhmE' },
  { name: 'text, level 19', plain: exposition(3000), packed: 'KLUv/WS4CuUNAIIOJheAS+EBwL+dwLRNI0YWlRQhReYdNbG59HRjuzY7fHMabitO5s10KV8+bWbzOu1pek1vtEvUm9/Qr3tPj0dTf/ThZrrqUU9tK82aft5t07bRqvrR6S/jqi1jVvrUEXPrNBdn6JY7Wfi1LJ353q4ehOVAH8CRIBADsiQAiAFjYQgWiLIUkoWgoSgIEmRRjkBSUAaMhWKg098ZdqhBErKoGJb9DRAQQohiLrkBIhgIBIEFBWYpghsERkFjiIAICSdooo0D+2tyV0SBe6pOQrtho17c1lGYJYPWnDTqoboeZKqMiRJ2Ji/P0fkQ2mwdUoQ4OMJ8/0jQ6KWVI6zIriZ10LPCDubMH6apYlBiDfgk8bR3G/sjSeJdhBDSAsgNWJ9pQ3TSIj1FFUMlwk+tS5QxQhDn49kOsUyaPomZWyz7MckXIjLFwBuInDgKyhC3+XbFZmmf8PTEMo7fO2XvyWMytAlIPiQETK7eXsbEYXQY/YKjYzfMcXcNyY0Gz5pTwNEr5+iBEXeRqMgIL0PSot8wZcehPSUSDN59Gp7OoI30Xbv2ATHh71YH16WZtyRlNMrO0hQw3PMwKKlUAYJQtBA=' },
  { name: 'Huffman literals', plain: skewed(400), packed: 'KLUv/WSQAL0LAAbZXEjQVG0aAzB4/QGuqHSSGFBJA/MN1nAGk2qQaXtcGFpVDBMkDIEMMJwmab49sHYIxAfEjK+LiZwINE9H9eshIjKFdRs1EbKlTAFMAEQASQA7NwlGMMINjMVAkOJEQTuu2jqMRXE+7GL5WmDzbgQk6y/Q6oqGIplmcAkIjNHwo4XEoUcjtWVoXrBMVh7rd7JwPdiCW/FqzyON5mMIW2TuLWdNqvo1oaa0Mr7X1aeLbPCRdY4aZi5PCv35NvltX4+tRPppHXsfViHOxEwaTUFQFCpCgJyW8Lwj5UUpDzG/Qx0iZizabAIT91GJCi4g5qmflFlPmJcxNCn5Oqpy8ADO3h/ywsjdPKK1Jz1G0a/GFJDt8ibVFq/0uiRBPuFvJq6QOITT7WzjUb8Rj2XQeVwxrSXyUapWMXKHHpY2g5DlCQXlJBe3spSSAxBB6V7jDaEB4gBzTECXEZcQ5rAYKWwAv7TrHvQHHHpZK7DlgwPqzZhwaz5fAGZvmyU=' },
  { name: 'zeros', plain: new Uint8Array(300_000), packed: 'KLUv/aTgkwQAVAAAEAAAAQD7/znAAgIAEAADnwQALSjeJg==' },
].map(({ name, plain, packed }) => ({ name, plain, packed: new Uint8Array(Buffer.from(packed, 'base64')) }));

function codeOf(bytes: Uint8Array, maxBytes = 1_000_000): string {
  try {
    zstdDecode(bytes, { maxBytes });
    return 'fine';
  } catch (error) {
    if (error instanceof BytesError) return error.code;
    throw error;
  }
}

describe('zstd', () => {
  test.each(frames)('$name', ({ plain, packed }) => {
    expect(Buffer.compare(zstdDecode(packed), plain)).toBe(0);
  });

  test.each(frames)('$name: cut anywhere, it is damaged', ({ packed }) => {
    for (let bytes = 0; bytes < packed.length; bytes++) expect([bytes, codeOf(packed.subarray(0, bytes))]).toEqual([bytes, 'ERR_BYTES_ZSTD']);
  });

  test.each(frames.slice(1, 4))('$name: a flipped bit is noticed, or changes nothing', ({ plain, packed }) => {
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const flipped = packed.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const code = codeOf(flipped);
      if (code === 'fine') expect([bit, Buffer.compare(zstdDecode(flipped), plain)]).toEqual([bit, 0]);
    }
  });

  test('frames one after the other, and one to skip', () => {
    const [, a, b] = frames;
    const skipped = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    expect(Buffer.compare(zstdDecode(Buffer.concat([a!.packed, skipped, b!.packed])), Buffer.concat([a!.plain, b!.plain]))).toBe(0);
  });

  test('no more than asked for', () => {
    const zeros = frames.at(-1)!.packed;
    expect(codeOf(zeros, 300_000)).toBe('fine');
    expect(codeOf(zeros, 299_999)).toBe('ERR_BYTES_TOO_LARGE');
    // A frame that says 2^40 bytes and has none.
    expect(codeOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0))).toBe('ERR_BYTES_TOO_LARGE');
  });

  test.each([
    ['another format', [0x1f, 0x8b, 8, 0, 0, 0], /magic number is 0x88b1f/],
    ['a dictionary', [0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 0, 1, 0, 0], /needs a dictionary/],
    ['a reserved block', [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 7, 0, 0], /reserved block type/],
    ['a wrong size', [0x28, 0xb5, 0x2f, 0xfd, 0x20, 2, 9, 0, 0, 65], /frame gave 1 bytes, want 2/],
    ['a table that was never given', [0x28, 0xb5, 0x2f, 0xfd, 0x20, 2, 0x25, 0, 0, 0x23, 0, 0, 0], /Huffman table that was never given/],
  ])('%s is refused', (_name, bytes, message) => {
    expect(() => zstdDecode(Uint8Array.from(bytes))).toThrow(message);
  });

  const { zstdCompressSync, constants } = zlib as unknown as { zstdCompressSync?: (bytes: Uint8Array, options: object) => Uint8Array; constants: Record<string, number> };
  (zstdCompressSync === undefined ? test.skip : test)('what Node encodes, at any level (skipped where Node has no zstd)', () => {
    const part = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(fc.nat(255), fc.nat(400)).map(([byte, count]) => new Uint8Array(count).fill(byte)), fc.nat(3000).map(exposition), fc.nat(3000).map(skewed));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), fc.integer({ min: -5, max: 19 }), fc.boolean(), (parts, level, isChecked) => {
        const plain = Buffer.concat(parts);
        const params = { [constants['ZSTD_c_compressionLevel']!]: level, [constants['ZSTD_c_checksumFlag']!]: isChecked ? 1 : 0 };
        expect(Buffer.compare(zstdDecode(zstdCompressSync!(plain, { params })), plain)).toBe(0);
      }),
      { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 300) },
    );
  });
});
