/**
 * Queries over native histograms that storage hands out as columns answer to the bit what they answer over objects: counters that are reset, layouts
 * that grow, stale markers, gauges, custom buckets, floats in between. And what is compared without objects is what `detectReset` says.
 */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, type FloatHistogram, formatLabels, type HistogramRun, RESET_HINTS, STALE_HISTOGRAM, withoutLabels, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { createEngine } from '../engine.ts';
import { createMemoryQueryable, type MemorySeries } from '../promqltest/memory-queryable.ts';

const engine = createEngine({ kernels: createKernels(), parser: { experimentalFunctions: true, extendedRangeSelectors: true } });

type Kind = 'counter' | 'gauge' | 'custom';

/** What happens to a series at a scrape. */
const EVENT = fc.record({
  gapMs: fc.constantFrom(15_000, 15_000, 15_000, 15_001, 40_000),
  what: fc.oneof({ weight: 14, arbitrary: fc.constant('grow' as const) }, { weight: 1, arbitrary: fc.constantFrom('stale' as const, 'reset' as const, 'float' as const, 'coarser' as const, 'wider' as const, 'unknown' as const, 'gap' as const) }),
  buckets: fc.array(fc.tuple(fc.nat(9), fc.nat(5)), { maxLength: 4 }),
  zeros: fc.nat(2),
  fraction: fc.constantFrom(0, 0, 0, 0.1, 1e-17, 1e16),
});

const SERIES = fc.record({ kind: fc.constantFrom<Kind>('counter', 'counter', 'counter', 'counter', 'gauge', 'custom'), job: fc.nat(1), hasNegative: fc.boolean(), events: fc.array(EVENT, { minLength: 1, maxLength: 60 }) });

type SeriesEvents = typeof SERIES extends fc.Arbitrary<infer T> ? T : never;

function seriesOf(all: readonly SeriesEvents[]): MemorySeries[] {
  return all.map(({ kind, job, hasNegative, events }, i) => {
    const times: number[] = [];
    const values = new Float64Array(events.length);
    const histograms: (FloatHistogram | undefined)[] = [];
    let timeMs = i;
    let counts = new Map<number, number>();
    let negative = 0;
    let zeros = 0;
    let schema = 2;
    let zeroThreshold = 1e-3;
    let sum = 0;
    let isAfterChunk = true;
    events.forEach((event, at) => {
      timeMs += event.gapMs;
      times.push(timeMs);
      if (event.what === 'stale') {
        writeStaleNaN(wordsOf(values), at);
        histograms.push(STALE_HISTOGRAM);
        isAfterChunk = true;
        return;
      }
      if (event.what === 'float') {
        values[at] = event.zeros;
        histograms.push(undefined);
        isAfterChunk = true;
        return;
      }
      if (event.what === 'reset') [counts, negative, zeros, sum] = [new Map(), 0, 0, 0];
      if (event.what === 'coarser' && kind !== 'custom') schema--;
      if (event.what === 'wider' && kind !== 'custom') zeroThreshold = 2;
      for (const [bucket, more] of event.buckets) counts.set(bucket, (counts.get(bucket) ?? 0) + more + event.fraction);
      if (hasNegative && kind !== 'custom') negative += event.zeros;
      if (kind !== 'custom') zeros += event.zeros;
      sum += event.zeros * 0.3;
      const used = [...counts.keys()].filter((bucket) => event.what !== 'gap' || bucket > 0).sort((a, b) => a - b);
      const spans: { offset: number; length: number }[] = [];
      let end = 0;
      for (const bucket of used) {
        spans.push({ offset: bucket - end, length: 1 });
        end = bucket + 1;
      }
      const buckets = Float64Array.from(used, (bucket) => counts.get(bucket)!);
      const resetHint = kind === 'gauge' ? RESET_HINTS.gauge : event.what === 'reset' && at % 2 === 0 ? RESET_HINTS.reset : isAfterChunk || event.what !== 'grow' ? RESET_HINTS.unknown : RESET_HINTS.notReset;
      isAfterChunk = false;
      histograms.push(
        createHistogram({
          schema: kind === 'custom' ? -53 : schema,
          zeroThreshold: kind === 'custom' ? 0 : zeroThreshold,
          zeroCount: zeros,
          count: buckets.reduce((a, b) => a + b, 0) + zeros + negative,
          sum,
          resetHint,
          positiveSpans: spans,
          positiveBuckets: buckets,
          ...(negative > 0 ? { negativeSpans: [{ offset: 3, length: 1 }], negativeBuckets: Float64Array.of(negative) } : {}),
          customValues: kind === 'custom' ? Float64Array.from({ length: 10 + (event.what === 'wider' ? 1 : 0) }, (_none, bound) => bound) : new Float64Array(0),
        }),
      );
    });
    return { labels: ['__name__', 'x', 'i', String(i), 'job', String(job)], timestampsMs: Float64Array.from(times), values, histograms };
  });
}

