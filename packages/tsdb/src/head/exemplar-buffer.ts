/**
 * Exemplars: a ring of the newest, across all series. The oldest given makes room; those of one series are linked in time order.
 *
 *   ring     [ e4 ][ e5 ][ e2 ][ e3 ]          next to be replaced: e2
 *   series   labels → oldest, newest           links: e2 ─► e4, e3 ─► e5
 *
 * Rules as Prometheus: the very same exemplar again is ignored; older than the newest of its series is refused unless within the out-of-order
 * window. Source: Prometheus tsdb/exemplar.go.
 */
import { compareWords } from '@gauntlet/bytes';
import { compareLabels, hashLabels, type Labels, type Matcher } from '@gauntlet/model';

/** One exemplar. */
export interface Exemplar {
  readonly labels: Labels;
  readonly value: number;
  /** ms since 1970. */
  readonly timeMs: number;
}

/** The exemplars of a series, oldest first. */
export interface SeriesExemplars {
  readonly labels: Labels;
  readonly exemplars: readonly Exemplar[];
}

/** Characters of names and values together. */
export const EXEMPLAR_CHARACTERS_MAX = 128;

const NONE = -1;

interface Entry {
  readonly key: string;
  readonly labels: Labels;
  oldest: number;
  newest: number;
}

/** What may be said to an exemplar. */
export type ExemplarVerdict = 'taken' | 'duplicate' | 'out of order' | 'too long' | 'disabled';

/** A ring of exemplars; see the head of this file. */
export class ExemplarBuffer {
  readonly #size: number;
  readonly #windowMs: number;
  readonly #ring: (Exemplar | undefined)[];
  readonly #owner: (Entry | undefined)[];
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #series = new Map<string, Entry>();
  #position = 0;

  /**
   * @param size exemplars kept; 0 keeps none
   * @param windowMs how much older than the newest of its series an exemplar may be
   */
  constructor(size: number, windowMs: number) {
    this.#size = size;
    this.#windowMs = windowMs;
    this.#ring = [];
    this.#owner = [];
    this.#next = new Int32Array(size).fill(NONE);
    this.#previous = new Int32Array(size).fill(NONE);
  }

  /** Exemplars that are kept at most. */
  get size(): number {
    return this.#size;
  }

  /** Exemplars that are here. */
  get count(): number {
    let count = 0;
    for (const one of this.#ring) if (one !== undefined) count++;
    return count;
  }

  /** What `add` would say. @param labels of the series */
  check(labels: Labels, exemplar: Exemplar): ExemplarVerdict {
    return this.#judge(this.#series.get(keyOf(labels)), exemplar);
  }

  /** Takes an exemplar, or says why not. @param labels of the series */
  add(labels: Labels, exemplar: Exemplar): ExemplarVerdict {
    const key = keyOf(labels);
    let entry = this.#series.get(key);
    const verdict = this.#judge(entry, exemplar);
    if (verdict !== 'taken') return verdict;
    if (entry !== undefined) {
      const after = this.#placeBefore(entry, exemplar.timeMs);
      // Not the newest, hence late: one at that time is enough.
      if (after !== entry.newest && after !== NONE && this.#ring[after]!.timeMs === exemplar.timeMs) return 'duplicate';
    }
    const at = this.#position;
    this.#evict(at);
    entry = this.#series.get(key) ?? { key, labels, oldest: NONE, newest: NONE };
    this.#series.set(key, entry);
    const after = entry.newest === NONE ? NONE : this.#placeBefore(entry, exemplar.timeMs);
    const before = after === NONE ? entry.oldest : this.#next[after]!;
    this.#ring[at] = exemplar;
    this.#owner[at] = entry;
    this.#previous[at] = after;
    this.#next[at] = before;
    if (after === NONE) entry.oldest = at;
    else this.#next[after] = at;
    if (before === NONE) entry.newest = at;
    else this.#previous[before] = at;
    this.#position = (at + 1) % this.#size;
    return 'taken';
  }

  /**
   * Exemplars in [mint, maxt] of the series that match all matchers of at least one list; series in label order.
   * @param matchers one list per selector
   */
  select(matchers: readonly (readonly Matcher[])[], mint: number, maxt: number): SeriesExemplars[] {
    const found: SeriesExemplars[] = [];
    for (const entry of this.#series.values()) {
      if (this.#ring[entry.oldest]!.timeMs > maxt || this.#ring[entry.newest]!.timeMs < mint) continue;
      if (!matchers.some((list) => list.every((matcher) => matcher.matches(valueOf(entry.labels, matcher.name))))) continue;
      const exemplars: Exemplar[] = [];
      for (let at = entry.oldest; at !== NONE; at = this.#next[at]!) {
        const one = this.#ring[at]!;
        if (one.timeMs >= mint && one.timeMs <= maxt) exemplars.push(one);
      }
      if (exemplars.length > 0) found.push({ labels: entry.labels, exemplars });
    }
    return found.sort((a, b) => compareLabels(a.labels, b.labels));
  }

  #judge(entry: Entry | undefined, exemplar: Exemplar): ExemplarVerdict {
    if (this.#size === 0) return 'disabled';
    let characters = 0;
    for (const text of exemplar.labels) for (const _ of text) characters++;
    if (characters > EXEMPLAR_CHARACTERS_MAX) return 'too long';
    if (entry === undefined) return 'taken';
    const newest = this.#ring[entry.newest]!;
    const { timeMs, value } = exemplar;
    const isSameLabels = compareLabels(exemplar.labels, newest.labels) === 0;
    if (timeMs === newest.timeMs && value === newest.value && isSameLabels) return 'duplicate';
    if (timeMs < newest.timeMs) return timeMs <= newest.timeMs - this.#windowMs ? 'out of order' : 'taken';
    if (timeMs > newest.timeMs) return 'taken';
    // Several at one time, as native histograms have them, come ordered by value, then by the hash of their labels.
    if (value !== newest.value) return value < newest.value ? 'out of order' : 'taken';
    return compareWords(hashLabels(exemplar.labels), hashLabels(newest.labels)) < 0 ? 'out of order' : 'taken';
  }

  /** The last exemplar of a series that is not after a time, or NONE. */
  #placeBefore(entry: Entry, timeMs: number): number {
    let at = entry.newest;
    while (at !== NONE && this.#ring[at]!.timeMs > timeMs) at = this.#previous[at]!;
    return at;
  }

  #evict(at: number): void {
    const entry = this.#owner[at];
    if (entry === undefined) return;
    const previous = this.#previous[at]!;
    const next = this.#next[at]!;
    if (previous === NONE) entry.oldest = next;
    else this.#next[previous] = next;
    if (next === NONE) entry.newest = previous;
    else this.#previous[next] = previous;
    if (entry.oldest === NONE) this.#series.delete(entry.key);
    this.#ring[at] = undefined;
    this.#owner[at] = undefined;
  }
}

function keyOf(labels: Labels): string {
  return labels.join('\xff');
}

function valueOf(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!;
  return '';
}
