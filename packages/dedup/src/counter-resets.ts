/**
 * Counters as running totals, so that a merge of replicas need not know resets: 5 7 2 4 → 5 7 9 11. Upstream does this to every series
 * read by a counter function, before replicas are merged, from the first sample of the first chunk on.
 *
 *   t after the last, v ≥ last value    total += v − last
 *   t after the last, v < last value    total += v
 *   t equal to the last                 nothing is emitted, v becomes the last value (the extra sample of counter aggregates)
 *   t before the last, or NaN           dropped
 *   a native histogram                  stays as it is, its time counts as the last
 *
 * Source: Thanos pkg/compact/downsample/downsample.go, the counter resets iterator.
 */
import { sumCounterColumns } from '@gauntlet/kernels';
import { wordsOf } from './replica-columns.ts';

/**
 * Rewrites the columns in place.
 * @param timestampsMs samples of the chunks one behind the other, as decoded: from a chunk's start, not from the query's
 * @param values likewise
 * @param count samples in both
 * @param ids beside the values −1 for floats, others for histograms, as `HistogramColumn` has them; moved with the samples
 * @returns samples left, strictly ascending
 */
export function applyCounterResets(timestampsMs: Float64Array, values: Float64Array, count: number, ids?: Int32Array): number {
  return ids === undefined ? sumCounterColumns(timestampsMs, values, count) : applyAmongHistograms(timestampsMs, values, count, ids);
}

/** The same with histograms among the samples. A total begins with the first float; until then no time is the last one for floats. */
function applyAmongHistograms(timestampsMs: Float64Array, values: Float64Array, count: number, ids: Int32Array): number {
  const words = wordsOf(values);
  let length = 0;
  let floats = 0;
  let lastTime = 0;
  let lastValue = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const time = timestampsMs[i]!;
    if (ids[i]! >= 0) {
      // By words: the value may be a stale marker.
      words[2 * length] = words[2 * i]!;
      words[2 * length + 1] = words[2 * i + 1]!;
    } else {
      const value = values[i]!;
      if (value !== value) continue;
      if (floats === 0) {
        total = value;
      } else if (time > lastTime) {
        total += value >= lastValue ? value - lastValue : value;
      } else {
        if (time === lastTime) lastValue = value;
        continue;
      }
      floats++;
      lastValue = value;
      values[length] = total;
    }
    lastTime = time;
    timestampsMs[length] = time;
    ids[length] = ids[i]!;
    length++;
  }
  return length;
}
