/** The kernel's way to sum up replicas by window: for columns that lie in its memory. */
import { type Kernels, SPACING_ROW_BYTES } from '@gauntlet/kernels';
import { type SummarizeSpacing, summarizeHere, WINDOW_MS } from './stable-windows.ts';

/**
 * Sums up replicas with the kernel where their timestamps lie in its memory, in plain TypeScript where not.
 * @param rowsPtr room for SPACING_ROW_BYTES per sample of the longest replica at most; the caller's
 */
export function summarizeWith(kernels: Pick<Kernels, 'memory' | 'summarizeSpacing'>, rowsPtr: number): SummarizeSpacing {
  return (replica, out) => {
    const { timestampsMs } = replica;
    if (timestampsMs.buffer !== kernels.memory.buffer) {
      summarizeHere(replica, out);
      return;
    }
    const rows = kernels.summarizeSpacing(timestampsMs.byteOffset, timestampsMs.length, WINDOW_MS, rowsPtr);
    if (rows > out.ids.length) {
      const capacity = Math.max(64, rows);
      out.ids = new Float64Array(capacity);
      out.starts = new Int32Array(capacity);
      out.least = new Float64Array(capacity);
      out.most = new Float64Array(capacity);
    }
    const table = kernels.memory.f64(rowsPtr, (rows * SPACING_ROW_BYTES) / 8);
    for (let row = 0; row < rows; row++) {
      out.ids[row] = table[4 * row]!;
      out.starts[row] = table[4 * row + 1]!;
      out.least[row] = table[4 * row + 2]!;
      out.most[row] = table[4 * row + 3]!;
    }
    out.rows = rows;
  };
}
