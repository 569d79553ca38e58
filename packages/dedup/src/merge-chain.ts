/**
 * `chain`: all samples of all replicas in order of time; of equal timestamps one is kept.
 *
 * Which one: the current replica goes on until another's next sample is not later than its own. Then it is pushed on a binary heap by
 * time and the top is taken, so on a tie the replica on the heap wins. The heap's moves on ties are part of the result; they are those of
 * Go's container/heap (sift up while smaller than the parent; on removal move the last to the top and sift down to the smaller
 * child, the left one on a tie).
 *
 * Source: Prometheus storage/merge.go, the chained sample iterator, read by steps from the first sample.
 */
import { copyReplica, countSamples, type DedupBuffer, type ReplicaColumns, wordsOf } from './replica-columns.ts';

/**
 * Merges replicas of one series into `out`.
 * @param replicas at least one, in label order of the unstripped series
 */
export function mergeChain(replicas: readonly ReplicaColumns[], out: DedupBuffer): void {
  if (replicas.length === 0) throw new RangeError('merge replicas: none given');
  if (replicas.length === 1) {
    copyReplica(replicas[0]!, out);
    return;
  }
  out.reset(countSamples(replicas));
  const words = replicas.map((replica) => wordsOf(replica.values));
  const heap = new ReplicaHeap(replicas);
  for (let r = 1; r < replicas.length; r++) if (heap.advance(r)) heap.push(r);
  let current = 0;
  let last = -Infinity;
  let length = 0;
  while (true) {
    let isTaken = false;
    if (heap.advance(current)) {
      const time = heap.time(current);
      if (time === last) continue;
      if (heap.length === 0 || time < heap.topTime()) isTaken = true;
      else heap.push(current);
    } else if (heap.length === 0) {
      break;
    }
    if (!isTaken) {
      current = heap.pop();
      if (heap.time(current) === last) continue;
    }
    last = heap.time(current);
    const index = heap.positions[current]!;
    const from = words[current]!;
    out.timestampsMs[length] = last;
    out.valueWords[2 * length] = from[2 * index]!;
    out.valueWords[2 * length + 1] = from[2 * index + 1]!;
    out.replicas[length] = current;
    out.indexes[length] = index;
    length++;
  }
  out.length = length;
}

/** Replicas by the time of the sample they stand at. */
class ReplicaHeap {
  length = 0;
  /** Sample each replica stands at; −1 before the first. */
  readonly positions: Int32Array;
  readonly #items: Int32Array;
  readonly #times: readonly Float64Array[];

  constructor(replicas: readonly ReplicaColumns[]) {
    this.#items = new Int32Array(replicas.length);
    this.positions = new Int32Array(replicas.length).fill(-1);
    this.#times = replicas.map((replica) => replica.timestampsMs);
  }

  time(replica: number): number {
    return this.#times[replica]![this.positions[replica]!]!;
  }

  topTime(): number {
    return this.time(this.#items[0]!);
  }

  /** Moves a replica to its next sample; false at its end. */
  advance(replica: number): boolean {
    const position = this.positions[replica]! + 1;
    if (position >= this.#times[replica]!.length) return false;
    this.positions[replica] = position;
    return true;
  }

  push(replica: number): void {
    const items = this.#items;
    let at = this.length++;
    items[at] = replica;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!(this.time(items[at]!) < this.time(items[parent]!))) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): number {
    const items = this.#items;
    const top = items[0]!;
    const count = --this.length;
    items[0] = items[count]!;
    let at = 0;
    while (true) {
      const left = 2 * at + 1;
      if (left >= count) break;
      let child = left;
      if (left + 1 < count && this.time(items[left + 1]!) < this.time(items[left]!)) child = left + 1;
      if (!(this.time(items[child]!) < this.time(items[at]!))) break;
      this.#swap(at, child);
      at = child;
    }
    return top;
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a]!;
    this.#items[a] = this.#items[b]!;
    this.#items[b] = item;
  }
}
