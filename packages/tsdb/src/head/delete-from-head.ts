/**
 * Deletes samples of the head: one range per series, logged first, then known to whoever reads or cuts the head.
 *
 *   asked     ├──────────────────────────────────┤
 *   series         ├ samples in and out of order ┤         deleted: what both have, so that later samples are not
 *
 * A range stays deleted as long as the series is in the head: a sample that comes late and falls into one is accepted and not shown, as in
 * Prometheus. Unlike there, samples that came out of order are deleted wherever they lie. Source: Prometheus tsdb/head.go, `Delete`.
 */
import { GrowableBytes } from '@gauntlet/bytes';
import type { Matcher } from '@gauntlet/model';
import { matchPostings } from '../query/match-postings.ts';
import { putTombstone, RECORD } from '../wal/record.ts';
import type { Head } from './head.ts';

/**
 * Deletes the samples in [mint, maxt] of the series that match.
 * @returns series that had any
 * @throws the medium's error, TsdbError ERR_WAL_FAILED: then nothing is deleted
 */
export function deleteFromHead(head: Head, matchers: readonly Matcher[], mint: number, maxt: number): number {
  const { table, outOfOrder } = head;
  const ranges: { readonly ref: number; readonly low: number; readonly high: number }[] = [];
  for (const slot of matchPostings(head.postings, matchers)) {
    const ref = table.refs[slot]!;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    const take = (row: number): void => {
      if (table.chunkMint(row) > maxt || table.chunkMaxt(row) < mint) return;
      low = Math.min(low, table.chunkMint(row));
      high = Math.max(high, table.chunkMaxt(row));
    };
    for (let row = table.firstChunk(slot); row >= 0; row = table.chunkNext(row)) take(row);
    outOfOrder.visitRows(ref, take);
    if (high >= low) ranges.push({ ref, low: Math.max(low, mint), high: Math.min(high, maxt) });
  }
  if (ranges.length === 0) return 0;
  const record = new GrowableBytes();
  record.putU8(RECORD.tombstones);
  for (const { ref, low, high } of ranges) putTombstone(record, ref, low, high);
  head.wal!.log([record.bytes()]);
  for (const { ref, low, high } of ranges) head.addTombstone(ref, low, high);
  return ranges.length;
}
