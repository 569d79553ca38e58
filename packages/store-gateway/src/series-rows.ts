/**
 * The matching series of one block as columns, with the labels that go out and in their order, before any of their chunks is read.
 *
 *   row r   labels   labelBytes[labelEnds[r-1] … labelEnds[r]]     fields of a Series message
 *             ranges   rows labelOffsets[r] … labelOffsets[r+1]    as in a SeriesFrame, counted from the start of labelBytes
 *           chunks   rows chunkOffsets[r] … chunkOffsets[r+1]      reference, first and last timestamp
 *   order   the rows by their labels
 *
 * Putting external labels on and taking replica labels off breaks the order of a block only within a run of series that share their first label
 * (storeapi, final-labels.ts): rows of one metric are held until its end, and no more.
 */
import { grownColumn } from '@gauntlet/bytes';
import { compareLabels, type Labels } from '@gauntlet/model';
import { labelFieldsRoom, LABEL_STRIDE, putLabelFields, type SeriesRequest } from '@gauntlet/proto';
import { createShardMatcher, FinalLabels } from '@gauntlet/storeapi';
import type { SeriesEntry } from '@gauntlet/tsdb';

/** Rows go out at the end of a run once there are so many. */
const ROWS_TARGET = 512;

/** See the head of this file. Read the columns up to the counts. */
export class SeriesRows {
  count = 0;
  order: Int32Array = new Int32Array(ROWS_TARGET);
  labelBytes: Uint8Array = new Uint8Array(128 * ROWS_TARGET);
  labelEnds: Int32Array = new Int32Array(ROWS_TARGET);
  labelOffsets: Int32Array = new Int32Array(ROWS_TARGET + 1);
  labelRanges: Int32Array = new Int32Array(LABEL_STRIDE * 8 * ROWS_TARGET);
  chunkOffsets: Int32Array = new Int32Array(ROWS_TARGET + 1);
  refs: Float64Array = new Float64Array(4 * ROWS_TARGET);
  mints: Float64Array = new Float64Array(4 * ROWS_TARGET);
  maxts: Float64Array = new Float64Array(4 * ROWS_TARGET);

  /** First byte of a row's labels. */
  labelStart(row: number): number {
    return row === 0 ? 0 : this.labelEnds[row - 1]!;
  }

  /** Appends a series with chunks [first, last) of its entry. */
  add(labels: Labels, entry: SeriesEntry, first: number, last: number): void {
    const row = this.count;
    this.labelEnds = grown(this.labelEnds, row + 1);
    this.order = grown(this.order, row + 1);
    this.labelOffsets = grown(this.labelOffsets, row + 2);
    this.chunkOffsets = grown(this.chunkOffsets, row + 2);
    const label = this.labelOffsets[row]!;
    const labelStart = this.labelStart(row);
    this.labelBytes = grown(this.labelBytes, labelStart + labelFieldsRoom(labels));
    this.labelRanges = grown(this.labelRanges, (label + labels.length / 2) * LABEL_STRIDE);
    this.labelEnds[row] = putLabelFields(labels, this.labelBytes, labelStart, this.labelRanges, label);
    const chunk = this.chunkOffsets[row]!;
    const chunkEnd = chunk + last - first;
    this.refs = grown(this.refs, chunkEnd);
    this.mints = grown(this.mints, chunkEnd);
    this.maxts = grown(this.maxts, chunkEnd);
    for (let from = first, to = chunk; from < last; from++, to++) {
      this.refs[to] = entry.refs[from]!;
      this.mints[to] = entry.mint[from]!;
      this.maxts[to] = entry.maxt[from]!;
    }
    this.order[row] = row;
    this.labelOffsets[row + 1] = label + labels.length / 2;
    this.chunkOffsets[row + 1] = chunkEnd;
    this.count = row + 1;
  }

  /** Whether the labels of two rows are the same. */
  hasEqualLabels(a: number, b: number): boolean {
    let p = this.labelStart(a);
    let q = this.labelStart(b);
    const end = this.labelEnds[a]!;
    if (end - p !== this.labelEnds[b]! - q) return false;
    for (; p < end; p++, q++) if (this.labelBytes[p] !== this.labelBytes[q]) return false;
    return true;
  }
}

/** Makes room by doubling. */
function grown<T extends Int32Array | Float64Array | Uint8Array>(column: T, wanted: number): T {
  if (wanted <= column.length) return column;
  return grownColumn(column, Math.max(wanted, 2 * column.length));
}

/** What of a request decides labels and their order. */
export type RowsRequest = Pick<SeriesRequest, 'withoutReplicaLabels' | 'shardInfo'>;

/** Gathers rows: one `add` per series in the order of the block, `take` where rows may go out. */
export class RowsBuilder {
  readonly #final: FinalLabels;
  #isOutOfOrder = false;
  #hasAny = false;
  #rows = new SeriesRows();
  /** Labels of the rows of the run that is open. */
  #run: Labels[] = [];

  constructor(externalLabels: Labels, request: RowsRequest) {
    this.#final = new FinalLabels({ externalLabels, withoutLabels: request.withoutReplicaLabels, shard: createShardMatcher(request.shardInfo) });
  }

  /**
   * Adds the next series of the block.
   * @param labels as stored
   * @returns rows that can go out now
   * @throws StoreError ERR_STORE_FAILED_PRECONDITION for a late series that has no label left
   */
  add(labels: Labels, entry: SeriesEntry, first: number, last: number): SeriesRows | undefined {
    const ready = this.#final.beginsRun(labels) ? this.#endRun(ROWS_TARGET) : undefined;
    const final = this.#final.of(labels, this.#hasAny);
    if (final === undefined) return ready;
    this.#hasAny = true;
    const previous = this.#run.at(-1);
    if (previous !== undefined && compareLabels(previous, final) > 0) this.#isOutOfOrder = true;
    this.#run.push(final);
    this.#rows.add(final, entry, first, last);
    return ready;
  }

  /** Ends the input. @returns the last rows */
  finish(): SeriesRows | undefined {
    return this.#endRun(1);
  }

  #endRun(rowsMin: number): SeriesRows | undefined {
    const rows = this.#rows;
    const run = this.#run;
    if (this.#isOutOfOrder) {
      const from = rows.count - run.length;
      rows.order.subarray(from, rows.count).sort((a, b) => compareLabels(run[a - from]!, run[b - from]!) || a - b);
      this.#isOutOfOrder = false;
    }
    this.#run = [];
    if (rows.count < rowsMin) return undefined;
    this.#rows = new SeriesRows();
    return rows;
  }
}
