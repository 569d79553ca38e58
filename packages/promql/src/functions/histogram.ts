/**
 * histogram_quantile, histogram_quantiles and histogram_fraction over classic and native histograms. Classic ones are series `…_bucket` with the
 * upper bound in the label `le`.
 *
 *   {le="0.1"} {le="0.5"} {le="+Inf"}   one group = equal labels but for `le`; the columns are cumulative counts
 *
 * Bounds are sorted once per group; a step then walks the buckets that have a value there. Where a native histogram has the labels of a group of
 * buckets, neither is evaluated.
 * Source: Prometheus promql/quantile.go (3.14).
 */
import { bytesOfLabels, KeyTable } from '../exec/key-table.ts';
import { dropMetadata, filterLabels, labelsKey } from '../exec/labels.ts';
import { type Grid, isOneTime, type QueryContext } from '../exec/query-context.ts';
import { mergeDuplicates, StepMatrix } from '../exec/step-matrix.ts';
import { type FloatHistogram, fractionOfHistogram, getLabel, type Labels, METRIC_NAME, quantileOfHistogram, withLabel } from '@gauntlet/model';
import type { PositionRange } from '../parser/ast.ts';
import { formatOpenMetrics } from './go-format.ts';

/** Relative difference between neighbouring counts that is taken for rounding. */
const SMALL_DELTA = 1e-12;
const MIN_NORMAL = 2 ** -1022;
/** Heap bytes of one bucket in its group's lists, and while they are sorted. */
const BUCKET_BYTES = 64;

/** One quantile per step, and the places messages point to. */
export interface QuantileArgument {
  readonly q: Float64Array;
  readonly qPos: PositionRange;
  readonly vectorPos: PositionRange;
}

interface BucketGroup {
  /** Labels without `le`. */
  readonly labels: Labels;
  dropName: boolean;
  /** Rows of the matrix in ascending order of bounds. */
  readonly rows: number[];
  readonly bounds: number[];
}

/** Buckets of one group at one step, equal bounds added up. */
class Buckets {
  readonly bounds: number[] = [];
  readonly counts: number[] = [];
  size = 0;

  load(group: BucketGroup, matrix: StepMatrix, k: number): void {
    this.size = 0;
    for (let i = 0; i < group.rows.length; i++) {
      const at = group.rows[i]! * matrix.steps + k;
      if (matrix.present[at] === 0 || matrix.histogramAt(group.rows[i]!, k) !== undefined) continue;
      const bound = group.bounds[i]!;
      if (this.size > 0 && this.bounds[this.size - 1] === bound) {
        this.counts[this.size - 1] = this.counts[this.size - 1]! + matrix.values[at]!;
        continue;
      }
      this.bounds[this.size] = bound;
      this.counts[this.size] = matrix.values[at]!;
      this.size++;
    }
  }
}

/** `histogram_quantile(q, v)`; the matrix is used up. */
export function histogramQuantile(context: QueryContext, grid: Grid, argument: QuantileArgument, matrix: StepMatrix): StepMatrix {
  warnOutside(context, argument);
  const groups = groupBuckets(context, matrix, argument.vectorPos);
  dropConflicts(context, matrix, groups, argument.vectorPos);
  const out = new StepMatrix(context, grid.steps, groups.length);
  addNativeQuantiles(context, argument, matrix, out, (labels) => labels);
  for (const group of groups) addQuantiles(context, grid, argument, matrix, group, out, group.labels);
  return finish(context, grid, matrix, out);
}

/** `histogram_quantiles(v, label, q…)`: the quantile is in a label of the result. */
export function histogramQuantiles(context: QueryContext, grid: Grid, label: string, quantiles: readonly QuantileArgument[], matrix: StepMatrix): StepMatrix {
  for (const argument of quantiles) warnOutside(context, argument);
  const groups = groupBuckets(context, matrix, quantiles[0]!.vectorPos);
  dropConflicts(context, matrix, groups, quantiles[0]!.vectorPos);
  const out = new StepMatrix(context, grid.steps, groups.length * quantiles.length);
  for (const argument of quantiles) {
    // A quantile that changes from step to step makes one series per value.
    for (const q of new Set(argument.q)) {
      const only = { ...argument, q: argument.q.map((x) => (Object.is(x, q) || x === q ? x : NaN)) };
      const wanted = (k: number): boolean => Object.is(argument.q[k], q) || argument.q[k] === q;
      const withQuantile = (labels: Labels): Labels => withLabel(labels, label, Number.isNaN(q) ? 'NaN' : formatOpenMetrics(q));
      addNativeQuantiles(context, only, matrix, out, withQuantile, wanted);
      for (const group of groups) addQuantiles(context, grid, only, matrix, group, out, withQuantile(group.labels), wanted);
    }
  }
  return finish(context, grid, matrix, out);
}

