/**
 * Histogram arithmetic with the remarks a query makes about it, and values on the line between two samples. What a sum or difference of two
 * histograms is, is shared with the engine: model compares that with Prometheus' own answers.
 */
import { addHistograms, detectReset, type FloatHistogram, mulHistogram, subHistograms } from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import type { PositionRange } from '../parser/ast.ts';
import type { NaiveValue } from './naive-samples.ts';

/** Where remarks go, and what they name. */
export interface Remarks {
  readonly annotations: Annotations;
  readonly metricName: string;
  readonly pos: PositionRange;
}

interface TimedValue {
  readonly timeMs: number;
  readonly value: NaiveValue;
}

/** a + b; undefined, with a remark, if their kinds of buckets differ. */
export function plus(a: FloatHistogram, b: FloatHistogram, remarks: Remarks): FloatHistogram | undefined {
  return noted(addHistograms(a, b), 'addition', remarks);
}

/** a − b, as `plus`. */
export function minus(a: FloatHistogram, b: FloatHistogram, remarks: Remarks): FloatHistogram | undefined {
  return noted(subHistograms(a, b), 'subtraction', remarks);
}

function noted(result: ReturnType<typeof addHistograms>, operation: 'addition' | 'subtraction', { annotations, metricName, pos }: Remarks): FloatHistogram | undefined {
  if (result === undefined) annotations.mixedExponentialCustom(metricName, pos);
  else if (result.boundsReconciled) annotations.mismatchedCustomBuckets(operation, pos);
  return result?.histogram;
}

/** Two floats' line at a time; a counter that fell starts again from 0. */
export function floatLine(a: TimedValue, b: TimedValue, atMs: number, isCounter: boolean): number {
  const to = b.value as number;
  const from = isCounter && to < (a.value as number) ? 0 : (a.value as number);
  return from + ((to - from) * (atMs - a.timeMs)) / (b.timeMs - a.timeMs);
}

/** Two histograms' line at a time. */
export function histogramLine(a: TimedValue, b: TimedValue, atMs: number, isCounter: boolean, remarks: Remarks): FloatHistogram | undefined {
  const [from, to] = [a.value as FloatHistogram, b.value as FloatHistogram];
  if (atMs === a.timeMs) return from;
  if (atMs === b.timeMs) return to;
  const fraction = (atMs - a.timeMs) / (b.timeMs - a.timeMs);
  if (isCounter && detectReset(to, from)) return mulHistogram(to, fraction);
  const change = minus(to, from, remarks);
  return change === undefined ? undefined : plus(mulHistogram(change, fraction), from, remarks);
}
