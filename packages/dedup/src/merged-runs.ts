/**
 * Writes a merge result as runs of neighbouring samples of one replica: long runs are block copies, and neighbouring pieces of the same replica
 * become one run first.
 */
import { countSamples, type DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

/** Below this many samples a loop is faster than making views for a block copy. */
const BLOCK_SAMPLES = 24;

/** Appends to a buffer. */
export class MergedRuns {
  readonly #replicas: readonly ReplicaColumns[];
  readonly #out: DedupBuffer;
  #replica = -1;
  #from = 0;
  #to = 0;

  /** Empties `out`. */
  constructor(replicas: readonly ReplicaColumns[], out: DedupBuffer) {
    this.#replicas = replicas;
    this.#out = out;
    out.reset(countSamples(replicas));
  }

  /** Appends samples `from` … `to` − 1 of a replica; they are later than everything before. */
  append(replica: number, from: number, to: number): void {
    if (from >= to) return;
    if (replica === this.#replica && from === this.#to) {
      this.#to = to;
      return;
    }
    this.finish();
    this.#replica = replica;
    this.#from = from;
    this.#to = to;
  }

  /** Replica of the last sample appended; −1 if there is none. */
  get lastReplica(): number {
    return this.#replica;
  }

  /** Index of the last sample appended. */
  get lastIndex(): number {
    return this.#to - 1;
  }

  /** Writes what is pending; to be called at the end. */
  finish(): void {
    const count = this.#to - this.#from;
    if (count === 0) return;
    const { timestampsMs: times, values } = this.#replicas[this.#replica]!;
    const out = this.#out;
    const at = out.length;
    if (count >= BLOCK_SAMPLES) {
      out.timestampsMs.set(times.subarray(this.#from, this.#to), at);
      out.values.set(values.subarray(this.#from, this.#to), at);
    } else {
      copyFew(times, values, this.#from, count, out, at);
    }
    out.replicas.fill(this.#replica, at, at + count);
    writeIndexes(out.indexes, at, this.#from, count);
    out.length = at + count;
    this.#from = this.#to;
  }
}

/** Values by their words: a NaN keeps its bits. */
function copyFew(times: Float64Array, values: Float64Array, from: number, count: number, out: DedupBuffer, at: number): void {
  const words = new Int32Array(values.buffer, values.byteOffset + 8 * from, 2 * count);
  const { timestampsMs, valueWords } = out;
  for (let i = 0; i < count; i++) timestampsMs[at + i] = times[from + i]!;
  for (let i = 0; i < 2 * count; i++) valueWords[2 * at + i] = words[i]!;
}

function writeIndexes(indexes: Int32Array, at: number, from: number, count: number): void {
  for (let i = 0; i < count; i++) indexes[at + i] = from + i;
}
