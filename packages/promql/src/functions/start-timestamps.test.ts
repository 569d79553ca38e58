/** Start timestamps: when they tell a reset or an overlap, and the functions over windows against one window computed by hand at a time. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { Annotations } from '../annotations.ts';
import { isStartOverlap, isStartReset, START_FUNCTIONS, type StartSamples, startsInside } from './start-timestamps.ts';

describe('two neighbours: start and time of the first, start and time of the second', () => {
  test.each([
    { name: 'no start', a: [5, 10], b: [0, 20], isReset: false, isOverlap: false },
    { name: 'the same start', a: [5, 10], b: [5, 20], isReset: false, isOverlap: false },
    { name: 'a start in between', a: [5, 10], b: [11, 20], isReset: true, isOverlap: false },
    { name: 'a start in between, none before', a: [0, 10], b: [11, 20], isReset: true, isOverlap: false },
    { name: 'delta: a start at the sample before', a: [5, 10], b: [10, 20], isReset: true, isOverlap: false },
    { name: 'a start at the sample before, whose own is not known', a: [0, 10], b: [10, 20], isReset: false, isOverlap: false },
    { name: 'a start at the sample before, whose own is its time', a: [10, 10], b: [10, 20], isReset: false, isOverlap: false },
    { name: 'a start at the sample before, whose own is after it', a: [15, 10], b: [10, 20], isReset: false, isOverlap: false },
    { name: 'a start at its own time', a: [5, 10], b: [20, 20], isReset: false, isOverlap: false },
    { name: 'a start after its own time', a: [5, 10], b: [21, 20], isReset: false, isOverlap: false },
    { name: 'a start within the time of the one before', a: [5, 10], b: [8, 20], isReset: false, isOverlap: true },
    { name: 'a start before that of the one before', a: [5, 10], b: [3, 20], isReset: false, isOverlap: true },
    { name: 'a start below 0', a: [-5, 10], b: [-7, 20], isReset: false, isOverlap: true },
  ])('$name', ({ a, b, isReset, isOverlap }) => {
    expect(isStartReset(a[0]!, a[1]!, b[0]!, b[1]!)).toBe(isReset);
    expect(isStartOverlap(a[0]!, a[1]!, b[0]!)).toBe(isOverlap);
  });

  test('the first start counts only inside of the window and before its sample', () => {
    expect([0, 10, 11, 19, 20, 21].map((start) => startsInside(start, 20, 10))).toEqual([false, false, true, true, false, false]);
  });
});

interface Sample {
  readonly t: number;
  readonly v: number;
  readonly s: number;
}

const resetBetween = (a: Sample, b: Sample): boolean => b.v < a.v || isStartReset(a.s, a.t, b.s, b.t);

/** One window, in the order of the definition. */
function byHand(name: string, all: readonly Sample[], startMs: number, endMs: number, anchoredMs: number | undefined): number | undefined {
  let window = all.filter(({ t }) => t > startMs && t <= endMs);
  if (window.length === 0) return undefined;
  const [first, last] = [window[0]!, window.at(-1)!];
  if (name === 'resets') {
    const before = anchoredMs === undefined ? [] : all.filter(({ t }) => t > startMs - anchoredMs && t <= startMs).slice(-1);
    window = [...before, ...window];
    return window.filter((sample, i) => i > 0 && resetBetween(window[i - 1]!, sample)).length;
  }
  if (name === 'irate') {
    const [a, b] = window.slice(-2);
    if (b === undefined) return undefined;
    return (resetBetween(a!, b) ? b.v : b.v - a!.v) / ((b.t - a!.t) / 1000);
  }
  const isKnown = first.s !== 0 && first.s > startMs && first.s < first.t;
  if (window.length === 1 && !isKnown) return undefined;
  let change = last.v - first.v;
  window.forEach((sample, i) => {
    if (i > 0 && resetBetween(window[i - 1]!, sample)) change += window[i - 1]!.v;
  });
  let sampled = (last.t - first.t) / 1000;
  const average = window.length > 1 ? sampled / (window.length - 1) : 0;
  let toStart = (first.t - startMs) / 1000;
  let toEnd = (endMs - last.t) / 1000;
  if (isKnown) {
    toStart = 0;
    sampled = (last.t - first.s) / 1000;
    change += first.v;
  } else {
    if (toStart >= average * 1.1) toStart = average / 2;
    if (change > 0 && first.v >= 0) toStart = Math.min(toStart, sampled * (first.v / change));
  }
  if (toEnd >= average * 1.1) toEnd = average / 2;
  const factor = (sampled + toStart + toEnd) / sampled;
  return change * (name === 'rate' ? factor / ((endMs - startMs) / 1000) : factor);
}

