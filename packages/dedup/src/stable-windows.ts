/**
 * What `stable` knows of each window of absolute time before it decides anything: which samples each replica has there and how they are spaced.
 *
 *   window      k·10 min ≤ t < (k + 1)·10 min, aligned to 1970; a row per window in which some replica has samples
 *   starts      rows + 1 blocks of one index per replica: replica r has samples starts[row·R + r] … starts[(row + 1)·R + r] of its own columns there
 *   least, most smallest and largest distance of those samples to the one before, of all replicas and of each: only used to tell that nothing can be
 *               missing, and that all distances or none are below the step of a median
 *   spacing     d of docs/dedup: the smallest median distance among replicas with at least 3 samples in the window and its two neighbours;
 *               Infinity where there is none, or it is above half a window: then the result is the union
 *
 * Medians are known to a step of 1/32 to 1/64 of themselves, [low, low + step): counting what lies below and in the step of the window before is
 * several times faster than a selection, and gives the same step wherever a range begins. d is the step's upper end.
 */
import { type SpacingSummary, summarizeSpacing } from '@gauntlet/kernels';
import type { ReplicaColumns } from './replica-columns.ts';
import { gapsBelow, listGaps, select, stepOf } from './stable-gaps.ts';

/** L of docs/dedup: length of a window, milliseconds. */
export const WINDOW_MS = 600_000;

/** W of docs/dedup: how far from a sample the replicas' samples can decide about it, milliseconds. */
export const REACH_MS: number = 4 * WINDOW_MS;

/** A hole is longer than this many spacings. */
export const HOLE_SPACINGS = 1.5;

/** Leader of a window where the result is the union of all replicas. */
export const UNION = -1;

const FEWEST_FOR_SPACING = 3;
/** Part of the best replica's samples that a leader may lack; one sample at least. */
const LACK = 0.1;

/** Finds the samples of one replica by window; the kernel of packages/kernels or its twin. */
export type SummarizeSpacing = (replica: ReplicaColumns, out: SpacingSummary) => void;

/** Rows of one series; reused from series to series. */
export class WindowTable {
  /** Windows with samples. */
  rows = 0;
  /** Number of each window: its start divided by WINDOW_MS. */
  ids: Float64Array = new Float64Array(0);
  /** See the head of this file. */
  starts: Int32Array = new Int32Array(0);
  #least: Float64Array = new Float64Array(0);
  #most: Float64Array = new Float64Array(0);
  #leastOf: Float64Array = new Float64Array(0);
  #mostOf: Float64Array = new Float64Array(0);
  /** Exact spacing by row; NaN until asked for. */
  #spacing: Float64Array = new Float64Array(0);
  /** Lower end of the step of each replica's median by row; Infinity for fewer than 3 samples. */
  #medians: Float64Array = new Float64Array(0);
  #even: Uint8Array = new Uint8Array(0);
  /** Distances of a replica's samples in a row that are below the step at `#guesses`, and in it. */
  #below: Int32Array = new Int32Array(0);
  #within: Int32Array = new Int32Array(0);
  #guesses: Float64Array = new Float64Array(0);
  /**
   * By replica: indexes of the samples whose distance to the one before is not below `#wideMs`, so that holes and medians need not look at all
   * samples. `#wideMs` is NaN until the list is made; `#wideAt` says where a row begins in it.
   */
  readonly #wide: Int32Array[] = [];
  #wideMs: Float64Array = new Float64Array(0);
  #wideAt: Int32Array = new Int32Array(0);
  /** Where each replica's median was last, in this series or the one before. */
  #steps: Float64Array = new Float64Array(0);
  #visited = 0;
  #replicas: readonly ReplicaColumns[] = [];
  #gaps: Float64Array = new Float64Array(256);
  #summaries: SpacingSummary[] = [];

