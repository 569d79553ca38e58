/** Aggregate chunks recorded from Thanos' downsampling: taken apart, decoded, the same bytes when encoded again; damage. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, wordsOf } from '@gauntlet/model';
import { openBlock } from '../block/block-reader.ts';
import { chunkSampleCount } from '../block/block-writer.ts';
import { isTsdbError } from '../errors.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { lines } from '../testing/recorded-samples.ts';
import { type AggregateName, AGGREGATE_ENCODING, AGGREGATES, areHistograms, decodeAggregateChunk, encodeAggregateChunk, joinAggregateChunk, splitAggregateChunk } from './aggregate-chunk.ts';

const here = dirname(fileURLToPath(import.meta.url));
const kernels = createKernels();
const ENCODING_OF: Readonly<Record<string, number>> = { XOR: CHUNK_ENCODING.xor, FLOAT_HISTOGRAM: CHUNK_ENCODING.floatHistogram };

/** A chunk as a store of Thanos answered it, an aggregate at a time. */
type RecordedParts = { readonly [name in AggregateName]?: { readonly type: string; readonly data: string } };
type RecordedChunk = RecordedParts & { readonly minTime: number; readonly maxTime: number };
/** One line of testdata/chunks/aggregates.jsonl. */
type MadeChunk = RecordedChunk & { readonly name: string; readonly data: string };

const base64 = (data: Uint8Array): string => Buffer.from(data).toString('base64');

function partsOf(data: Uint8Array): unknown {
  return Object.fromEntries(Object.entries(splitAggregateChunk(data, 'a')).map(([name, part]) => [name, [part.encoding, base64(part.data)]]));
}

function recordedParts(chunk: RecordedParts): unknown {
  return Object.fromEntries(AGGREGATES.filter((name) => chunk[name] !== undefined).map((name) => [name, [ENCODING_OF[chunk[name]!.type], chunk[name]!.data]]));
}

/** Everything that a recorded chunk must show. */
function expectRecorded(data: Uint8Array, chunk: RecordedChunk): void {
  expect(partsOf(data)).toEqual(recordedParts(chunk));
  expect(base64(joinAggregateChunk(splitAggregateChunk(data, 'a')))).toBe(base64(data));
  const columns = decodeAggregateChunk(data, kernels, 'a');
  const count = columns.count!;
  expect([count.timestampsMs[0], count.timestampsMs.at(-1)]).toEqual([chunk.minTime, chunk.maxTime]);
  for (const name of ['sum', 'min', 'max'] as const) if (columns[name] !== undefined) expect(columns[name].timestampsMs).toEqual(count.timestampsMs);
  // Floats: the last raw value behind the last total, at the same time.
  expect(columns.counter!.timestampsMs.length).toBe(areHistograms(columns.counter!) ? count.timestampsMs.length : columns.counter!.timestampsMs.indexOf(chunk.maxTime) + 2);
  expect(areHistograms(columns.sum!)).toBe(columns.min === undefined);
  expect(chunkSampleCount(AGGREGATE_ENCODING, data)).toBe(count.timestampsMs.length);
  expect(base64(encodeAggregateChunk(columns, kernels))).toBe(base64(data));
}

const made = lines<MadeChunk>(join(here, '../../testdata/chunks/aggregates.jsonl'));

describe('recorded', () => {
  test('there are floats and histograms', () => expect([...new Set(made.map(({ sum }) => sum!.type))].sort()).toEqual(['FLOAT_HISTOGRAM', 'XOR']));
  test.each(made)('$name', (chunk) => expectRecorded(Buffer.from(chunk.data, 'base64'), chunk));
});

const root = join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden');
/** Those of 5 minutes are large: one of them does, unless a long run is asked for. */
const isWanted = (name: string): boolean => name.includes('.aggregates.') && (process.env['GAUNTLET_FUZZ_RUNS'] !== undefined || statSync(join(root, 'bucket/expected', name)).size < 100_000 || name.startsWith('01M7YH9E753V7NASJH4K5Y35D9'));
const recordings = existsSync(root) ? readdirSync(join(root, 'bucket/expected')).filter(isWanted) : [];

