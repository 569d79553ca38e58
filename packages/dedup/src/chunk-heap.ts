/**
 * The next chunk of several replicas: by first, then by last timestamp. On equal chunks the moves of the heap decide, and they are part of the
 * result; they are those of Go's container/heap.
 */
import type { ChunkedReplica } from './chunks.ts';

/** A chunk by its place. */
export interface ChunkAt {
  readonly replica: number;
  readonly chunk: number;
  /** First sample, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  /** Timestamps of the first and the last sample. */
  readonly mint: number;
  readonly maxt: number;
}

/** See the head of this file. */
export class ChunkHeap {
  readonly #replicas: readonly ChunkedReplica[];
  readonly #items: ChunkAt[] = [];

  constructor(replicas: readonly ChunkedReplica[]) {
    this.#replicas = replicas;
    for (let r = 0; r < replicas.length; r++) this.#push(r, 0);
  }

  /** Replicas that have chunks left. */
  get length(): number {
    return this.#items.length;
  }

  /** The chunk that `take` would take; call only while there is one. */
  top(): ChunkAt {
    return this.#items[0]!;
  }

  /** Takes a chunk and lets its replica stand in line with the next. */
  take(): ChunkAt {
    const items = this.#items;
    const top = items[0]!;
    const last = items.pop()!;
    if (items.length > 0) {
      items[0] = last;
      this.#siftDown();
    }
    this.#push(top.replica, top.chunk + 1);
    return top;
  }

  #push(replica: number, chunk: number): void {
    const { chunkEnds, timestampsMs } = this.#replicas[replica]!;
    if (chunk >= chunkEnds.length) return;
    const from = chunk === 0 ? 0 : chunkEnds[chunk - 1]!;
    const to = chunkEnds[chunk]!;
    const items = this.#items;
    items.push({ replica, chunk, from, to, mint: timestampsMs[from]!, maxt: timestampsMs[to - 1]! });
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(items[at]!, items[parent]!)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #siftDown(): void {
    const items = this.#items;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= items.length) return;
      if (child + 1 < items.length && isBefore(items[child + 1]!, items[child]!)) child++;
      if (!isBefore(items[child]!, items[at]!)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a]!;
    this.#items[a] = this.#items[b]!;
    this.#items[b] = item;
  }
}

function isBefore(a: ChunkAt, b: ChunkAt): boolean {
  return a.mint === b.mint ? a.maxt < b.maxt : a.mint < b.mint;
}
