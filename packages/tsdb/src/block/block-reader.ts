/**
 * An open block: `<ULID>/` with meta.json, index, chunks/ and perhaps tombstones.
 *
 * Small indexes are held in memory, large ones read by pages. Blocks are immutable; a block that is deleted while open stays
 * readable through its open files, so whoever iterates one holds it with `retain` and lets go with `release`.
 */
import { type ChunkReader, openChunks } from '../chunks/chunk-reader.ts';
import { TsdbError } from '../errors.ts';
import { baseName, type FileHandle, type FileSystem, joinPath, readFile } from '../file-system.ts';
import { createFileSource, createMemorySource } from '../index-file/byte-source.ts';
import { type IndexReader, openIndex } from '../index-file/index-reader.ts';
import { type BlockMeta, parseBlockMeta } from './block-meta.ts';
import { checkMetaName, checkMetaRange } from './check-meta.ts';
import { NO_TOMBSTONES, parseTombstones, type Tombstones } from './tombstones.ts';

/** File names inside a block folder. */
export const BLOCK_FILES = { meta: 'meta.json', index: 'index', chunks: 'chunks', tombstones: 'tombstones' } as const;

/** Indexes up to this size are read whole. */
const INDEX_IN_MEMORY_BYTES = 64 * 1024 * 1024;

/** An open block. */
export interface Block {
  readonly meta: BlockMeta;
  /** Folder of the block. */
  readonly dir: string;
  readonly index: IndexReader;
  readonly chunks: ChunkReader;
  /** Deleted ranges by series reference. */
  readonly tombstones: Tombstones;
  /** Bytes of index and chunks on disk. */
  readonly bytes: number;
  /** Keeps the files open until the matching `release`. */
  retain(): void;
  release(): void;
  /** Closes the files once nobody retains the block. Idempotent. */
  close(): void;
}

/** Reads the meta.json of a block folder. @throws TsdbError ERR_BLOCK_META; the medium's ENOENT when there is none */
export function readBlockMeta(fs: FileSystem, dir: string): BlockMeta {
  return parseBlockMeta(readFile(fs, joinPath(dir, BLOCK_FILES.meta)), baseName(dir));
}

/** How to open a block. */
export interface OpenBlockOptions {
  /**
   * What to do about chunks that reach outside of the range in meta.json: queries never show their samples, so that a damaged range would hide
   * data. Default `refuse`; `allow` is for tools that repair or report them.
   */
  readonly outsideChunks?: 'refuse' | 'allow';
}

/**
 * Opens the block in a folder. meta.json, which has no checksum, is held to the folder's name and to the index (check-meta.ts).
 * @throws TsdbError ERR_BLOCK_*, ERR_INDEX_*, ERR_CHUNK_CORRUPT naming block, section and offset; ERR_BLOCK_CORRUPT when a file is missing
 */
export function openBlock(fs: FileSystem, dir: string, options: OpenBlockOptions = {}): Block {
  const name = baseName(dir);
  const path = (file: string): string => joinPath(dir, file);
  for (const file of [BLOCK_FILES.meta, BLOCK_FILES.index, BLOCK_FILES.chunks]) {
    if (fs.stat(path(file)) === undefined) {
      throw new TsdbError('ERR_BLOCK_CORRUPT', `open block ${name}: ${file} is missing in ${dir}`, { place: { block: name, file, section: '', offset: 0 } });
    }
  }
  const meta = readBlockMeta(fs, dir);
  checkMetaName(meta, name);
  const tombstones = fs.stat(path(BLOCK_FILES.tombstones)) === undefined ? NO_TOMBSTONES : parseTombstones(readFile(fs, path(BLOCK_FILES.tombstones)), name);
  let indexHandle: FileHandle | undefined = fs.open(path(BLOCK_FILES.index), 'read');
  try {
    let source = createFileSource(indexHandle);
    if (source.bytes <= INDEX_IN_MEMORY_BYTES) {
      source = createMemorySource(readFile(fs, path(BLOCK_FILES.index)));
      indexHandle.close();
      indexHandle = undefined;
    }
    const index = openIndex(source, name);
    if (options.outsideChunks !== 'allow') checkMetaRange(meta, index);
    const chunks = openChunks(fs, path(BLOCK_FILES.chunks), name);
    let bytes = source.bytes;
    for (let segment = 0; segment < chunks.segmentCount; segment++) bytes += chunks.segmentBytes(segment);
    let holders = 0;
    let isClosing = false;
    let isClosed = false;
    const closeIfFree = (): void => {
      if (!isClosing || isClosed || holders > 0) return;
      isClosed = true;
      chunks.close();
      indexHandle?.close();
    };
    return {
      meta,
      dir,
      index,
      chunks,
      tombstones,
      bytes,
      retain() {
        holders++;
      },
      release() {
        holders--;
        closeIfFree();
      },
      close() {
        isClosing = true;
        closeIfFree();
      },
    };
  } catch (error) {
    indexHandle?.close();
    throw error;
  }
}
