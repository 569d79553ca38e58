/**
 * Which samples of sorted runs stay when they are merged one to one: every timestamp once.
 *
 *   run 0   10   20   30            merged   10 15 20 25 30 40
 *   run 1     15 20 25   40                        ↑ of run 1: the merge had moved there for 15
 *
 * Which run a timestamp that several have is taken from is Prometheus' choice, not a rule: the merge stays with a run while that is
 * ahead of the others, goes to the earliest when it is not, and skips what it already has. storage/merge.go, `chainSampleIterator`.
 * `chainOrder`, and `ChunkChain` (chain-chunks.ts) over chunks, make exactly those moves; the kernel `mergeColumns` is many times faster and gives up
 * where they would matter.
 */
import { TieHeap } from './tie-heap.ts';

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
