/**
 * Merges the series of several sources into one ascending sequence: a binary heap of cursors, ordered by labels, then by source.
 *
 *        c0            all cursors that stand at the smallest labels are handed out together:
 *       /  \           the parts of one series, in the order of the sources
 *     c1    c2
 */
import { compareLabels, type Labels, labelsEqual } from '@gauntlet/model';
import type { SeriesCursor } from './series-source.ts';

/** Walks the merged sequence, a whole series at a time. */
export interface SeriesMerge {
  /** Moves to the next series; false at the end. */
  next(): boolean;
  readonly labels: Labels;
  /** Sources that have a part of it; their cursors stand there until the next step. */
  readonly parts: readonly number[];
}

/** A single cursor needs no heap. */
function onlySeries(cursor: SeriesCursor): SeriesMerge {
  return {
    next: () => cursor.next(),
    get labels() {
      return cursor.labels;
    },
    parts: [0],
  };
}

/** Merges cursors; those that have nothing may be among them. */
export function mergeSeries(cursors: readonly SeriesCursor[]): SeriesMerge {
  if (cursors.length === 1) return onlySeries(cursors[0]!);
  const heap: number[] = [];
  const parts: number[] = [];
  let labels: Labels = [];
  const isBefore = (a: number, b: number): boolean => {
    const order = compareLabels(cursors[a]!.labels, cursors[b]!.labels);
    return order !== 0 ? order < 0 : a < b;
  };
  const push = (source: number): void => {
    let at = heap.length;
    heap.push(source);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(source, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = source;
  };
  const pop = (): number => {
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  };
  for (const [source, cursor] of cursors.entries()) if (cursor.next()) push(source);
  return {
    next() {
      // Cursors move only now, so that their fields stayed valid until here.
      for (const source of parts) if (cursors[source]!.next()) push(source);
      parts.length = 0;
      if (heap.length === 0) return false;
      const first = pop();
      labels = cursors[first]!.labels;
      parts.push(first);
      while (heap.length > 0 && labelsEqual(cursors[heap[0]!]!.labels, labels)) parts.push(pop());
      return true;
    },
    get labels() {
      return labels;
    },
    parts,
  };
}
