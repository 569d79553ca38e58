/**
 * Merges sorted runs of samples one to one: every timestamp once.
 *
 *   run 0   10   20   30            merged   10 15 20 25 30 40
 *   run 1     15 20 25   40                        ↑ of run 1: the merge had moved there for 15
 *
 * Which run a timestamp that several have is taken from is Prometheus' choice, not a rule: the merge stays with a run while that is
 * ahead of the others, goes to the earliest when it is not, and skips what it already has. storage/merge.go, `chainSampleIterator`.
 */
import { TieHeap } from './tie-heap.ts';

/** Runs one after the other in columns, and where the result goes. Values as pairs of words, so that a NaN keeps its bits. */
export interface ChainColumns {
  readonly times: Float64Array;
  readonly words: Uint32Array;
  readonly outTimes: Float64Array;
  readonly outWords: Uint32Array;
}

/**
 * Merges the runs.
 * @param starts first sample of each run, and the end of the last; runs are not empty
 * @returns samples written
 */
export function chainSamples(columns: ChainColumns, starts: ArrayLike<number>): number {
  const { times, words, outTimes, outWords } = columns;
  const runs = starts.length - 1;
  const position = new Int32Array(runs);
  for (let run = 0; run < runs; run++) position[run] = starts[run]!;
  const heap = new TieHeap((a, b) => times[position[a]!]! < times[position[b]!]!);
  for (let run = 1; run < runs; run++) heap.push(run);
  let run = 0;
  // The first step moves on to the first sample.
  position[0] = starts[0]! - 1;
  let lastTime = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (;;) {
    let time = 0;
    for (;;) {
      if (++position[run]! < starts[run + 1]!) {
        time = times[position[run]!]!;
        if (time === lastTime) continue;
        if (heap.size === 0 || time < times[position[heap.top]!]!) break;
        heap.push(run);
      } else if (heap.size === 0) return count;
      run = heap.pop();
      time = times[position[run]!]!;
      if (time !== lastTime) break;
    }
    const from = position[run]! * 2;
    outTimes[count] = time;
    outWords[count * 2] = words[from]!;
    outWords[count * 2 + 1] = words[from + 1]!;
    count++;
    lastTime = time;
  }
}
