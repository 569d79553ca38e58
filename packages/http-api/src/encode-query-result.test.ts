/** JSON of results: byte for byte what Prometheus and Thanos wrote, in pieces of any size, and released in every case. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { boundOf, createHistogram, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram } from '@gauntlet/model';
import { createKernels, formatFloat, formatTimestamp, type Kernels } from '@gauntlet/kernels';
import { encodeQueryResult, type EncodeOptions, type ResultColumns } from './encode-query-result.ts';
import { JsonBuffer } from './json-buffer.ts';
import { jsonText, labelsText, labelText } from './json-text.ts';
import type { HistogramJson, MatrixSeriesJson, PointJson, QueryDataJson, VectorSampleJson } from './types.ts';

const kernels: Kernels = createKernels({ backend: 'js' });
const NO_BOUNDS = new Float64Array(0);
const PLAIN: EncodeOptions = { kernels, timeMs: 0, warnings: [], analysis: {} };

function join8(pieces: Iterable<Uint8Array>): string {
  return Buffer.concat([...pieces]).toString('utf8');
}

/** The number a JSON text stands for. */
function numberOf(text: string): number {
  return text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

/** The histogram a JSON text stands for: the schema that has buckets with these bounds. */
function histogramOf({ count, sum, buckets = [] }: HistogramJson): FloatHistogram {
  const total = { count: numberOf(count), sum: numberOf(sum) };
  const parsed = buckets.map(([rule, lower, upper, inBucket]) => ({ rule, lower: numberOf(lower), upper: numberOf(upper), count: numberOf(inBucket) }));
  const zero = parsed.find(({ rule }) => rule === 3 && parsed.length > 0);
  const exponential = parsed.filter(({ rule }) => rule !== 3);
  for (let schema = -4; schema <= 8; schema++) {
    const spansOf = (ends: readonly number[]): { readonly offset: number; readonly length: number }[] =>
      ends.map((end, i) => ({ offset: end - (i === 0 ? 0 : ends[i - 1]! + 1), length: 1 }));
    const indexOf = (bound: number): number => Math.round(Math.log2(bound) * 2 ** schema);
    const positive = exponential.filter(({ lower }) => lower >= 0);
    const negative = exponential.filter(({ lower }) => lower < 0).reverse();
    const histogram = createHistogram({
      ...total,
      schema,
      zeroThreshold: zero?.upper ?? 0,
      zeroCount: zero?.count ?? 0,
      positiveSpans: spansOf(positive.map(({ upper }) => indexOf(upper))),
      positiveBuckets: Float64Array.from(positive, (bucket) => bucket.count),
      negativeSpans: spansOf(negative.map(({ lower }) => indexOf(-lower))),
      negativeBuckets: Float64Array.from(negative, (bucket) => bucket.count),
    });
    const bounds = [...negative.map(({ lower }) => -lower), ...positive.map(({ upper }) => upper)];
    const others = [...negative.map(({ upper }) => -upper), ...positive.map(({ lower }) => lower)];
    const fits = bounds.every((bound, i) => boundOf(schema, indexOf(bound), NO_BOUNDS) === bound && [boundOf(schema, indexOf(bound) - 1, NO_BOUNDS), zero?.upper].includes(others[i]));
    if (fits) return histogram;
  }
  const customValues = [...new Set(parsed.flatMap(({ lower, upper }) => [lower, upper]))].filter(Number.isFinite).sort((a, b) => a - b);
  const counts = new Float64Array(customValues.length + 1);
  for (const bucket of parsed) counts[bucket.upper === Infinity ? customValues.length : customValues.indexOf(bucket.upper)] = bucket.count;
  const spans = [{ offset: 0, length: counts.length }];
  return createHistogram({ ...total, schema: CUSTOM_BUCKETS_SCHEMA, positiveSpans: spans, positiveBuckets: counts, customValues: Float64Array.from(customValues) });
}

type AnyPoint = PointJson | readonly [number, HistogramJson];

function columnsOf(type: ResultColumns['type'], series: readonly { readonly metric: Readonly<Record<string, string>>; readonly points: readonly AnyPoint[] }[]): ResultColumns {
  const offsets = [0];
  for (const { points } of series) offsets.push(offsets.at(-1)! + points.length);
  const points = series.flatMap((one) => one.points);
  return {
    type,
    labels: series.map(({ metric }) => Object.entries(metric).flat()),
    offsets: Int32Array.from(offsets),
    timestampsMs: Float64Array.from(points, ([seconds]) => Math.round(seconds * 1000)),
    values: Float64Array.from(points, ([, value]) => (typeof value === 'string' ? numberOf(value) : 0)),
    histograms: points.map(([, value]) => (typeof value === 'string' ? undefined : histogramOf(value))),
    string: undefined,
  };
}

function decode(data: QueryDataJson): ResultColumns {
  switch (data.resultType) {
    case 'vector':
      return columnsOf('vector', data.result.map(({ metric, value, histogram }: VectorSampleJson) => ({ metric, points: [value ?? histogram!] })));
    case 'matrix':
      return columnsOf('matrix', data.result.map(({ metric, values = [], histograms = [] }: MatrixSeriesJson) => ({ metric, points: [...values, ...histograms].sort(([a], [b]) => a - b) })));
    case 'scalar':
      return columnsOf('scalar', [{ metric: {}, points: [data.result] }]);
    case 'string':
      return { ...columnsOf('string', []), string: data.result[1] };
  }
}

describe('recorded answers', () => {
  const answers = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/results.json'), 'utf8')) as { readonly name: string; readonly text: string }[];
  test.each(answers.map(({ name, text }) => [name, text] as const))('%s', (_name, text) => {
    const { data, warnings = [] } = JSON.parse(text) as { readonly data: QueryDataJson; readonly warnings?: string[] };
    const timeMs = data.resultType === 'string' ? Math.round(data.result[0] * 1000) : 0;
    const pieces = encodeQueryResult(decode(data), { kernels, timeMs, warnings, analysis: data.analysis });
    expect(join8(pieces)).toBe(text);
  });
});

describe('pieces', () => {
  const label = fc.string({ unit: 'grapheme', maxLength: 12 });
  const series = fc.array(
    fc.record({
      labels: fc.array(label, { maxLength: 4 }).map((texts) => texts.slice(0, texts.length & ~1)),
      values: fc.array(fc.double(), { maxLength: 30 }),
    }),
    { maxLength: 8 },
  );
  test('cut anywhere they make the same text', () => {
    fc.assert(
      fc.property(series, fc.integer({ min: 1, max: 300 }), (list, pieceBytes) => {
        const offsets = [0];
        for (const { values } of list) offsets.push(offsets.at(-1)! + values.length);
        const result: ResultColumns = {
          type: 'matrix',
          labels: list.map(({ labels }) => labels),
          offsets: Int32Array.from(offsets),
          timestampsMs: Float64Array.from({ length: offsets.at(-1)! }, (_none, i) => 1_700_000_000_000 + i * 1234),
          values: Float64Array.from(list.flatMap(({ values }) => values)),
          string: undefined,
        };
        const whole = join8(encodeQueryResult(result, PLAIN));
        const pieces = [...encodeQueryResult(result, { ...PLAIN, pieceBytes })];
        expect(join8(pieces)).toBe(whole);
        for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(Math.max(64, pieceBytes));
        const body = list
          .map(({ labels, values }, i) => {
            const points = values.map((value, j) => `[${formatTimestamp(1_700_000_000_000 + (offsets[i]! + j) * 1234)},"${formatFloat(value)}"]`);
            return `{"metric":${labelsText(labels)},"values":[${points.join(',')}]}`;
          })
          .join(',');
        expect(whole).toBe(`{"status":"success","data":{"resultType":"matrix","result":[${body}],"analysis":{}}}`);
      }),
      { numRuns: 150 },
    );
  });

  /** The same samples as rows of steps, in another order than the series, and as columns. */
  function bothForms(labels: string[][], steps: number, values: Float64Array, present: Uint8Array): { readonly rows: ResultColumns; readonly columns: ResultColumns } {
    const rowOf = Int32Array.from(labels, (_labels, i) => labels.length - 1 - i);
    const grid = { startMs: 1_700_000_000_250, stepMs: 1375, steps, rows: rowOf, values, present };
    const offsets = [0];
    const kept: { readonly timeMs: number; readonly value: number }[] = [];
    for (const row of rowOf) {
      for (let k = 0; k < steps; k++) if (present[row * steps + k] === 1) kept.push({ timeMs: grid.startMs + k * grid.stepMs, value: values[row * steps + k]! });
      offsets.push(kept.length);
    }
    const columns: ResultColumns = { type: 'matrix', labels, offsets: Int32Array.from(offsets), timestampsMs: Float64Array.from(kept, ({ timeMs }) => timeMs), values: Float64Array.from(kept, ({ value }) => value), string: undefined };
    return { columns, rows: { ...columns, offsets: new Int32Array(0), timestampsMs: new Float64Array(0), values: new Float64Array(0), steps: grid } };
  }

  test('rows of steps give the text of the columns', () => {
    const cells = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 20 })).chain(([series, steps]) => fc.record({ series: fc.constant(series), steps: fc.constant(steps), values: fc.array(fc.double(), { minLength: series * steps, maxLength: series * steps }), present: fc.array(fc.nat(1), { minLength: series * steps, maxLength: series * steps }) }));
    fc.assert(
      fc.property(cells, fc.integer({ min: 1, max: 300 }), ({ series, steps, values, present }, pieceBytes) => {
        const { rows, columns } = bothForms(Array.from({ length: series }, (_none, i) => ['s', String(i)]), steps, Float64Array.from(values), Uint8Array.from(present));
        expect(join8(encodeQueryResult(rows, { ...PLAIN, pieceBytes }))).toBe(join8(encodeQueryResult(columns, PLAIN)));
      }),
      { numRuns: 150 },
    );
  });

  test('rows longer than one call of the kernel, with a stretch that is absent', () => {
    const steps = 20_000;
    const present = new Uint8Array(2 * steps).fill(1).fill(0, 0, 9000).fill(0, steps + 8000, steps + 17_000);
    const before = kernels.memory.usedBytes;
    const { rows, columns } = bothForms([['a', 'b'], ['a', 'c']], steps, Float64Array.from({ length: 2 * steps }, (_none, i) => i / 8), present);
    let polls = 0;
    expect(join8(encodeQueryResult(rows, { ...PLAIN, poll: () => polls++ }))).toBe(join8(encodeQueryResult(columns, PLAIN)));
    expect(polls).toBeGreaterThanOrEqual(4);
    expect(kernels.memory.usedBytes).toBe(before);
    for (const _piece of encodeQueryResult(rows, { ...PLAIN, pieceBytes: 1000 })) break;
    expect(kernels.memory.usedBytes).toBe(before);
    expect(() => join8(encodeQueryResult({ ...rows, steps: { ...rows.steps!, stepMs: 0.5 } }, PLAIN))).toThrow('not whole milliseconds');
    expect(kernels.memory.usedBytes).toBe(before);
  });

  const big = (points: number): ResultColumns => ({
    type: 'matrix',
    labels: [['a', 'b'], ['a', 'c']],
    offsets: Int32Array.of(0, points, 2 * points),
    timestampsMs: Float64Array.from({ length: 2 * points }, (_none, i) => i * 1000),
    values: Float64Array.from({ length: 2 * points }, (_none, i) => i / 3),
    string: undefined,
  });

  test('are about a megabyte, and polled for at least every 10,000 points', () => {
    let polls = 0;
    const pieces = [...encodeQueryResult(big(60_000), { ...PLAIN, poll: () => polls++ })];
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.slice(0, -1).every(({ length }) => length > 900_000 && length <= 1 << 20)).toBe(true);
    expect(polls).toBeGreaterThanOrEqual(12);
    const { data } = JSON.parse(join8(pieces)) as { data: { result: MatrixSeriesJson[] } };
    expect(data.result[1]!.values!.length).toBe(60_000);
    expect(data.result[1]!.values!.at(-1)).toEqual([119_999, String(119_999 / 3)]);
  });

  test('kernel memory is given back at the end, on early end, and on errors', () => {
    const before = kernels.memory.usedBytes;
    join8(encodeQueryResult(big(10_000), PLAIN));
    expect(kernels.memory.usedBytes).toBe(before);
    for (const piece of encodeQueryResult(big(100_000), PLAIN)) {
      expect(piece.length).toBeGreaterThan(0);
      expect(kernels.memory.usedBytes).toBeGreaterThan(before);
      break;
    }
    expect(kernels.memory.usedBytes).toBe(before);
    const canceled = encodeQueryResult(big(100_000), {
      ...PLAIN,
      poll: () => {
        throw new Error('canceled');
      },
    });
    expect(() => join8(canceled)).toThrow('canceled');
    expect(kernels.memory.usedBytes).toBe(before);
  });

  test('a timestamp that is no whole millisecond is an error, not wrong data', () => {
    const broken = { ...big(3), timestampsMs: Float64Array.of(0, 0.5, 2, 3, 4, 5) };
    expect(() => join8(encodeQueryResult(broken, PLAIN))).toThrow('not whole milliseconds');
  });
});

