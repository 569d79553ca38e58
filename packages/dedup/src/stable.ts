/**
 * `stable`: which sample is shown at an instant follows from the replicas' samples around it alone, never from where a query began.
 *
 *   replica a   x  x  x  x  .  .  .  x  x  x │ x  .  .  .  .  .  .  .  .  x      │ window of 10 minutes
 *   replica b    y  y  y  y  y  y  y  y  y  y│  y  y  y  y  y  y  y  y  y  y     . lost
 *   merged      x  x  x  x   y  y  y x  x  x │  y  y  y  y  y  y  y  y  y  y
 *               leader a      fill  leader a │ leader b (a lacks more than 10 %)
 *
 *   1. every window has a leader, the first replica in label order that lacks at most a tenth of the best (stable-windows.ts)
 *   2. holes of more than 1.5 spacings between the leaders' samples are filled with the replica that has most samples there, then the others
 *   3. where the replica changes, samples of a counter that are behind what was shown are left out (stable-order.ts)
 *   4. stale markers count when no other replica goes on (stable-stale.ts)
 *
 * The laws are in docs/dedup. Samples are never changed. A run of windows without an empty one between them is a stretch; nothing reaches from one
 * stretch into another.
 */
import { MergedRuns } from './merged-runs.ts';
import { copyReplica, type DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import { fillFromOther, fillHole, type FillContext } from './stable-fill.ts';
import { CounterOrder, type HistogramAt } from './stable-order.ts';
import { kindOfValues, mergeWithStaleMarkers, RISING, STALE } from './stable-stale.ts';
import type { StableTrace } from './stable-trace.ts';
import { emitUnion } from './stable-union.ts';
import { HOLE_SPACINGS, summarizeHere, type SummarizeSpacing, UNION, WINDOW_MS, WindowTable } from './stable-windows.ts';

/** Options of `mergeStable`. */
export interface StableOptions {
  /** The series is a counter by its name or type (`isCounterSeries`); others may turn out to be one by how they rise. */
  readonly isCounterSeries: boolean;
  /** The histogram of a sample with `isHistogram`, STALE_HISTOGRAM for a stale marker; called at seams only. */
  readonly histogramAt?: HistogramAt;
  /** Is told each decision. */
  readonly trace?: StableTrace;
  /** Sums up the columns by window; default: plain TypeScript. */
  readonly summarize?: SummarizeSpacing;
  /** Memory of earlier merges, to be used again. */
  readonly windows?: WindowTable;
}

/**
 * Merges replicas of one series into `out`. For a result that holds in [a, b] give the raw samples of [a − REACH_MS, b + REACH_MS], as far as
 * there are any, and drop what is outside afterwards.
 *
 * A native histogram whose `indexes` entry does not follow the one before in the same replica has an unknown counter-reset hint (`isSeam`).
 * @param replicas at least one, in order of their replica labels, each united from all its sources (`uniteSources`)
 */
export function mergeStable(replicas: readonly ReplicaColumns[], options: StableOptions, out: DedupBuffer): void {
  if (replicas.length === 0) throw new RangeError('merge replicas: none given');
  if (replicas.length === 1) {
    copyReplica(replicas[0]!, out);
  } else {
    const kinds = replicas.map(kindOfValues);
    if (kinds.includes(STALE)) mergeWithStaleMarkers(replicas, options, mergeSamples, out);
    else mergeSamples(replicas, options, out, kinds.map((kind) => kind === RISING));
  }
}

/** Whether a merged sample does not follow the one before it in the same replica. */
export function isSeam(merged: DedupBuffer, index: number): boolean {
  return index === 0 || merged.replicas[index] !== merged.replicas[index - 1] || merged.indexes[index] !== merged.indexes[index - 1]! + 1;
}

/** The merge of replicas without stale markers; returns the windows for who needs spacings. */
function mergeSamples(replicas: readonly ReplicaColumns[], options: StableOptions, out: DedupBuffer, risesOnly?: readonly boolean[]): WindowTable {
  const windows = options.windows ?? new WindowTable();
  windows.build(replicas, options.summarize ?? summarizeHere);
  const runs = new MergedRuns(replicas, out);
  new StableMerge(replicas, windows, runs, new CounterOrder(replicas, options.isCounterSeries, options.histogramAt, risesOnly), options.trace).run();
  runs.finish();
  return windows;
}

/** The walk over the windows. */
class StableMerge {
  readonly #replicas: readonly ReplicaColumns[];
  readonly #windows: WindowTable;
  readonly #runs: MergedRuns;
  readonly #order: CounterOrder;
  readonly #trace: StableTrace | undefined;
  readonly #fill: FillContext;
  /** Last sample of the leaders so far that was kept, −1 at the start of a stretch. */
  #leftReplica = -1;
  #leftIndex = -1;
  /** The last sample of each replica while it led in this stretch, kept or not; −1 for none. */
  readonly #lasts: Int32Array;

  constructor(replicas: readonly ReplicaColumns[], windows: WindowTable, runs: MergedRuns, order: CounterOrder, trace: StableTrace | undefined) {
    this.#replicas = replicas;
    this.#windows = windows;
    this.#runs = runs;
    this.#trace = trace;
    this.#order = order;
    this.#lasts = new Int32Array(replicas.length).fill(-1);
    this.#fill = { replicas, windows, order, runs, trace, froms: new Int32Array(replicas.length), tos: new Int32Array(replicas.length) };
  }

  run(): void {
    const windows = this.#windows;
    for (let row = 0; row < windows.rows; row++) {
      windows.visit(row);
      if (!windows.isJoinedToPrevious(row)) this.#startStretch();
      const leader = windows.leader(row);
      this.#trace?.onWindow?.(windows.ids[row]! * WINDOW_MS, leader, leader === UNION ? Infinity : windows.spacing(row), windows, row);
      if (leader === UNION) this.#takeUnion(row);
      else this.#takeLeader(row, leader);
      if (!windows.isJoinedToNext(row)) this.#endStretch(row);
    }
  }

  #startStretch(): void {
    this.#leftReplica = -1;
    this.#leftIndex = -1;
    this.#lasts.fill(-1);
  }

  #takeLeader(row: number, leader: number): void {
    const windows = this.#windows;
    const isEven = windows.isEven(row);
    const end = windows.end(row, leader);
    let from = windows.start(row, leader);
    if (from === end) return;
    if (leader !== this.#leftReplica) from = this.#skipBehind(leader, from, end);
    this.#lasts[leader] = end - 1;
    if (from === end) return;
    if (this.#leftReplica < 0) this.#openLeft(row, leader, from);
    else if (leader !== this.#leftReplica || !isEven) this.#checkHole(row, leader, from);
    if (isEven || windows.most(row, leader) <= HOLE_SPACINGS * windows.spacing(row)) this.#runs.append(leader, from, end);
    else this.#takeWithHoles(row, leader, from, end);
    this.#leftReplica = leader;
    this.#leftIndex = end - 1;
  }

  /** A window with holes of its leader. */
  #takeWithHoles(row: number, leader: number, from: number, end: number): void {
    const windows = this.#windows;
    const spacingMs = windows.spacing(row);
    const longestMs = HOLE_SPACINGS * spacingMs;
    const times = this.#replicas[leader]!.timestampsMs;
    const isPair = this.#replicas.length === 2;
    let runFrom = from;
    for (let i = windows.nextWide(row, leader, from + 1, longestMs); i < end; i = windows.nextWide(row, leader, i + 1, longestMs)) {
      this.#runs.append(leader, runFrom, i);
      if (isPair) fillFromOther(this.#fill, row, leader, i, spacingMs);
      else fillHole(this.#fill, leader, i - 1, leader, i, times[i - 1]!, times[i]!);
      runFrom = i;
    }
    this.#runs.append(leader, runFrom, end);
  }

  /** Law 4 where the leader changes: the new one's samples that are behind what an earlier one had shown. */
  #skipBehind(leader: number, from: number, end: number): number {
    let index = from;
    for (let other = 0; other < this.#lasts.length; other++) {
      const last = this.#lasts[other]!;
      if (last < 0 || other === leader) continue;
      const start = index;
      while (index < end) {
        const verdict = this.#order.judge(leader, index, other, last);
        if (verdict === 'disputed') this.#trace?.onDispute?.(leader, index, other, last);
        if (verdict !== 'out of order') break;
        index++;
      }
      if (index > start) this.#trace?.onDrop?.(leader, start, index, other, last);
    }
    return index;
  }

  /** The hole between the last kept sample and the first of a window. */
  #checkHole(row: number, leader: number, index: number): void {
    const fromMs = this.#replicas[this.#leftReplica]!.timestampsMs[this.#leftIndex]!;
    const toMs = this.#replicas[leader]!.timestampsMs[index]!;
    // d of a hole is at least that of the window where it ends.
    if (!(toMs - fromMs > HOLE_SPACINGS * this.#windows.spacing(row))) return;
    fillHole(this.#fill, this.#leftReplica, this.#leftIndex, leader, index, fromMs, toMs);
  }

  /** Samples of others before the first leader's first. */
  #openLeft(row: number, leader: number, index: number): void {
    const toMs = this.#replicas[leader]!.timestampsMs[index]!;
    fillHole(this.#fill, -1, -1, leader, index, this.#windows.ids[row]! * WINDOW_MS - 1, toMs);
  }

  /** Samples of others behind the last leader's last. */
  #endStretch(row: number): void {
    if (this.#leftReplica < 0 || this.#windows.spacing(row) === Infinity) return;
    const fromMs = this.#replicas[this.#leftReplica]!.timestampsMs[this.#leftIndex]!;
    fillHole(this.#fill, this.#leftReplica, this.#leftIndex, -1, -1, fromMs, (this.#windows.ids[row]! + 1) * WINDOW_MS);
  }

  /** A window without a leader. */
  #takeUnion(row: number): void {
    if (this.#leftReplica >= 0 && this.#windows.spacing(row - 1) !== Infinity) this.#fillBefore(row);
    const last = emitUnion(this.#fill, this.#windows, row, this.#lasts, this.#leftReplica, this.#leftIndex);
    if (last === undefined) return;
    this.#leftReplica = last.replica;
    this.#leftIndex = last.index;
  }

  /** What the last leader leaves empty before a window that is a union. */
  #fillBefore(row: number): void {
    const fromMs = this.#replicas[this.#leftReplica]!.timestampsMs[this.#leftIndex]!;
    const toMs = this.#windows.ids[row]! * WINDOW_MS;
    fillHole(this.#fill, this.#leftReplica, this.#leftIndex, -1, -1, fromMs, toMs);
    this.#leftReplica = this.#runs.lastReplica;
    this.#leftIndex = this.#runs.lastIndex;
    this.#lasts[this.#leftReplica] = this.#leftIndex;
  }
}
