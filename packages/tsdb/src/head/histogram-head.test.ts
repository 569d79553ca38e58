/** Native histograms through the head: what is taken, where chunks end, what a restart and a cut block give back. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramSpan, type IntegerHistogram, type Labels, RESET_HINTS, type ResetHint, STALE_HISTOGRAM } from '@gauntlet/model';
import { decodeHistogramChunk, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { createDb, type Db } from '../db.ts';
import type { FileSystem } from '../file-system.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { dumpAll, dumpHistogram } from '../testing/recorded-samples.ts';

const HOUR = 3_600_000;
const kernels: Kernels = createKernels();
const name: Labels = ['__name__', 'h'];

function open(fs: FileSystem): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random });
}

/** Whole counts in adjacent buckets from `offset` on. */
function integers(counts: readonly number[], { offset = 0, hint = RESET_HINTS.unknown as ResetHint, schema = 1 } = {}): IntegerHistogram {
  return {
    schema,
    zeroThreshold: 0.001,
    zeroCount: 0,
    count: counts.reduce((sum, count) => sum + count, 0),
    sum: 1.5,
    resetHint: hint,
    positiveSpans: [{ offset, length: counts.length }],
    positiveDeltas: counts.map((count, i) => count - (counts[i - 1] ?? 0)),
    negativeSpans: [],
    negativeDeltas: [],
    customValues: new Float64Array(0),
  };
}

function floats(counts: readonly number[], offset = 0): FloatHistogram {
  return createHistogram({ schema: 1, zeroThreshold: 0.001, count: counts.reduce((sum, count) => sum + count, 0), sum: 1.5, positiveSpans: [{ offset, length: counts.length }], positiveBuckets: Float64Array.from(counts) });
}

function append(db: Db, samples: readonly (readonly [number, FloatHistogram | IntegerHistogram | number])[], labels: Labels = name): void {
  for (const [timeMs, value] of samples) {
    const appender = db.appender();
    if (typeof value === 'number') appender.append(0, labels, timeMs, value);
    else appender.appendHistogram(0, labels, timeMs, value);
    appender.commit();
  }
}

/** Encoding, samples and header of every chunk. */
async function chunksOf(db: Db): Promise<(readonly [string, number, number])[]> {
  const found: (readonly [string, number, number])[] = [];
  for await (const batch of db.chunkQueryable.selectChunks({ matchers: [createMatcher('=', '__name__', 'h')], mint: -1e15, maxt: 1e15 })) {
    for (const { chunks } of batch) {
      for (const { encoding, data } of chunks) {
        const columns = encoding === 1 ? undefined : decodeHistogramChunk(encoding, data, 'test');
        found.push([['', 'float', 'integers', 'floats'][encoding]!, (data[0]! << 8) | data[1]!, columns?.header ?? 0]);
      }
    }
  }
  return found;
}

const { unknown, reset, notReset, gauge } = RESET_HINT;
const isGauge = { hint: RESET_HINTS.gauge };

