/**
 * Writes a block folder, so that a crash leaves either nothing that counts or all of it:
 *
 *   <ULID>.tmp-for-creation/   chunks/000001 …, index, tombstones, meta.json   each fsynced
 *   rename to <ULID>/, fsync of the parent
 *
 * Series are streamed in label order. Folders with the temporary suffix are swept when a database opens.
 */
import { CHUNK_ENCODING, type Labels } from '@gauntlet/model';
import { AGGREGATE_ENCODING } from '../chunkenc/aggregate-chunk.ts';
import type { ChunkFrames } from '../chunks/chunk-frames.ts';
import { type ChunkPayload, createChunkWriter } from '../chunks/chunk-writer.ts';
import { type FileSystem, joinPath } from '../file-system.ts';
import { createIndexWriter, type IndexWriter } from '../index-file/index-writer.ts';
import type { SymbolBytes } from '../index-file/symbol-bytes.ts';
import { type BlockCompaction, type BlockMeta, formatBlockMeta } from './block-meta.ts';
import { BLOCK_FILES } from './block-reader.ts';
import { formatTombstones, NO_TOMBSTONES } from './tombstones.ts';

/** Suffix of a block folder that is being written. */
export const CREATION_SUFFIX = '.tmp-for-creation';
/** Suffix of a block folder that is being deleted. */
export const DELETION_SUFFIX = '.tmp-for-deletion';

/** A chunk with its time range. */
export interface BlockChunk extends ChunkPayload {
  readonly mint: number;
  /** Inclusive. */
  readonly maxt: number;
}

/** What a new block is. */
export interface BlockWriteOptions {
  readonly ulid: string;
  /** Range of the block, [minTime, maxTime). */
  readonly minTime: number;
  readonly maxTime: number;
  /** Default: level 1, its own source. */
  readonly compaction?: BlockCompaction;
  /** Written into meta.json when given. */
  readonly thanos?: unknown;
  /** Every label name and value to come, in byte order; '' first, as Prometheus has it. As strings or as their bytes. */
  readonly symbols: readonly string[] | SymbolBytes;
  /** Limit of a chunk segment, bytes; default 512 MiB. */
  readonly segmentBytesMax?: number;
}

/** Streams one block to disk. */
export interface BlockWriter {
  /** Adds the next series, labels ascending, with at least one chunk; chunks ascending and apart. */
  addSeries(labels: Labels, chunks: readonly BlockChunk[]): void;
  /** As `addSeries`, with labels as ordinals of `symbols`: name, value, …; `count` of them. Not retained. */
  addSeriesByOrdinal(ordinals: Uint32Array, count: number, chunks: readonly BlockChunk[]): void;
  /**
   * As `addSeriesByOrdinal`, with chunks as frames.
   * @param bytes that the frames' addresses index
   */
  addSeriesFrames(ordinals: Uint32Array, count: number, frames: ChunkFrames, bytes: Uint8Array): void;
  /** Completes the block under its name. Nothing is left when no series was added: returns undefined. */
  finish(): BlockMeta | undefined;
  /** Gives up and removes what was written. */
  abandon(): void;
}

/**
 * Writes a block whole: starts it, has it filled, completes it. When anything throws, what was written is removed.
 * @param fill adds the series
 * @returns meta of the block; undefined when no series was added, and then nothing is left
 * @throws what `fill` and the file system throw
 */
export function writeBlock(fs: FileSystem, parentDir: string, options: BlockWriteOptions, fill: (writer: BlockWriter) => void): BlockMeta | undefined {
  const writer = createBlockWriter(fs, parentDir, options);
  try {
    fill(writer);
    return writer.finish();
  } catch (error) {
    try {
      writer.abandon();
    } catch {
      // The first error is the one to report; what is left has the temporary suffix, and is swept.
    }
    throw error;
  }
}

/** Samples in a chunk payload: most known encodings begin with a big-endian count, of 14 bits in the last two. */
export function chunkSampleCount(encoding: number, data: Uint8Array): number {
  if (encoding === AGGREGATE_ENCODING) return aggregateSampleCount(data);
  const count = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  return encoding > CHUNK_ENCODING.xor2 ? count & 0x3fff : count;
}

/** Samples of the counts in an aggregate chunk; 0 when it has none. */
function aggregateSampleCount(data: Uint8Array): number {
  const length = data[0] ?? 0;
  if (length === 0) return 0;
  const at = data.findIndex((byte) => byte < 0x80) + 1;
  return chunkSampleCount(data[at] ?? 0, data.subarray(at + 1));
}

