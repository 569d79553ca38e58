/** Histogram chunks recorded from Prometheus 3.14, decoded to the bit; damage; numbers of every width. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { BitReader, BitWriter } from '@gauntlet/bytes';
import { createKernels, readVarbitInt, readVarbitUint, writeVarbitInt, writeVarbitUint } from '@gauntlet/kernels';
import { isTsdbError } from '../errors.ts';
import { decodeHistogramChunk, type HistogramColumns, RESET_HINT } from './histogram-chunk.ts';
import { encodeHistogramChunk, encodeHistogramColumns, histogramSampleAt } from './histogram-encoder.ts';

const kernels = createKernels();
const here = dirname(fileURLToPath(import.meta.url));
const roots = [
  { name: 'testdata', root: join(here, '../../testdata/tsdb') },
  { name: 'golden data (skipped without the folder)', root: join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden/tsdb') },
];

interface Histogram {
  type: 'int' | 'float';
  schema: number;
  zeroThreshold: string;
  count: string;
  zeroCount: string;
  sum: string;
  hint: number;
  positiveSpans?: number[][];
  negativeSpans?: number[][];
  positiveDeltas?: number[];
  negativeDeltas?: number[];
  positiveCounts?: string[];
  negativeCounts?: string[];
  customValues?: string[];
}
interface SampleLine {
  labels: unknown;
  histograms?: [number, Histogram][];
}
interface ChunkLine {
  labels: unknown;
  chunks?: [number, number, number, string][];
}

const hexOf = (column: Float64Array, at: number): string => {
  const view = new DataView(column.buffer, column.byteOffset + at * 8, 8);
  return view.getUint32(4, true).toString(16).padStart(8, '0') + view.getUint32(0, true).toString(16).padStart(8, '0');
};
const hex = (value: number): string => hexOf(Float64Array.of(value), 0);

/** A sample as the recordings write it. */
function recorded(columns: HistogramColumns, sample: number): Histogram {
  const { isFloat } = columns;
  const at = columns.bucketAt[sample]!;
  const number = (column: Float64Array): string => (isFloat ? hexOf(column, sample) : String(column[sample]));
  const rest: Partial<Histogram> = {};
  const put = (sign: 'positive' | 'negative', spans: Int32Array, from: number, length: number): void => {
    if (spans.length === 0) return;
    rest[`${sign}Spans`] = Array.from({ length: spans.length / 2 }, (_, i) => [spans[i * 2]!, spans[i * 2 + 1]!]);
    const values = columns.buckets.subarray(from, from + length);
    if (isFloat) rest[`${sign}Counts`] = Array.from(values, (_, i) => hexOf(values, i));
    else rest[`${sign}Deltas`] = Array.from(values, (value, i) => value - (i === 0 ? 0 : values[i - 1]!));
  };
  const isStale = at < 0;
  if (!isStale) {
    put('positive', columns.positiveSpans, at, columns.positiveBuckets);
    put('negative', columns.negativeSpans, at + columns.positiveBuckets, columns.negativeBuckets);
    if (columns.customBounds.length > 0) rest.customValues = Array.from(columns.customBounds, hex);
  }
  return {
    type: isFloat ? 'float' : 'int',
    schema: isStale ? 0 : columns.schema,
    zeroThreshold: hex(isStale ? 0 : columns.zeroThreshold),
    count: number(columns.counts),
    zeroCount: number(columns.zeroCounts),
    sum: hexOf(columns.sums, sample),
    hint: columns.hints[sample]!,
    ...rest,
  };
}

function lines<T>(path: string): T[] {
  return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

/** Whether both are the same to the bit. */
function isSameColumns(a: HistogramColumns, b: HistogramColumns): boolean {
  const bytesOf = ({ timestampsMs, counts, zeroCounts, sums, hints, bucketAt, buckets, startTimestamps = new Float64Array(0) }: HistogramColumns): Buffer[] =>
    [timestampsMs, counts, zeroCounts, sums, hints, bucketAt, buckets, startTimestamps].map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));
  const [left, right] = [bytesOf(a), bytesOf(b)];
  return a.count === b.count && a.schema === b.schema && left.every((bytes, i) => bytes.equals(right[i]!));
}

