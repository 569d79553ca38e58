/**
 * Writes the chunk segments of a block, buffered, cutting a segment before a chunk that could pass its limit: where Prometheus does.
 * A chunk that was read from another block can be given with its frame, which is then copied as it is; frames that lie one behind the other, in
 * one piece.
 */
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { type FileHandle, type FileSystem, joinPath } from '../file-system.ts';
import type { ChunkFrames } from './chunk-frames.ts';
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
  /**
   * As `writeChunks`, of frames whose checksums were verified, or just made.
   * @param bytes that the frames' addresses index; read, not retained
   * @param frames their `refs` are set
   */
  writeFrames(frames: ChunkFrames, bytes: Uint8Array): void;
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
  // Where the chunks of one series go: bytes of the segment when it began, the most that chunks since then or since the last cut may take.
  let before = 0;
  let batchBytes = 0;
  let isCut = false;
  const beginSeries = (): void => {
    before = handle === undefined ? 0 : segmentBytes;
    batchBytes = 0;
    isCut = false;
  };
  /** Whether chunk `i` of the series begins a segment. */
  const isNextCut = (i: number, payloadBytes: number): boolean => {
    const bound = payloadBytes + CHUNK_LENGTH_BYTES_MAX + CHUNK_OVERHEAD_BYTES;
    batchBytes += bound;
    const filled = !isCut && before > CHUNKS_HEADER_BYTES ? before : i > 0 ? CHUNKS_HEADER_BYTES : 0;
    if (handle !== undefined && !(filled > 0 && filled + batchBytes > segmentBytesMax)) return false;
    isCut ||= handle !== undefined;
    batchBytes = bound;
    return true;
  };

  return {
    writeChunks(chunks, refs) {
      beginSeries();
      for (let i = 0; i < chunks.length; i++) {
        const chunk = chunks[i]!;
        if (isNextCut(i, chunk.data.length)) cutSegment();
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
    writeFrames(frames, bytes) {
      const { count, at, payloadBytes, refs } = frames;
      beginSeries();
      /** Of what lies in one piece and is not in the buffer yet. */
      let from = 0;
      let end = 0;
      const put = (): void => {
        if (end > from) buffer.putBytes(bytes.subarray(from, end));
        if (buffer.length >= BUFFER_BYTES) flush();
      };
      for (let i = 0; i < count; i++) {
        const frame = at[i]!;
        const isCutHere = isNextCut(i, payloadBytes[i]!);
        if (isCutHere || frame !== end) {
          put();
          from = frame;
        }
        if (isCutHere) cutSegment();
        refs[i] = segment * 4294967296 + segmentBytes;
        end = frames.endOf(i);
        segmentBytes += end - frame;
      }
      put();
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
