/**
 * Puts external labels on series, takes replica labels off, and hands out frames that are sorted again.
 *
 * Replacing labels breaks the order of a sorted stream, but only within a run of series that share their first label, as long
 * as that label's name sorts before every name that is put on or taken off:
 *
 *   {__name__="a", …}  ─┐ one run: kept, sorted at its end
 *   {__name__="a", …}  ─┘
 *   {__name__="b", …}  ─── next run; the one before can go out
 *
 * So memory holds one metric, not the whole answer. Series whose first label sorts later come last, in one run. Duplicates (equal
 * after the change) stay next to each other, in the order they came.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { compareLabels, extendLabels, formatLabels, type Labels, withoutLabels } from '@gauntlet/model';
import { encodeLabelFields, SeriesFrameEncoder } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import type { ShardMatcher } from './shard-matcher.ts';

/** What to do with the series of one call. */
export interface SeriesRewriterOptions {
  /** Put on every series; they win over the series' own. */
  readonly externalLabels: Labels;
  /** Names taken off, from series and external labels. */
  readonly withoutLabels: readonly string[];
  /** Keeps only the series of a shard, judged by the final labels. */
  readonly shard: ShardMatcher | undefined;
  /** `responseBatchSize` of the request. */
  readonly batchSize: number;
  /** Most distinct series; 0 is all. */
  readonly limit: number;
  /** False when the input is in no order at all: then everything is one run. Default true. */
  readonly isSorted?: boolean;
}

interface Row {
  readonly labels: Labels;
  readonly chunkFields: Uint8Array;
}

/** One call's worth; see the head of this file. */
export class SeriesRewriter {
  readonly #removed: ReadonlySet<string>;
  readonly #external: Labels;
  readonly #shard: ShardMatcher | undefined;
  readonly #limit: number;
  readonly #encoder: SeriesFrameEncoder;
  #isSorted: boolean;
  /** Smallest name that is put on or taken off; `undefined` if labels stay as they are. */
  readonly #firstChanged: string | undefined;
  #rows: Row[] = [];
  #runName = '';
  #runValue = '';
  #outOfOrder = false;
  #seriesCount = 0;
  #last: Labels | undefined;
  #ready: Uint8Array[] = [];

  constructor(options: SeriesRewriterOptions) {
    this.#removed = new Set(options.withoutLabels);
    this.#external = withoutLabels(options.externalLabels, this.#removed);
    this.#shard = options.shard;
    this.#limit = options.limit;
    this.#encoder = new SeriesFrameEncoder({ batchSize: options.batchSize });
    this.#isSorted = options.isSorted ?? true;
    const changed = [...options.withoutLabels, ...this.#external.filter((_, i) => i % 2 === 0)].toSorted(compareUtf8);
    this.#firstChanged = changed[0];
  }

  /** Bytes of chunks that wait for the end of their run. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  #pendingBytes = 0;

  /** True once `limit` series have gone out: no need to add more. */
  get isFull(): boolean {
    return this.#limit > 0 && this.#seriesCount >= this.#limit && this.#rows.length === 0;
  }

  /**
   * Adds the next series of the sorted input. A series may come in several pieces, one after the other.
   * @param labels as the source has them
   * @param chunkFields its chunks as fields of a Series message; retained
   * @throws StoreError ERR_STORE_FAILED_PRECONDITION for a late series that has no label left
   */
  add(labels: Labels, chunkFields: Uint8Array): void {
    if (!this.#isSameRun(labels)) this.#endRun();
    const rewritten = extendLabels(withoutLabels(labels, this.#removed), this.#external);
    if (this.#shard !== undefined && !this.#shard.matchesLabels(rewritten)) return;
    if (rewritten.length === 0 && this.#last !== undefined) {
      // It belongs before everything that went out. Nothing but replica labels is no identity, so nobody should meet this.
      throw new StoreError('ERR_STORE_FAILED_PRECONDITION', `remove labels ${[...this.#removed].join(', ')}: series ${formatLabels(labels)} has no other`);
    }
    const previous = this.#rows.at(-1);
    if (previous !== undefined && compareLabels(previous.labels, rewritten) > 0) this.#outOfOrder = true;
    this.#rows.push({ labels: rewritten, chunkFields });
    this.#pendingBytes += chunkFields.length;
  }

  /** Frames that are ready to be sent; they belong to the caller. */
  takeFrames(): Uint8Array[] {
    const frames = this.#ready;
    this.#ready = [];
    return frames;
  }

  /** Ends the input. @returns the remaining frames */
  finish(): Uint8Array[] {
    this.#endRun();
    const last = this.#encoder.flush();
    if (last !== undefined) this.#ready.push(last);
    return this.takeFrames();
  }

  #isSameRun(labels: Labels): boolean {
    // A series without labels comes first and may end anywhere: then nothing is certain before the end.
    if (labels.length === 0) this.#isSorted = false;
    if (!this.#isSorted) return true;
    if (this.#firstChanged === undefined) return false;
    const name = labels[0]!;
    const isTail = compareUtf8(name, this.#firstChanged) >= 0;
    const runName = isTail ? '' : name;
    const runValue = isTail ? '' : labels[1]!;
    if (runName === this.#runName && runValue === this.#runValue) return true;
    this.#runName = runName;
    this.#runValue = runValue;
    return false;
  }

  #endRun(): void {
    const rows = this.#rows;
    if (rows.length === 0) return;
    if (this.#outOfOrder) rows.sort((a, b) => compareLabels(a.labels, b.labels));
    for (const row of rows) {
      if (this.#last === undefined || compareLabels(this.#last, row.labels) !== 0) {
        if (this.#limit > 0 && this.#seriesCount >= this.#limit) break;
        this.#seriesCount++;
        this.#last = row.labels;
      }
      this.#encoder.beginSeries(encodeLabelFields(row.labels));
      this.#encoder.copyField(row.chunkFields, 0, row.chunkFields.length);
      const frame = this.#encoder.endSeries();
      if (frame !== undefined) this.#ready.push(frame);
    }
    this.#rows = [];
    this.#pendingBytes = 0;
    this.#outOfOrder = false;
  }
}
