/**
 * Merges sorted runs of samples one to one: every timestamp once.
 *
 *   run 0   10   20   30            merged   10 15 20 25 30 40
 *   run 1     15 20 25   40                        ↑ of run 1: the merge had moved there for 15
 *
 * Which run a timestamp that several have is taken from is Prometheus' choice, not a rule: the merge stays with a run while that is
 * ahead of the others, goes to the earliest when it is not, and skips what it already has. storage/merge.go, `chainSampleIterator`.
 * `chainOrder`, and `ChunkChain` (chain-chunks.ts) over chunks, make exactly those moves; `mergeSamples` is many times faster and gives up where
 * they would matter.
 */
import { TieHeap } from './tie-heap.ts';

/** Samples in columns, and where the result goes. Values as pairs of words, so that a NaN keeps its bits. */
export interface ChainColumns {
  readonly times: Float64Array;
  readonly words: Int32Array;
  readonly outTimes: Float64Array;
  readonly outWords: Int32Array;
}

/**
 * Merges runs, at least one, that may have equal timestamps only where the values are equal too.
 * @param starts first sample of each run
 * @param ends sample after the last of each run
 * @returns samples written, or −1 at a timestamp with different values: the result then depends on the order of the runs
 */
export function mergeSamples(columns: ChainColumns, starts: Int32Array, ends: Int32Array): number {
  if (starts.length === 2) return mergePair(columns, starts[0]!, ends[0]!, starts[1]!, ends[1]!);
  const { times, words, outTimes, outWords } = columns;
  const runs = starts.length;
  const at = starts.slice();
  let count = 0;
  for (;;) {
    let run = -1;
    let time = Number.POSITIVE_INFINITY;
    for (let i = 0; i < runs; i++) {
      const position = at[i]!;
      if (position < ends[i]! && times[position]! < time) {
        time = times[position]!;
        run = i;
      }
    }
    if (run < 0) return count;
    const from = at[run]!++ * 2;
    const low = words[from]!;
    const high = words[from + 1]!;
    for (let i = run + 1; i < runs; i++) {
      const position = at[i]!;
      if (position >= ends[i]! || times[position] !== time) continue;
      if (words[position * 2] !== low || words[position * 2 + 1] !== high) return -1;
      at[i] = position + 1;
    }
    outTimes[count] = time;
    outWords[count * 2] = low;
    outWords[count * 2 + 1] = high;
    count++;
  }
}

/** `mergeSamples` of two runs [a, aEnd) and [b, bEnd): a pair of replicas. */
function mergePair({ times, words, outTimes, outWords }: ChainColumns, a: number, aEnd: number, b: number, bEnd: number): number {
  let count = 0;
  let aTime = a < aEnd ? times[a]! : Number.POSITIVE_INFINITY;
  let bTime = b < bEnd ? times[b]! : Number.POSITIVE_INFINITY;
  while (a < aEnd || b < bEnd) {
    let from = a;
    let time = aTime;
    if (aTime === bTime) {
      if (words[a * 2] !== words[b * 2] || words[a * 2 + 1] !== words[b * 2 + 1]) return -1;
      b++;
      bTime = b < bEnd ? times[b]! : Number.POSITIVE_INFINITY;
    }
    if (aTime < bTime) {
      a++;
      aTime = a < aEnd ? times[a]! : Number.POSITIVE_INFINITY;
    } else {
      from = b;
      time = bTime;
      b++;
      bTime = b < bEnd ? times[b]! : Number.POSITIVE_INFINITY;
    }
    outTimes[count] = time;
    outWords[count * 2] = words[from * 2]!;
    outWords[count * 2 + 1] = words[from * 2 + 1]!;
    count++;
  }
  return count;
}

/**
 * The order in which Prometheus chains samples of runs, which are not empty; the order of the runs matters.
 * @param starts first sample of each run
 * @param ends sample after the last of each run
 * @param order out: places of the samples that stay
 * @returns how many stay
 */
export function chainOrder(times: Float64Array, starts: Int32Array, ends: Int32Array, order: Int32Array): number {
  const at = starts.slice();
  const heap = new TieHeap((a, b) => times[at[a]!]! < times[at[b]!]!);
  for (let run = 1; run < starts.length; run++) heap.push(run);
  let run = 0;
  // The first step moves on to the first sample.
  at[0] = starts[0]! - 1;
  let lastTime = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (;;) {
    let time = 0;
    for (;;) {
      if (++at[run]! < ends[run]!) {
        time = times[at[run]!]!;
        if (time === lastTime) continue;
        if (heap.size === 0 || time < times[at[heap.top]!]!) break;
        heap.push(run);
      } else if (heap.size === 0) return count;
      run = heap.pop();
      time = times[at[run]!]!;
      if (time !== lastTime) break;
    }
    order[count++] = at[run]!;
    lastTime = time;
  }
}
