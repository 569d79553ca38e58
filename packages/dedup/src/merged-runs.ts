/**
 * Writes a merge result as runs of neighbouring samples of one replica: long runs are block copies, and neighbouring pieces of the same replica
 * become one run first.
 */
import { countSamples, type DedupBuffer, type ReplicaColumns, wordsOf } from './replica-columns.ts';

/** Below this many samples a loop is faster than making views for a block copy. */
const BLOCK_SAMPLES = 96;

/** Appends to a buffer. */
export class MergedRuns {
  readonly #replicas: readonly ReplicaColumns[];
  readonly #out: DedupBuffer;
  /** Views of the replicas' values, made when first needed. */
  readonly #words: Array<Int32Array | undefined>;
  #replica = -1;
  #from = 0;
  #to = 0;

  /** Empties `out`. */
  constructor(replicas: readonly ReplicaColumns[], out: DedupBuffer) {
    this.#replicas = replicas;
    this.#out = out;
    this.#words = replicas.map(() => undefined);
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
      out.replicas.fill(this.#replica, at, at + count);
      writeIndexes(out.indexes, at, this.#from, count);
    } else {
      copyFew(times, (this.#words[this.#replica] ??= wordsOf(values)), this.#replica, this.#from, count, out, at);
    }
    out.length = at + count;
    this.#from = this.#to;
  }
}

/** Values by their words: a NaN keeps its bits. */
function copyFew(times: Float64Array, words: Int32Array, replica: number, from: number, count: number, out: DedupBuffer, at: number): void {
  const { timestampsMs, valueWords, replicas, indexes } = out;
  let i = from;
  let to = at;
  // Four at a time; the last four may be up to three too many where there is room for them, and those are written over by the next run.
  const wholes = from + count + 3 < times.length && at + count + 3 < timestampsMs.length ? from + count : from + count - 3;
  for (; i < wholes; i += 4, to += 4) {
    timestampsMs[to] = times[i]!;
    timestampsMs[to + 1] = times[i + 1]!;
    timestampsMs[to + 2] = times[i + 2]!;
    timestampsMs[to + 3] = times[i + 3]!;
    valueWords[2 * to] = words[2 * i]!;
    valueWords[2 * to + 1] = words[2 * i + 1]!;
    valueWords[2 * to + 2] = words[2 * i + 2]!;
    valueWords[2 * to + 3] = words[2 * i + 3]!;
    valueWords[2 * to + 4] = words[2 * i + 4]!;
    valueWords[2 * to + 5] = words[2 * i + 5]!;
    valueWords[2 * to + 6] = words[2 * i + 6]!;
    valueWords[2 * to + 7] = words[2 * i + 7]!;
    replicas[to] = replica;
    replicas[to + 1] = replica;
    replicas[to + 2] = replica;
    replicas[to + 3] = replica;
    indexes[to] = i;
    indexes[to + 1] = i + 1;
    indexes[to + 2] = i + 2;
    indexes[to + 3] = i + 3;
  }
  for (; i < from + count; i++, to++) {
    timestampsMs[to] = times[i]!;
    valueWords[2 * to] = words[2 * i]!;
    valueWords[2 * to + 1] = words[2 * i + 1]!;
    replicas[to] = replica;
    indexes[to] = i;
  }
}

function writeIndexes(indexes: Int32Array, at: number, from: number, count: number): void {
  for (let i = 0; i < count; i++) indexes[at + i] = from + i;
}
