/**
 * Offsets → merged byte ranges: many small reads of one object become few large ones.
 *
 *   items    [10 20) [20 35)      [60 70)                    [2M …)
 *   parts    [10 ──────────────────── 70)  gap ≤ gapMax      [2M …)     one request each
 *
 * A request to an object store costs some 10–100 ms and then streams; reading half a megabyte for nothing costs less than that.
 * Source of the gap: Thanos pkg/store/bucket.go, gap-based partitioner.
 */

/** Bytes read for nothing rather than asked for separately. */
export const GAP_BYTES_MAX: number = 512 * 1024;
/** A part is closed at this size, so that one request never holds more in memory; a single item may be larger. */
export const PART_BYTES_MAX: number = 16 * 1024 * 1024;

/** One read: bytes [start, end) for items [first, last). */
export interface RangePart {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Merges ranges.
 * @param starts of the items, ascending; equal and overlapping ones are fine
 * @param ends exclusive, of the items
 * @param count items used of both columns
 */
export function planRanges(starts: Float64Array, ends: Float64Array, count: number, gapMax: number = GAP_BYTES_MAX, partMax: number = PART_BYTES_MAX): RangePart[] {
  const parts: RangePart[] = [];
  let first = 0;
  while (first < count) {
    const start = starts[first]!;
    let end = ends[first]!;
    let last = first + 1;
    while (last < count && starts[last]! - end <= gapMax && Math.max(end, ends[last]!) - start <= partMax) {
      end = Math.max(end, ends[last]!);
      last++;
    }
    parts.push({ start, end, first, last });
    first = last;
  }
  return parts;
}
