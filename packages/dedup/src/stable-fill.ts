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
import { HOLE_SPACINGS, largerSpacing, type WindowTable } from './stable-windows.ts';

/** Emptiness beside an edge up to which a sample near it is not wanted, in spacings. */
const CLOSE_ENOUGH = 1.1;

/** What filling works on. */
export interface FillContext {
  readonly replicas: readonly ReplicaColumns[];
  readonly windows: WindowTable;
  readonly order: CounterOrder;
  readonly runs: MergedRuns;
  readonly trace: StableTrace | undefined;
  /** Per replica where the last hole began and ended in it. Holes come in order of time, so the next one is searched from there on. */
  readonly froms: Int32Array;
  readonly tos: Int32Array;
}

/** A hole as a trace is told of it: both ends exclusive. */
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

/**
 * Appends what the replicas have for a hole, in order of time. Called per lost sample, so a hole is six numbers, as in `Hole`; times of an end with
 * a sample are that sample's.
 */
export function fillHole(context: FillContext, leftReplica: number, left: number, rightReplica: number, right: number, fromMs: number, toMs: number): void {
  const { replicas, windows, froms, tos } = context;
  const count = replicas.length;
  let isEmpty = true;
  let firstMs = Infinity;
  let lastMs = -Infinity;
  for (let replica = 0; replica < count; replica++) {
    const times = replicas[replica]!.timestampsMs;
    const from = replica === leftReplica ? left + 1 : seek(times, froms[replica]!, fromMs);
    let to = from;
    if (replica === rightReplica) to = Math.max(from, right);
    else while (to < times.length && times[to]! < toMs) to++;
    froms[replica] = from;
    tos[replica] = to;
    if (from === to) continue;
    isEmpty = false;
    if (times[from]! < firstMs) firstMs = times[from]!;
    if (times[to - 1]! > lastMs) lastMs = times[to - 1]!;
  }
  if (isEmpty) return;
  // Where one side is open, the hole ends at the newest (begins at the oldest) sample of any replica.
  const startMs = leftReplica >= 0 ? fromMs : firstMs;
  const endMs = rightReplica >= 0 ? toMs : lastMs;
  const startRow = windows.rowOf(startMs);
  const startSpacing = windows.spacing(startRow);
  const endRow = windows.rowOf(endMs);
  const endSpacing = endRow === startRow ? startSpacing : windows.spacing(endRow);
  const spacingMs = largerSpacing(startSpacing, endSpacing);
  if (!(endMs - startMs > HOLE_SPACINGS * spacingMs)) return;

  let best = -1;
  let bestFrom = 0;
  let bestTo = 0;
  for (let replica = 0; replica < count; replica++) {
    let from = froms[replica]!;
    let to = tos[replica]!;
    if (from === to) continue;
    const times = replicas[replica]!.timestampsMs;
    if (leftReplica >= 0) from = skipBehindLeft(context, leftReplica, left, replica, from, to);
    if (rightReplica >= 0) to = skipAheadOfRight(context, rightReplica, right, replica, from, to);
    if (leftReplica >= 0) from = withoutNearLeft(times, from, to, fromMs, rightReplica >= 0 ? toMs : Infinity, spacingMs);
    if (rightReplica >= 0) to = withoutNearRight(times, from, to, leftReplica >= 0 ? fromMs : -Infinity, toMs, spacingMs);
    if (to - from > bestTo - bestFrom) {
      best = replica;
      bestFrom = from;
      bestTo = to;
    }
  }
  if (best < 0) return;
  context.trace?.onFill?.(best, bestFrom, bestTo, { leftReplica, left, rightReplica, right, fromMs, toMs });
  // Only a hole that is one by the smaller d of both ends needs a closer look.
  const leastHoleMs = HOLE_SPACINGS * Math.min(startSpacing, endSpacing);
  takeAndFill(context, best, bestFrom, bestTo, leastHoleMs, leftReplica, left, rightReplica, right, fromMs, toMs);
}

/** `fillHole` for two replicas and a hole of one of them inside a window, before its sample `right`: nearly all holes are so. */
export function fillFromOther(context: FillContext, row: number, leader: number, right: number, spacingMs: number): void {
  const { replicas, froms, windows } = context;
  const leaderTimes = replicas[leader]!.timestampsMs;
  const fromMs = leaderTimes[right - 1]!;
  const toMs = leaderTimes[right]!;
  const other = 1 - leader;
  const times = replicas[other]!.timestampsMs;
  let from = seek(times, Math.max(froms[other]!, windows.start(row, other)), fromMs);
  let to = from;
  while (to < times.length && times[to]! < toMs) to++;
  froms[other] = from;
  if (from === to) return;
  from = skipBehindLeft(context, leader, right - 1, other, from, to);
  to = skipAheadOfRight(context, leader, right, other, from, to);
  from = withoutNearLeft(times, from, to, fromMs, toMs, spacingMs);
  to = withoutNearRight(times, from, to, fromMs, toMs, spacingMs);
  if (from === to) return;
  context.trace?.onFill?.(other, from, to, { leftReplica: leader, left: right - 1, rightReplica: leader, right, fromMs, toMs });
  takeAndFill(context, other, from, to, HOLE_SPACINGS * spacingMs, leader, right - 1, leader, right, fromMs, toMs);
}

