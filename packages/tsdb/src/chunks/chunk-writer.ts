/**
 * Writes the chunk segments of a block, buffered, cutting a segment before a chunk that could pass its limit: where Prometheus does.
 * A chunk that was read from another block can be given with its frame, which is then copied as it is.
 */
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { type FileHandle, type FileSystem, joinPath } from '../file-system.ts';
import { CHUNK_LENGTH_BYTES_MAX, CHUNK_OVERHEAD_BYTES, CHUNK_SEGMENT_BYTES, CHUNKS_HEADER_BYTES, CHUNKS_MAGIC, CHUNKS_VERSION, segmentFileName } from './layout.ts';

/** A chunk to write. */
export interface ChunkPayload {
  readonly encoding: number;
  /** Payload after the encoding byte; read, not retained. */
  readonly data: Uint8Array;
  /** Length, encoding, payload and checksum, as in a segment, when there is one whose checksum was verified; read, not retained. */
  readonly frame?: Uint8Array | undefined;
}

/** Appends chunks to `chunks/`. */
export interface ChunkWriter {
  /** Writes the chunks of one series. @param refs out: the reference of each chunk */
  writeChunks(chunks: readonly ChunkPayload[], refs: Float64Array): void;
  /** Writes what is buffered, fsyncs and closes. */
  finish(): void;
  /** Closes without finishing; for error paths. */
  abandon(): void;
}

const BUFFER_BYTES = 1024 * 1024;

/**
 * Starts writing into `dir`, which exists.
 * @param segmentBytesMax limit of a segment file
 */
export function createChunkWriter(fs: FileSystem, dir: string, segmentBytesMax: number = CHUNK_SEGMENT_BYTES): ChunkWriter {
  const buffer = new GrowableBytes(16 * 1024);
  const checked = new GrowableBytes(2048);
  let segment = -1;
  let handle: FileHandle | undefined;
  /** Bytes of the present segment, buffered ones included. */
  let segmentBytes = 0;

  const flush = (): void => {
    if (buffer.length > 0) handle!.append(buffer.bytes());
    buffer.reset();
  };
  const endSegment = (): void => {
    if (handle === undefined) return;
    flush();
    handle.fsync();
    handle.close();
    handle = undefined;
  };
  const cutSegment = (): void => {
    endSegment();
    segment++;
    handle = fs.open(joinPath(dir, segmentFileName(segment)), 'create-new');
    buffer.putBE32(CHUNKS_MAGIC);
    buffer.putU8(CHUNKS_VERSION);
    buffer.putZeros(3);
    segmentBytes = CHUNKS_HEADER_BYTES;
  };
  const boundBytes = (chunk: ChunkPayload): number => chunk.data.length + CHUNK_LENGTH_BYTES_MAX + CHUNK_OVERHEAD_BYTES;

  return {
    writeChunks(chunks, refs) {
      const before = handle === undefined ? 0 : segmentBytes;
      /** Most bytes that the chunks since the last cut, or since the call began, may take. */
      let batchBytes = 0;
      let isCut = false;
      for (let i = 0; i < chunks.length; i++) {
        const chunk = chunks[i]!;
        const bound = boundBytes(chunk);
        batchBytes += bound;
        const filled = !isCut && before > CHUNKS_HEADER_BYTES ? before : i > 0 ? CHUNKS_HEADER_BYTES : 0;
        if (handle === undefined || (filled > 0 && filled + batchBytes > segmentBytesMax)) {
          isCut ||= handle !== undefined;
          cutSegment();
          batchBytes = bound;
        }
        refs[i] = segment * 4294967296 + segmentBytes;
        const start = buffer.length;
        if (chunk.frame !== undefined) buffer.putBytes(chunk.frame);
        else {
          checked.reset();
          checked.putU8(chunk.encoding);
          checked.putBytes(chunk.data);
          buffer.putUvarint(chunk.data.length);
          buffer.putBytes(checked.bytes());
          buffer.putBE32(crc32c(checked.bytes()));
        }
        segmentBytes += buffer.length - start;
        if (buffer.length >= BUFFER_BYTES) flush();
      }
    },
    finish() {
      endSegment();
      fs.fsyncDir(dir);
    },
    abandon() {
      handle?.close();
      handle = undefined;
    },
  };
}