describe('where chunks end', () => {
  test.each([
    { name: 'growing layout: one chunk, written anew', samples: [integers([1]), integers([1, 2]), integers([1, 2, 0, 4])], chunks: [['integers', 3, unknown]] },
    { name: 'a counter is reset', samples: [integers([3]), integers([2]), integers([3])], chunks: [['integers', 1, unknown], ['integers', 2, reset]] },
    { name: 'the source says so', samples: [integers([3]), integers([4], { hint: RESET_HINTS.reset })], chunks: [['integers', 1, unknown], ['integers', 1, reset]] },
    { name: 'another schema', samples: [integers([3]), integers([4], { schema: 2 })], chunks: [['integers', 1, unknown], ['integers', 1, unknown]] },
    { name: 'gauges fall', samples: [integers([3], isGauge), integers([1, 1], isGauge)], chunks: [['integers', 2, gauge]] },
    { name: 'gauge, then counter', samples: [integers([3], isGauge), integers([3])], chunks: [['integers', 1, gauge], ['integers', 1, notReset]] },
    { name: 'counter, then gauge', samples: [integers([3]), integers([3], isGauge)], chunks: [['integers', 1, unknown], ['integers', 1, gauge]] },
    { name: 'whole counts, then fractions', samples: [integers([3]), floats([3.5]), floats([3.25]), floats([4])], chunks: [['integers', 1, unknown], ['floats', 1, unknown], ['floats', 2, reset]] },
    { name: 'floats between', samples: [1, integers([3]), 2, 3, floats([1])], chunks: [['float', 1, 0], ['integers', 1, unknown], ['float', 2, 0], ['floats', 1, unknown]] },
    { name: 'stale, and back', samples: [integers([3]), STALE_HISTOGRAM, integers([4])], chunks: [['integers', 2, unknown], ['integers', 1, unknown]] },
  ])('$name', async ({ samples, chunks }) => {
    const fs = createMemoryFileSystem();
    let db = open(fs);
    append(db, samples.map((sample, i) => [i * 1000, sample] as const));
    expect(await chunksOf(db)).toEqual(chunks);
    const before = await dumpAll(db.queryable);
    db.close();
    db = open(fs);
    expect(await chunksOf(db)).toEqual(chunks);
    expect(await dumpAll(db.queryable)).toEqual(before);
    db.close();
  });

  test('by size: at a kilobyte, evenly, and after ten samples at the earliest', async () => {
    const db = open(createMemoryFileSystem());
    const random = (seed: number): number => (Math.imul(seed + 1, 0x9e3779b1) >>> 8) % 1_000_000;
    let counts = Array.from({ length: 20 }, () => 0);
    const samples: (readonly [number, IntegerHistogram])[] = [];
    for (let i = 0; i < 200; i++) {
      counts = counts.map((count, b) => count + random(i * 20 + b));
      samples.push([i * 15_000, integers(counts)]);
    }
    append(db, samples);
    const chunks = await chunksOf(db);
    expect(chunks.reduce((sum, [, count]) => sum + count, 0)).toBe(200);
    expect(chunks.slice(1).every(([, , header]) => header === notReset)).toBe(true);
    expect(chunks.slice(0, -1).every(([, count]) => count >= 10 && count <= 40)).toBe(true);
    const wide = open(createMemoryFileSystem());
    append(wide, samples.slice(0, 25).map(([time, one], i) => [time, integers(Array.from({ length: 150 }, (_, b) => i * random(b)), { schema: one.schema })] as const));
    expect((await chunksOf(wide)).map(([, count]) => count)).toEqual([10, 10, 5]);
    wide.close();
    db.close();
  });
});

describe('what is taken', () => {
  const cases = [
    { name: 'before the last one', time: 10 * HOUR - 1, value: integers([1]), code: 'ERR_SAMPLE_OUT_OF_ORDER' },
    { name: 'same time, other counts', time: 10 * HOUR, value: integers([2]), code: 'ERR_SAMPLE_DUPLICATE' },
    { name: 'same time, fractions', time: 10 * HOUR, value: floats([1]), code: 'ERR_SAMPLE_DUPLICATE' },
    { name: 'an hour before the newest of all', time: 9 * HOUR - 1, value: integers([1]), code: 'ERR_SAMPLE_OUT_OF_BOUNDS' },
    { name: 'count and buckets differ', time: 11 * HOUR, value: { ...integers([1]), count: 7 }, code: 'ERR_HISTOGRAM' },
    { name: 'bounds out of order', time: 11 * HOUR, value: { ...floats([1, 2]), schema: CUSTOM_BUCKETS_SCHEMA, zeroThreshold: 0, customValues: Float64Array.of(2, 1) }, code: 'ERR_HISTOGRAM' },
  ];
  test.each(cases)('$name', ({ time, value, code }) => {
    const db = open(createMemoryFileSystem());
    append(db, [[10 * HOUR, integers([1])]]);
    const appender = db.appender();
    expect(() => appender.appendHistogram(0, name, time, value)).toThrow(expect.objectContaining({ code }));
    appender.appendHistogram(0, name, 10 * HOUR, integers([1]));
    expect(appender.commit()).toMatchObject({ samples: 0, repeated: 1 });
    expect(() => db.appender().append(0, name, 10 * HOUR, 1)).toThrow(expect.objectContaining({ code: 'ERR_SAMPLE_DUPLICATE' }));
    db.close();
  });

  test('one batch with all kinds of one series keeps their order; a float stale marker ends what the series is', async () => {
    const fs = createMemoryFileSystem();
    let db = open(fs);
    const appender = db.appender();
    appender.append(0, name, 1, 1);
    appender.appendHistogram(0, name, 2, integers([1]));
    appender.appendHistogram(0, name, 3, floats([1.5]));
    appender.append(0, name, 4, 2);
    appender.appendHistogram(0, name, 5, integers([2]));
    appender.appendBits(0, name, 6, 0x7ff00000, 2);
    expect(() => appender.append(0, name, 6, 6)).toThrow(/duplicate/);
    expect(appender.commit()).toEqual({ samples: 6, series: 1, repeated: 0, rejected: 0 });
    append(db, [[7, 7]]);
    const want = [['float', 1, 0], ['integers', 1, 0], ['floats', 1, 0], ['float', 1, 0], ['integers', 2, 0], ['float', 1, 0]];
    expect(await chunksOf(db)).toEqual(want);
    db.close();
    db = open(fs);
    expect(await chunksOf(db)).toEqual(want);
    db.close();
  });
});