/** `histogram_fraction(lower, upper, v)`. */
export function histogramFraction(context: QueryContext, grid: Grid, lower: Float64Array, upper: Float64Array, pos: PositionRange, matrix: StepMatrix): StepMatrix {
  const { steps } = grid;
  const groups = groupBuckets(context, matrix, pos);
  dropConflicts(context, matrix, groups, pos);
  const out = new StepMatrix(context, steps, groups.length);
  forNativeRows(context, matrix, out, (labels) => labels, (histogram, k, metricName) => {
    const { value, nanObservations } = fractionOfHistogram(lower[k]!, upper[k]!, histogram);
    if (nanObservations !== 'none') context.annotations.fractionOfNaN(metricName, pos);
    return value;
  });
  const buckets = new Buckets();
  for (const group of groups) {
    const at = addGroup(context, out, group, group.labels) * steps;
    for (let k = 0; k < steps; k++) {
      buckets.load(group, matrix, k);
      if (buckets.size === 0) continue;
      out.values[at + k] = fractionOf(buckets, lower[k]!, upper[k]!);
      out.present[at + k] = 1;
    }
    context.worked(steps * group.rows.length, 0);
  }
  return finish(context, grid, matrix, out);
}

function finish(context: QueryContext, grid: Grid, matrix: StepMatrix, out: StepMatrix): StepMatrix {
  context.drop(matrix.count());
  matrix.release();
  out.keepRows((row) => out.hasValues(row));
  context.hold(out.count());
  // At one time and with delayed names, equal labels are looked at when the names are gone.
  return context.settings.delayedNameRemoval && isOneTime(grid) ? out : mergeDuplicates(out);
}

function addGroup(context: QueryContext, out: StepMatrix, _group: BucketGroup, labels: Labels): number {
  return context.settings.delayedNameRemoval ? out.addRow(labels, true) : out.addRow(dropMetadata(labels), true);
}

function warnOutside(context: QueryContext, argument: QuantileArgument): void {
  for (const q of argument.q) if (!(q >= 0 && q <= 1)) context.annotations.invalidQuantile(q, argument.qPos);
}

function groupBuckets(context: QueryContext, matrix: StepMatrix, pos: PositionRange): BucketGroup[] {
  const keys = new KeyTable(context);
  const groups: BucketGroup[] = [];
  for (let row = 0; row < matrix.rows; row++) {
    if (!hasFloats(matrix, row)) continue;
    const labels = matrix.labels[row]!;
    const le = getLabel(labels, 'le');
    const bound = parseBound(le);
    if (bound === undefined) {
      context.annotations.badBucketLabel(context.settings.delayedNameRemoval ? getLabel(labels, METRIC_NAME) : '', le, pos);
      continue;
    }
    const rest = filterLabels(labels, (name) => name !== 'le');
    const id = keys.idOf(labelsKey(rest));
    if (id === groups.length) {
      context.reserve(bytesOfLabels(rest));
      groups.push({ labels: rest, dropName: matrix.dropName[row]!, rows: [], bounds: [] });
    }
    const group = groups[id]!;
    group.rows.push(row);
    group.bounds.push(bound);
  }
  keys.free();
  context.reserve(matrix.rows * BUCKET_BYTES);
  for (const group of groups) sortBuckets(group);
  return groups;
}

/** By bound; buckets with equal bounds stay as they came. A bound that is no number stays where it is, and nothing moves past it. */
function sortBuckets({ rows, bounds }: BucketGroup): void {
  if (bounds.every((bound, i) => i === 0 || bounds[i - 1]! <= bound)) return;
  let part = 0;
  const partOf = bounds.map((bound) => (Number.isNaN(bound) ? part++ : part));
  const keys = bounds.map((bound) => (Number.isNaN(bound) ? Infinity : bound));
  const order = bounds.map((_bound, i) => i).sort((i, j) => partOf[i]! - partOf[j]! || (keys[i]! === keys[j]! ? i - j : keys[i]! < keys[j]! ? -1 : 1));
  const [oldRows, oldBounds] = [[...rows], [...bounds]];
  order.forEach((from, to) => {
    rows[to] = oldRows[from]!;
    bounds[to] = oldBounds[from]!;
  });
}

