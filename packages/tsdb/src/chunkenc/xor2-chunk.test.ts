/** XOR2 chunks: recorded from Prometheus 3.14, made with its encoder and every shape of start timestamps, round trips, damage. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { TsdbError } from '../errors.ts';
import { decodeXor2Chunk, decodeXor2Into, type Xor2Columns } from './xor2-chunk.ts';
import { encodeXor2Chunk } from './xor2-encoder.ts';

const here = dirname(fileURLToPath(import.meta.url));
const STALE = '7ff0000000000002';
const ZERO = '0000000000000000';
const MINUS_ZERO = '8000000000000000';

const bitsOf = (column: Float64Array): string[] => {
  const view = new DataView(column.buffer, column.byteOffset, column.byteLength);
  return Array.from(column, (_, i) => view.getUint32(8 * i + 4, true).toString(16).padStart(8, '0') + view.getUint32(8 * i, true).toString(16).padStart(8, '0'));
};
const fromBits = (bits: readonly string[]): Float64Array => {
  const words = new Uint32Array(bits.length * 2);
  bits.forEach((text, i) => {
    words[2 * i] = Number.parseInt(text.slice(8), 16);
    words[2 * i + 1] = Number.parseInt(text.slice(0, 8), 16);
  });
  return new Float64Array(words.buffer);
};
const starts = (columns: Xor2Columns): number[] => Array.from(columns.startTimestamps ?? new Float64Array(columns.count), (start) => start + 0);
const attempt = (data: Uint8Array): Xor2Columns | string => {
  try {
    return decodeXor2Chunk(data, 'series a');
  } catch (error) {
    return error instanceof TsdbError ? error.code : String(error);
  }
};

/** One line of testdata/chunks/start-timestamps.jsonl. */
interface MadeChunk {
  readonly name: string;
  readonly encoding: number;
  readonly data: string;
  readonly times: number[];
  readonly starts: number[];
  readonly values: string[];
}
const FIRST_TIME = 1772409600000;
const made = readFileSync(join(here, '../../testdata/chunks/start-timestamps.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as MadeChunk)
  .filter(({ encoding }) => encoding === 4);

describe('chunks that Prometheus’ encoder made', () => {
  test.each(made)('$name', ({ data, times, starts: wanted, values }) => {
    const bytes = Buffer.from(data, 'base64');
    const columns = decodeXor2Chunk(bytes, 'series a');
    expect([...columns.timestampsMs]).toEqual(times.map((time) => time + FIRST_TIME));
    expect(bitsOf(columns.values)).toEqual(values);
    expect(starts(columns)).toEqual(wanted);
    expect(Buffer.from(encodeXor2Chunk({ ...columns, startTimestamps: Float64Array.from(wanted) }, 0, columns.count))).toEqual(bytes);
  });

  test('cut anywhere they are refused; with a bit flipped they are refused or something else', () => {
    const cut = new Set<unknown>();
    const flipped = new Set<unknown>();
    for (const { data } of made) {
      const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
      for (let length = 0; length < bytes.length; length += length < 60 ? 1 : 11) cut.add(attempt(bytes.subarray(0, length)));
      for (let bit = 0; bit < bytes.length * 8; bit += bit < 400 ? 1 : 29) {
        const bad = bytes.slice();
        bad[bit >> 3]! ^= 0x80 >> (bit & 7);
        const result = attempt(bad);
        flipped.add(typeof result === 'string' ? result : result.count === ((bad[0]! << 8) | bad[1]!));
      }
    }
    expect([...cut]).toEqual(['ERR_CHUNK_CORRUPT']);
    expect(flipped).toEqual(new Set(['ERR_CHUNK_CORRUPT', true]));
  });
});

const root = join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden/tsdb');
(existsSync(root) ? describe : describe.skip)('golden data (skipped without the folder)', () => {
  interface Line {
    readonly chunks?: [number, number, number, string][];
    readonly floats?: [number, string][];
  }
  const read = (path: string): Line[] => readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
  const names = existsSync(root) ? readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => /^xor2.*\.chunks\.jsonl$/.test(name)) : [];

  test.each(names.map((name) => ({ name })))('$name: samples as recorded, and the same bytes when encoded again', ({ name }) => {
    const samples = read(join(root, name.replace('.chunks.', '.samples.')));
    let decoded = 0;
    for (const [i, { chunks = [] }] of read(join(root, name)).entries()) {
      const got: [number, string][] = [];
      for (const [mint, maxt, encoding, base64] of chunks) {
        if (encoding !== 4) continue;
        const bytes = Buffer.from(base64, 'base64');
        const columns = decodeXor2Chunk(bytes, name);
        expect([columns.timestampsMs[0], columns.timestampsMs.at(-1)]).toEqual([mint, maxt]);
        // The recording went through protobuf, which drops the sign of −0; that the bytes come again below shows that it was read.
        bitsOf(columns.values).forEach((bits, sample) => got.push([columns.timestampsMs[sample]!, bits === MINUS_ZERO ? ZERO : bits]));
        expect(Buffer.from(encodeXor2Chunk(columns, 0, columns.count))).toEqual(bytes);
        decoded += columns.count;
      }
      expect(got).toEqual(samples[i]!.floats ?? []);
    }
    expect(decoded).toBeGreaterThan(0);
  });
  test('there are chunks', () => expect(names.length).toBeGreaterThan(1));
});

const changes = [0, 1, -1, 4095, 4096, -4096, -4097, 524287, 524288, -524288, -524289, 1e12, -1e12];
const samplesOf = fc.array(
  fc.record({
    change: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.constantFrom(...changes) }, fc.integer({ min: -50, max: 50 })),
    bits: fc.oneof(
      { weight: 2, arbitrary: fc.constant(undefined) },
      fc.constantFrom(STALE, '7ff8000000000001', '0000000000000000', '8000000000000000', '0000000000000001', 'ffffffffffffffff'),
      fc.double().map((value) => bitsOf(Float64Array.of(value))[0]!),
      fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)).map(([high, low]) => high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')),
    ),
    start: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, fc.constantFrom(0, 1, -1, 4, 33, 257, -31, 2048, 131072, 2 ** 24, 1772409600000), fc.integer({ min: -(2 ** 50), max: 2 ** 50 })),
  }),
  { maxLength: 160 },
);

