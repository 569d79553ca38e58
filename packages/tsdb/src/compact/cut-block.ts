/**
 * Cuts a block out of the head: the series with samples in [mint, maxt), in label order, with their chunks as they are. A chunk that
 * reaches out of the range, or has deleted samples, is encoded anew without them.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { compareLabels, type Labels } from '@gauntlet/model';
import type { BlockMeta } from '../block/block-meta.ts';
import { type BlockChunk, writeBlock } from '../block/block-writer.ts';
import { addInterval, type Intervals, isCovered, overlapsIntervals } from '../block/tombstones.ts';
import type { FileSystem } from '../file-system.ts';
import type { Head } from '../head/head.ts';
import { recodeWithout } from '../query/recode-chunk.ts';

/** Where and what to cut. */
export interface CutOptions {
  /** Folder of the blocks. */
  readonly dir: string;
  readonly ulid: string;
  /** Range of the block: [mint, maxt). */
  readonly mint: number;
  readonly maxt: number;
  /** Which series to take; default all. */
  readonly takes?: (slot: number) => boolean;
  /** In `compaction.hints` of the block. */
  readonly hint?: string;
}

/** Time no sample has, outside of what the head takes. */
export const FOREVER: number = 2 ** 53;

/**
 * Writes the block, complete and durable.
 * @returns its meta, or undefined when there are no samples in the range
 */
export function cutBlock(fs: FileSystem, head: Head, kernels: Kernels, options: CutOptions): BlockMeta | undefined {
  const { table } = head;
  const last = options.maxt - 1;
  const outside: Intervals = [-FOREVER, options.mint - 1, options.maxt, FOREVER];
  const slots: number[] = [];
  const labelsOf: Labels[] = [];
  const isUsed = new Uint8Array(head.symbols.count);
  for (let slot = 0; slot < table.slotCount; slot++) {
    if (table.alive[slot] === 0 || options.takes?.(slot) === false) continue;
    let row = table.firstChunk(slot);
    while (row >= 0 && table.chunkMaxt(row) < options.mint) row = table.chunkNext(row);
    if (row < 0 || table.chunkMint(row) > last) continue;
    slots.push(slot);
    labelsOf.push(table.labels(slot));
    for (const id of table.labelIds(slot)) isUsed[id] = 1;
  }
  if (slots.length === 0) return undefined;
  const symbols: string[] = [];
  for (let id = 0; id < isUsed.length; id++) if (isUsed[id] === 1) symbols.push(head.symbols.text(id));
  // Prometheus' blocks from a head begin with the empty string; a label's text is never empty.
  symbols.push('');
  symbols.sort(compareUtf8);

  const { ulid, mint: minTime, maxt: maxTime, hint } = options;
  const block = { ulid, minTime, maxTime, symbols, ...(hint !== undefined && { compaction: { level: 1, sources: [ulid], hints: [hint] } }) };
  return writeBlock(fs, options.dir, block, (writer) => {
    const order = Uint32Array.from(slots.keys()).sort((a, b) => compareLabels(labelsOf[a]!, labelsOf[b]!));
    for (const i of order) {
      const slot = slots[i]!;
      let dropped = outside;
      const deleted = head.tombstones.get(table.refs[slot]!) ?? [];
      for (let d = 0; d < deleted.length; d += 2) dropped = addInterval(dropped, deleted[d]!, deleted[d + 1]!);
      const chunks: BlockChunk[] = [];
      for (let row = table.firstChunk(slot); row >= 0; row = table.chunkNext(row)) {
        const chunk = { mint: table.chunkMint(row), maxt: table.chunkMaxt(row), encoding: table.chunkEncoding(row), data: table.chunkData(row) };
        if (isCovered(dropped, chunk.mint, chunk.maxt)) continue;
        const kept = overlapsIntervals(dropped, chunk.mint, chunk.maxt) ? recodeWithout(chunk, dropped, kernels) : chunk;
        if (kept !== undefined) chunks.push(kept);
      }
      if (chunks.length > 0) writer.addSeries(labelsOf[i]!, chunks);
    }
  });
}
