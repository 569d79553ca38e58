/** Whether an engine's answer is the expected one. Source of the rules: Prometheus promql/promqltest/test.go, util/almost. */
import { compactHistogram, compareLabels, type FloatHistogram, formatHistogramLiteral, formatLabels, histogramsAlmostEqual, isStaleNaN, type Labels, wordsOf } from '@gauntlet/model';
import type { EvalStatement } from './parse-script.ts';
import type { SequenceValue, SeriesDescription } from './parse-series.ts';

/** An answer, as columns: series i has the samples `offsets[i]` to `offsets[i + 1]`; a scalar is one series without labels. */
export interface ScriptResult {
  readonly type: 'vector' | 'matrix' | 'scalar' | 'string';
  readonly labels: readonly Labels[];
  readonly offsets: Int32Array | readonly number[];
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Beside each value the native histogram, if the sample is one. */
  readonly histograms?: readonly (FloatHistogram | undefined)[] | undefined;
  /** The answer of type `string`. */
  readonly string?: string | undefined;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

const EPSILON = 1e-6;
const NORMAL_MIN = 2.2250738585072014e-308;

/** Equal up to a relative difference of 1e-6; NaN equals NaN. */
export function almostEqual(a: number, b: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < NORMAL_MIN) return difference < EPSILON * NORMAL_MIN;
  return difference / Math.min(sum, Number.MAX_VALUE) < EPSILON;
}

/** What is wrong with one value; undefined if nothing. */
function compareValue(expected: SequenceValue, { values, histograms }: ScriptResult, index: number): string | undefined {
  const actual = values[index]!;
  const histogram = histograms?.[index];
  if (expected.kind === 'histogram') return compareHistogram(expected.histogram, expected.hasResetHint, histogram, actual);
  if (histogram !== undefined) return `expected ${expected.kind === 'float' ? expected.value : expected.kind}, got ${formatHistogramLiteral(histogram)}`;
  const stale = isStaleNaN(wordsOf(values), index);
  if (expected.kind === 'stale') return stale ? undefined : `expected a stale marker, got ${actual}`;
  const wanted = expected.kind === 'float' ? expected.value : Number.NaN;
  if (stale) return `expected ${wanted}, got a stale marker`;
  return almostEqual(wanted, actual) ? undefined : `expected ${wanted}, got ${actual}`;
}

function compareHistogram(expected: FloatHistogram, hasResetHint: boolean, actual: FloatHistogram | undefined, float: number): string | undefined {
  if (actual === undefined) return `expected ${formatHistogramLiteral(expected)}, got ${float}`;
  const sameHint = !hasResetHint || expected.resetHint === actual.resetHint;
  if (sameHint && histogramsAlmostEqual(compactHistogram(expected, 0), compactHistogram(actual, 0), almostEqual)) return undefined;
  const hint = hasResetHint ? ` with hint ${expected.resetHint}` : '';
  return `expected ${formatHistogramLiteral(expected)}${hint}, got ${formatHistogramLiteral(actual)} with hint ${actual.resetHint}`;
}

/** What is wrong with an answer; undefined if nothing. Annotations are not looked at. */
export function compareResult(statement: EvalStatement, result: ScriptResult): string | undefined {
  switch (result.type) {
    case 'string':
      return result.string === statement.expectedString ? undefined : `expected string ${statement.expectedString}, got ${result.string}`;
    case 'scalar':
      if (statement.scalar === undefined) return `expected series, got scalar ${result.values[0]}`;
      return compareValue({ kind: 'float', value: statement.scalar }, result, 0);
    case 'vector':
      return compareVector(statement, result);
    case 'matrix':
      return compareMatrix(statement, result);
  }
}

/** Order of the label sets; undefined if ascending. */
function unsortedAt(labels: readonly Labels[]): string | undefined {
  const at = labels.findIndex((one, i) => i > 0 && compareLabels(labels[i - 1]!, one) > 0);
  return at === -1 ? undefined : `series are not sorted by labels: ${formatLabels(labels[at]!)} comes after ${formatLabels(labels[at - 1]!)}`;
}

function keyOf(labels: Labels): string {
  return JSON.stringify(labels);
}

/** Calls `compare` for every series of the result with its expectation; complains about series that only one side has. */
function matchSeries(statement: EvalStatement, result: ScriptResult, compare: (wanted: SeriesDescription, index: number) => string | undefined): string | undefined {
  if (statement.scalar !== undefined) return `expected scalar ${statement.scalar}, got ${result.type}`;
  const expected = new Map(statement.series.map((series) => [keyOf(series.labels), series]));
  const missing = new Set(expected.keys());
  for (let i = 0; i < result.labels.length; i++) {
    const labels = result.labels[i]!;
    const wanted = expected.get(keyOf(labels));
    if (wanted === undefined) return `series is not expected: ${formatLabels(labels)} ${result.values.subarray(result.offsets[i]!, result.offsets[i + 1]!).join(' ')}`;
    missing.delete(keyOf(labels));
    const problem = compare(wanted, i);
    if (problem !== undefined) return `${formatLabels(labels)}: ${problem}`;
  }
  for (const key of missing) return `series is missing: ${formatLabels(expected.get(key)!.labels)}`;
  return undefined;
}

function compareVector(statement: EvalStatement, result: ScriptResult): string | undefined {
  return matchSeries(statement, result, (wanted, i) => {
    if (statement.ordered && statement.series[i] !== wanted) return `is at position ${i + 1}, expected at ${statement.series.indexOf(wanted) + 1}`;
    return compareValue(wanted.values[0]!, result, result.offsets[i]!);
  });
}

function compareMatrix(statement: EvalStatement, result: ScriptResult): string | undefined {
  if (statement.ordered) return 'expected an ordered vector, got a matrix';
  const { startMs, endMs, stepMs } = statement.rangeVector ?? statement;
  const problem = unsortedAt(result.labels);
  if (problem !== undefined) return problem;
  return matchSeries(statement, result, (wanted, i) => {
    let at = result.offsets[i]!;
    const end = result.offsets[i + 1]!;
    for (let step = 0; step < wanted.values.length; step++) {
      const value = wanted.values[step]!;
      if (value.kind === 'omitted') continue;
      const time = startMs + step * stepMs;
      if (time > endMs) return `expected ${wanted.values.length} points, the query has fewer steps`;
      if (at === end) return `nothing at ${time} ms and later`;
      if (result.timestampsMs[at] !== time) return `expected a point at ${time} ms, got ${result.values[at]} at ${result.timestampsMs[at]} ms`;
      const wrong = compareValue(value, result, at);
      if (wrong !== undefined) return `at ${time} ms ${wrong}`;
      at++;
    }
    return at === end ? undefined : `point is not expected: ${result.values[at]} at ${result.timestampsMs[at]} ms`;
  });
}
