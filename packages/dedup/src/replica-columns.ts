/**
 * What goes into a merge and what comes out, as columns.
 *
 *   replica 0   t  10     20     30          in: views, read only, timestamps strictly ascending
 *   replica 1   t     12     22     32
 *   merged      t  10     20     30          out: DedupBuffer, with the replica and the index each sample came from
 *
 * Values are copied by their bits, so a stale marker stays one.
 */

/** One replica's samples of one series, in milliseconds; views that are only read. */
export interface ReplicaColumns {
  /** Strictly ascending. */
  readonly timestampsMs: Float64Array;
  /** As long as `timestampsMs`. */
  readonly values: Float64Array;
  /** Nonzero where the sample is a native histogram: its value is carried along, never adjusted. Absent: all are floats. */
  readonly isHistogram?: Uint8Array;
}

/** Reusable output columns. After a merge the first `length` entries of each are valid, until the next merge into it. */
export class DedupBuffer {
  /** Samples of the last merge. */
  length = 0;
  timestampsMs: Float64Array = new Float64Array(0);
  values: Float64Array = new Float64Array(0);
  /** Index of the replica each sample came from. */
  replicas: Int32Array = new Int32Array(0);
  /** Index of the sample in that replica; with `replicas` it finds the histogram of a histogram sample. */
  indexes: Int32Array = new Int32Array(0);
  /** The same memory as `values`, two words per value. */
  valueWords: Int32Array = new Int32Array(0);
  #scratch: DedupBuffer | undefined;

  /** A second buffer, made on first use: merges of more than two replicas go back and forth between both. */
  scratch(): DedupBuffer {
    this.#scratch ??= new DedupBuffer();
    return this.#scratch;
  }

  /** Makes room for `samples` and empties the buffer. */
  reset(samples: number): void {
    this.length = 0;
    if (samples <= this.timestampsMs.length) return;
    const capacity = Math.max(256, samples, this.timestampsMs.length * 2);
    this.timestampsMs = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
    this.replicas = new Int32Array(capacity);
    this.indexes = new Int32Array(capacity);
    this.valueWords = new Int32Array(this.values.buffer);
  }
}

/** Samples of all replicas together: no merge has more. */
export function countSamples(replicas: readonly ReplicaColumns[]): number {
  let count = 0;
  for (const replica of replicas) count += replica.timestampsMs.length;
  return count;
}

/** The words of a column, low word first; a view on the same memory. */
export function wordsOf(column: Float64Array): Int32Array {
  return new Int32Array(column.buffer, column.byteOffset, column.length * 2);
}

/** Copies one replica as it is. */
export function copyReplica(replica: ReplicaColumns, out: DedupBuffer): void {
  const count = replica.timestampsMs.length;
  out.reset(count);
  out.timestampsMs.set(replica.timestampsMs);
  out.values.set(replica.values);
  out.replicas.fill(0, 0, count);
  for (let i = 0; i < count; i++) out.indexes[i] = i;
  out.length = count;
}
