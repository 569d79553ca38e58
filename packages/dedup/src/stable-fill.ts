/**
 * Filling a hole between two shown samples u and v, or between one and the edge of a stretch.
 *
 *   u ────────────────────────────── v      shown
 *      q  q  q  q  q  q  q  q  q  q         the replica with most samples that fit; what is left is filled with the others
 *      ╰ within d/2 of an edge: only taken if without it more than 1.1 d would be empty
 *
 * A sample fits if it is not behind u and v is not behind it (stable-order.ts). Both can only concern the first and the last samples of a replica,
 * because its own stream is in order.
 */
import type { MergedRuns } from './merged-runs.ts';
import type { ReplicaColumns } from './replica-columns.ts';
import { type CounterOrder, firstAfter } from './stable-order.ts';
import type { StableTrace } from './stable-trace.ts';
import { HOLE_SPACINGS, type WindowTable } from './stable-windows.ts';

/** Emptiness beside an edge up to which a sample near it is not wanted, in spacings. */
const CLOSE_ENOUGH = 1.1;

/** What filling works on. */
export interface FillContext {
  readonly replicas: readonly ReplicaColumns[];
  readonly windows: WindowTable;
  readonly order: CounterOrder;
  readonly runs: MergedRuns;
  readonly trace: StableTrace | undefined;
}

/** A hole: both ends exclusive. */
export interface Hole {
  /** Replica and index of the sample before; −1 at the start of a stretch. */
  readonly leftReplica: number;
  readonly left: number;
  /** Replica and index of the sample behind; −1 at the end of a stretch. */
  readonly rightReplica: number;
  readonly right: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Appends what the replicas have for a hole, in order of time. */
export function fillHole(context: FillContext, hole: Hole): void {
  const { replicas, windows, runs } = context;
  const found: Array<{ readonly replica: number; readonly from: number; readonly to: number }> = [];
  let firstMs = Infinity;
  let lastMs = -Infinity;
  for (let replica = 0; replica < replicas.length; replica++) {
    const times = replicas[replica]!.timestampsMs;
    const from = firstAfter(times, hole.fromMs);
    let to = from;
    while (to < times.length && times[to]! < hole.toMs) to++;
    if (from === to) continue;
    found.push({ replica, from, to });
    firstMs = Math.min(firstMs, times[from]!);
    lastMs = Math.max(lastMs, times[to - 1]!);
  }
  if (found.length === 0) return;
  // Where one side is open, the hole ends at the newest (begins at the oldest) sample of any replica.
  const startMs = hole.leftReplica >= 0 ? hole.fromMs : firstMs;
  const endMs = hole.rightReplica >= 0 ? hole.toMs : lastMs;
  const spacingMs = windows.spacingBetween(startMs, endMs);
  if (!(endMs - startMs > HOLE_SPACINGS * spacingMs)) return;

  let best = -1;
  let bestFrom = 0;
  let bestTo = 0;
  for (const { replica, from, to } of found) {
    const first = skipBehindLeft(context, hole, replica, from, to);
    const end = skipAheadOfRight(context, hole, replica, first, to);
    const [fittingFrom, fittingTo] = withoutNearEdges(replicas[replica]!.timestampsMs, first, end, hole, spacingMs);
    if (fittingTo - fittingFrom > bestTo - bestFrom) {
      best = replica;
      bestFrom = fittingFrom;
      bestTo = fittingTo;
    }
  }
  if (best < 0) return;
  context.trace?.onFill?.(best, bestFrom, bestTo, hole);

  const times = replicas[best]!.timestampsMs;
  // Only a hole that is one by the smaller d of both ends needs a closer look.
  const leastHoleMs = HOLE_SPACINGS * Math.min(windows.spacing(windows.rowOf(startMs)), windows.spacing(windows.rowOf(endMs)));
  let leftReplica = hole.leftReplica;
  let left = hole.left;
  let fromMs = hole.fromMs;
  let runFrom = bestFrom;
  for (let i = bestFrom; i <= bestTo; i++) {
    const isEnd = i === bestTo;
    const toMs = isEnd ? hole.toMs : times[i]!;
    // An open side is always looked at: what is empty there is known only from the others' samples.
    const isOpen = leftReplica < 0 || (isEnd && hole.rightReplica < 0);
    if (isOpen || (toMs - fromMs > leastHoleMs && toMs - fromMs > HOLE_SPACINGS * windows.spacingBetween(fromMs, toMs))) {
      runs.append(best, runFrom, i);
      runFrom = i;
      // Smaller than this hole, which has given a sample: so it ends.
      fillHole(context, { leftReplica, left, rightReplica: isEnd ? hole.rightReplica : best, right: isEnd ? hole.right : i, fromMs, toMs });
    }
    leftReplica = best;
    left = i;
    fromMs = toMs;
  }
  runs.append(best, runFrom, bestTo);
}

/** The first sample of a range that is not behind the hole's left end. */
function skipBehindLeft({ order, trace }: FillContext, hole: Hole, replica: number, from: number, to: number): number {
  if (hole.leftReplica < 0) return from;
  let index = from;
  while (index < to) {
    const verdict = order.judge(replica, index, hole.leftReplica, hole.left);
    if (verdict === 'disputed') trace?.onDispute?.(replica, index, hole.leftReplica, hole.left);
    if (verdict !== 'out of order') break;
    index++;
  }
  if (index > from) trace?.onDrop?.(replica, from, index, hole.leftReplica, hole.left);
  return index;
}

/** The end of a range without the samples that the hole's right end is behind. */
function skipAheadOfRight({ order, trace }: FillContext, hole: Hole, replica: number, from: number, to: number): number {
  if (hole.rightReplica < 0) return to;
  let index = to;
  while (index > from) {
    const verdict = order.judge(hole.rightReplica, hole.right, replica, index - 1);
    if (verdict === 'disputed') trace?.onDispute?.(hole.rightReplica, hole.right, replica, index - 1);
    if (verdict !== 'out of order') break;
    index--;
  }
  if (index < to) trace?.onDrop?.(replica, index, to, hole.rightReplica, hole.right);
  return index;
}

/** Leaves out samples closer than d/2 to an end of the hole where their neighbour is near enough to it. */
function withoutNearEdges(times: Float64Array, from: number, to: number, hole: Hole, spacingMs: number): [from: number, to: number] {
  const near = spacingMs / 2;
  const enough = CLOSE_ENOUGH * spacingMs;
  let first = from;
  let end = to;
  if (hole.leftReplica >= 0) {
    while (first < end && times[first]! - hole.fromMs < near) {
      const next = first + 1 < end ? times[first + 1]! : hole.rightReplica >= 0 ? hole.toMs : Infinity;
      if (next - hole.fromMs > enough) break;
      first++;
    }
  }
  if (hole.rightReplica >= 0) {
    while (end > first && hole.toMs - times[end - 1]! < near) {
      const next = end - 1 > first ? times[end - 2]! : hole.leftReplica >= 0 ? hole.fromMs : -Infinity;
      if (hole.toMs - next > enough) break;
      end--;
    }
  }
  return [first, end];
}
