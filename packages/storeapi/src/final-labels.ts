/**
 * Labels of a call's series as they go out, and how far they may go out of order.
 *
 * Putting external labels on and taking replica labels off breaks the order of a sorted stream, but only within a run of series that share their
 * first label, as long as that label's name sorts before every name that is put on or taken off:
 *
 *   {__name__="a", …}  ─┐ one run: kept, sorted at its end
 *   {__name__="a", …}  ─┘
 *   {__name__="b", …}  ─── next run; the one before can go out
 *
 * Series whose first label sorts later come last, in one run.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { extendLabels, formatLabels, type Labels, withoutLabels } from '@gauntlet/model';
import { StoreError } from './errors.ts';
import type { ShardMatcher } from './shard-matcher.ts';

/** What happens to the labels of a call's series. */
export interface FinalLabelsOptions {
  /** Put on every series; they win over the series' own. */
  readonly externalLabels: Labels;
  /** Names taken off, from series and external labels. */
  readonly withoutLabels: readonly string[];
  /** Keeps only the series of a shard, judged by the final labels. */
  readonly shard: ShardMatcher | undefined;
  /** False when the input is in no order at all: then everything is one run. Default true. */
  readonly isSorted?: boolean;
}

/** One call's worth; see the head of this file. */
export class FinalLabels {
  readonly #removed: ReadonlySet<string>;
  readonly #external: Labels;
  readonly #shard: ShardMatcher | undefined;
  /** Smallest name that is put on or taken off; `undefined` if labels stay as they are. */
  readonly #firstChanged: string | undefined;
  #isSorted: boolean;
  #runName = '';
  #runValue = '';

  constructor(options: FinalLabelsOptions) {
    this.#removed = new Set(options.withoutLabels);
    this.#external = withoutLabels(options.externalLabels, this.#removed);
    this.#shard = options.shard;
    this.#isSorted = options.isSorted ?? true;
    this.#firstChanged = [...options.withoutLabels, ...this.#external.filter((_text, i) => i % 2 === 0)].toSorted(compareUtf8)[0];
  }

  /** Whether the next series of the input, labels as stored, begins a run: what came before may go out once it is sorted. Ask once per series. */
  beginsRun(labels: Labels): boolean {
    // A series without labels comes first and may end anywhere: then nothing is certain before the end.
    if (labels.length === 0) this.#isSorted = false;
    if (!this.#isSorted) return false;
    if (this.#firstChanged === undefined) return true;
    const name = labels[0]!;
    const isTail = compareUtf8(name, this.#firstChanged) >= 0;
    const runName = isTail ? '' : name;
    const runValue = isTail ? '' : labels[1]!;
    if (runName === this.#runName && runValue === this.#runValue) return false;
    this.#runName = runName;
    this.#runValue = runValue;
    return true;
  }

  /**
   * The labels under which a series goes out; undefined for one of another shard.
   * @param isLate whether others came before it, so that it must have a label
   * @throws StoreError ERR_STORE_FAILED_PRECONDITION for a late series that has no label left
   */
  of(labels: Labels, isLate: boolean): Labels | undefined {
    const final = extendLabels(this.#removed.size === 0 ? labels : withoutLabels(labels, this.#removed), this.#external);
    if (this.#shard !== undefined && !this.#shard.matchesLabels(final)) return undefined;
    if (final.length === 0 && isLate) {
      // It belongs before everything that went out. Nothing but replica labels is no identity, so nobody should meet this.
      throw new StoreError('ERR_STORE_FAILED_PRECONDITION', `remove labels ${[...this.#removed].join(', ')}: series ${formatLabels(labels)} has no other`);
    }
    return final;
  }
}
