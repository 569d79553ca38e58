/**
 * Which of two samples of different replicas of a counter comes later in the life of the target, whatever the clocks say. A replica that lags, or
 * whose scrape took longer, shows lower values later; shown one after the other that would be a reset that never was.
 *
 *   replica a   1000 ───── 3 ──── 20          a fall = a sample lower than its predecessor in the same stream
 *   replica b      990 ─────── 990 ── 5       falls of both that lie less than L/2 apart, each the other's nearest, are one reset
 *
 *   position of a sample = (resets seen by then, value); b's second 990 is behind a's 3, because a has seen one reset more
 *
 * A fall lies somewhere between its two samples, so its distance to another is that of the two intervals. A fall that the other replica never
 * shows counts for both from its time on. For native histograms "lower" is Prometheus' reset detection.
 */
import { detectReset, type FloatHistogram, RESET_HINTS, withResetHint } from '@gauntlet/model';
import type { ReplicaColumns } from './replica-columns.ts';
import { WINDOW_MS } from './stable-windows.ts';

const PAIR_MS = WINDOW_MS / 2;

/** Histograms of the samples that are some: replica and index as in the input. */
export type HistogramAt = (replica: number, index: number) => FloatHistogram;

/** What a comparison of two samples across a seam says. */
export type SeamVerdict = 'in order' | 'out of order' | 'disputed';

/** Order of samples across replicas of one series. Falls are looked for when a seam first needs them. */
export class CounterOrder {
  readonly #replicas: readonly ReplicaColumns[];
  readonly #isCounterSeries: boolean;
  readonly #histogramAt: HistogramAt | undefined;
  readonly #falls: Array<Int32Array | undefined>;

  constructor(replicas: readonly ReplicaColumns[], isCounterSeries: boolean, histogramAt: HistogramAt | undefined) {
    this.#replicas = replicas;
    this.#isCounterSeries = isCounterSeries;
    this.#histogramAt = histogramAt;
    this.#falls = replicas.map(() => undefined);
  }