/** Starts a block below `parentDir`, which is made when missing. */
export function createBlockWriter(fs: FileSystem, parentDir: string, options: BlockWriteOptions): BlockWriter {
  const dir = joinPath(parentDir, options.ulid);
  const temporary = dir + CREATION_SUFFIX;
  fs.remove(temporary);
  fs.mkdir(joinPath(temporary, BLOCK_FILES.chunks));
  const chunkWriter = createChunkWriter(fs, joinPath(temporary, BLOCK_FILES.chunks), options.segmentBytesMax);
  let indexWriter: IndexWriter;
  try {
    indexWriter = createIndexWriter(fs, joinPath(temporary, BLOCK_FILES.index), options.symbols);
  } catch (error) {
    fs.remove(temporary);
    throw error;
  }
  let room = 16;
  const columns = { count: 0, mint: new Float64Array(room), maxt: new Float64Array(room), refs: new Float64Array(room) };
  let numSeries = 0;
  let numChunks = 0;
  let numSamples = 0;
  let numFloatSamples = 0;
  let numHistogramSamples = 0;

  let mayHaveName = false;

  const abandon = (): void => {
    chunkWriter.abandon();
    indexWriter.abandon();
    // A block that nobody was told of must not turn up later, when what it holds may have been deleted elsewhere.
    if (mayHaveName && fs.stat(dir) !== undefined) fs.rename(dir, temporary);
    fs.remove(temporary);
  };
  const writeFile = (file: string, data: Uint8Array): void => {
    const handle = fs.open(joinPath(temporary, file), 'create');
    try {
      handle.append(data);
      handle.fsync();
    } finally {
      handle.close();
    }
  };
  const countSamples = (encoding: number, samples: number): void => {
    numSamples += samples;
    if (encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2) numFloatSamples += samples;
    else if (encoding !== AGGREGATE_ENCODING) numHistogramSamples += samples;
  };
  /** Writes the chunks and counts them; `columns` then says what the index is to hold. */
  const putChunks = (chunks: readonly BlockChunk[]): void => {
    if (chunks.length > room) {
      room = chunks.length * 2;
      columns.mint = new Float64Array(room);
      columns.maxt = new Float64Array(room);
      columns.refs = new Float64Array(room);
    }
    chunkWriter.writeChunks(chunks, columns.refs);
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!;
      columns.mint[i] = chunk.mint;
      columns.maxt[i] = chunk.maxt;
      countSamples(chunk.encoding, chunkSampleCount(chunk.encoding, chunk.data));
    }
    columns.count = chunks.length;
    numSeries++;
    numChunks += chunks.length;
  };
  return {
    addSeries(labels, chunks) {
      putChunks(chunks);
      indexWriter.addSeries(labels, columns);
    },
    addSeriesByOrdinal(ordinals, count, chunks) {
      putChunks(chunks);
      indexWriter.addSeriesByOrdinal(ordinals, count, columns);
    },
    addSeriesFrames(ordinals, count, frames, bytes) {
      chunkWriter.writeFrames(frames, bytes);
      for (let i = 0; i < frames.count; i++) countSamples(frames.encoding[i]!, frames.samples[i]!);
      numSeries++;
      numChunks += frames.count;
      indexWriter.addSeriesByOrdinal(ordinals, count, frames);
    },
    finish() {
      if (numSeries === 0) {
        abandon();
        return undefined;
      }
      chunkWriter.finish();
      indexWriter.finish();
      writeFile(BLOCK_FILES.tombstones, formatTombstones(NO_TOMBSTONES));
      const meta: BlockMeta = {
        ulid: options.ulid,
        minTime: options.minTime,
        maxTime: options.maxTime,
        stats: {
          numSamples,
          ...(numFloatSamples > 0 && { numFloatSamples }),
          ...(numHistogramSamples > 0 && { numHistogramSamples }),
          numSeries,
          numChunks,
        },
        compaction: options.compaction ?? { level: 1, sources: [options.ulid] },
        version: 1,
        ...(options.thanos !== undefined && { thanos: options.thanos }),
      };
      writeFile(BLOCK_FILES.meta, formatBlockMeta(meta));
      fs.fsyncDir(temporary);
      mayHaveName = fs.stat(dir) === undefined;
      fs.rename(temporary, dir);
      fs.fsyncDir(parentDir);
      return meta;
    },
    abandon,
  };
}
