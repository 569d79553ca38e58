/**
 * Twin of as/spacing.ts: one replica's samples by window of absolute time. The loop over plain columns is exported too, for callers whose columns
 * are not in kernel memory.
 */
import type { LinearMemory } from '../kernel-memory.ts';
import type { SpacingKernels } from '../spacing-kernels.ts';

/** Samples of one series by window; arrays are replaced by longer ones when they do not suffice. */
export interface SpacingSummary {
  /** Windows with samples; entries of the columns in use. */
  rows: number;
  /** Window number: floor(timestamp / window). */
  ids: Float64Array;
  /** Index of the window's first sample. */
  starts: Int32Array;
  /** Smallest distance of the window's samples to the sample before, Infinity if there is none. */
  least: Float64Array;
  /** Largest distance, 0 if there is none. */
  most: Float64Array;
}

/**
 * Sums up one series by window.
 * @param times strictly ascending, milliseconds
 */
export function summarizeSpacing(times: Float64Array, windowMs: number, out: SpacingSummary): void {
  const count = times.length;
  out.rows = 0;
  if (count === 0) return;
  const rowsMax = Math.min(count, Math.floor(times[count - 1]! / windowMs) - Math.floor(times[0]! / windowMs) + 1);
  if (rowsMax > out.ids.length) {
    const capacity = Math.max(64, rowsMax);
    out.ids = new Float64Array(capacity);
    out.starts = new Int32Array(capacity);
    out.least = new Float64Array(capacity);
    out.most = new Float64Array(capacity);
  }
  const { ids, starts, least, most } = out;
  let rows = 0;
  let i = 0;
  let previous = times[0]!;
  while (i < count) {
    const id = Math.floor(times[i]! / windowMs);
    const end = (id + 1) * windowMs;
    ids[rows] = id;
    starts[rows] = i;
    let low = Infinity;
    let high = 0;
    if (i === 0) i = 1;
    while (i < count) {
      const time = times[i]!;
      if (time >= end) break;
      const distance = time - previous;
      if (distance < low) low = distance;
      if (distance > high) high = distance;
      previous = time;
      i++;
    }
    least[rows] = low;
    most[rows] = high;
    rows++;
  }
  out.rows = rows;
}

/** See SpacingKernels. */
export function createSpacingTwin(memory: LinearMemory): SpacingKernels {
  const summary: SpacingSummary = { rows: 0, ids: new Float64Array(0), starts: new Int32Array(0), least: new Float64Array(0), most: new Float64Array(0) };
  return {
    summarizeSpacing(timestampsPtr, count, windowMs, outPtr) {
      const { doubles } = memory;
      summarizeSpacing(doubles.subarray(timestampsPtr >>> 3, (timestampsPtr >>> 3) + count), windowMs, summary);
      for (let row = 0; row < summary.rows; row++) {
        const at = (outPtr >>> 3) + 4 * row;
        doubles[at] = summary.ids[row]!;
        doubles[at + 1] = summary.starts[row]!;
        doubles[at + 2] = summary.least[row]!;
        doubles[at + 3] = summary.most[row]!;
      }
      return summary.rows;
    },
  };
}