  /**
   * Law 4 for sample `later` of replica `lr` if sample `earlier` of replica `er` is shown before it.
   * 'out of order': to be dropped. 'disputed': it is lower, but its replica has not caught up within L, so the replicas disagree and it stays.
   */
  judge(lr: number, later: number, er: number, earlier: number): SeamVerdict {
    if (lr === er) return 'in order';
    const laterMs = this.#replicas[lr]!.timestampsMs[later]!;
    const earlierMs = this.#replicas[er]!.timestampsMs[earlier]!;
    if (laterMs - earlierMs > WINDOW_MS || laterMs < earlierMs) return 'in order';
    if (!this.#isComparable(lr, later, er, earlier)) return 'in order';
    if (!this.#isBehind(lr, later, er, earlier)) return 'in order';
    if (!this.#isCounterLike(lr, later, er)) return 'in order';
    // Whoever lags has caught up after L. Without a sample from then on nothing is known.
    const times = this.#replicas[lr]!.timestampsMs;
    const afterwards = firstAfter(times, earlierMs + WINDOW_MS - 1);
    const isStillBehind = afterwards < times.length && times[afterwards]! <= earlierMs + 2 * WINDOW_MS && this.#isBehind(lr, afterwards, er, earlier);
    return isStillBehind ? 'disputed' : 'out of order';
  }

  #isHistogram(replica: number, index: number): boolean {
    return this.#replicas[replica]!.isHistogram !== undefined && this.#replicas[replica]!.isHistogram![index] !== 0;
  }

  #isComparable(lr: number, later: number, er: number, earlier: number): boolean {
    const isHistogram = this.#isHistogram(lr, later);
    if (isHistogram !== this.#isHistogram(er, earlier)) return false;
    if (!isHistogram) return true;
    if (this.#histogramAt === undefined) return false;
    return this.#histogramAt(lr, later).resetHint !== RESET_HINTS.gauge && this.#histogramAt(er, earlier).resetHint !== RESET_HINTS.gauge;
  }

  /** Position of the later sample is before that of the earlier one. */
  #isBehind(lr: number, later: number, er: number, earlier: number): boolean {
    const resets = this.#resetsBetween(lr, this.#replicas[lr]!.timestampsMs[later]!, er, this.#replicas[er]!.timestampsMs[earlier]!);
    if (resets !== 0) return resets < 0;
    if (!this.#isHistogram(lr, later)) return this.#isHistogram(er, earlier) ? false : this.#replicas[lr]!.values[later]! < this.#replicas[er]!.values[earlier]!;
    if (!this.#isHistogram(er, earlier)) return false;
    return detectReset(withResetHint(this.#histogramAt!(lr, later), RESET_HINTS.unknown), this.#histogramAt!(er, earlier));
  }

  /** A name or type that says so, a native histogram, or two streams that rise around the seam and do not fall. */
  #isCounterLike(lr: number, later: number, er: number): boolean {
    if (this.#isCounterSeries || this.#isHistogram(lr, later)) return true;
    const atMs = this.#replicas[lr]!.timestampsMs[later]!;
    return this.#rises(lr, atMs) && this.#rises(er, atMs);
  }

  #rises(replica: number, atMs: number): boolean {
    const { timestampsMs: times, values } = this.#replicas[replica]!;
    const first = firstAfter(times, atMs - WINDOW_MS - 1);
    const last = firstAfter(times, atMs + WINDOW_MS) - 1;
    if (last <= first || !(values[last]! > values[first]!)) return false;
    const falls = this.#fallsOf(replica);
    for (let k = 0; k < falls.length; k++) if (falls[k]! > first && falls[k]! <= last) return false;
    return true;
  }

  /** Resets that the later replica has seen by its time minus those that the earlier one had seen by its time. */
  #resetsBetween(lr: number, laterMs: number, er: number, earlierMs: number): number {
    const mine = this.#fallsOf(lr);
    const others = this.#fallsOf(er);
    if (mine.length === 0 && others.length === 0) return 0;
    const lowMs = earlierMs - 2 * WINDOW_MS;
    const highMs = laterMs + 2 * WINDOW_MS;
    let seen = 0;
    for (let k = this.#firstFall(lr, lowMs); k < mine.length; k++) {
      const atMs = this.#fallMs(lr, k);
      if (atMs > highMs) break;
      const partner = this.#partner(lr, k, er);
      if (partner >= 0) seen += (atMs <= laterMs ? 1 : 0) - (this.#fallMs(er, partner) <= earlierMs ? 1 : 0);
      else if (atMs <= laterMs && (atMs > earlierMs || this.#mayStillSee(er, atMs, earlierMs))) seen++;
    }
    // Pairs are counted above.
    for (let k = this.#firstFall(er, lowMs); k < others.length; k++) {
      const atMs = this.#fallMs(er, k);
      if (atMs > laterMs) break;
      if (this.#partner(er, k, lr) >= 0) continue;
      if (!this.#mayStillSee(lr, atMs, laterMs)) seen += atMs > earlierMs ? 1 : 0;
      else if (atMs <= earlierMs) seen--;
    }
    return seen;
  }

  /** The other replica may show a fall as late as L/2 after this time: at `ms` it may not have seen it, unless its later samples tell. */
  #mayStillSee(replica: number, fallMs: number, ms: number): boolean {
    if (ms > fallMs + PAIR_MS) return false;
    const times = this.#replicas[replica]!.timestampsMs;
    const next = firstAfter(times, fallMs + PAIR_MS);
    return next === times.length || times[next]! > fallMs + PAIR_MS + WINDOW_MS;
  }

  #fallMs(replica: number, fall: number): number {
    return this.#replicas[replica]!.timestampsMs[this.#fallsOf(replica)[fall]!]!;
  }

  /** First fall after `ms`, as index into the falls. */
  #firstFall(replica: number, ms: number): number {
    const falls = this.#fallsOf(replica);
    const times = this.#replicas[replica]!.timestampsMs;
    let low = 0;
    let high = falls.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[falls[middle]!]! > ms) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The fall of the other replica that is the same reset, or −1. */
  #partner(replica: number, fall: number, other: number): number {
    const nearest = this.#nearest(replica, fall, other);
    return nearest >= 0 && this.#nearest(other, nearest, replica) === fall ? nearest : -1;
  }

  #nearest(replica: number, fall: number, other: number): number {
    const times = this.#replicas[replica]!.timestampsMs;
    const index = this.#fallsOf(replica)[fall]!;
    const endMs = times[index]!;
    const startMs = Math.max(times[index - 1]!, endMs - WINDOW_MS);
    const otherTimes = this.#replicas[other]!.timestampsMs;
    const falls = this.#fallsOf(other);
    let best = -1;
    let bestMs = PAIR_MS;
    let bestEndMs = Infinity;
    for (let k = this.#firstFall(other, startMs - PAIR_MS); k < falls.length; k++) {
      const otherEndMs = otherTimes[falls[k]!]!;
      const otherStartMs = Math.max(otherTimes[falls[k]! - 1]!, otherEndMs - WINDOW_MS);
      if (otherEndMs > endMs + PAIR_MS + WINDOW_MS) break;
      const distance = Math.max(0, otherStartMs - endMs, startMs - otherEndMs);
      const ends = Math.abs(otherEndMs - endMs);
      if (distance < bestMs || (distance === bestMs && ends < bestEndMs && best >= 0)) {
        best = k;
        bestMs = distance;
        bestEndMs = ends;
      }
    }
    return best;
  }

  /** Indexes of the samples of a replica that are lower than their predecessor. */
  #fallsOf(replica: number): Int32Array {
    return (this.#falls[replica] ??= this.#findFalls(replica));
  }

  #findFalls(replica: number): Int32Array {
    const { values, isHistogram } = this.#replicas[replica]!;
    const found: number[] = [];
    if (isHistogram === undefined) {
      for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) found.push(i);
    } else {
      for (let i = 1; i < values.length; i++) {
        if ((isHistogram[i] !== 0) !== (isHistogram[i - 1] !== 0)) continue;
        if (isHistogram[i] === 0 ? values[i]! < values[i - 1]! : this.#histogramAt !== undefined && this.#fallsToHistogram(replica, i)) found.push(i);
      }
    }
    return Int32Array.from(found);
  }

  #fallsToHistogram(replica: number, index: number): boolean {
    const histogram = this.#histogramAt!(replica, index);
    return histogram.resetHint !== RESET_HINTS.gauge && detectReset(histogram, this.#histogramAt!(replica, index - 1));
  }
}

/** Index of the first timestamp greater than `ms`; the length if there is none. */
export function firstAfter(times: Float64Array, ms: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}

