/**
 * Series with final labels (final-labels.ts), in frames that are sorted again: a run is kept and sorted at its end, so that memory holds one metric, not
 * the whole answer. Duplicates (equal after the change) stay next to each other, in the order they came.
 */
import { compareLabels, type Labels } from '@gauntlet/model';
import { encodeLabelFields, SeriesFrameEncoder } from '@gauntlet/proto';
import { FinalLabels, type FinalLabelsOptions } from './final-labels.ts';

/** What to do with the series of one call. */
export interface SeriesRewriterOptions extends FinalLabelsOptions {
  /** `responseBatchSize` of the request. */
  readonly batchSize: number;
  /** Most distinct series; 0 is all. */
  readonly limit: number;
}

interface Row {
  readonly labels: Labels;
  readonly chunkFields: Uint8Array;
}

/** One call's worth; see the head of this file. */
export class SeriesRewriter {
  readonly #final: FinalLabels;
  readonly #limit: number;
  readonly #encoder: SeriesFrameEncoder;
  #rows: Row[] = [];
  #outOfOrder = false;
  #seriesCount = 0;
  #last: Labels | undefined;
  #ready: Uint8Array[] = [];

  constructor(options: SeriesRewriterOptions) {
    this.#final = new FinalLabels(options);
    this.#limit = options.limit;
    this.#encoder = new SeriesFrameEncoder({ batchSize: options.batchSize });
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
    if (this.#final.beginsRun(labels)) this.#endRun();
    const rewritten = this.#final.of(labels, this.#last !== undefined);
    if (rewritten === undefined) return;
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
