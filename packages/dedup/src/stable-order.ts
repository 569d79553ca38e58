/**
 * Which of two samples of different replicas of a counter comes later in the life of the target, whatever the clocks say. A replica that lags, or
 * whose scrape took longer, shows lower values later; shown one after the other that would be a reset that never was.
 *
 *   replica a   1000 ───── 3 ──── 20          a fall = a sample lower than its predecessor in the same stream
 *   replica b      990 ─────── 990 ── 5       falls of both that lie less than L/2 apart, paired in order, are one reset
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
/** Falls whose two samples lie from this long before the earlier sample to this long behind the later one are looked at. */
const FALLS_BEFORE_MS = 2.5 * WINDOW_MS;
const FALLS_AFTER_MS = 2 * WINDOW_MS;
/** What it costs a pair that its intervals do not meet, in distances of their ends. */
const APART_COST = 10;
const NO_FALLS = new Int32Array(0);

/** A fall lies somewhere in (startMs, endMs]: the times of its two samples. */
interface Fall {
  /** The lower sample. */
  readonly index: number;
  /** Value, or count, of the lower sample. */
  readonly height: number;
  readonly startMs: number;
  readonly endMs: number;
}

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
  /** Per replica a time between whose ends no fall touches: what lies inside needs no pairing. Empty until asked for. */
  readonly #calmFromMs: Float64Array;
  readonly #calmToMs: Float64Array;

  /** No replica has a fall, all are floats. */
  readonly #neverFalls: boolean;

  /** @param risesOnly replicas whose values are known to be in order, where that is known */
  constructor(replicas: readonly ReplicaColumns[], isCounterSeries: boolean, histogramAt: HistogramAt | undefined, risesOnly?: readonly boolean[]) {
    this.#replicas = replicas;
    this.#isCounterSeries = isCounterSeries;
    this.#histogramAt = histogramAt;
    this.#falls = replicas.map(({ isHistogram }, r) => (isHistogram === undefined && risesOnly?.[r] === true ? NO_FALLS : undefined));
    this.#neverFalls = this.#falls.every((falls) => falls === NO_FALLS);
    this.#calmFromMs = new Float64Array(replicas.length).fill(Infinity);
    this.#calmToMs = new Float64Array(replicas.length).fill(-Infinity);
  }

  /**
   * Law 4 for sample `later` of replica `lr` if sample `earlier` of replica `er` is shown before it.
   * 'out of order': to be dropped. 'disputed': it is lower, but its replica has not caught up within L, so the replicas disagree and it stays.
   */
  judge(lr: number, later: number, er: number, earlier: number): SeamVerdict {
    if (lr === er || (this.#neverFalls && !(this.#replicas[lr]!.values[later]! < this.#replicas[er]!.values[earlier]!))) return 'in order';
    const laterMs = this.#replicas[lr]!.timestampsMs[later]!;
    const earlierMs = this.#replicas[er]!.timestampsMs[earlier]!;
    if (laterMs - earlierMs > WINDOW_MS || laterMs < earlierMs) return 'in order';
    if (!this.#isComparable(lr, later, er, earlier)) return 'in order';
    // Most seams: floats and no reset near. What falls all the time is no counter, which is found faster than resets are paired.
    const isPlain = !this.#isHistogram(lr, later) && this.#isCalm(lr, earlierMs, laterMs) && this.#isCalm(er, earlierMs, laterMs);
    if (isPlain && !(this.#replicas[lr]!.values[later]! < this.#replicas[er]!.values[earlier]!)) return 'in order';
    if (!this.#isCounterLike(lr, later, er)) return 'in order';
    if (!isPlain && !this.#isBehind(lr, later, er, earlier)) return 'in order';
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
    const resets = this.#resetsBetween(lr, later, er, earlier);
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
    let low = 0;
    let high = falls.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (falls[middle]! > first) high = middle;
      else low = middle + 1;
    }
    return low === falls.length || falls[low]! > last;
  }

  /** Resets that the later replica has seen by sample `later` minus those that the earlier one had seen by sample `earlier`. */
  #resetsBetween(lr: number, later: number, er: number, earlier: number): number {
    const laterMs = this.#replicas[lr]!.timestampsMs[later]!;
    const earlierMs = this.#replicas[er]!.timestampsMs[earlier]!;
    if (this.#isCalm(lr, earlierMs, laterMs) && this.#isCalm(er, earlierMs, laterMs)) return 0;
    const mine = this.#fallsAround(lr, earlierMs, laterMs);
    const others = this.#fallsAround(er, earlierMs, laterMs);
    const partners = pairFalls(mine, others);
    let seen = 0;
    mine.forEach((fall, k) => {
      const partner = partners[k]!;
      if (partner >= 0) seen += (fall.endMs <= laterMs ? 1 : 0) - (others[partner]!.endMs <= earlierMs ? 1 : 0);
      else seen += (fall.endMs <= laterMs ? 1 : 0) - (this.#isPast(er, earlier, fall, lr) ? 1 : 0);
    });
    others.forEach((fall, k) => {
      if (partners.includes(k)) return;
      seen += (this.#isPast(lr, later, fall, er) ? 1 : 0) - (fall.endMs <= earlierMs ? 1 : 0);
    });
    return seen;
  }

  /**
   * Whether a sample comes after a reset that its own stream does not show but another one does, as a fall. From the last sample before the fall to
   * L/2 behind it both is possible: it is before the reset if it is nearer to the other's value before the fall than to what the other has now. A
   * stream that begins less than L/2 before the fall, lower than what the other had L/2 earlier, has seen the reset before it.
   */
  #isPast(replica: number, index: number, fall: Fall, other: number): boolean {
    const ms = this.#replicas[replica]!.timestampsMs[index]!;
    if (ms > fall.endMs + PAIR_MS) return true;
    const value = this.#heightOf(replica, index);
    const before = this.#heightOf(other, fall.index - 1);
    if (ms <= fall.startMs) return ms > fall.startMs - PAIR_MS && this.#hasJustBegun(replica, index, fall.startMs - PAIR_MS) && this.#isBelowAllLately(value, other, ms);
    return !(Math.abs(value - before) < Math.abs(value - this.#heightAt(other, fall.index, ms)));
  }

  /** No sample of the replica between L before `fromMs` and it, though one behind. */
  #hasJustBegun(replica: number, index: number, fromMs: number): boolean {
    const times = this.#replicas[replica]!.timestampsMs;
    let first = index;
    while (first > 0 && times[first - 1]! > fromMs) first--;
    return first === 0 || times[first - 1]! <= fromMs - WINDOW_MS;
  }

  /** Lower than what the other replica had L/2 earlier, so no lag explains it. */
  #isBelowAllLately(value: number, other: number, ms: number): boolean {
    const times = this.#replicas[other]!.timestampsMs;
    const last = firstAfter(times, ms - PAIR_MS) - 1;
    return last >= 0 && times[last]! > ms - PAIR_MS - WINDOW_MS && value < this.#heightOf(other, last);
  }

  /** A sample's value, a histogram's count. */
  #heightOf(replica: number, index: number): number {
    return this.#isHistogram(replica, index) ? (this.#histogramAt?.(replica, index).count ?? 0) : this.#replicas[replica]!.values[index]!;
  }

  /** Height at a time, that of sample `from` if it is earlier, on the line between the neighbours; that of the last sample within L behind it. */
  #heightAt(replica: number, from: number, ms: number): number {
    const times = this.#replicas[replica]!.timestampsMs;
    let index = from;
    while (index + 1 < times.length && times[index + 1]! <= ms) index++;
    const height = this.#heightOf(replica, index);
    if (index + 1 >= times.length || times[index + 1]! > ms + WINDOW_MS) return height;
    const next = this.#heightOf(replica, index + 1);
    return next >= height ? height + (next - height) * (Math.max(0, ms - times[index]!) / (times[index + 1]! - times[index]!)) : height;
  }

  /** The falls of a replica that matter for two samples, with the time between the samples that show it. */
  #fallsAround(replica: number, earlierMs: number, laterMs: number): Fall[] {
    const times = this.#replicas[replica]!.timestampsMs;
    const falls = this.#fallsOf(replica);
    const found: Fall[] = [];
    for (let k = this.#firstFallBehind(replica, earlierMs - FALLS_BEFORE_MS); k < falls.length && times[falls[k]!]! <= laterMs + FALLS_AFTER_MS; k++) found.push({ index: falls[k]!, height: this.#heightOf(replica, falls[k]!), startMs: times[falls[k]! - 1]!, endMs: times[falls[k]!]! });
    return found;
  }

  /** Whether none of a replica's falls matters for two samples at these times. */
  #isCalm(replica: number, earlierMs: number, laterMs: number): boolean {
    const fromMs = earlierMs - FALLS_BEFORE_MS;
    const toMs = laterMs + FALLS_AFTER_MS;
    if (fromMs >= this.#calmFromMs[replica]! && toMs < this.#calmToMs[replica]!) return true;
    const falls = this.#fallsOf(replica);
    const times = this.#replicas[replica]!.timestampsMs;
    const next = this.#firstFallBehind(replica, fromMs);
    this.#calmFromMs[replica] = next === 0 ? -Infinity : times[falls[next - 1]! - 1]!;
    this.#calmToMs[replica] = next === falls.length ? Infinity : times[falls[next]!]!;
    return toMs < this.#calmToMs[replica]!;
  }

  /** Which of a replica's falls is the first whose samples both lie behind a time. */
  #firstFallBehind(replica: number, ms: number): number {
    const times = this.#replicas[replica]!.timestampsMs;
    const falls = this.#fallsOf(replica);
    let low = 0;
    let high = falls.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[falls[middle]! - 1]! > ms) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Indexes of the samples of a replica that are lower than their predecessor. */
  #fallsOf(replica: number): Int32Array {
    return (this.#falls[replica] ??= this.#findFalls(replica));
  }

  #findFalls(replica: number): Int32Array {
    const { values, isHistogram } = this.#replicas[replica]!;
    const found: number[] = [];
    if (isHistogram === undefined) {
      const count = values.length;
      let i = 1;
      let previous = values[0]!;
      // Four at a time: half the time where nothing falls.
      for (; i + 3 < count; i += 4) {
        const a = values[i]!;
        const b = values[i + 1]!;
        const c = values[i + 2]!;
        const d = values[i + 3]!;
        if (!(a >= previous && b >= a && c >= b && d >= c)) {
          if (a < previous) found.push(i);
          if (b < a) found.push(i + 1);
          if (c < b) found.push(i + 2);
          if (d < c) found.push(i + 3);
        }
        previous = d;
      }
      for (; i < count; i++) if (values[i]! < values[i - 1]!) found.push(i);
    } else {
      for (let i = 1; i < values.length; i++) {
        if ((isHistogram[i] !== 0) !== (isHistogram[i - 1] !== 0)) continue;
        if (isHistogram[i] === 0 ? values[i]! < values[i - 1]! : this.#histogramAt !== undefined && this.#fallsToHistogram(replica, i)) found.push(i);
      }
    }
    return found.length === 0 ? NO_FALLS : Int32Array.from(found);
  }

  #fallsToHistogram(replica: number, index: number): boolean {
    const histogram = this.#histogramAt!(replica, index);
    return histogram.resetHint !== RESET_HINTS.gauge && detectReset(histogram, this.#histogramAt!(replica, index - 1));
  }
}

/** Index of the first timestamp greater than `ms` from index `from` on; the length if there is none. */
export function firstAfter(times: Float64Array, ms: number, from = 0): number {
  let low = from;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}


/**
 * Pairs falls of two replicas in order: as many as possible that are less than L/2 apart, then those that may be one instant, then the nearest.
 * @returns for each of `mine` its partner's index, or −1
 */
function pairFalls(mine: readonly Fall[], others: readonly Fall[]): Int32Array {
  const partners = new Int32Array(mine.length).fill(-1);
  if (mine.length === 0 || others.length === 0) return partners;
  // Best score of the first i and j falls; a pair is worth more than any sum of distances.
  const width = others.length + 1;
  const scores = new Float64Array((mine.length + 1) * width);
  const pairScore = (i: number, j: number): number => {
    const a = mine[i]!;
    const b = others[j]!;
    const apart = Math.max(0, a.startMs - b.endMs, b.startMs - a.endMs);
    if (apart >= PAIR_MS) return -Infinity;
    // Who saw it first should not be higher than who saw it later.
    const isDoubtful = a.endMs < b.endMs ? a.height > b.height : b.height > a.height;
    return 1e12 - Math.abs(a.endMs - b.endMs) - APART_COST * apart - (isDoubtful ? WINDOW_MS : 0);
  };
  for (let i = 1; i <= mine.length; i++) {
    for (let j = 1; j <= others.length; j++) {
      scores[i * width + j] = Math.max(scores[(i - 1) * width + j]!, scores[i * width + j - 1]!, scores[(i - 1) * width + j - 1]! + pairScore(i - 1, j - 1));
    }
  }
  let i = mine.length;
  let j = others.length;
  while (i > 0 && j > 0) {
    const score = scores[i * width + j]!;
    if (score === scores[(i - 1) * width + j]!) i--;
    else if (score === scores[i * width + j - 1]!) j--;
    else partners[--i] = --j;
  }
  return partners;
}