const bits = new BigUint64Array(1);
const float = new Float64Array(bits.buffer);
function bitsOf(value: number): string {
  float[0] = value;
  return bits[0]!.toString(16);
}

/** A series that every query answers something about: histograms that grow, then floats. */
const ALWAYS: SeriesEvents = {
  kind: 'counter',
  job: 0,
  hasNegative: false,
  events: Array.from({ length: 24 }, (_none, at) => ({ gapMs: 15_000, what: at < 16 ? 'grow' : 'float', buckets: [[at % 5, 1]], zeros: 1, fraction: 0 })),
};

const QUERIES = [
  'rate(x[1m])',
  'increase(x[3m])',
  'sum(rate(x[1m]))',
  'sum by (job) (rate(x[2m]))',
  'sum without (i) (increase(x[90s]))',
  'avg(rate(x[1m]))',
  'count(rate(x[1m]))',
  'topk(1, last_over_time(x[1m]))',
  'histogram_quantile(0.7, sum by (job) (rate(x[2m])))',
  'histogram_quantile(0.2, rate(x[2m]))',
  'histogram_avg(sum(rate(x[1m])))',
  'histogram_count(x)',
  'histogram_sum(rate(x[1m]))',
  'sum by (job) (histogram_count(increase(x[2m])))',
  'delta(x[2m])',
  'irate(x[2m])',
  'resets(x[3m])',
  'sum(x)',
  'avg by (job) (x)',
  'sum_over_time(x[2m])',
  'avg_over_time(x[2m])',
  'count_over_time(x[2m])',
  'increase(x[2m] anchored)',
  'increase(x[2m] smoothed)',
  'sum(rate(x[1m])) + sum(rate(x[2m]))',
];

test.each(QUERIES)('%s: the same bits from columns and from objects', async (expr) => {
  let samples = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(SERIES, { maxLength: 5 }), async (all) => {
      const series = seriesOf([ALWAYS, ...all]);
      const answers: unknown[] = [];
      for (const hasRuns of [false, true]) {
        const result = await engine.range({ expr, queryable: createMemoryQueryable(series, { hasRuns }), startMs: 0, endMs: 1_200_000, stepMs: 20_000 });
        samples += result.histograms?.length ?? result.values.length;
        answers.push([
          result.labels.map((labels) => formatLabels(withoutLabels(labels, new Set()))),
          [...result.offsets],
          [...result.timestampsMs],
          Array.from(result.values, bitsOf),
          (result.histograms ?? []).map((one) => one && [one.schema, one.zeroThreshold, one.resetHint, one.positiveSpans, one.negativeSpans, [...one.customValues], ...[one.zeroCount, one.count, one.sum, ...one.positiveBuckets, ...one.negativeBuckets].map(bitsOf)]),
          result.warnings,
          result.infos,
        ]);
        result.dispose();
      }
      expect(answers[1]).toEqual(answers[0]);
    }),
    { numRuns: Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 240) / 12 },
  );
  expect(samples).toBeGreaterThan(0);
});

test('a rate of columns makes no objects of the histograms it reads', async () => {
  const count = 60;
  const made = Array.from({ length: count }, (_none, i) => createHistogram({ count: i, sum: i, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(i) }));
  const run: HistogramRun = {
    firstId: 0,
    endId: count,
    schema: 0,
    zeroThreshold: 0,
    positiveSpans: made[0]!.positiveSpans,
    negativeSpans: [],
    customValues: new Float64Array(0),
    positiveBuckets: 1,
    negativeBuckets: 0,
    counts: Float64Array.from(made.keys()),
    zeroCounts: new Float64Array(count),
    sums: Float64Array.from(made.keys()),
    hints: new Uint8Array(count).fill(RESET_HINTS.notReset),
    bucketAt: Int32Array.from(made.keys()),
    buckets: Float64Array.from(made.keys()),
  };
  const memory = createMemoryQueryable([]);
  const queryable = {
    ...memory,
    select: () => ({
      async *[Symbol.asyncIterator]() {
        await Promise.resolve();
        const get = (): FloatHistogram => {
          throw new Error('made an object');
        };
        yield { labels: [['__name__', 'x']], offsets: Int32Array.of(0, count), timestampsMs: Float64Array.from(made, (_one, i) => i * 15_000), values: new Float64Array(count), histograms: { ids: Int32Array.from(made.keys()), get, runOf: () => run } };
      },
      warnings: () => [],
    }),
  };
  const result = await engine.range({ expr: 'histogram_count(sum(increase(x[1m])))', queryable, startMs: 60_000, endMs: 800_000, stepMs: 60_000 });
  expect([...new Set(result.values)]).toEqual([4]);
  result.dispose();
});
