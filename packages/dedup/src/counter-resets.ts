/**
 * Counters as running totals, so that a merge of replicas need not know resets: 5 7 2 4 → 5 7 9 11. Upstream does this to every series
 * read by a counter function, before replicas are merged, from the first sample of the first chunk on.
 *
 *   t after the last, v ≥ last value    total += v − last
 *   t after the last, v < last value    total += v
 *   t equal to the last                 nothing is emitted, v becomes the last value (the extra sample of counter aggregates)
 *   t before the last, or NaN           dropped
 *
 * Source: Thanos pkg/compact/downsample/downsample.go, the counter resets iterator.
 */

/**
 * Rewrites the columns in place.
 * @param timestampsMs samples of the chunks one behind the other, as decoded: from a chunk's start, not from the query's
 * @param values likewise
 * @param count samples in both
 * @returns samples left, strictly ascending
 */
export function applyCounterResets(timestampsMs: Float64Array, values: Float64Array, count: number): number {
  let length = 0;
  let lastTime = 0;
  let lastValue = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const time = timestampsMs[i]!;
    const value = values[i]!;
    if (value !== value) continue;
    if (length === 0) {
      total = value;
    } else if (time > lastTime) {
      total += value >= lastValue ? value - lastValue : value;
    } else {
      if (time === lastTime) lastValue = value;
      continue;
    }
    lastTime = time;
    lastValue = value;
    timestampsMs[length] = time;
    values[length] = total;
    length++;
  }
  return length;
}
