/** Histograms as Prometheus' own package answers for them: random ones, and for each operation its result. testdata/histogram/README.md. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { addHistograms, type HistogramArithmetic, subHistograms } from './arithmetic.ts';
import { boundOf } from './bucket-bounds.ts';
import { allBuckets, allBucketsDescending, type BucketCursor } from './bucket-cursor.ts';
import { checkHistogram } from './check-histogram.ts';
import { detectReset } from './detect-reset.ts';
import { fractionOfHistogram, quantileOfHistogram, varianceOfHistogram } from './estimate.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, type ResetHint } from './float-histogram.ts';
import { formatHistogram, formatHistogramLiteral } from './format-histogram.ts';
import { HistogramMean, HistogramSum } from './histogram-sum.ts';
import { compactHistogram, histogramsAlmostEqual, histogramsEqual, reduceResolution } from './layout.ts';
import { keepAbove, keepBelow } from './trim.ts';

type Num = number | string;
type Answer = readonly unknown[];

const number = (value: unknown): number => (value === 'Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value));
const numbers = (values: unknown): Float64Array => Float64Array.from(values as Num[], number);

function spans(flat: unknown): HistogramSpan[] {
  const list = flat as number[];
  return list.flatMap((offset, i) => (i % 2 === 0 ? [{ offset, length: list[i + 1]! }] : []));
}

function read(value: unknown): FloatHistogram {
  const [schema, zeroThreshold, zeroCount, count, sum, hint, positiveSpans, positive, negativeSpans, negative, custom] = value as unknown[];
  return createHistogram({
    schema: number(schema),
    zeroThreshold: number(zeroThreshold),
    zeroCount: number(zeroCount),
    count: number(count),
    sum: number(sum),
    resetHint: hint as ResetHint,
    positiveSpans: spans(positiveSpans),
    positiveBuckets: numbers(positive),
    negativeSpans: spans(negativeSpans),
    negativeBuckets: numbers(negative),
    customValues: numbers(custom),
  });
}

const ANSWERS: readonly Answer[] = readFileSync(new URL('../../testdata/histogram/answers.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Answer);

/** Last digits may differ where logarithms or more than two summands are involved. */
const isClose = (a: number, b: number): boolean => Object.is(a, b) || a === b;

function answersOf(kind: string, check: (answer: Answer) => void): void {
  const answers = ANSWERS.filter((answer) => answer[0] === kind);
  expect(answers.length).toBeGreaterThan(5);
  for (const answer of answers) {
    try {
      check(answer.slice(1));
    } catch (error) {
      throw new Error(`${kind} ${JSON.stringify(answer.slice(1, 3))}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function same(got: FloatHistogram, want: unknown): void {
  const wanted = read(want);
  if (!histogramsAlmostEqual(got, wanted, isClose) || got.resetHint !== wanted.resetHint) {
    throw new Error(`got ${formatHistogram(got)} ${JSON.stringify(got)} want ${formatHistogram(wanted)} ${JSON.stringify(wanted)}`);
  }
}

function sameArithmetic(got: HistogramArithmetic | undefined, want: unknown): void {
  if (got === undefined || want === null) {
    expect(got ?? null).toBe(want);
    return;
  }
  const [histogram, collision, reconciled] = want as unknown[];
  same(compactHistogram(got.histogram, 0), histogram);
  expect([got.counterResetCollision, got.boundsReconciled]).toEqual([collision, reconciled]);
}

function walk(cursor: BucketCursor): unknown[] {
  const buckets: unknown[] = [];
  while (cursor.next()) buckets.push([cursor.lower, cursor.upper, cursor.lowerInclusive, cursor.upperInclusive, cursor.count, cursor.index]);
  return buckets;
}

const readWalk = (buckets: unknown): unknown[] => (buckets as unknown[][]).map(([lower, upper, a, b, count, index]) => [number(lower), number(upper), a, b, number(count), index]);

describe('answers of Prometheus', () => {
  it('adds, subtracts and finds resets', () => {
    answersOf('pair', ([a, b, sum, difference, reset]) => {
      sameArithmetic(addHistograms(read(a), read(b)), sum);
      sameArithmetic(subHistograms(read(a), read(b)), difference);
      expect(detectReset(read(a), read(b))).toBe(reset);
    });
  });

  it('finds resets between samples that grew', () => {
    answersOf('reset', ([current, previous, reset]) => {
      expect(detectReset(read(current), read(previous))).toBe(reset);
    });
  });

  it('sums and averages', () => {
    answersOf('sum', ([histograms, wantSum, wantMean]) => {
      const [first, ...others] = (histograms as unknown[]).map(read) as [FloatHistogram, ...FloatHistogram[]];
      const sum = new HistogramSum(first);
      const mean = new HistogramMean(first);
      const areAdded = others.every((other) => sum.add(other) && mean.add(other));
      expect(areAdded).toBe(wantSum !== null);
      if (wantSum === null) return;
      const [histogram, reconciled] = wantSum as unknown[];
      same(compactHistogram(sum.result(), 0), histogram);
      expect(sum.boundsReconciled).toBe(reconciled);
      same(compactHistogram(mean.result(), 0), wantMean);
    });
  });

  it('lays out, prints and walks buckets', () => {
    answersOf('shape', ([histogram, compact, compact2, compactAll, coarse, text, literal, ascending, descending]) => {
      const h = read(histogram);
      for (const [empty, want] of [[0, compact], [2, compact2], [Infinity, compactAll]] as const) {
        expect(histogramsEqual(compactHistogram(h, empty), read(want))).toBe(true);
      }
      if (coarse !== null) same(reduceResolution(h, read(coarse).schema), coarse);
      expect([formatHistogram(h), formatHistogramLiteral(h)]).toEqual([text, literal]);
      expect(walk(allBuckets(h))).toEqual(readWalk(ascending));
      expect(walk(allBucketsDescending(h))).toEqual(readWalk(descending));
    });
  });

  it('estimates and trims', () => {
    answersOf('estimate', ([histogram, quantiles, fractions, variance, trims]) => {
      const h = read(histogram);
      for (const [q, value, nan] of quantiles as unknown[][]) {
        const got = quantileOfHistogram(number(q), h);
        expect({ q, close: isClose(got.value, number(value)) || got.value, nan: got.nanObservations }).toEqual({ q, close: true, nan: nan || 'none' });
      }
      for (const [lower, upper, value, nan] of fractions as unknown[][]) {
        const got = fractionOfHistogram(number(lower), number(upper), h);
        expect({ lower, upper, close: isClose(got.value, number(value)) || got.value, nan: got.nanObservations }).toEqual({ lower, upper, close: true, nan: nan || 'none' });
      }
      expect(isClose(varianceOfHistogram(h), number(variance)) || varianceOfHistogram(h)).toBe(true);
      for (const [x, below, above] of trims as unknown[][]) {
        same(keepBelow(h, number(x)), below);
        same(keepAbove(h, number(x)), above);
      }
    });
  });

  it('checks what comes from outside, with its messages', () => {
    answersOf('check', ([histogram, message]) => {
      const check = (): void => checkHistogram(read(histogram));
      if (message === null) check();
      else expect(check).toThrow(message as string);
    });
  });

  it('knows where buckets end, to the last bit', () => {
    answersOf('bounds', ([schema, bounds]) => {
      for (const [index, bound] of bounds as unknown[][]) {
        expect({ schema, index, bound: boundOf(schema as number, index as number, new Float64Array(0)) }).toEqual({ schema, index, bound: number(bound) });
      }
    });
  });
});
