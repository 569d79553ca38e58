/**
 * Reads the chunk segments of a block.
 *
 * Opening checks names (consecutive), magic and version. A chunk's own CRC is checked by whoever reads it: `readChunk` here, for
 * single chunks, and `query/load-chunks.ts` for batches straight into the memory of the kernels.
 */
import { crc32c } from '@gauntlet/bytes';
import { type FileHandle, type FileSystem, joinPath } from '../file-system.ts';
import { be32 } from '../index-file/layout.ts';
import { CHUNK_LENGTH_BYTES_MAX, CHUNK_OVERHEAD_BYTES, chunkCorrupt, chunkRefOffset, chunkRefSegment, CHUNKS_HEADER_BYTES, CHUNKS_MAGIC, CHUNKS_VERSION, segmentFileName } from './layout.ts';

/** The open segments of one block. */
export interface ChunkReader {
  /** Block id for messages. */
  readonly name: string;
  readonly segmentCount: number;
  /** Length of a segment, bytes. */
  segmentBytes(segment: number): number;
  /** Reads raw bytes of a segment, as `FileHandle.read`. */
  read(segment: number, target: Uint8Array, offset: number): number;
  /** One chunk in memory of its own, CRC checked. @throws TsdbError ERR_CHUNK_CORRUPT */
  readChunk(ref: number): { readonly encoding: number; readonly data: Uint8Array };
  close(): void;
}

/** Bytes read for a chunk of unknown length. */
const CHUNK_READ_BYTES = 2048;

/** Where a chunk's parts are; reused between calls. */
export interface ChunkFrame {
  /** Offset of the encoding byte. */
  encodingAt: number;
  /** Payload bytes after the encoding byte. */
  payloadBytes: number;
  /** Offset just past the CRC. */
  end: number;
}

/**
 * Finds the parts of the chunk that starts at `at`; what it says may reach past `bytes`.
 * @returns false when the length field itself is cut off or over-long
 */
export function frameChunk(bytes: Uint8Array, at: number, out: ChunkFrame): boolean {
  let length = 0;
  let scale = 1;
  for (let i = 0; i < CHUNK_LENGTH_BYTES_MAX; i++) {
    if (at >= bytes.length) return false;
    const byte = bytes[at++]!;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      out.encodingAt = at;
      out.payloadBytes = length;
      out.end = at + length + CHUNK_OVERHEAD_BYTES;
      return true;
    }
    scale *= 128;
  }
  return false;
}

/**
 * Opens the segments in `dir`.
 * @param name block id for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT on a gap in the sequence or a bad header
 */
export function openChunks(fs: FileSystem, dir: string, name: string): ChunkReader {
  const files = fs.list(dir).filter((file) => /^\d{6}$/.test(file));
  const handles: FileHandle[] = [];
  const sizes: number[] = [];
  const close = (): void => {
    for (const handle of handles) handle.close();
  };
  try {
    for (const [segment, file] of files.entries()) {
      if (file !== segmentFileName(segment)) throw chunkCorrupt(name, segment, 0, `segment is missing, next is ${file}`);
      const handle = fs.open(joinPath(dir, file), 'read');
      handles.push(handle);
      sizes.push(handle.size());
      const head = new Uint8Array(CHUNKS_HEADER_BYTES);
      const got = handle.read(head, 0);
      if (got < CHUNKS_HEADER_BYTES) throw chunkCorrupt(name, segment, 0, `header has ${got} bytes, want ${CHUNKS_HEADER_BYTES}`);
      if (be32(head, 0) !== CHUNKS_MAGIC) throw chunkCorrupt(name, segment, 0, `invalid magic number ${be32(head, 0).toString(16)}`);
      if (head[4] !== CHUNKS_VERSION) throw chunkCorrupt(name, segment, 4, `unknown version ${head[4]}, want ${CHUNKS_VERSION}`);
    }
  } catch (error) {
    close();
    throw error;
  }
  const handleOf = (segment: number, offset: number): FileHandle => {
    const handle = handles[segment];
    if (handle === undefined) throw chunkCorrupt(name, segment, offset, `there are ${handles.length} segments`);
    return handle;
  };
  return {
    name,
    segmentCount: handles.length,
    segmentBytes: (segment) => sizes[segment] ?? 0,
    read: (segment, target, offset) => handleOf(segment, offset).read(target, offset),
    readChunk(ref) {
      const segment = chunkRefSegment(ref);
      const offset = chunkRefOffset(ref);
      const handle = handleOf(segment, offset);
      let bytes = new Uint8Array(CHUNK_READ_BYTES);
      bytes = bytes.subarray(0, handle.read(bytes, offset));
      const frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
      if (!frameChunk(bytes, 0, frame)) throw chunkCorrupt(name, segment, offset, 'length is truncated or over-long');
      if (offset + frame.end > sizes[segment]!) throw chunkCorrupt(name, segment, offset, `payload of ${frame.payloadBytes} bytes passes the end of the segment (${sizes[segment]} bytes)`);
      if (frame.end > bytes.length) {
        bytes = new Uint8Array(frame.end);
        bytes = bytes.subarray(0, handle.read(bytes, offset));
        if (bytes.length < frame.end) throw chunkCorrupt(name, segment, offset, 'segment got shorter');
      }
      const crcAt = frame.end - 4;
      const want = be32(bytes, crcAt);
      const got = crc32c(bytes.subarray(frame.encodingAt, crcAt));
      if (want !== got) throw chunkCorrupt(name, segment, offset, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
      return { encoding: bytes[frame.encodingAt]!, data: bytes.subarray(frame.encodingAt + 1, crcAt) };
    },
    close,
  };
}
