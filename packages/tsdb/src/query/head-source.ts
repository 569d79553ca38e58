/**
 * The head as a source of series, from the time bounds it has when the source is made. Chunks of samples out of order lie among the others.
 *
 * References are slots, chunk references are rows of the chunk table. Slots are in order of creation, so a selection is sorted by labels
 * first. A query sees what was there when it began: what is appended in order later is hidden like deleted samples. As in Prometheus samples that
 * come out of order meanwhile may be seen, batch by batch.
 */
import { addInterval, type Intervals, isCovered } from '../block/tombstones.ts';
import type { Head } from '../head/head.ts';
import type { OutOfOrderSamples } from '../head/out-of-order.ts';
import type { Postings } from '../index-file/postings.ts';
import { CursorFields, type SeriesSource } from './series-source.ts';

/** Time no sample has. */
const FOREVER = Number.MAX_SAFE_INTEGER;

class HeadCursor extends CursorFields {
  readonly #head: Head;
  readonly #from: number;
  readonly #to: number;
  readonly #slots: Uint32Array;
  /** Beside the slots: their newest sample in order when the query began. */
  readonly #lastMs: Float64Array;
  #position = 0;

  readonly #inOrderFrom: number;
  readonly #outOfOrder: OutOfOrderSamples;

  constructor(head: Head, outOfOrder: OutOfOrderSamples, slots: Postings, from: number, to: number, inOrderFrom: number) {
    super();
    this.#head = head;
    this.#outOfOrder = outOfOrder;
    this.#from = from;
    this.#inOrderFrom = Math.max(from, inOrderFrom);
    this.#to = to;
    this.#slots = head.order.sort(slots, head.table);
    this.#lastMs = new Float64Array(this.#slots.length);
    const { table, minValidTimeMs } = head;
    // Nothing before the bound can come in order any more.
    for (const [i, slot] of this.#slots.entries()) this.#lastMs[i] = table.hasSamples(slot) ? table.lastTimeMs(slot) : minValidTimeMs - 1;
  }

  /** What of the slot at a position is not shown: deleted, or appended since the query began. */
  #hidden(position: number): Intervals | undefined {
    const { table, tombstones } = this.#head;
    const slot = this.#slots[position]!;
    const deleted = tombstones.size === 0 ? undefined : tombstones.get(table.refs[slot]!);
    const last = this.#lastMs[position]!;
    return table.hasSamples(slot) && table.lastTimeMs(slot) > last ? addInterval(deleted ?? [], Math.max(last + 1, -FOREVER), FOREVER) : deleted;
  }

  next(): boolean {
    const { table } = this.#head;
    const outOfOrder = this.#outOfOrder;
    while (this.#position < this.#slots.length) {
      const intervals = this.#hidden(this.#position);
      const slot = this.#slots[this.#position++]!;
      let count = 0;
      for (let row = table.firstChunk(slot); row >= 0; row = table.chunkNext(row)) {
        const mint = table.chunkMint(row);
        const maxt = table.chunkMaxt(row);
        if (mint > this.#to) break;
        if (maxt < this.#inOrderFrom || (intervals !== undefined && isCovered(intervals, mint, maxt))) continue;
        this.#put(count++, row);
      }
      if (outOfOrder.seriesCount > 0) {
        outOfOrder.visitRows(table.refs[slot]!, (row) => {
          const mint = table.chunkMint(row);
          const maxt = table.chunkMaxt(row);
          if (mint > this.#to || maxt < this.#from || (intervals !== undefined && isCovered(intervals, mint, maxt))) return;
          let at = count++;
          this.reserve(count);
          for (; at > 0 && this.mint[at - 1]! > mint; at--) this.#put(at, this.refs[at - 1]!);
          this.#put(at, row);
        });
      }
      if (count === 0) continue;
      return this.accept(table.labels(slot), count, intervals);
    }
    return false;
  }

  #put(at: number, row: number): void {
    this.reserve(at + 1);
    this.mint[at] = this.#head.table.chunkMint(row);
    this.maxt[at] = this.#head.table.chunkMaxt(row);
    this.refs[at] = row;
  }
}

/** Makes a source of the head as it is now. */
export function createHeadSource(head: Head): SeriesSource {
  const mint = head.minTimeMs;
  const { outOfOrder } = head;
  return {
    name: 'head',
    index: head.postings,
    mint: Math.min(mint, outOfOrder.minTimeMs),
    // Of samples out of order any may arrive while the query runs.
    maxt: Number.POSITIVE_INFINITY,
    cursor: (refs, from, to) => new HeadCursor(head, outOfOrder, refs, from, to, mint),
    labelsOf: (ref) => head.table.labels(ref),
    regionBytes(request) {
      let bytes = 0;
      for (let i = 0; i < request.count; i++) bytes += head.table.chunkData(request.refs[i]!).length;
      return bytes;
    },
    fill(request, region, regionAt) {
      let at = regionAt;
      for (let i = 0; i < request.count; i++) {
        const data = head.table.chunkData(request.refs[i]!);
        region.set(data, at);
        request.at[i] = at;
        request.bytes[i] = data.length;
        request.encodings[i] = head.table.chunkEncoding(request.refs[i]!);
        at += data.length;
      }
      return true;
    },
    hold() {
      const lease = head.lease();
      return () => lease.release();
    },
  };
}