describe('text', () => {
  test('labels keep what other strings escape', () => {
    expect(labelText('a<b>&"\\\n\b\f\u0001\u2028é\ud800')).toBe('"a<b>&\\"\\\\\\n\\u0008\\u000c\\u0001\u2028é\ufffd"');
    expect(jsonText({ x: 'a<b>&"\\b\n\b\f\u2028é\ud800' })).toBe('{"x":"a\\u003cb\\u003e\\u0026\\"\\\\b\\n\\u0008\\u000c\\u2028é\ufffd"}');
    expect(labelsText([])).toBe('{}');
    expect(labelsText(['__proto__', 'x', 'a', ''])).toBe('{"__proto__":"x","a":""}');
  });
  test('every text survives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
        expect(JSON.parse(labelText(text))).toBe(whole);
        expect(JSON.parse(jsonText(text))).toBe(whole);
      }),
    );
  });
  test('characters are never torn between pieces', () => {
    const buffer = new JsonBuffer(64);
    for (let i = 0; i < 50; i++) buffer.text('a😀é'.repeat(i % 7));
    const pieces = [...buffer.takeFull(), ...buffer.finish()];
    for (const piece of pieces) new TextDecoder('utf-8', { fatal: true }).decode(piece);
    expect(join8(pieces)).toBe(Array.from({ length: 50 }, (_none, i) => 'a😀é'.repeat(i % 7)).join(''));
  });
});
