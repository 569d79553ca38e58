/**
 * A binary min-heap of small integers whose order among equals is defined: that of Go's container/heap.
 *
 * Where Prometheus merges blocks, which of two equal samples stays depends on the moves of its heaps. To keep the same ones, pushes and
 * pops here make the same moves: a pushed element rises while it is smaller than its parent; a pop swaps first and last, and the
 * swapped one sinks towards its smaller child, the left one on a tie.
 */

/** The heap; `isLess` is asked about elements in it. */
export class TieHeap {
  readonly #items: number[] = [];
  readonly #isLess: (a: number, b: number) => boolean;

  constructor(isLess: (a: number, b: number) => boolean) {
    this.#isLess = isLess;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The smallest; only when there is one. */
  get top(): number {
    return this.#items[0]!;
  }

  clear(): void {
    this.#items.length = 0;
  }

  push(item: number): void {
    const items = this.#items;
    items.push(item);
    for (let at = items.length - 1; at > 0; ) {
      const parent = (at - 1) >>> 1;
      if (!this.#isLess(items[at]!, items[parent]!)) break;
      swap(items, at, parent);
      at = parent;
    }
  }

  /** Takes the smallest; only when there is one. */
  pop(): number {
    const items = this.#items;
    const end = items.length - 1;
    swap(items, 0, end);
    for (let at = 0; ; ) {
      let child = at * 2 + 1;
      if (child >= end) break;
      if (child + 1 < end && this.#isLess(items[child + 1]!, items[child]!)) child++;
      if (!this.#isLess(items[child]!, items[at]!)) break;
      swap(items, at, child);
      at = child;
    }
    return items.pop()!;
  }
}

function swap(items: number[], a: number, b: number): void {
  const kept = items[a]!;
  items[a] = items[b]!;
  items[b] = kept;
}