/** Appends samples `from` … `to` − 1 of a replica for a hole, and what others have for the holes that are left. */
function takeAndFill(
  context: FillContext,
  replica: number,
  from: number,
  to: number,
  leastHoleMs: number,
  leftReplica: number,
  left: number,
  rightReplica: number,
  right: number,
  fromMs: number,
  toMs: number,
): void {
  const { runs, windows } = context;
  const times = context.replicas[replica]!.timestampsMs;
  let runFrom = from;
  let previousMs = fromMs;
  if (leftReplica >= 0 && rightReplica >= 0) {
    let i = from;
    while (i < to && times[i]! - previousMs <= leastHoleMs) previousMs = times[i++]!;
    if (i === to && toMs - previousMs <= leastHoleMs) {
      runs.append(replica, from, to);
      return;
    }
    previousMs = fromMs;
  }
  for (let i = from; i <= to; i++) {
    const isStart = i === from;
    const isEnd = i === to;
    const nextMs = isEnd ? toMs : times[i]!;
    // An open side is always looked at: what is empty there is known only from the others' samples.
    const isOpen = (isStart && leftReplica < 0) || (isEnd && rightReplica < 0);
    if (isOpen || (nextMs - previousMs > leastHoleMs && nextMs - previousMs > HOLE_SPACINGS * windows.spacingBetween(previousMs, nextMs))) {
      runs.append(replica, runFrom, i);
      runFrom = i;
      // Smaller than this hole, which has given a sample: so it ends.
      fillHole(context, isStart ? leftReplica : replica, isStart ? left : i - 1, isEnd ? rightReplica : replica, isEnd ? right : i, previousMs, nextMs);
    }
    previousMs = nextMs;
  }
  runs.append(replica, runFrom, to);
}

/** How many samples behind a cursor are looked at one by one. */
const NEAR_SAMPLES = 24;

/** Index of the first timestamp greater than `ms`, which is seldom far behind `cursor`. */
function seek(times: Float64Array, cursor: number, ms: number): number {
  if (cursor > 0 && times[cursor - 1]! > ms) return firstAfter(times, ms);
  const near = Math.min(times.length, cursor + NEAR_SAMPLES);
  let index = cursor;
  while (index < near && times[index]! <= ms) index++;
  return index < near ? index : firstAfter(times, ms, index);
}

/** The first sample of a range that is not behind the hole's left end. */
function skipBehindLeft({ order, trace }: FillContext, leftReplica: number, left: number, replica: number, from: number, to: number): number {
  let index = from;
  while (index < to) {
    const verdict = order.judge(replica, index, leftReplica, left);
    if (verdict === 'in order') break;
    if (verdict === 'disputed') {
      trace?.onDispute?.(replica, index, leftReplica, left);
      break;
    }
    index++;
  }
  if (index > from) trace?.onDrop?.(replica, from, index, leftReplica, left);
  return index;
}

/** The end of a range without the samples that the hole's right end is behind. */
function skipAheadOfRight({ order, trace }: FillContext, rightReplica: number, right: number, replica: number, from: number, to: number): number {
  let index = to;
  while (index > from) {
    const verdict = order.judge(rightReplica, right, replica, index - 1);
    if (verdict === 'in order') break;
    if (verdict === 'disputed') {
      trace?.onDispute?.(rightReplica, right, replica, index - 1);
      break;
    }
    index--;
  }
  if (index < to) trace?.onDrop?.(replica, index, to, rightReplica, right);
  return index;
}

/** Leaves out samples closer than d/2 to the left end where the next one is near enough to it. `toMs` is Infinity where the right side is open. */
function withoutNearLeft(times: Float64Array, from: number, to: number, fromMs: number, toMs: number, spacingMs: number): number {
  let first = from;
  while (first < to && times[first]! - fromMs < spacingMs / 2) {
    const nextMs = first + 1 < to ? times[first + 1]! : toMs;
    if (nextMs - fromMs > CLOSE_ENOUGH * spacingMs) break;
    first++;
  }
  return first;
}

/** The same at the right end; `fromMs` is −Infinity where the left side is open. */
function withoutNearRight(times: Float64Array, from: number, to: number, fromMs: number, toMs: number, spacingMs: number): number {
  let end = to;
  while (end > from && toMs - times[end - 1]! < spacingMs / 2) {
    const nextMs = end - 1 > from ? times[end - 2]! : fromMs;
    if (toMs - nextMs > CLOSE_ENOUGH * spacingMs) break;
    end--;
  }
  return end;
}