/** Whether some step of a row is no native histogram. */
function hasFloats(matrix: StepMatrix, row: number): boolean {
  if (matrix.histograms?.[row] === undefined) return matrix.hasValues(row);
  for (let k = 0; k < matrix.steps; k++) {
    if (matrix.present[row * matrix.steps + k] === 1 && matrix.histogramAt(row, k) === undefined) return true;
  }
  return false;
}

/** Takes out native histograms and buckets of classic ones where both have the same labels at a step. */
function dropConflicts(context: QueryContext, matrix: StepMatrix, groups: readonly BucketGroup[], pos: PositionRange): void {
  if (matrix.histograms === undefined || groups.length === 0) return;
  const groupOf = new Map(groups.map((group) => [labelsKey(group.labels), group]));
  for (let row = 0; row < matrix.rows; row++) {
    const group = groupOf.get(labelsKey(matrix.labels[row]!));
    if (group === undefined || matrix.histograms[row] === undefined) continue;
    for (let k = 0; k < matrix.steps; k++) {
      if (matrix.histogramAt(row, k) === undefined) continue;
      const buckets = group.rows.filter((bucketRow) => matrix.present[bucketRow * matrix.steps + k] === 1 && matrix.histogramAt(bucketRow, k) === undefined);
      if (buckets.length === 0) continue;
      context.annotations.mixedClassicNative(context.settings.delayedNameRemoval ? getLabel(group.labels, METRIC_NAME) : '', pos);
      matrix.present[row * matrix.steps + k] = 0;
      for (const bucketRow of buckets) matrix.present[bucketRow * matrix.steps + k] = 0;
    }
  }
}

/** Adds a row for each row with native histograms, of what `valueOf` makes of them. */
function forNativeRows(
  context: QueryContext,
  matrix: StepMatrix,
  out: StepMatrix,
  labelsOf: (labels: Labels) => Labels,
  valueOf: (histogram: FloatHistogram, k: number, metricName: string) => number | undefined,
): void {
  if (matrix.histograms === undefined) return;
  for (let row = 0; row < matrix.rows; row++) {
    if (matrix.histograms[row] === undefined) continue;
    const labels = context.settings.delayedNameRemoval ? matrix.labels[row]! : dropMetadata(matrix.labels[row]!);
    const metricName = getLabel(labels, METRIC_NAME);
    const at = out.addRow(labelsOf(labels), true);
    for (let k = 0; k < matrix.steps; k++) {
      const histogram = matrix.histogramAt(row, k);
      const value = histogram === undefined ? undefined : valueOf(histogram, k, metricName);
      if (value !== undefined) out.setFloat(at, k, value);
    }
    context.worked(10 * matrix.steps, 1);
  }
}

function addNativeQuantiles(
  context: QueryContext,
  argument: QuantileArgument,
  matrix: StepMatrix,
  out: StepMatrix,
  labelsOf: (labels: Labels) => Labels,
  wanted?: (k: number) => boolean,
): void {
  forNativeRows(context, matrix, out, labelsOf, (histogram, k, metricName) => {
    if (wanted !== undefined && !wanted(k)) return undefined;
    const { value, nanObservations } = quantileOfHistogram(argument.q[k]!, histogram);
    if (nanObservations !== 'none') context.annotations.quantileOfNaN(nanObservations, metricName, argument.vectorPos);
    return value;
  });
}

/** A bucket's upper bound as Go's ParseFloat reads it; undefined if it is no number. */
function parseBound(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^\+?inf(inity)?$/i.test(text)) return Infinity;
  if (/^-inf(inity)?$/i.test(text)) return -Infinity;
  if (/^nan$/i.test(text)) return NaN;
  return undefined;
}

