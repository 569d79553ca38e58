/**
 * What a Prometheus database makes of native histograms that are appended to it: reset hints come back as the chunk tells them. The first histogram
 * of a chunk says nothing of resets, those after it say not reset, and all of a gauge chunk say gauge. A chunk ends where a reset or a change of
 * layout is seen. Source: Prometheus tsdb/chunkenc/float_histogram.go, appendable; histogram_meta.go, counterResetHint.
 */
import { compactHistogram, createHistogram, CUSTOM_BUCKETS_SCHEMA, detectReset, type FloatHistogram, RESET_HINTS, withResetHint } from '@gauntlet/model';

/** Samples of one series in ascending time; anything but a histogram ends the chunk. */
export function storedHistograms(samples: readonly (FloatHistogram | undefined)[]): (FloatHistogram | undefined)[] {
  let previous: FloatHistogram | undefined;
  return samples.map((histogram) => {
    const before = previous;
    previous = histogram;
    if (histogram === undefined || histogram.resetHint === RESET_HINTS.gauge) return histogram;
    const continues = before !== undefined && before.resetHint !== RESET_HINTS.gauge && continuesChunk(histogram, before);
    return withResetHint(histogram, continues ? RESET_HINTS.notReset : RESET_HINTS.unknown);
  });
}

function continuesChunk(histogram: FloatHistogram, before: FloatHistogram): boolean {
  if (histogram.resetHint === RESET_HINTS.reset) return false;
  if (histogram.schema !== before.schema || histogram.zeroThreshold !== before.zeroThreshold) return false;
  const sameBounds = histogram.customValues.length === before.customValues.length && histogram.customValues.every((bound, i) => bound === before.customValues[i]);
  return sameBounds && !detectReset(withResetHint(histogram, RESET_HINTS.unknown), before);
}

/** A classic histogram of one time: cumulative counts by upper bound, and what its `_count` and `_sum` series say. */
export interface ClassicHistogram {
  readonly buckets: Map<number, number>;
  count: number | undefined;
  sum: number;
}

/** The native histogram with custom buckets of a classic one. Source: Prometheus util/convertnhcb. */
export function toCustomBuckets({ buckets, count, sum }: ClassicHistogram): FloatHistogram {
  const ordered = [...buckets].sort(([a], [b]) => a - b);
  const total = count ?? ordered.at(-1)?.[1] ?? 0;
  if (ordered.at(-1)?.[0] !== Infinity) ordered.push([Infinity, total]);
  const counts = ordered.map(([, cumulative], i) => cumulative - (i === 0 ? 0 : ordered[i - 1]![1]));
  const histogram = createHistogram({
    schema: CUSTOM_BUCKETS_SCHEMA,
    count: total,
    sum,
    positiveSpans: [{ offset: 0, length: counts.length }],
    positiveBuckets: Float64Array.from(counts),
    customValues: Float64Array.from(ordered.slice(0, -1), ([bound]) => bound),
  });
  return compactHistogram(histogram, 0);
}
