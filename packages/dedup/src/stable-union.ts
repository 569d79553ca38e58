/**
 * Windows without a spacing, because no replica has enough samples: all samples of all replicas in order of time. Samples of another replica within
 * a second of the last one are left out; of equal timestamps the first replica's stays. Every change of replica is a seam.
 */
import type { FillContext } from './stable-fill.ts';
import type { WindowTable } from './stable-windows.ts';

const SAME_MS = 1000;

/**
 * Appends a window's union.
 * @param lasts in and out: the last sample of each replica in this stretch that was shown or came to be
 * @returns the last sample shown; undefined if none was
 */
export function emitUnion(
  { replicas, order, runs, trace }: FillContext,
  windows: WindowTable,
  row: number,
  lasts: Int32Array,
  lastReplica: number,
  lastIndex: number,
): { readonly replica: number; readonly index: number } | undefined {
  const at = Int32Array.from(replicas, (_, r) => windows.start(row, r));
  const ends = Int32Array.from(replicas, (_, r) => windows.end(row, r));
  let shown = lastReplica < 0 ? undefined : { replica: lastReplica, index: lastIndex };
  let hasShown = false;
  while (true) {
    let next = -1;
    let time = Infinity;
    for (let r = 0; r < replicas.length; r++) {
      if (at[r]! < ends[r]! && replicas[r]!.timestampsMs[at[r]!]! < time) {
        next = r;
        time = replicas[r]!.timestampsMs[at[r]!]!;
      }
    }
    if (next < 0) break;
    const index = at[next]!++;
    let isKept = shown === undefined || shown.replica === next || time - replicas[shown.replica]!.timestampsMs[shown.index]! > SAME_MS;
    for (let other = 0; isKept && other < replicas.length; other++) {
      const last = lasts[other]!;
      if (last < 0 || other === next) continue;
      const verdict = order.judge(next, index, other, last);
      if (verdict === 'disputed') trace?.onDispute?.(next, index, other, last);
      if (verdict === 'out of order') {
        trace?.onDrop?.(next, index, index + 1, other, last);
        isKept = false;
      }
    }
    lasts[next] = index;
    if (!isKept) continue;
    runs.append(next, index, index + 1);
    shown = { replica: next, index };
    hasShown = true;
  }
  return hasShown ? shown : undefined;
}
