/**
 * Random series from a seed, with what troubles engines:
 *
 *   a_total  counters with resets          lat_bucket, lat_count, lat_sum  classic histograms, some broken     h, hc  native histograms, custom ones
 *   b        gauges with NaN and ±Inf      lat, lat_bucket{kind}           native ones of the same labels      hg     gauge histograms
 *   c        a label some lack             flat    constant                m       floats and histograms       target_info, build_info
 *   d, e     equal labels, two names       rare    few, irregular samples, then nothing
 *
 * Some a_total and hc have the labels __type__ and __unit__.
 *
 * Times are multiples of 500 ms, so that data can be written as a script; there are gaps, jitter and stale markers everywhere.
 */
import { compactHistogram, compareLabels, createHistogram, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, labelsFromPairs, RESET_HINTS, STALE_HISTOGRAM } from '@gauntlet/model';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';
import { storedHistograms } from '../promqltest/stored-histograms.ts';

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** All times of random data are multiples of this. */
export const DATA_STEP_MS = 500;

/** A random whole number below a limit. */
type Below = (limit: number) => number;
type DataValue = number | FloatHistogram | 'stale';
/** Gives the next value of a series. */
type Next = () => DataValue;

/** Series over `durationMs` from time 0, in label order. */
export function randomSeries(random: () => number, durationMs: number): MemorySeries[] {
  const below: Below = (limit) => Math.floor(random() * limit);
  const series: MemorySeries[] = [];
  const add = (labels: Record<string, string>, next: Next, gapChance = 0.03): void => {
    if (random() < 0.25) return;
    series.push(toSeries(Object.entries(labels), samplesOf(random, durationMs, next, gapChance)));
  };
  for (const job of ['x', 'y']) {
    for (const instance of ['0', '1', '10']) {
      const target = { job, instance };
      const typed = (type: string): Record<string, string> => (instance === '1' ? { __type__: type, __unit__: 'seconds' } : {});
      add({ __name__: 'a_total', ...target, ...typed('counter') }, counter(random));
      add({ __name__: 'b', ...target }, gauge(random));
      add({ __name__: 'c', ...target, ...(instance === '0' ? {} : { zone: instance }) }, gauge(random));
      if (instance === '10') continue;
      for (const name of ['d', 'e']) add({ __name__: name, ...target }, gauge(random));
      add({ __name__: 'flat', ...target }, () => 2.5);
      add({ __name__: 'rare', ...target }, gauge(random), 0.5);
      add({ __name__: 'h', ...target }, nativeHistograms(random, 'counter'));
      add({ __name__: 'hc', ...target, ...typed('histogram') }, nativeHistograms(random, 'custom'));
      add({ __name__: 'hg', ...target }, nativeHistograms(random, 'gauge'));
      add({ __name__: 'm', ...target }, mixed(random));
      for (const le of below(2) === 0 ? ['0.1', '1', '+Inf'] : ['-1', '0.5', '1', '1.0', below(4) === 0 ? 'bad' : '+Inf']) add({ __name__: 'lat_bucket', ...target, le }, counter(random, 4));
      add({ __name__: 'lat', ...target }, nativeHistograms(random, 'counter'));
      if (below(3) === 0) add({ __name__: 'lat_bucket', ...target }, nativeHistograms(random, 'counter'));
      add({ __name__: 'target_info', ...target, version: `v${below(2)}`, env: 'prod' }, () => 1);
      if (below(4) === 0) add({ __name__: 'target_info', ...target, version: 'v2' }, () => 1);
      add({ __name__: 'build_info', ...target, rev: `r${below(3)}`, ...(below(6) === 0 ? { version: 'v9' } : {}) }, () => 1);
    }
  }
  return series.sort((a, b) => compareLabels(a.labels, b.labels));
}

function samplesOf(random: () => number, durationMs: number, next: Next, gapChance: number): { timeMs: number; value: DataValue }[] {
  const samples: { timeMs: number; value: DataValue }[] = [];
  const everyMs = [15_000, 15_000, 30_000, 60_000][Math.floor(random() * 4)]!;
  const jitter = random() < 0.5 ? 0 : 2;
  const lastMs = random() < 0.1 ? durationMs / 2 : durationMs;
  for (let time = Math.floor(random() * everyMs); time <= lastMs; time += everyMs) {
    const dice = random();
    if (dice < gapChance) time += Math.floor(random() * 400_000);
    const timeMs = Math.floor(time / DATA_STEP_MS + random() * jitter) * DATA_STEP_MS;
    const value = next();
    samples.push({ timeMs, value: dice > 0.97 ? 'stale' : value });
  }
  return samples;
}

