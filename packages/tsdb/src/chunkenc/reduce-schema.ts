/**
 * Histograms of schemas 9 to 52 at schema 8: every 2^(schema − 8) buckets that follow one another become one. Such chunks may be stored, for
 * programs to come; what reads them sees schema 8.
 *
 *   schema 9   bucket  −3  −2 │ −1   0 │  1   2 │  3   4        schema 8   bucket  −1   0   1   2
 *
 * Source: Prometheus model/histogram/generic.go, `reduceResolution`.
 */

/** Buckets of one side at a coarser schema. */
export interface ReducedSide {
  /** Offset, length, …: adjacent buckets are in one span, none is empty. */
  readonly spans: Int32Array;
  /** Buckets in `spans`. */
  readonly buckets: number;
  /** For each bucket of the finer schema its place among the coarser ones. */
  readonly placeOf: Int32Array;
}

/**
 * Maps one side's spans.
 * @param steps how much finer they are: schema − 8, at least 1
 * @param buckets in `spans`
 * @returns undefined when spans overlap, or a bucket's index does not fit into 32 bits
 */
export function reduceSide(spans: Int32Array, buckets: number, steps: number): ReducedSide | undefined {
  const reduced: number[] = [];
  const placeOf = new Int32Array(buckets);
  const width = 2 ** steps;
  let index = 0;
  let at = 0;
  let place = -1;
  let last = Number.NaN;
  for (let i = 0; i < spans.length; i += 2) {
    if (i > 0 && spans[i]! < 0) return undefined;
    index += spans[i]!;
    for (let n = spans[i + 1]!; n > 0; n--, index++) {
      const coarse = Math.floor((index - 1) / width) + 1;
      if (coarse !== last) {
        if (Math.abs(index) > 0x7fffffff) return undefined;
        if (coarse === last + 1) reduced[reduced.length - 1]!++;
        // The first offset counts from bucket 0, the others from where the span before ended.
        else reduced.push(place < 0 ? coarse : coarse - last - 1, 1);
        place++;
        last = coarse;
      }
      placeOf[at++] = place;
    }
  }
  return { spans: Int32Array.from(reduced), buckets: place + 1, placeOf };
}
