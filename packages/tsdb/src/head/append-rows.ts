/**
 * Appends the series of a write request as they lie in kernel memory: references by the bytes of their labels, samples as columns.
 *
 *   rows ─ SeriesRefs.find ─► a reference per sample ─ Appender.appendColumns ─► up to the first sample that is not ordinary
 *                                                          └─ that one alone: its labels decoded, series found or made, the rules for samples
 */
import { type Kernels, WRITE_ROW_BYTES } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { Appender } from './head-append.ts';
import type { SeriesRefs } from './series-refs.ts';

/** Series with samples in kernel memory; `WriteRequestScanner` of proto is one. */
export interface SampleRows {
  /** What the offsets of the rows count from. */
  readonly bytesPtr: number;
  /** Rows of WRITE_ROW_BYTES: first byte of the labels, the one behind them, samples up to the end of the series. */
  readonly rowsPtr: number;
  /** Times, ms, and values, Float64. */
  readonly timesPtr: number;
  readonly valuesPtr: number;
  /** Labels of a row. Must not allocate kernel memory. */
  labels(row: number): Labels;
}

/**
 * Appends all samples of rows [fromRow, toRow).
 * @param onRefused called for each sample that the database does not take: its row, its place in the columns, and the reason, of REFUSED; throw to stop
 * @throws TsdbError ERR_LABELS_INVALID, ERR_SAMPLE_TIMESTAMP; what `rows.labels` throws. The appender is then to be rolled back
 */
export function appendRows(kernels: Kernels, appender: Appender, refs: SeriesRefs, rows: SampleRows, fromRow: number, toRow: number, onRefused: (row: number, sample: number, refused: number) => void): void {
  if (fromRow >= toRow) return;
  const { memory } = kernels;
  const endOf = (row: number): number => memory.i32(rows.rowsPtr + row * WRITE_ROW_BYTES, 3)[2]!;
  const from = fromRow === 0 ? 0 : endOf(fromRow - 1);
  const to = endOf(toRow - 1);
  const count = to - from;
  const refsPtr = memory.alloc(Math.max(8, count * 8));
  try {
    refs.find(rows.bytesPtr, rows.rowsPtr + fromRow * WRITE_ROW_BYTES, toRow - fromRow, from, refsPtr);
    let column = memory.f64(refsPtr, count);
    let timesMs = memory.f64(rows.timesPtr + from * 8, count);
    let words = new Uint32Array(memory.buffer, rows.valuesPtr + from * 8, count * 2);
    let row = fromRow;
    for (let i = appender.appendColumns(column, timesMs, words, 0, count); i < count; i = appender.appendColumns(column, timesMs, words, i + 1, count)) {
      while (endOf(row) <= from + i) row++;
      const ref = appender.tryAppendBits(column[i]!, rows.labels(row), timesMs[i]!, words[2 * i + 1]!, words[2 * i]!);
      if (ref <= 0) {
        onRefused(row, from + i, ref);
        continue;
      }
      if (ref === column[i]) continue;
      column.fill(ref, i + 1, endOf(row) - from);
      const [start, end] = memory.i32(rows.rowsPtr + row * WRITE_ROW_BYTES, 2) as unknown as readonly [number, number];
      refs.put(rows.bytesPtr + start, end - start, ref);
      if (column.length !== count) {
        // The memory has grown.
        column = memory.f64(refsPtr, count);
        timesMs = memory.f64(rows.timesPtr + from * 8, count);
        words = new Uint32Array(memory.buffer, rows.valuesPtr + from * 8, count * 2);
      }
    }
  } finally {
    memory.free(refsPtr);
  }
}
