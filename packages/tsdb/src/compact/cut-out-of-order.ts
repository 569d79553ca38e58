/**
 * Cuts a block of the samples that came out of order: their chunks may overlap, so the samples of each series are merged and encoded anew. The
 * block says where it comes from, and overlaps with those cut in order; queries and compaction merge them.
 * Source: Prometheus tsdb/db.go, `compactOOOHead`.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { compareLabels, type Labels } from '@gauntlet/model';
import type { BlockMeta } from '../block/block-meta.ts';
import { type BlockChunk, writeBlock } from '../block/block-writer.ts';
import { addInterval, type Intervals, isCovered, overlapsIntervals } from '../block/tombstones.ts';
import type { FileSystem } from '../file-system.ts';
import type { Head } from '../head/head.ts';
import { CHUNK_SAMPLES_TARGET } from '../head/series-table.ts';
import { recodeWithout } from '../query/recode-chunk.ts';
import { type CutOptions, FOREVER } from './cut-block.ts';
import { mergeMixedChunks } from './merge-histograms.ts';

/** In `compaction.hints` of a block that was cut here: it says nothing of how far samples in order are in blocks. */
export const OUT_OF_ORDER_HINT = 'from-out-of-order';

/**
 * Writes the block, complete and durable.
 * @returns its meta, or undefined when there are no samples in the range
 */
export function cutOutOfOrderBlock(fs: FileSystem, head: Head, kernels: Kernels, options: CutOptions): BlockMeta | undefined {
  const { table, outOfOrder } = head;
  const outside: Intervals = [-FOREVER, options.mint - 1, options.maxt, FOREVER];
  const found: { labels: Labels; chunks: BlockChunk[] }[] = [];
  const symbols = new Set(['']);
  for (const ref of outOfOrder.refs()) {
    let dropped = outside;
    const deleted = head.tombstones.get(ref) ?? [];
    for (let d = 0; d < deleted.length; d += 2) dropped = addInterval(dropped, deleted[d]!, deleted[d + 1]!);
    const chunks: BlockChunk[] = [];
    outOfOrder.visitRows(ref, (row) => {
      const chunk = { mint: table.chunkMint(row), maxt: table.chunkMaxt(row), encoding: table.chunkEncoding(row), data: table.chunkData(row) };
      if (isCovered(dropped, chunk.mint, chunk.maxt)) return;
      const kept = overlapsIntervals(dropped, chunk.mint, chunk.maxt) ? recodeWithout(chunk, dropped, kernels) : chunk;
      if (kept !== undefined) chunks.push(kept);
    });
    if (chunks.length === 0) continue;
    const labels = table.labels(head.refs.get(ref));
    for (const text of labels) symbols.add(text);
    chunks.sort((a, b) => a.mint - b.mint || a.maxt - b.maxt);
    found.push({ labels, chunks: mergeMixedChunks(chunks, CHUNK_SAMPLES_TARGET, kernels, `series ${JSON.stringify(labels)} of the head`) });
  }
  if (found.length === 0) return undefined;
  found.sort((a, b) => compareLabels(a.labels, b.labels));
  const block = {
    ulid: options.ulid,
    minTime: options.mint,
    maxTime: options.maxt,
    compaction: { level: 1, sources: [options.ulid], hints: [OUT_OF_ORDER_HINT] },
    symbols: [...symbols].sort(compareUtf8),
  };
  return writeBlock(fs, options.dir, block, (writer) => {
    for (const { labels, chunks } of found) writer.addSeries(labels, chunks);
  });
}
