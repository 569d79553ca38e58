/**
 * Series of the head that have ended, taken out of it before their time: where targets come and go, they would fill the memory for up to three
 * hours.
 *
 *   series whose last sample is a stale marker ─► a block per range, with a hint ─► once nobody reads the head: removed, said so in the log
 *
 * Such a block lies beside those that are cut later, which have the other series of its time; it does not say how far samples are in blocks.
 * A series that gets a sample before it is removed stays, and is then in the block and in the head, which is the same to every reader.
 * Source: Prometheus tsdb/db.go, `CompactStaleHead`; tsdb/head.go, `truncateStaleSeries`.
 */
import { GrowableBytes } from '@gauntlet/bytes';
import { putTombstone, RECORD } from '../wal/record.ts';
import type { Head } from './head.ts';

/** In `compaction.hints` of a block of stale series. */
export const STALE_SERIES_HINT = 'from-stale-series';

/** Series that have ended, and those among them that are in blocks and wait for the readers of the head to end. */
export class StaleSeries {
  readonly #head: Head;
  /** Reference → time of the last sample that is in a block. */
  readonly #written = new Map<number, number>();

  constructor(head: Head) {
    this.#head = head;
  }

  /** Series in the head that have ended. */
  count(): number {
    const { table } = this.#head;
    let count = 0;
    for (let slot = 0; slot < table.slotCount; slot++) if (table.alive[slot] === 1 && table.endsStale(slot)) count++;
    return count;
  }

  /** Slots of the ended series that may go and are not in blocks yet. */
  find(): ReadonlySet<number> {
    const { table } = this.#head;
    const found = new Set<number>();
    for (let slot = 0; slot < table.slotCount; slot++) {
      if (table.alive[slot] === 1 && this.#mayGo(slot) && this.#written.get(table.refs[slot]!) !== table.lastTimeMs(slot)) found.add(slot);
    }
    return found;
  }

  /** Notes that all samples of series are in blocks now. */
  wrote(slots: ReadonlySet<number>): void {
    const { table } = this.#head;
    for (const slot of slots) this.#written.set(table.refs[slot]!, table.lastTimeMs(slot));
  }

  /**
   * Removes what is in blocks and has not got a sample since, unless somebody reads the head.
   * @returns series removed
   * @throws the medium's error, TsdbError ERR_WAL_FAILED: then nothing is removed
   */
  remove(): number {
    const head = this.#head;
    if (this.#written.size === 0 || head.isRead) return 0;
    const { table } = head;
    const slots: number[] = [];
    const record = new GrowableBytes();
    record.putU8(RECORD.tombstones);
    for (const [ref, lastTimeMs] of this.#written) {
      const slot = head.refs.get(ref);
      if (slot < 0 || !this.#mayGo(slot) || table.lastTimeMs(slot) !== lastTimeMs) continue;
      slots.push(slot);
      putTombstone(record, ref, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    }
    if (slots.length > 0) {
      head.wal!.log([record.bytes()]);
      head.removeSeries(slots);
      head.collect();
    }
    this.#written.clear();
    return slots.length;
  }

  #mayGo(slot: number): boolean {
    const { table, outOfOrder } = this.#head;
    return table.held[slot] === 0 && table.endsStale(slot) && !outOfOrder.has(table.refs[slot]!);
  }
}