function addQuantiles(
  context: QueryContext,
  grid: Grid,
  argument: QuantileArgument,
  matrix: StepMatrix,
  group: BucketGroup,
  out: StepMatrix,
  labels: Labels,
  wanted?: (k: number) => boolean,
): void {
  const { steps } = grid;
  const at = addGroup(context, out, group, labels) * steps;
  const buckets = new Buckets();
  const repair: Repair = { minBucket: 0, maxBucket: 0, maxDiff: 0 };
  for (let k = 0; k < steps; k++) {
    if (wanted !== undefined && !wanted(k)) continue;
    buckets.load(group, matrix, k);
    if (buckets.size === 0) continue;
    const q = argument.q[k]!;
    if (q >= 0 && q <= 1 && buckets.bounds[buckets.size - 1] === Infinity && makeMonotonic(buckets, repair)) {
      const name = context.settings.delayedNameRemoval ? getLabel(group.labels, METRIC_NAME) : '';
      const timeMs = grid.startMs + k * grid.stepMs;
      context.annotations.forcedMonotonicity(name, argument.vectorPos, timeMs, repair.minBucket, repair.maxBucket, repair.maxDiff);
    }
    out.values[at + k] = quantileOfBuckets(buckets, q);
    out.present[at + k] = 1;
  }
  context.worked(steps * group.rows.length, 0);
}

interface Repair {
  minBucket: number;
  maxBucket: number;
  maxDiff: number;
}

/** Removes decreases of the cumulative counts. @returns whether one was larger than rounding explains */
function makeMonotonic(buckets: Buckets, repair: Repair): boolean {
  let forced = false;
  repair.minBucket = Infinity;
  repair.maxBucket = -Infinity;
  repair.maxDiff = 0;
  let previous = buckets.counts[0]!;
  for (let i = 1; i < buckets.size; i++) {
    const current = buckets.counts[i]!;
    if (current === previous) continue;
    if (almostEqual(previous, current)) {
      buckets.counts[i] = previous;
      continue;
    }
    if (current < previous) {
      buckets.counts[i] = previous;
      forced = true;
      const bound = buckets.bounds[i]!;
      if (bound < repair.minBucket) repair.minBucket = bound;
      if (bound > repair.maxBucket) repair.maxBucket = bound;
      if (previous - current > repair.maxDiff) repair.maxDiff = previous - current;
      continue;
    }
    previous = current;
  }
  return forced;
}

function almostEqual(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const diff = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < MIN_NORMAL) return diff < SMALL_DELTA * MIN_NORMAL;
  return diff / Math.min(sum, Number.MAX_VALUE) < SMALL_DELTA;
}

/** The quantile by linear interpolation inside the bucket it falls into; counts must be monotonic. */
function quantileOfBuckets(buckets: Buckets, q: number): number {
  const { bounds, counts, size } = buckets;
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  if (bounds[size - 1] !== Infinity || size < 2) return NaN;
  const observations = counts[size - 1]!;
  if (observations === 0) return NaN;
  let rank = q * observations;
  const b = firstAtLeast(counts, size - 1, rank);
  if (b === size - 1) return bounds[size - 2]!;
  if (b === 0 && bounds[0]! <= 0) return bounds[0]!;
  let start = 0;
  let count = counts[b]!;
  if (b > 0) {
    start = bounds[b - 1]!;
    count -= counts[b - 1]!;
    rank -= counts[b - 1]!;
  }
  return start + (bounds[b]! - start) * (rank / count);
}

/** Index of the first of `n` ascending counts that is at least `rank`, or `n`; by bisection, so that NaN counts end where Go's search ends. */
function firstAtLeast(counts: readonly number[], n: number, rank: number): number {
  let lo = 0;
  let hi = n;
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if (counts[middle]! >= rank) hi = middle;
    else lo = middle + 1;
  }
  return lo;
}

/** The fraction of observations between two values. */
function fractionOf(buckets: Buckets, lower: number, upper: number): number {
  const { bounds, counts, size } = buckets;
  if (bounds[size - 1] !== Infinity) return NaN;
  const count = counts[size - 1]!;
  if (count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  const lowerRank = Math.min(rankOf(buckets, lower), count);
  const upperRank = Math.min(rankOf(buckets, upper), count);
  return (upperRank - lowerRank) / count;
}

/** Observations below a value; the first bucket begins at 0, or at −Inf if it ends at or below 0. */
function rankOf(buckets: Buckets, value: number): number {
  const { bounds, counts, size } = buckets;
  let rank = 0;
  let from = bounds[0]! <= 0 ? -Infinity : 0;
  for (let i = 0; i < size; i++) {
    if (i > 0) from = bounds[i - 1]!;
    const to = bounds[i]!;
    if (from >= value) return rank;
    if (to > value) return from === -Infinity ? counts[i]! : rank + ((counts[i]! - rank) * (value - from)) / (to - from);
    rank = counts[i]!;
  }
  return counts[size - 1]!;
}