const sampleSteps = fc.array(
  fc.record({
    gap: fc.constantFrom(1, 999, 15_000, 15_000, 15_000, 60_000),
    v: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constantFrom(Number.NaN, Infinity, -3)),
    start: fc.constantFrom('none', 'same', 'same', 'previous', 'own', 'after', 'between', 'overlap', 'early'),
  }),
  { maxLength: 30 },
);

function samplesOf(steps: readonly { gap: number; v: number; start: string }[]): Sample[] {
  const samples: Sample[] = [];
  for (const { gap, v, start } of steps) {
    const before = samples.at(-1) ?? { t: 1_000_000, v: 0, s: 0 };
    const t = before.t + gap;
    const s = { none: 0, same: before.s, previous: before.t, own: t, after: t + 5, between: before.t + 1, overlap: before.t - 7, early: 3 }[start]!;
    samples.push({ t, v, s });
  }
  return samples;
}

test.each([...START_FUNCTIONS.keys()].flatMap((name) => (name === 'resets' ? [{ name, anchoredMs: undefined }, { name, anchoredMs: 40_000 }] : [{ name, anchoredMs: undefined }])))(
  '$name, anchored $anchoredMs: every window as by hand, and a warning for each that overlaps',
  ({ name, anchoredMs }) => {
    fc.assert(
      fc.property(sampleSteps, fc.constantFrom(1, 15_000, 61_000, 400_000), fc.constantFrom(0, 7_000, 30_000), fc.integer({ min: 980_000, max: 1_200_000 }), (steps, rangeMs, endStepMs, firstEndMs) => {
        const samples = samplesOf(steps);
        const columns: StartSamples = {
          timestampsMs: Float64Array.from(samples, ({ t }) => t),
          values: Float64Array.from(samples, ({ v }) => v),
          starts: Float64Array.from(samples, ({ s }) => s),
        };
        const annotations = new Annotations();
        const pos = { start: 0, end: 0 };
        const count = 20;
        const call = { firstEndMs, endStepMs, startMs: firstEndMs, stepMs: 1, steps: count, rangeMs, lookBehindMs: 0, args: [], annotations, worked: () => undefined, pos, metricName: 'm', anchoredMs, histogramTimesMs: new Float64Array(0) };
        const out = new Float64Array(count);
        const present = new Uint8Array(count).fill(9);
        const found = START_FUNCTIONS.get(name)!(call, columns, out, present);
        const wanted = Array.from({ length: count }, (_, k) => byHand(name, samples, firstEndMs + k * endStepMs - rangeMs, firstEndMs + k * endStepMs, anchoredMs));
        expect(Array.from(present, (one, k) => (one === 0 ? undefined : out[k]! + 0))).toEqual(wanted.map((value) => (value === undefined ? undefined : value + 0)));
        expect(found).toBe(wanted.filter((value) => value !== undefined).length);
        const overlaps = wanted.filter((_, k) => {
          const window = samples.filter(({ t }) => t > firstEndMs + k * endStepMs - rangeMs && t <= firstEndMs + k * endStepMs);
          return window.some((sample, i) => i > 0 && isStartOverlap(window[i - 1]!.s, window[i - 1]!.t, sample.s));
        }).length;
        const times = overlaps > 1 ? ` (${overlaps} occurrences)` : '';
        const text = `PromQL warning: sample has start time that overlaps with previous sample timestamp for metric "m"${times} (1:1)`;
        expect(annotations.toStrings('q', 0).warnings).toEqual(overlaps > 0 && (name === 'rate' || name === 'increase') ? [text] : []);
      }),
      { numRuns: 150 },
    );
  },
);

test('windows that hold histograms are not remarked upon', () => {
  const annotations = new Annotations();
  const pos = { start: 0, end: 0 };
  const columns: StartSamples = { timestampsMs: Float64Array.of(10, 20, 30), values: Float64Array.of(1, 2, 3), starts: Float64Array.of(1, 5, 1) };
  const call = { firstEndMs: 20, endStepMs: 10, startMs: 20, stepMs: 10, steps: 2, rangeMs: 15, lookBehindMs: 0, args: [], annotations, worked: () => undefined, pos, metricName: 'm', anchoredMs: undefined, histogramTimesMs: Float64Array.of(25) };
  START_FUNCTIONS.get('rate')!(call, columns, new Float64Array(2), new Uint8Array(2));
  expect(annotations.toStrings('q', 0).warnings).toEqual(['PromQL warning: sample has start time that overlaps with previous sample timestamp for metric "m" (1:1)']);
});