  /** Fills the table. `replicas` are kept until the next call. */
  build(replicas: readonly ReplicaColumns[], summarize: SummarizeSpacing = summarizeHere): void {
    const count = replicas.length;
    this.#replicas = replicas;
    while (this.#summaries.length < count) this.#summaries.push({ rows: 0, ids: new Float64Array(0), starts: new Int32Array(0), least: new Float64Array(0), most: new Float64Array(0) });
    let rowsMax = 0;
    for (let r = 0; r < count; r++) {
      summarize(replicas[r]!, this.#summaries[r]!);
      rowsMax += this.#summaries[r]!.rows;
    }
    if (rowsMax > this.ids.length || (rowsMax + 1) * count > this.starts.length) {
      const capacity = Math.max(64, rowsMax, Math.min(this.ids.length * 2, rowsMax * 2));
      this.ids = new Float64Array(capacity);
      this.starts = new Int32Array((capacity + 1) * count);
      this.#least = new Float64Array(capacity);
      this.#most = new Float64Array(capacity);
      this.#leastOf = new Float64Array(capacity * count);
      this.#mostOf = new Float64Array(capacity * count);
      this.#spacing = new Float64Array(capacity);
      this.#medians = new Float64Array(capacity * count);
      this.#even = new Uint8Array(capacity);
      this.#below = new Int32Array(capacity * count);
      this.#within = new Int32Array(capacity * count);
      this.#guesses = new Float64Array(capacity * count);
      this.#wideAt = new Int32Array(capacity * count);
    }
    if (count > this.#steps.length) {
      this.#steps = new Float64Array(count).fill(NaN);
      this.#wideMs = new Float64Array(count);
    }
    while (this.#wide.length < count) this.#wide.push(new Int32Array(256));
    this.#wideMs.fill(NaN);
    this.#visited = 0;
    this.#join(count);
  }

  /** Brings the replicas' rows together in order of time. */
  #join(count: number): void {
    const summaries = this.#summaries;
    const at = new Int32Array(count);
    const { ids, starts } = this;
    const leastOf = this.#leastOf;
    const mostOf = this.#mostOf;
    let rows = 0;
    // The next window of each replica, Infinity behind its last.
    const next = new Float64Array(count);
    for (let r = 0; r < count; r++) next[r] = summaries[r]!.rows > 0 ? summaries[r]!.ids[0]! : Infinity;
    while (true) {
      let id = Infinity;
      for (let r = 0; r < count; r++) if (next[r]! < id) id = next[r]!;
      let least = Infinity;
      let most = 0;
      for (let r = 0; r < count; r++) {
        const summary = summaries[r]!;
        const row = at[r]!;
        const own = rows * count + r;
        starts[own] = row < summary.rows ? summary.starts[row]! : this.#replicas[r]!.timestampsMs.length;
        if (next[r] !== id || id === Infinity) continue;
        leastOf[own] = summary.least[row]!;
        mostOf[own] = summary.most[row]!;
        if (leastOf[own]! < least) least = leastOf[own]!;
        if (mostOf[own]! > most) most = mostOf[own]!;
        at[r] = row + 1;
        next[r] = row + 1 < summary.rows ? summary.ids[row + 1]! : Infinity;
      }
      if (id === Infinity) break;
      ids[rows] = id;
      this.#least[rows] = least;
      this.#most[rows] = most;
      rows++;
    }
    this.rows = rows;
    this.#spacing.fill(NaN, 0, rows);
    this.#guesses.fill(NaN, 0, rows * count);
    this.#findEven();
  }

  /** Index of the first sample of a replica in a row or later. */
  start(row: number, replica: number): number {
    return this.starts[row * this.#replicas.length + replica]!;
  }

  /** Index behind the last sample of a replica in a row. */
  end(row: number, replica: number): number {
    return this.starts[(row + 1) * this.#replicas.length + replica]!;
  }

  /** Whether the window before that of `row` has samples. */
  isJoinedToPrevious(row: number): boolean {
    return row > 0 && this.ids[row - 1] === this.ids[row]! - 1;
  }

  /** Whether the window behind that of `row` has samples. */
  isJoinedToNext(row: number): boolean {
    return row + 1 < this.rows && this.ids[row + 1] === this.ids[row]! + 1;
  }

  /** First row of the window and its neighbours. */
  #first(row: number): number {
    return this.isJoinedToPrevious(row) ? row - 1 : row;
  }

  #last(row: number): number {
    return this.isJoinedToNext(row) ? row + 1 : row;
  }

  /**
   * True if the window and its neighbours show at a glance that every replica with samples is evenly spaced there and has no hole: no distance is
   * more than 1.5 times the smallest. Then no median is needed.
   */
  isEven(row: number): boolean {
    return this.#even[row] === 1;
  }

  /** Largest distance of a replica's samples in a row to the one before; it must have some there. */
  most(row: number, replica: number): number {
    return this.#mostOf[row * this.#replicas.length + replica]!;
  }

  /** Fills in `isEven` of all rows. */
  #findEven(): void {
    const { ids, starts, rows } = this;
    const least = this.#least;
    const most = this.#most;
    const count = this.#replicas.length;
    for (let row = 0; row < rows; row++) {
      const first = row > 0 && ids[row - 1] === ids[row]! - 1 ? row - 1 : row;
      const last = row + 1 < rows && ids[row + 1] === ids[row]! + 1 ? row + 1 : row;
      let low = least[row]!;
      let high = most[row]!;
      if (first < row) {
        if (least[first]! < low) low = least[first]!;
        if (most[first]! > high) high = most[first]!;
      }
      if (last > row) {
        if (least[last]! < low) low = least[last]!;
        if (most[last]! > high) high = most[last]!;
      }
      let isEven = high <= HOLE_SPACINGS * low && high <= WINDOW_MS / 2 ? 1 : 0;
      for (let r = 0; isEven === 1 && r < count; r++) {
        const samples = starts[(last + 1) * count + r]! - starts[first * count + r]!;
        if (samples > 0 && samples < FEWEST_FOR_SPACING) isEven = 0;
      }
      this.#even[row] = isEven;
    }
  }

  /** d of a row; Infinity: union. */
  spacing(row: number): number {
    const known = this.#spacing[row]!;
    if (known === known) return known;
    const first = this.#first(row);
    const last = this.#last(row);
    const count = this.#replicas.length;
    let low = Infinity;
    for (let r = 0; r < count; r++) {
      const median = this.#median(r, first, last);
      this.#medians[row * count + r] = median;
      if (median < low) low = median;
    }
    const spacing = low > WINDOW_MS / 2 ? Infinity : low + stepOf(low);
    this.#spacing[row] = spacing;
    return spacing;
  }

  /** Lower end of the step that has the lower median of the distances between neighbours in some rows; Infinity for fewer than 3 samples. */
  #median(replica: number, first: number, last: number): number {
    const from = this.start(first, replica);
    const gaps = this.end(last, replica) - from - 1;
    if (gaps + 1 < FEWEST_FOR_SPACING) return Infinity;
    const rank = (gaps - 1) >>> 1;
    const guess = this.#steps[replica]!;
    if (guess === guess) {
      let below = 0;
      let within = 0;
      const count = this.#replicas.length;
      for (let row = first; row <= last; row++) {
        const at = row * count + replica;
        if (this.#guesses[at] !== guess) this.#countGaps(row, replica, guess);
        below += this.#below[at]!;
        within += this.#within[at]!;
      }
      // The distance of the very first sample reaches out of the rows.
      if (from > 0) {
        const { timestampsMs: times } = this.#replicas[replica]!;
        const gap = times[from]! - times[from - 1]!;
        if (gap < guess) below--;
        else if (gap < guess + stepOf(guess)) within--;
      }
      if (below <= rank && rank < below + within) return guess;
    }
    const median = this.#selectMedian(this.#replicas[replica]!.timestampsMs, from, gaps, rank);
    const low = Math.floor(median / stepOf(median)) * stepOf(median);
    this.#steps[replica] = low;
    return low;
  }

  /** Counts for all rows at once, if that has not been done for another guess: the first median that is not where it was expected makes it by row. */
  #countGaps(row: number, replica: number, guess: number): void {
    if (!(this.#wideMs[replica]! > 0)) this.#listWide(replica, guess);
    else this.#countGapsOf(row, replica, guess);
  }

  #listWide(replica: number, guess: number): void {
    const { timestampsMs: times } = this.#replicas[replica]!;
    const { rows, starts } = this;
    const count = this.#replicas.length;
    const limitMs = guess + stepOf(guess);
    if (this.#wide[replica]!.length <= times.length + 4) this.#wide[replica] = new Int32Array(2 * times.length + 8);
    const wide = this.#wide[replica]!;
    const wideAt = this.#wideAt;
    this.#wideMs[replica] = limitMs;
    let k = 0;
    for (let row = 0; row < rows; row++) {
      const at = row * count + replica;
      const from = Math.max(1, starts[at]!);
      const to = starts[at + count]!;
      wideAt[at] = k;
      if (to > from && this.#mostOf[at]! >= limitMs) k = listGaps(times, from, to, limitMs, wide, k);
      const below = to > from && !(this.#leastOf[at]! >= guess) ? gapsBelow(times, from, to, guess) : 0;
      this.#guesses[at] = guess;
      this.#below[at] = below;
      this.#within[at] = to > from ? to - from - (k - wideAt[at]!) - below : 0;
    }
    wide[k] = times.length;
  }

  /**
   * The first sample of a replica in a row from `from` on whose distance to the one before is more than `limitMs`.
   * @returns its index, or that of the end of the row
   */
  nextWide(row: number, replica: number, from: number, limitMs: number): number {
    const end = this.end(row, replica);
    const { timestampsMs: times } = this.#replicas[replica]!;
    if (!(this.#wideMs[replica]! <= limitMs)) {
      let index = from;
      while (index < end && !(times[index]! - times[index - 1]! > limitMs)) index++;
      return index;
    }
    const wide = this.#wide[replica]!;
    const at = row * this.#replicas.length + replica;
    let k = this.#wideAt[at]!;
    while (wide[k]! < from) k++;
    while (wide[k]! < end && !(times[wide[k]!]! - times[wide[k]! - 1]! > limitMs)) k++;
    return Math.min(end, wide[k]!);
  }

  #countGapsOf(row: number, replica: number, guess: number): void {
    const at = row * this.#replicas.length + replica;
    const from = Math.max(1, this.start(row, replica));
    const to = this.end(row, replica);
    const high = guess + stepOf(guess);
    this.#guesses[at] = guess;
    if (to <= from) {
      this.#below[at] = 0;
      this.#within[at] = 0;
      return;
    }
    const { timestampsMs: times } = this.#replicas[replica]!;
    const below = this.#leastOf[at]! >= guess ? 0 : gapsBelow(times, from, to, guess);
    const notAbove = this.#mostOf[at]! < high ? to - from : gapsBelow(times, from, to, high);
    this.#below[at] = below;
    this.#within[at] = notAbove - below;
  }

  #selectMedian(times: Float64Array, from: number, gaps: number, rank: number): number {
    if (gaps > this.#gaps.length) this.#gaps = new Float64Array(2 * gaps);
    const scratch = this.#gaps;
    for (let i = 0; i < gaps; i++) scratch[i] = times[from + i + 1]! - times[from + i]!;
    return select(scratch, gaps, rank);
  }

  /**
   * d of a hole: the larger of the windows of its ends, that of the other end where one has none; Infinity if neither has.
   * @param fromMs time of the sample before; `toMs` likewise behind
   */
  spacingBetween(fromMs: number, toMs: number): number {
    const first = this.rowOf(fromMs);
    const second = this.rowOf(toMs);
    return first === second ? this.spacing(first) : largerSpacing(this.spacing(first), this.spacing(second));
  }

  /** Tells that times asked for by `rowOf` will mostly be in or near a row. */
  visit(row: number): void {
    this.#visited = row;
  }

  /** Row of the last window with samples that begins at or before a time; 0 if there is none. */
  rowOf(ms: number): number {
    const { ids, rows } = this;
    const row = this.#visited;
    if (row < rows) {
      if (ids[row]! * WINDOW_MS > ms) {
        if (row > 0 && ids[row - 1]! * WINDOW_MS <= ms) return row - 1;
      } else if (row + 1 >= rows || ms < ids[row + 1]! * WINDOW_MS) {
        return row;
      }
    }
    return this.#searchRow(ms);
  }

  #searchRow(ms: number): number {
    const id = Math.floor(ms / WINDOW_MS);
    let low = 0;
    let high = this.rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ids[middle]! > id) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low - 1);
  }

  /**
   * Leader of a row: the first replica in label order that has at most max(1, 10 %) samples less than the best, among those whose own spacing is
   * at most 1.5 d. UNION where there is no d.
   */
  leader(row: number): number {
    const count = this.#replicas.length;
    const isEven = this.isEven(row);
    const spacing = isEven ? Infinity : this.spacing(row);
    if (!isEven && spacing === Infinity) return UNION;
    let best = 0;
    const { starts } = this;
    const medians = this.#medians;
    for (let at = row * count; at < (row + 1) * count; at++) {
      const samples = starts[at + count]! - starts[at]!;
      if (samples > best && (isEven || medians[at]! <= HOLE_SPACINGS * spacing)) best = samples;
    }
    // Nobody who is dense enough has samples in this window: the others lead it, but at the live edge they wait.
    const isAnyone = best === 0 && !this.#isLiveEdge(row);
    if (isAnyone) for (let r = 0; r < count; r++) best = Math.max(best, this.end(row, r) - this.start(row, r));
    const least = best - Math.max(1, LACK * best);
    for (let r = 0; r < count; r++) {
      const at = row * count + r;
      const samples = starts[at + count]! - starts[at]!;
      if (samples < least) continue;
      if (!isEven && !isAnyone && !(medians[at]! <= HOLE_SPACINGS * spacing)) continue;
      // At the live edge the leader's first sample of the window may still be on its way.
      if (samples === 0 && !(this.#isLiveEdge(row) && this.end(row - 1, r) > this.start(row - 1, r))) continue;
      return r;
    }
    return best === 0 ? this.#firstWithSamples(row) : UNION;
  }

  /** No samples in the next window, but in the one before. */
  #isLiveEdge(row: number): boolean {
    return this.isJoinedToPrevious(row) && !this.isJoinedToNext(row);
  }

  #firstWithSamples(row: number): number {
    let r = 0;
    while (this.end(row, r) === this.start(row, r)) r++;
    return r;
  }
}

/** The plain TypeScript way: on the columns where they are. */
export function summarizeHere(replica: ReplicaColumns, out: SpacingSummary): void {
  summarizeSpacing(replica.timestampsMs, WINDOW_MS, out);
}

/** The larger of the d of two windows, that of the other where one has none; Infinity if neither has. */
export function largerSpacing(first: number, second: number): number {
  if (first === Infinity) return second;
  return second === Infinity || first > second ? first : second;
}
