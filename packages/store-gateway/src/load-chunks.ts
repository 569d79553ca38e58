/**
 * Chunks of one block: references → encoding and payload, by few range reads per segment. Each chunk's checksum is checked (Thanos
 * does not): damage is an error that names block, object and offset.
 *
 *   reference = segment · 2^32 + offset of    uvarint length │ encoding │ payload │ CRC-32C of encoding and payload
 */
import { crc32c } from '@gauntlet/bytes';
import { be32, type ChunkFrame, chunkRefOffset, chunkRefSegment, frameChunk } from '@gauntlet/tsdb';
import { type BlockAccess, segmentKey } from './block-access.ts';
import { StoreGatewayError } from './errors.ts';
import { planRanges } from './range-plan.ts';

/** Loaded chunks, in the order asked for. Payloads are views; release when they are no longer used. */
export interface ChunkBytes {
  /** Encoding byte as in the file. */
  readonly encodings: Uint8Array;
  readonly payloads: readonly Uint8Array[];
  release(): void;
}

/**
 * Loads chunks.
 * @param refs any order
 * @param count of them used
 * @throws StoreGatewayError ERR_BLOCK_DAMAGED; StoreError for a limit; ObjstoreError
 */
export async function loadChunks(access: BlockAccess, refs: Float64Array, count: number): Promise<ChunkBytes> {
  const { target, io, limits, stats, clock } = access;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (!isAscending(refs, count)) order.sort((a, b) => refs[a]! - refs[b]!);
  const encodings = new Uint8Array(count);
  const payloads: Uint8Array[] = [];
  let charged = 0;
  const read = async (segment: number, start: number, length: number): Promise<Uint8Array> => {
    limits.reserveBytes(length, 'while fetching chunks');
    const startMs = clock();
    const bytes = await io.read(segmentKey(target.id, segment), start, length);
    charged += bytes.length;
    stats.chunks.fetchMs += clock() - startMs;
    stats.chunks.fetches++;
    stats.chunks.fetchedBytes += bytes.length;
    return bytes;
  };

  const loadSegment = async (segment: number, first: number, last: number): Promise<void> => {
    const starts = new Float64Array(last - first);
    const ends = new Float64Array(last - first);
    for (let i = 0; i < starts.length; i++) {
      const start = chunkRefOffset(refs[order[first + i]!]!);
      const next = first + i + 1 < last ? chunkRefOffset(refs[order[first + i + 1]!]!) : Number.POSITIVE_INFINITY;
      starts[i] = start;
      ends[i] = next === start ? start + target.chunkBytes : Math.min(start + target.chunkBytes, next);
    }
    await Promise.all(planRanges(starts, ends, starts.length).map(async (part) => {
      const bytes = await read(segment, part.start, part.end - part.start);
      stats.chunks.fetched += part.last - part.first;
      for (let i = part.first; i < part.last; i++) {
        const at = order[first + i]!;
        const found = bytes.subarray(Math.min(starts[i]! - part.start, bytes.length));
        const frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
        let whole = found;
        const isFramed = frameChunk(found, 0, frame);
        if (isFramed && frame.end > found.length) {
          // Longer than guessed, or the segment ends early: asking again tells which.
          stats.chunkRefetches++;
          whole = await read(segment, starts[i]!, frame.end);
        }
        payloads[at] = checkChunk(whole, isFramed, frame, target.id, segment, starts[i]!);
        encodings[at] = whole[frame.encodingAt]!;
        stats.chunks.touchedBytes += frame.end;
      }
    }));
  };

  const segments: Promise<void>[] = [];
  for (let first = 0; first < count;) {
    const segment = chunkRefSegment(refs[order[first]!]!);
    let last = first + 1;
    while (last < count && chunkRefSegment(refs[order[last]!]!) === segment) last++;
    segments.push(loadSegment(segment, first, last));
    first = last;
  }
  await Promise.all(segments);
  stats.chunks.touched += count;
  return {
    encodings,
    payloads,
    release() {
      payloads.length = 0;
      io.release(charged);
      charged = 0;
    },
  };
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