/** Blocks whose dumps have histograms. */
function dumps(root: string): { name: string; chunks: ChunkLine[]; samples: SampleLine[] }[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.chunks.jsonl'))
    .map((entry) => ({ name: entry.name.slice(0, 26), folder: entry.parentPath }))
    .map(({ name, folder }) => ({ name, chunks: lines<ChunkLine>(join(folder, `${name}.chunks.jsonl`)), samples: lines<SampleLine>(join(folder, `${name}.samples.jsonl`)) }))
    .filter(({ samples }) => samples.some(({ histograms }) => histograms !== undefined));
}

for (const { name: set, root } of roots) {
  (existsSync(root) ? describe : describe.skip)(set, () => {
    const blocks = existsSync(root) ? dumps(root) : [];
    test('there are histograms', () => expect(blocks.length).toBeGreaterThan(0));
    if (blocks.length === 0) return;

    test.each(blocks)('$name: samples as recorded, the same bytes when encoded again', ({ name, chunks, samples }) => {
      let decoded = 0;
      for (const [i, line] of chunks.entries()) {
        expect(line.labels).toEqual(samples[i]!.labels);
        const encoded = (line.chunks ?? []).filter(([, , encoding]) => [2, 3, 5, 6].includes(encoding));
        const got: [number, Histogram][] = [];
        for (const [mint, maxt, encoding, base64] of encoded) {
          const data = Buffer.from(base64, 'base64');
          const columns = decodeHistogramChunk(encoding, data, name);
          expect(isSameColumns(decodeHistogramChunk(encoding, data, name, kernels), columns)).toBe(true);
          if (columns.timestampsMs[0] !== mint || columns.timestampsMs.at(-1) !== maxt) throw new Error(`chunk from ${mint} to ${maxt}: got ${columns.timestampsMs[0]} to ${columns.timestampsMs.at(-1)}`);
          for (let sample = 0; sample < columns.count; sample++) got.push([columns.timestampsMs[sample]!, recorded(columns, sample)]);
          decoded += columns.count;
          if (encoding >= 5) continue;
          const samplesOf = Array.from({ length: columns.count }, (_, sample) => histogramSampleAt(columns, sample));
          const all = Int32Array.from(samplesOf.keys());
          for (const again of [
            encodeHistogramChunk(samplesOf, columns, columns.header),
            encodeHistogramChunk(samplesOf, columns, columns.header, undefined, kernels),
            encodeHistogramColumns(columns, all, columns.header, false, kernels),
          ]) {
            expect([again.mint, again.maxt, again.encoding, Buffer.from(again.data).toString('base64')]).toEqual([mint, maxt, encoding, base64]);
          }
        }
        // As texts, which compare a hundred times faster; only where they differ is it worth saying how.
        if (JSON.stringify(got) !== JSON.stringify(samples[i]!.histograms ?? [])) expect(got).toEqual(samples[i]!.histograms ?? []);
      }
      expect(decoded).toBeGreaterThan(0);
    });

    test.each(blocks)('$name: a chunk cut off anywhere is damage, flipped bits are damage or other numbers', ({ name, chunks }) => {
      const some = chunks.flatMap((line) => line.chunks ?? []).filter(([, , encoding]) => [2, 3, 5, 6].includes(encoding)).slice(0, 2);
      const attempt = (encoding: number, data: Uint8Array): string => {
        try {
          const { buckets, positiveBuckets, negativeBuckets, count } = decodeHistogramChunk(encoding, data, name);
          return buckets.length <= count * (positiveBuckets + negativeBuckets) ? 'decoded' : `${buckets.length} buckets`;
        } catch (error) {
          return isTsdbError(error) ? error.code : String(error);
        }
      };
      const cut = new Set<string>();
      const flipped = new Set<string>();
      for (const [, , encoding, base64] of some) {
        const data = Buffer.from(base64, 'base64');
        for (let length = 0; length < data.length - 1; length += length < 40 ? 1 : 97) cut.add(attempt(encoding, data.subarray(0, length)));
        for (let bit = 0; bit < data.length * 8; bit += bit < 200 ? 1 : 211) {
          const bad = Uint8Array.from(data);
          bad[bit >> 3]! ^= 0x80 >> (bit & 7);
          flipped.add(attempt(encoding, bad));
        }
      }
      expect([...cut]).toEqual(some.length === 0 ? [] : ['ERR_CHUNK_CORRUPT']);
      for (const result of flipped) expect(['decoded', 'ERR_CHUNK_CORRUPT', 'ERR_CHUNK_ENCODING']).toContain(result);
    });
  });
}

