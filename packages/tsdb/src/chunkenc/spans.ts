/** Spans of native histograms as flat columns: offset, length, offset, length, … */

/** Index of every bucket of the spans, ascending. */
export function bucketIndexes(spans: Int32Array): number[] {
  const indexes: number[] = [];
  let index = 0;
  for (let i = 0; i < spans.length; i += 2) {
    index += spans[i]!;
    for (let n = spans[i + 1]!; n > 0; n--) indexes.push(index++);
  }
  return indexes;
}

/** Buckets of the spans. */
export function bucketCount(spans: Int32Array): number {
  let buckets = 0;
  for (let i = 1; i < spans.length; i += 2) buckets += spans[i]!;
  return buckets;
}

/** Whether both are written alike. */
export function isSameSpans(a: Int32Array, b: Int32Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Spans of the buckets of either, adjacent ones joined. */
export function unionSpans(a: Int32Array, b: Int32Array): Int32Array {
  const indexes = [...new Set([...bucketIndexes(a), ...bucketIndexes(b)])].sort((x, y) => x - y);
  const spans: number[] = [];
  let next = 0;
  for (const index of indexes) {
    if (spans.length > 0 && index === next) spans[spans.length - 1]!++;
    else spans.push(index - next, 1);
    next = index + 1;
  }
  return Int32Array.from(spans);
}
