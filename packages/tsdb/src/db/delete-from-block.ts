/**
 * Deletes samples of a block: one range per series goes into its tombstones file, which is replaced whole, then meta.json says how many there
 * are. A crash between the two leaves a count that is too low, which says when a block is worth rewriting and nothing else.
 * Source: Prometheus tsdb/block.go, `Block.Delete`.
 */
import type { Matcher } from '@gauntlet/model';
import { type BlockMeta, formatBlockMeta } from '../block/block-meta.ts';
import { type Block, BLOCK_FILES } from '../block/block-reader.ts';
import { addInterval, formatTombstones, type Intervals, isCovered } from '../block/tombstones.ts';
import { type FileSystem, joinPath, replaceFile } from '../file-system.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { matchPostings } from '../query/match-postings.ts';

/**
 * Writes down that the samples in [mint, maxt] of the series that match are deleted. The open block does not know of it: open it anew.
 * @returns series with chunks there that were not deleted yet; nothing was written when there are none
 * @throws TsdbError ERR_INDEX_CORRUPT; the medium's error
 */
export function deleteFromBlock(fs: FileSystem, block: Block, matchers: readonly Matcher[], mint: number, maxt: number): number {
  const tombstones = new Map<number, Intervals>(block.tombstones);
  const entry = createSeriesEntry();
  let series = 0;
  for (const ref of matchPostings(block.index, matchers)) {
    block.index.readSeries(ref, entry);
    const before = tombstones.get(ref) ?? [];
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < entry.chunkCount; i++) {
      if (entry.mint[i]! > maxt || entry.maxt[i]! < mint) continue;
      low = Math.min(low, entry.mint[i]!);
      high = Math.max(high, entry.maxt[i]!);
    }
    low = Math.max(low, mint);
    high = Math.min(high, maxt);
    if (high < low || isCovered(before, low, high)) continue;
    tombstones.set(ref, addInterval(before, low, high));
    series++;
  }
  if (series === 0) return 0;
  replaceFile(fs, joinPath(block.dir, BLOCK_FILES.tombstones), formatTombstones(tombstones));
  const { stats } = block.meta;
  writeMeta(fs, block.dir, { ...block.meta, stats: { ...stats, numTombstones: countIntervals(tombstones.values()) } });
  return series;
}

/** Replaces the meta.json of a block's folder. */
export function writeMeta(fs: FileSystem, dir: string, meta: BlockMeta): void {
  replaceFile(fs, joinPath(dir, BLOCK_FILES.meta), formatBlockMeta(meta));
}

function countIntervals(all: Iterable<Intervals>): number {
  let count = 0;
  for (const intervals of all) count += intervals.length / 2;
  return count;
}