(recordings.length > 0 ? describe : describe.skip)('golden data (skipped without the folder)', () => {
  test.each(recordings.map((name) => ({ ulid: name.slice(0, 26), name })))('every chunk of $ulid', ({ ulid, name }) => {
    const at = ['plain', 'penalty', 'vertical', 'steps'].map((folder) => join(root, 'bucket', folder, ulid)).find(existsSync)!;
    const fs = createMemoryFileSystem();
    for (const entry of readdirSync(at, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) fs.seed(`b${join(entry.parentPath, entry.name).slice(at.length)}`, readFileSync(join(entry.parentPath, entry.name)));
    }
    const block = openBlock(fs, 'b');
    const series = gunzipSync(readFileSync(join(root, 'bucket/expected', name))).toString().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { chunks: RecordedChunk[] });
    const refs = block.index.allPostings();
    expect(series).toHaveLength(refs.length);
    const entry = createSeriesEntry();
    for (const [i, { chunks }] of series.entries()) {
      block.index.readSeries(refs[i]!, entry);
      expect(entry.chunkCount).toBe(chunks.length);
      for (const [c, chunk] of chunks.entries()) {
        const { encoding, data } = block.chunks.readChunk(entry.refs[c]!);
        expect(encoding).toBe(AGGREGATE_ENCODING);
        expectRecorded(data, chunk);
      }
    }
  });
});

test('any aggregates that are there come back, hostile floats to the bit', () => {
  const value = fc.oneof(fc.constantFrom(0x7ff00000_00000002n, 0x7ff80000_00000001n, 0xfff00000_00000000n, 0x80000000_00000000n, 1n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const floats = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 ** 40 }), value), { minLength: 1, maxLength: 200 }).map((samples) => {
    const values = new Float64Array(samples.length);
    new BigUint64Array(values.buffer).set(samples.map(([, bits]) => bits));
    return { timestampsMs: Float64Array.from(samples, ([time]) => time).sort(), values };
  });
  fc.assert(
    fc.property(fc.record({ count: floats, sum: floats, min: floats, max: floats, counter: floats }, { requiredKeys: [] }), (columns) => {
      const got = decodeAggregateChunk(encodeAggregateChunk(columns, kernels), kernels, 'a');
      expect(Object.keys(got)).toEqual(AGGREGATES.filter((name) => columns[name] !== undefined));
      for (const name of AGGREGATES) {
        expect(got[name]?.timestampsMs).toEqual(columns[name]?.timestampsMs);
        if (columns[name] !== undefined) expect(wordsOf((got[name] as typeof floats extends fc.Arbitrary<infer F> ? F : never).values)).toEqual(wordsOf(columns[name].values));
      }
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 60) },
  );
});

describe('what may not be', () => {
  test('only those asked for are decoded', () => {
    const data = Buffer.from(made[0]!.data, 'base64');
    expect(Object.keys(decodeAggregateChunk(data, kernels, 'a', ['max', 'counter']))).toEqual(AGGREGATES.filter((name) => ['max', 'counter'].includes(name) && made[0]![name] !== undefined));
  });

  test.each([
    { name: 'nothing', data: [], error: /take aggregate chunk of a apart: read varint at offset 0/ },
    { name: 'four of five', data: [0, 0, 0, 0], error: /read varint at offset 4/ },
    { name: 'a length beyond the end', data: [3, 1, 0, 1], error: /take aggregate chunk of a apart/ },
    { name: 'bytes behind the end', data: [0, 0, 0, 0, 0, 7], error: /1 bytes behind the last aggregate/ },
    { name: 'more samples than bytes', data: [2, 1, 255, 255, 0, 0, 0, 0], error: /decode XOR chunk of count of a: 65535 samples in 2 bytes/ },
  ])('refused: $name', ({ data, error }) => {
    expect(() => decodeAggregateChunk(Uint8Array.from(data), kernels, 'a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(error) }));
  });

  test('refused: an unknown encoding within, an aggregate without samples', () => {
    expect(() => decodeAggregateChunk(Uint8Array.of(1, 9, 7, 0, 0, 0, 0), kernels, 'a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_ENCODING', message: 'decode aggregate chunk of a: count has encoding 9, want XOR or native histograms' }));
    const none = new Float64Array(0);
    expect(() => encodeAggregateChunk({ max: { timestampsMs: none, values: none } }, kernels)).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_WRITE', message: 'encode aggregate chunk: max has no samples' }));
  });

  test('cut anywhere they are refused, with a bit flipped they are refused or something else', () => {
    for (const { data } of made.filter(({ data }) => data.length < 1500)) {
      const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
      const codeOf = (bad: Uint8Array): string => {
        try {
          decodeAggregateChunk(bad, kernels, 'a');
          return 'decoded';
        } catch (error) {
          return isTsdbError(error) ? error.code : String(error);
        }
      };
      const cut = new Set<string>();
      for (let length = 0; length < bytes.length; length += 3) cut.add(codeOf(bytes.subarray(0, length)));
      expect([...cut]).toEqual(['ERR_CHUNK_CORRUPT']);
      for (let bit = 0; bit < bytes.length * 8; bit += 29) {
        const bad = bytes.slice();
        bad[bit >> 3]! ^= 0x80 >> (bit & 7);
        expect(['decoded', 'ERR_CHUNK_CORRUPT', 'ERR_CHUNK_ENCODING']).toContain(codeOf(bad));
      }
    }
  });
});
