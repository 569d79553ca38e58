/**
 * The blocks of a data directory: opened, replaced, removed.
 *
 *   <ULID>/                      a block                       ─ removed ─► <ULID>.tmp-for-deletion/ ─► nothing
 *   <ULID>.tmp-for-creation/     half a block, swept at the start
 *
 * A block whose child is here goes: a crash between the rename of a compacted block and the end of its parents is made good by whoever loads
 * the directory next. Readers of a removed block go on reading its open files.
 */
import type { BlockMeta } from '../block/block-meta.ts';
import { type Block, BLOCK_FILES, openBlock, readBlockMeta } from '../block/block-reader.ts';
import { DELETION_SUFFIX } from '../block/block-writer.ts';
import { isUlid } from '../block/ulid.ts';
import { TsdbError } from '../errors.ts';
import { type FileSystem, joinPath } from '../file-system.ts';

/** Why a block was deleted: past retention by time or size, replaced by a block that was made of it, marked deletable in its meta.json. */
export type DeletionReason = 'time' | 'size' | 'replaced' | 'deletable';

/** A folder that looks like a block and cannot be read. */
export interface DamagedBlock {
  readonly ulid: string;
  /** When meta.json at least can be read. */
  readonly meta: BlockMeta | undefined;
  readonly error: unknown;
}

/** Open blocks, oldest first; and those that cannot be read. */
export class BlockSet {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #onDeleted: (meta: BlockMeta, reason: DeletionReason) => void;
  blocks: readonly Block[] = [];
  damaged: readonly DamagedBlock[] = [];
  /** Blocks deleted since the set was made, by reason. */
  readonly deleted: Record<DeletionReason, number> = { time: 0, size: 0, replaced: 0, deletable: 0 };

  constructor(fs: FileSystem, dir: string, onDeleted: (meta: BlockMeta, reason: DeletionReason) => void) {
    this.#fs = fs;
    this.#dir = dir;
    this.#onDeleted = onDeleted;
  }

  /** Removes what a crash left of blocks that were being written or deleted. Before the first `load`. */
  sweep(): void {
    for (const name of this.#fs.list(this.#dir)) {
      const base = name.replace(/\.tmp(-for-creation|-for-deletion)?$/, '');
      if (base !== name && isUlid(base)) this.#fs.remove(joinPath(this.#dir, name));
    }
  }

  /** Opens blocks that came, lets go of those that went, deletes those that a block here was made of. */
  load(): void {
    const fs = this.#fs;
    const names = fs.list(this.#dir).filter((name) => isUlid(name) && fs.stat(this.pathOf(name))?.kind === 'directory');
    const known = new Map(this.blocks.map((block) => [block.meta.ulid, block]));
    const damaged: DamagedBlock[] = [];
    const loaded: Block[] = [];
    for (const name of names) {
      const open = known.get(name);
      known.delete(name);
      if (open !== undefined) {
        loaded.push(open);
        continue;
      }
      try {
        loaded.push(openBlock(fs, this.pathOf(name)));
      } catch (error) {
        if (!(error instanceof TsdbError)) {
          for (const block of loaded) if (!this.blocks.includes(block)) block.close();
          throw error;
        }
        // What a damaged meta.json says of time is worth nothing: any query may lack something.
        damaged.push({ ulid: name, meta: error.code === 'ERR_BLOCK_META' ? undefined : this.#metaOf(name), error });
      }
    }
    for (const gone of known.values()) gone.close();
    const parents = new Set(loaded.flatMap(({ meta }) => (meta.compaction.parents ?? []).map(({ ulid }) => ulid)));
    this.#show(loaded);
    this.damaged = damaged.filter(({ ulid }) => !parents.has(ulid));
    for (const { ulid } of damaged) if (parents.has(ulid)) this.#removeFolder(ulid);
    for (const block of loaded) {
      if (parents.has(block.meta.ulid)) this.remove(block, 'replaced');
      else if (block.meta.compaction.deletable === true) this.remove(block, 'deletable');
    }
  }

  /** Deletes an open block. */
  remove(block: Block, reason: DeletionReason): void {
    this.#show(this.blocks.filter((one) => one !== block));
    block.close();
    this.#removeFolder(block.meta.ulid);
    this.deleted[reason]++;
    this.#onDeleted(block.meta, reason);
  }

  /** Opens a block anew whose meta.json or tombstones were replaced. @throws as `openBlock` */
  reopen(block: Block): void {
    const fresh = openBlock(this.#fs, block.dir);
    this.#show([...this.blocks.filter((one) => one !== block), fresh]);
    block.close();
  }

  /** All bytes of a block's folder. */
  bytesOf(block: Block): number {
    const sizeOf = (file: string): number => this.#fs.stat(joinPath(block.dir, file))?.bytes ?? 0;
    return block.bytes + sizeOf(BLOCK_FILES.meta) + sizeOf(BLOCK_FILES.tombstones);
  }

  pathOf(ulid: string): string {
    return joinPath(this.#dir, ulid);
  }

  close(): void {
    for (const block of this.blocks) block.close();
  }

  #show(blocks: readonly Block[]): void {
    this.blocks = blocks.toSorted((a, b) => a.meta.minTime - b.meta.minTime || a.meta.maxTime - b.meta.maxTime);
  }

  #metaOf(ulid: string): BlockMeta | undefined {
    try {
      return readBlockMeta(this.#fs, this.pathOf(ulid));
    } catch {
      return undefined;
    }
  }

  #removeFolder(ulid: string): void {
    const fs = this.#fs;
    const doomed = this.pathOf(ulid) + DELETION_SUFFIX;
    fs.remove(doomed);
    fs.rename(this.pathOf(ulid), doomed);
    fs.fsyncDir(this.#dir);
    fs.remove(doomed);
  }
}