test.each([
  { encoding: 1, data: [0, 0, 0], error: /no native histograms \(encoding 1\)/ },
  { encoding: 2, data: [0, 0], error: /2 bytes, want at least 3/ },
  // Zero threshold 0; schema 53 as 1110 000110101; no spans.
  { encoding: 2, data: [0, 1, 0, 0, 0b11100001, 0b10101000], error: /unknown schema 53/ },
  // Schema −54 as 1110 111001010.
  { encoding: 2, data: [0, 1, 0, 0, 0b11101110, 0b01010000], error: /unknown schema -54/ },
  // One span of 2^18 − 1 buckets.
  { encoding: 3, data: [0, 1, 0, 0, 0b01000111, 0b11101111, 0xff, 0b11111100, 0, 0], error: /262143 buckets in \d+ bits/ },
])('refused: $error', ({ encoding, data, error }) => {
  expect(() => decodeHistogramChunk(encoding, Uint8Array.from(data), 'series a')).toThrow(error);
});

describe('schemas 9 to 52 come as 8', () => {
  const histogramOf = (isFloat: boolean, schema: number, spans: number[], counts: number[]): Uint8Array => {
    const layout = { schema, zeroThreshold: 0, positiveSpans: Int32Array.from(spans), negativeSpans: Int32Array.from(spans.slice(0, 2)), customBounds: new Float64Array(0) };
    const [negative] = [Float64Array.from(counts.slice(0, spans[1]))];
    const common = { isFloat, isStale: false, isGauge: false, count: 100, zeroCount: 1, sumHigh: 0, sumLow: 0, layout, negative };
    const samples = [0, 1].map((i) => ({ ...common, timeMs: i * 15, positive: Float64Array.from(counts, (count) => count + i) }));
    return encodeHistogramChunk(samples, layout, RESET_HINT.unknown).data;
  };

  interface Case {
    readonly name: string;
    readonly schema: number;
    readonly spans: number[];
    readonly counts: number[];
    readonly positive: { readonly spans: number[]; readonly counts: number[] };
    readonly negative: { readonly spans: number[]; readonly counts: number[] };
  }
  // Bucket i of schema 9 is in bucket ⌈i / 2⌉ of schema 8, one of schema 52 in bucket 1, 0 or −1 and so on.
  const cases: Case[] = [
    { name: 'pairs', schema: 9, spans: [1, 4], counts: [1, 2, 3, 4], positive: { spans: [1, 2], counts: [3, 7] }, negative: { spans: [1, 2], counts: [3, 7] } },
    { name: 'pairs that begin with their second half', schema: 9, spans: [0, 3], counts: [1, 2, 4], positive: { spans: [0, 2], counts: [1, 6] }, negative: { spans: [0, 2], counts: [1, 6] } },
    { name: 'below zero', schema: 9, spans: [-3, 4], counts: [1, 2, 3, 4], positive: { spans: [-1, 2], counts: [3, 7] }, negative: { spans: [-1, 2], counts: [3, 7] } },
    { name: 'spans that become one', schema: 10, spans: [1, 2, 1, 1, 3, 1], counts: [1, 2, 4, 8], positive: { spans: [1, 2], counts: [7, 8] }, negative: { spans: [1, 1], counts: [3] } },
    { name: 'spans that stay apart', schema: 9, spans: [1, 1, 7, 2], counts: [1, 2, 4], positive: { spans: [1, 1, 3, 1], counts: [1, 6] }, negative: { spans: [1, 1], counts: [1] } },
    { name: 'empty spans', schema: 9, spans: [1, 1, 3, 0, 2, 1], counts: [1, 2], positive: { spans: [1, 1, 2, 1], counts: [1, 2] }, negative: { spans: [1, 1], counts: [1] } },
    { name: 'the finest', schema: 52, spans: [-5, 1, 4, 1, 1, 1], counts: [1, 2, 4], positive: { spans: [0, 2], counts: [3, 4] }, negative: { spans: [0, 1], counts: [1] } },
  ];
  test.each(cases.flatMap((one) => [true, false].map((isFloat) => ({ ...one, isFloat }))))('$name, floats: $isFloat', ({ isFloat, schema, spans, counts, positive, negative }) => {
    const columns = decodeHistogramChunk(isFloat ? 3 : 2, histogramOf(isFloat, schema, spans, counts), 'a');
    expect(columns).toMatchObject({ schema: 8, positiveBuckets: positive.counts.length, negativeBuckets: negative.counts.length });
    expect([[...columns.positiveSpans], [...columns.negativeSpans]]).toEqual([positive.spans, negative.spans]);
    expect(columns.buckets.slice(0, columns.bucketAt[1])).toEqual(Float64Array.of(...positive.counts, ...negative.counts));
    // The second sample has one more in every fine bucket.
    expect(columns.buckets.slice(columns.bucketAt[1]).reduce((a, b) => a + b, 0)).toBe([...positive.counts, ...negative.counts].reduce((a, b) => a + b, 0) + counts.length);
  });

  test.each([{ spans: [1, 2, -1, 1] }, { spans: [2 ** 31 - 1, 2, 0, 1] }])('refused: $spans', ({ spans }) => {
    expect(() => decodeHistogramChunk(3, histogramOf(true, 9, spans, [1, 2, 3]), 'a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(/spans of schema 9 that overlap, or buckets beyond/) }));
  });
});

/** One line of testdata/chunks/start-timestamps.jsonl. */
interface MadeChunk {
  readonly name: string;
  readonly encoding: number;
  readonly data: string;
  readonly times: number[];
  readonly starts: number[];
  readonly values: string[];
  readonly counts: number[];
}
const STALE = '7ff0000000000002';
const made = readFileSync(join(here, '../../testdata/chunks/start-timestamps.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as MadeChunk)
  .filter(({ encoding }) => encoding > 4);

describe('start timestamps', () => {
  test('there are chunks of both encodings', () => expect([...new Set(made.map(({ encoding }) => encoding))]).toEqual([5, 6]));

  test.each(made)('encoding $encoding: $name', ({ encoding, data, times, starts, values, counts }) => {
    const columns = decodeHistogramChunk(encoding, Buffer.from(data, 'base64'), 'series a');
    expect([...columns.timestampsMs]).toEqual(times.map((time) => time + 1772409600000));
    expect(Array.from(columns.sums, (_, i) => hexOf(columns.sums, i))).toEqual(values);
    expect([...columns.counts]).toEqual(counts.map((count, i) => (values[i] === STALE ? 0 : count)));
    // As numbers: a start at 0 may come out as −0.
    expect(Array.from(columns.startTimestamps ?? new Float64Array(columns.count), (start) => start + 0)).toEqual(starts);
    if (starts.every((start) => start === 0)) return;
    const samples = Array.from({ length: columns.count }, (_, i) => histogramSampleAt(columns, i));
    for (const used of [undefined, kernels]) expect(encodeHistogramChunk(samples, columns, columns.header, undefined, used)).toEqual({ mint: columns.timestampsMs[0], maxt: columns.timestampsMs.at(-1), encoding, data: Uint8Array.from(Buffer.from(data, 'base64')) });
  });

  test('cut anywhere they are refused, with a bit flipped they are refused or something else', () => {
    const attempt = (encoding: number, data: Uint8Array): string => {
      try {
        decodeHistogramChunk(encoding, data, 'series a');
        return 'decoded';
      } catch (error) {
        return isTsdbError(error) ? error.code : String(error);
      }
    };
    const cut = new Set<string>();
    const flipped = new Set<string>();
    for (const { encoding, data } of made.filter(({ times }) => times.length < 20)) {
      const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
      for (let length = 0; length < bytes.length; length++) cut.add(attempt(encoding, bytes.subarray(0, length)));
      for (let bit = 0; bit < bytes.length * 8; bit += bit < 80 ? 1 : 11) {
        const bad = bytes.slice();
        bad[bit >> 3]! ^= 0x80 >> (bit & 7);
        flipped.add(attempt(encoding, bad));
      }
    }
    expect([...cut]).toEqual(['ERR_CHUNK_CORRUPT']);
    for (const result of flipped) expect(['decoded', 'ERR_CHUNK_CORRUPT', 'ERR_CHUNK_ENCODING']).toContain(result);
    expect(flipped.size).toBeGreaterThan(1);
  });

  test.each([
    { name: 'beyond 2^53', tail: [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40], error: /sample 0 has a start timestamp beyond/ },
    { name: 'of more than ten bytes', tail: Array.from({ length: 12 }, () => 0xff), error: /sample 0 has a start timestamp of more than ten bytes/ },
  ])('refused: a start $name', ({ tail, error }) => {
    // Threshold 0, schema 0, no spans: 8 + 1 + 1 + 1 bits; time 0, count 0, zero count 0: 1 bit each; sum: 64 bits of 0. The start begins at bit 78 of 80.
    const bits = `${'0'.repeat(78)}${tail.map((byte) => byte.toString(2).padStart(8, '0')).join('')}`;
    const body = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0').match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2));
    expect(() => decodeHistogramChunk(5, Uint8Array.from([0, 1, 0x80, ...body]), 'series a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(error) }));
  });
});

test('a chunk of no samples', () => {
  expect(decodeHistogramChunk(3, Uint8Array.of(0, 0, 0x80), 'a')).toMatchObject({ isFloat: true, count: 0, header: RESET_HINT.reset });
});

describe('varbit numbers', () => {
  const edges = [0, 3, 6, 9, 12, 18, 25, 53].flatMap((width) => [2 ** width, 2 ** width - 1, 2 ** width + 1, 2 ** width / 2, 2 ** width / 2 + 1]).filter((value) => Number.isSafeInteger(value));

  test('come back, at the borders of every width and anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...edges), fc.constantFrom(...edges).map((value) => -value), fc.maxSafeInteger()), { minLength: 1, maxLength: 30 }), (values) => {
        const writer = new BitWriter();
        for (const value of values) {
          writeVarbitInt(writer, value);
          writeVarbitUint(writer, Math.abs(value));
        }
        const reader = new BitReader(writer.bytes());
        for (const value of values) {
          expect(readVarbitInt(reader) + 0).toBe(value + 0);
          expect(readVarbitUint(reader)).toBe(Math.abs(value));
        }
      }),
    );
  });

  test.each([
    { text: '10 100', value: 4, isSigned: true },
    { text: '10 101', value: -3, isSigned: true },
    { text: '110 000101', value: 5, isSigned: true },
    { text: '110 100001', value: -31, isSigned: true },
    { text: '10 111', value: 7, isSigned: false },
    { text: '1110 111111111', value: 511, isSigned: false },
  ])('$text is $value', ({ text, value, isSigned }) => {
    const bits = text.replaceAll(' ', '');
    const bytes = Uint8Array.from(bits.padEnd(16, '0').match(/.{8}/g)!, (byte) => Number.parseInt(byte, 2));
    expect(isSigned ? readVarbitInt(new BitReader(bytes)) : readVarbitUint(new BitReader(bytes))).toBe(value);
    const writer = new BitWriter();
    if (isSigned) writeVarbitInt(writer, value);
    else writeVarbitUint(writer, value);
    expect([...writer.bytes()].map((byte) => byte.toString(2).padStart(8, '0')).join('').slice(0, writer.bitLength)).toBe(bits);
  });

  test.each([
    { name: '2^53', prefix: 0xfe, hi: 0x200000, lo: 0, width: 56 },
    { name: '2^55', prefix: 0xfe, hi: 0x800000, lo: 0, width: 56 },
    { name: '−2^55 + 1', prefix: 0xfe, hi: 0x800000, lo: 1, width: 56 },
    { name: '2^63 − 1', prefix: 0xff, hi: 0x7fffffff, lo: 0xffffffff, width: 64 },
    { name: '−2^62', prefix: 0xff, hi: 0xc0000000, lo: 0, width: 64 },
  ])('$name is refused, not rounded', ({ prefix, hi, lo, width }) => {
    const writer = new BitWriter();
    writer.writeBits(prefix, 8);
    writer.writeBits64(hi, lo, width);
    expect(() => readVarbitInt(new BitReader(writer.bytes()))).toThrow(expect.objectContaining({ code: 'ERR_BYTES_UNSAFE_INTEGER' }));
  });
});
