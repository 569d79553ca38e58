/**
 * Chunks of one block: references → bytes, by few range reads per segment; and from there to encoding and payload, chunk by chunk, where
 * chunk-fields.ts cannot. Each chunk's checksum is checked (Thanos does not): damage is an error that names block, object and offset.
 *
 *   reference = segment · 2^32 + offset of    uvarint length │ encoding │ payload │ CRC-32C of encoding and payload
 */
import { crc32c } from '@gauntlet/bytes';
import { be32, type ChunkFrame, chunkRefOffset, chunkRefSegment, frameChunk } from '@gauntlet/tsdb';
import { type BlockAccess, segmentKey } from './block-access.ts';
import { StoreGatewayError } from './errors.ts';
import { planRanges } from './range-plan.ts';

/** References count segments in units of this. */
export const SEGMENT_UNIT: number = 2 ** 32;

/** Bytes of one read, with chunks [first, last) of the order. */
export interface ChunkPart {
  readonly segment: number;
  /** Place of the first byte in the segment. */
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly first: number;
  readonly last: number;
}

/** What was read for a list of references. Release when the bytes are no longer used. */
export interface ChunkReads {
  /** The references from the lowest to the highest; undefined if they are so already. */
  readonly order: Uint32Array | undefined;
  /** In that order. */
  readonly parts: readonly ChunkPart[];
  /** Reads bytes of a chunk again, charged and released with the others. */
  readonly readAgain: (segment: number, start: number, length: number) => Promise<Uint8Array>;
  release(): void;
}

/**
 * Reads chunks.
 * @param refs any order; `count` of them used
 * @throws StoreError for a limit; ObjstoreError
 */
export async function readChunks(access: BlockAccess, refs: Float64Array, count: number): Promise<ChunkReads> {
  const { target, io, limits, stats, clock } = access;
  const order = isAscending(refs, count) ? undefined : Uint32Array.from({ length: count }, (_none, i) => i).sort((a, b) => refs[a]! - refs[b]!);
  const refAt = (i: number): number => refs[order === undefined ? i : order[i]!]!;
  const held: Uint8Array[] = [];
  const read = async (segment: number, start: number, length: number): Promise<Uint8Array> => {
    limits.reserveBytes(length, 'while fetching chunks');
    const startMs = clock();
    const bytes = await io.read(segmentKey(target.id, segment), start, length);
    held.push(bytes);
    stats.chunks.fetchMs += clock() - startMs;
    stats.chunks.fetches++;
    stats.chunks.fetchedBytes += bytes.length;
    return bytes;
  };
  const parts: Promise<ChunkPart>[] = [];
  for (let first = 0; first < count;) {
    const segment = chunkRefSegment(refAt(first));
    let last = first + 1;
    while (last < count && chunkRefSegment(refAt(last)) === segment) last++;
    const starts = new Float64Array(last - first);
    const ends = new Float64Array(last - first);
    for (let i = 0; i < starts.length; i++) {
      const start = chunkRefOffset(refAt(first + i));
      const next = first + i + 1 < last ? chunkRefOffset(refAt(first + i + 1)) : Number.POSITIVE_INFINITY;
      starts[i] = start;
      ends[i] = next === start ? start + target.chunkBytes : Math.min(start + target.chunkBytes, next);
    }
    for (const part of planRanges(starts, ends, starts.length)) {
      const from = first;
      parts.push(read(segment, part.start, part.end - part.start).then((bytes) => ({ segment, start: part.start, bytes, first: from + part.first, last: from + part.last })));
    }
    first = last;
  }
  const done = await Promise.all(parts);
  stats.chunks.fetched += count;
  stats.chunks.touched += count;
  return {
    order,
    parts: done,
    readAgain: read,
    release() {
      io.release(held.reduce((sum, bytes) => sum + bytes.length, 0));
      for (const bytes of held) io.reuse(bytes);
      held.length = 0;
    },
  };
}

/** Chunks in the order of their references. Payloads are views of what was read. */
export interface ChunkPayloads {
  /** Encoding byte as in the file. */
  readonly encodings: Uint8Array;
  readonly payloads: readonly Uint8Array[];
}

/**
 * Takes chunks out of what was read, one by one; one that is longer than was guessed is read again.
 * @throws StoreGatewayError ERR_BLOCK_DAMAGED; as {@link readChunks}
 */
export async function chunkPayloads({ target, stats }: BlockAccess, refs: Float64Array, count: number, reads: ChunkReads): Promise<ChunkPayloads> {
  const encodings = new Uint8Array(count);
  const payloads: Uint8Array[] = Array.from({ length: count });
  await Promise.all(reads.parts.map(async ({ segment, start, bytes, first, last }) => {
    for (let i = first; i < last; i++) {
      const at = reads.order === undefined ? i : reads.order[i]!;
      const offset = chunkRefOffset(refs[at]!);
      const found = bytes.subarray(Math.min(offset - start, bytes.length));
      const frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
      let whole = found;
      const isFramed = frameChunk(found, 0, frame);
      if (isFramed && frame.end > found.length) {
        // Longer than guessed, or the segment ends early: asking again tells which.
        stats.chunkRefetches++;
        whole = await reads.readAgain(segment, offset, frame.end);
      }
      payloads[at] = checkChunk(whole, isFramed, frame, target.id, segment, offset);
      encodings[at] = whole[frame.encodingAt]!;
      stats.chunks.touchedBytes += frame.end;
    }
  }));
  return { encodings, payloads };
}

function isAscending(refs: Float64Array, count: number): boolean {
  for (let i = 1; i < count; i++) if (refs[i]! < refs[i - 1]!) return false;
  return true;
}

/** The payload of a chunk that was read whole. */
function checkChunk(bytes: Uint8Array, isFramed: boolean, frame: ChunkFrame, id: string, segment: number, offset: number): Uint8Array {
  const damaged = (what: string): StoreGatewayError => new StoreGatewayError('ERR_BLOCK_DAMAGED', `read chunk of block ${id}: object ${segmentKey(id, segment)}, offset ${offset}: ${what}`);
  if (!isFramed) throw damaged('length is truncated or over-long');
  if (frame.end > bytes.length) throw damaged(`payload of ${frame.payloadBytes} bytes passes the end of the segment`);
  const crcAt = frame.end - 4;
  const wanted = be32(bytes, crcAt);
  const got = crc32c(bytes.subarray(frame.encodingAt, crcAt));
  if (got !== wanted) throw damaged(`invalid checksum ${got.toString(16)}, want ${wanted.toString(16)}`);
  return bytes.subarray(frame.encodingAt + 1, crcAt);
}
