/**
 * Custom buckets with different bounds: both are brought to the bounds they share, so no observation is moved across a bound.
 *
 *   1 2 5 +Inf  and  2 4 5 +Inf   →   2 5 +Inf
 *
 * Source: Prometheus model/histogram/float_histogram.go.
 */
import type { BucketList, CompensatedList } from './bucket-list.ts';
import { addCompensated } from './float-math.ts';

/** Bounds that both have, ascending. */
export function intersectBounds(a: Float64Array, b: Float64Array): Float64Array {
  const shared = new Float64Array(Math.min(a.length, b.length));
  let size = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      shared[size++] = a[i++]!;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  return shared.slice(0, size);
}

/**
 * Adds the buckets of a list, times `sign`, to columns for the shared bounds, one longer than these.
 * @param bounds of the list
 */
export function addToSharedBounds(list: BucketList | CompensatedList, bounds: Float64Array, shared: Float64Array, sign: 1 | -1, counts: Float64Array, losses: Float64Array): void {
  const lost = 'losses' in list ? list.losses : undefined;
  let target = 0;
  for (let i = 0; i < list.indexes.length; i++) {
    const index = list.indexes[i]!;
    if (index >= bounds.length) target = shared.length;
    else while (target < shared.length && shared[target]! < bounds[index]!) target++;
    addCompensated(counts, losses, target, sign * list.counts[i]!);
    if (lost !== undefined) addCompensated(counts, losses, target, sign * lost[i]!);
  }
}

/** The list of columns from `addToSharedBounds`, without empty buckets. */
export function populatedBuckets(counts: Float64Array, losses: Float64Array): CompensatedList {
  const kept: number[] = [];
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0 || losses[i] !== 0) kept.push(i);
  return { indexes: Int32Array.from(kept), counts: Float64Array.from(kept, (i) => counts[i]!), losses: Float64Array.from(kept, (i) => losses[i]!) };
}