function toSeries(labels: [string, string][], samples: readonly { timeMs: number; value: DataValue }[]): MemorySeries {
  const values = Float64Array.from(samples, ({ value }) => (typeof value === 'number' ? value : 0));
  const bits = new BigUint64Array(values.buffer);
  samples.forEach(({ value }, i) => {
    if (value === 'stale') bits[i] = 0x7ff0000000000002n;
  });
  const columns = { labels: labelsFromPairs(labels), timestampsMs: Float64Array.from(samples, ({ timeMs }) => timeMs), values };
  if (samples.every(({ value }) => typeof value !== 'object')) return columns;
  const stored = storedHistograms(samples.map(({ value }) => (typeof value === 'object' ? value : undefined)));
  // Among histograms a stale marker is one as well.
  const isPure = samples.every(({ value }) => typeof value !== 'number');
  return { ...columns, histograms: stored.map((histogram, i) => (isPure && samples[i]!.value === 'stale' ? STALE_HISTOGRAM : histogram)) };
}

function counter(random: () => number, increase = 5): Next {
  let value = Math.floor(random() * 10);
  return () => {
    value = random() < 0.03 ? 0 : value + Math.floor(random() * increase);
    return value;
  };
}

function gauge(random: () => number): Next {
  return () => {
    const dice = random();
    if (dice < 0.01) return NaN;
    if (dice < 0.02) return dice < 0.015 ? Infinity : -Infinity;
    return dice < 0.04 ? 0 : Math.floor((random() - 0.4) * 200) / 4;
  };
}

function nativeHistograms(random: () => number, kind: 'counter' | 'gauge' | 'custom'): Next {
  const below: Below = (limit) => Math.floor(random() * limit);
  let histogram = emptyHistogram(below, kind);
  return () => {
    if (kind === 'gauge' || random() < 0.02) histogram = emptyHistogram(below, kind);
    else if (random() < 0.03) histogram = scaled(histogram, 0);
    histogram = observed(histogram, below);
    return random() < 0.5 ? compactHistogram(histogram, 0) : histogram;
  };
}

function emptyHistogram(below: Below, kind: 'counter' | 'gauge' | 'custom'): FloatHistogram {
  const custom = kind === 'custom' || (kind === 'gauge' && below(8) === 0);
  const resetHint = kind === 'gauge' ? RESET_HINTS.gauge : RESET_HINTS.unknown;
  if (custom) {
    const customValues = Float64Array.from([[1, 2, 5], [1, 5, 10], [0.5, 1, 2, 5]][below(3)]!);
    const length = customValues.length + 1;
    return createHistogram({ schema: CUSTOM_BUCKETS_SCHEMA, customValues, resetHint, positiveSpans: [{ offset: 0, length }], positiveBuckets: new Float64Array(length) });
  }
  const length = 2 + below(3);
  const hasNegative = below(3) === 0;
  return createHistogram({
    schema: [0, 0, 1, 2, -1][below(5)]!,
    zeroThreshold: below(3) === 0 ? 0.5 : 0.001,
    resetHint,
    positiveSpans: below(2) === 0 ? [{ offset: below(3) - 1, length }] : [{ offset: below(3) - 1, length: 1 }, { offset: 1, length: length - 1 }],
    positiveBuckets: new Float64Array(length),
    negativeSpans: hasNegative ? [{ offset: 0, length: 2 }] : [],
    negativeBuckets: new Float64Array(hasNegative ? 2 : 0),
  });
}

/** Some more observations; now and then one of NaN, which no bucket has. */
function observed(histogram: FloatHistogram, below: Below): FloatHistogram {
  const grow = (buckets: Float64Array): Float64Array => buckets.map((count) => count + below(3));
  const positiveBuckets = grow(histogram.positiveBuckets);
  const negativeBuckets = grow(histogram.negativeBuckets);
  const zeroCount = histogram.schema === CUSTOM_BUCKETS_SCHEMA ? 0 : histogram.zeroCount + below(2);
  const total = (buckets: Float64Array): number => buckets.reduce((sum, count) => sum + count, 0);
  const isNaN = below(200) === 0;
  const count = total(positiveBuckets) + total(negativeBuckets) + zeroCount + (isNaN ? 1 : 0);
  return createHistogram({ ...histogram, positiveBuckets, negativeBuckets, zeroCount, count, sum: isNaN ? NaN : histogram.sum + below(40) / 4 });
}

function scaled(histogram: FloatHistogram, factor: number): FloatHistogram {
  const times = (buckets: Float64Array): Float64Array => buckets.map((count) => count * factor);
  return createHistogram({ ...histogram, count: 0, sum: 0, zeroCount: 0, positiveBuckets: times(histogram.positiveBuckets), negativeBuckets: times(histogram.negativeBuckets) });
}

/** Runs of floats, then runs of histograms. */
function mixed(random: () => number): Next {
  const floats = counter(random);
  const histograms = nativeHistograms(random, random() < 0.3 ? 'custom' : 'counter');
  let isFloat = random() < 0.5;
  return () => {
    if (random() < 0.06) isFloat = !isFloat;
    return isFloat ? floats() : histograms();
  };
}