test('random series: what was given comes back, after a restart and out of blocks too', async () => {
  const spans: fc.Arbitrary<HistogramSpan[]> = fc.array(fc.record({ offset: fc.nat(3), length: fc.nat(3) }), { maxLength: 3 });
  const histogram = fc
    .record({ positive: spans, negative: spans, hint: fc.constantFrom(0, 1, 3), schema: fc.constantFrom(0, 0, 0, 3, CUSTOM_BUCKETS_SCHEMA), isFloat: fc.boolean(), seed: fc.nat(1000), zero: fc.nat(3) })
    .map(({ positive, negative, hint, schema, isFloat, seed, zero }): FloatHistogram | IntegerHistogram => {
      const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
      const fill = (side: HistogramSpan[]): number[] => Array.from({ length: side.reduce((sum, { length }) => sum + length, 0) }, (_, i) => (seed * (i + 3)) % 5);
      const [p, n] = [fill(positive), isCustom ? [] : fill(negative)];
      const zeroCount = isCustom ? 0 : zero;
      const common = {
        schema,
        zeroThreshold: isCustom ? 0 : 0.001,
        zeroCount,
        count: [...p, ...n].reduce((sum, count) => sum + count, zeroCount),
        sum: seed / 7,
        resetHint: hint as ResetHint,
        positiveSpans: positive,
        negativeSpans: isCustom ? [] : negative,
        customValues: isCustom ? Float64Array.from({ length: 20 }, (_, i) => i) : new Float64Array(0),
      };
      const deltas = (counts: number[]): number[] => counts.map((count, i) => count - (counts[i - 1] ?? 0));
      return isFloat ? createHistogram({ ...common, positiveBuckets: Float64Array.from(p), negativeBuckets: Float64Array.from(n) }) : { ...common, positiveDeltas: deltas(p), negativeDeltas: deltas(n) };
    });
  const value = fc.oneof({ weight: 6, arbitrary: histogram }, { weight: 1, arbitrary: fc.constant(STALE_HISTOGRAM) }, { weight: 1, arbitrary: fc.nat(9) });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(15_000, 60_000, HOUR), value), { minLength: 1, maxLength: 60 }), async (steps) => {
      const fs = createMemoryFileSystem();
      let db = open(fs);
      let now = 0;
      const given: [number, unknown][] = [];
      for (const [advance, one] of steps) {
        append(db, [[(now += advance), one]]);
        given.push([now, meaning(one)]);
      }
      const read = async (): Promise<[number, unknown][]> =>
        (await dumpAll(db.queryable)).flatMap(({ floats: f, histograms: h }) => [...f, ...h.map(([time, dumped]): [number, unknown] => [time, dumpedMeaning(dumped)])]).sort((a, b) => a[0] - b[0]);
      expect(await read()).toEqual(given);
      db.close();
      db = open(fs);
      expect(await read()).toEqual(given);
      db.compactHead();
      expect(await read()).toEqual(given);
      db.compactHead({ force: true });
      expect(await read()).toEqual(given);
      db.close();
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 60) },
  );
});

/** A histogram without what storage may change: hints, how spans are written, buckets of 0. */
function meaning(value: FloatHistogram | IntegerHistogram | number): unknown {
  if (typeof value === 'number') {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    return view.getBigUint64(0).toString(16).padStart(16, '0');
  }
  if (value === STALE_HISTOGRAM) return 'stale';
  const absolute = (deltas: ArrayLike<number>): Float64Array => {
    let total = 0;
    return Float64Array.from(deltas, (delta) => (total += delta));
  };
  const float = 'positiveDeltas' in value ? createHistogram({ ...value, positiveBuckets: absolute(value.positiveDeltas), negativeBuckets: absolute(value.negativeDeltas) }) : value;
  return dumpedMeaning(dumpHistogram(float));
}

function dumpedMeaning(dumped: unknown): unknown {
  if (dumped === 'stale') return dumped;
  const { positiveSpans, negativeSpans, positive, negative, hint, ...rest } = dumped as { positiveSpans: number[][]; negativeSpans: number[][]; positive: string[]; negative: string[]; hint: number };
  const buckets = (side: number[][], counts: string[]): [number, string][] => {
    let index = 0;
    let at = 0;
    const found: [number, string][] = [];
    for (const [offset, length] of side) {
      index += offset!;
      for (let n = 0; n < length!; n++) found.push([index++, counts[at++]!]);
    }
    return found.filter(([, count]) => count !== '0000000000000000');
  };
  return { ...rest, isGauge: hint === RESET_HINTS.gauge, positive: buckets(positiveSpans, positive), negative: buckets(negativeSpans, negative) };
}
