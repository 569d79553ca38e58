/**
 * Writes several blocks side by side: all are complete before the first gets its name, and when anything throws, none is left.
 * A process that dies in between leaves some of them; each of those is whole.
 */
import type { BlockMeta } from '../block/block-meta.ts';
import { type BlockWriteOptions, type BlockWriter, createBlockWriter } from '../block/block-writer.ts';
import { type FileSystem, joinPath } from '../file-system.ts';

/**
 * Starts the blocks, has them filled, completes them.
 * @param fill adds the series, to writers in the order of `blocks`
 * @returns meta of each block; undefined for one to which no series was added, of which nothing is left
 * @throws what `fill` and the file system throw
 */
export function writeBlocks(fs: FileSystem, parentDir: string, blocks: readonly BlockWriteOptions[], fill: (writers: readonly BlockWriter[]) => void): (BlockMeta | undefined)[] {
  const writers: BlockWriter[] = [];
  const metas: (BlockMeta | undefined)[] = [];
  const isTaken = blocks.map(({ ulid }) => fs.stat(joinPath(parentDir, ulid)) !== undefined);
  try {
    for (const block of blocks) writers.push(createBlockWriter(fs, parentDir, block));
    fill(writers);
    for (const writer of writers) metas.push(writer.finish());
    return metas;
  } catch (error) {
    for (const [i, writer] of writers.entries()) {
      try {
        if (i >= metas.length) writer.abandon();
        // It may have its name already, even if `finish` threw. What had that name before is not ours to remove.
        if (!isTaken[i]) fs.remove(joinPath(parentDir, blocks[i]!.ulid));
      } catch {
        // The first error is the one to report; what is left is swept, or is a whole block.
      }
    }
    throw error;
  }
}