test('any samples come back, starts and the bits of values included', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1772409600000, -(2 ** 40)), fc.constantFrom(0, 15000, 1, -5), samplesOf, fc.boolean(), (first, step, samples, hasStarts) => {
      const times: number[] = [];
      const bits: string[] = [];
      const begun: number[] = [];
      let delta = step;
      samples.forEach(({ change, bits: own, start }, i) => {
        if (i > 1) delta += change;
        times.push(i === 0 ? first : times[i - 1]! + delta);
        bits.push(own ?? bits[i - 1] ?? '3ff0000000000000');
        begun.push(hasStarts ? (start ?? begun[i - 1] ?? 0) : 0);
      });
      const data = encodeXor2Chunk({ timestampsMs: Float64Array.from(times), values: fromBits(bits), startTimestamps: Float64Array.from(begun) }, 0, times.length);
      const columns = decodeXor2Chunk(data, 'series a');
      expect([...columns.timestampsMs]).toEqual(times);
      expect(bitsOf(columns.values)).toEqual(bits);
      expect(starts(columns)).toEqual(begun.map((start) => start + 0));
      if (samples.length < 128) expect(columns.startTimestamps === undefined).toBe(begun.every((start) => start === 0));
    }),
    { numRuns: 300 },
  );
});

test('any bytes are refused or decoded, never worse', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(60), fc.nat(255), (noise, count, header) => {
      const result = attempt(Uint8Array.from([0, count, header, ...noise]));
      if (typeof result === 'string') expect(result).toBe('ERR_CHUNK_CORRUPT');
      else {
        expect(result.count).toBe(count);
        expect([...result.timestampsMs].every(Number.isSafeInteger)).toBe(true);
        expect(starts(result).every(Number.isSafeInteger)).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});

test.each([
  { name: 'no header', data: [0, 1], error: /2 bytes, want at least 3/ },
  { name: 'more samples than bits', data: [0xff, 0xff, 0, 0, 0, 0], error: /65535 samples in 6 bytes/ },
  { name: 'a first time of 65 bits', data: [0, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0, 0], error: /end before the last/ },
  { name: 'a first time beyond 2^53', data: [0, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0, 0, 0, 0], error: /beyond ±\(2\^53 − 1\)/ },
  { name: 'a first start beyond 2^53', data: [0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40], error: /beyond ±\(2\^53 − 1\)/ },
  { name: 'a window wider than its place', data: [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0b110_11111, 0b111111_00, 0, 0, 0, 0, 0, 0, 0, 0], error: /bad window/ },
])('refused: $name', ({ data, error }) => {
  expect(() => decodeXor2Chunk(Uint8Array.from(data), 'series a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(error) }));
});

test('a chunk of no samples', () => {
  expect(decodeXor2Chunk(Uint8Array.of(0, 0, 0), 'a')).toEqual({ count: 0, timestampsMs: new Float64Array(0), values: new Float64Array(0) });
});

test('decodes behind what columns hold already', () => {
  const data = encodeXor2Chunk({ timestampsMs: Float64Array.of(1, 2), values: Float64Array.of(3, 4), startTimestamps: Float64Array.of(0, 1) }, 0, 2);
  const target = { timestampsMs: new Float64Array(4), valueWords: new Uint32Array(8), startTimestamps: new Float64Array(4) };
  expect(decodeXor2Into(data, target, 1, 'a')).toBe(2);
  expect([...target.timestampsMs, ...new Float64Array(target.valueWords.buffer), ...target.startTimestamps]).toEqual([0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 1, 0]);
});

test.each([
  { name: 'too many samples', samples: { timestampsMs: new Float64Array(65536), values: new Float64Array(65536) }, error: /65536 samples, want at most 65535/ },
  { name: 'a time that is no integer', samples: { timestampsMs: Float64Array.of(0.5), values: Float64Array.of(1) }, error: /difference 0.5/ },
  { name: 'a difference beyond 2^53', samples: { timestampsMs: Float64Array.of(-(2 ** 53) + 1, 2 ** 53 - 1), values: Float64Array.of(1, 1) }, error: /difference 18014398509481982/ },
])('not encoded: $name', ({ samples, error }) => {
  expect(() => encodeXor2Chunk(samples, 0, samples.values.length)).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_WRITE', message: expect.stringMatching(error) }));
});
