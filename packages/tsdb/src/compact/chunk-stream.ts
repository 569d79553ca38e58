/**
 * Reads the chunks of a block series after series, ahead of need.
 *
 *   segment   ├──────── window, read in one piece ────────┤
 *                │ chunks of the series asked for │ next series …
 *
 * A block's chunks lie in the order of its series, so a window mostly serves many of them. It is kernel memory: there a kernel finds and checks
 * the chunks of a series in one call, and from there they are merged or copied.
 */
import { uvarintBytes } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, FRAME_WORDS, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { type BlockChunk, chunkSampleCount } from '../block/block-writer.ts';
import { type ChunkFrames, KernelViews } from '../chunks/chunk-frames.ts';
import { type ChunkFrame, frameChunk } from '../chunks/chunk-reader.ts';
import { chunkCorrupt, chunkRefOffset, chunkRefSegment } from '../chunks/layout.ts';
import { be32 } from '../index-file/layout.ts';
import type { SeriesEntry } from '../index-file/series-entry.ts';
import { KernelRegion } from '../query/load-chunks.ts';

/** First guess of the length of a series' last chunk with its frame: float chunks end near 1 KiB. */
export const TAIL_BYTES = 1100;
const SEGMENT_STEP = 4294967296;

/** The chunks of one block. */
export class ChunkStream {
  readonly #block: Block;
  readonly #kernels: Kernels;
  readonly #views: KernelViews;
  readonly #aheadBytes: number;
  readonly #window: KernelRegion;
  /** References for the kernel, and behind them what it says about the chunks. */
  readonly #table: KernelRegion;
  readonly #frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
  /** What the window holds: bytes [#from, #to) of a segment. */
  #segment = -1;
  #from = 0;
  #to = 0;
  #tailBytes: number = TAIL_BYTES;

  /** @param aheadBytes length of a read; a window is longer only when one series needs it */
  constructor(block: Block, kernels: Kernels, aheadBytes: number) {
    this.#block = block;
    this.#kernels = kernels;
    this.#views = new KernelViews(kernels);
    this.#aheadBytes = aheadBytes;
    this.#window = new KernelRegion(kernels);
    this.#table = new KernelRegion(kernels);
  }

  /**
   * Brings the chunks [0, entry.chunkCount) of a series into kernel memory, checksums verified.
   * @param out replaced by the chunks; the frames stay until the next call of anything here
   * @returns false, and then `out` says nothing, where they do not lie in one piece as they would be written: `load` takes them
   * @throws TsdbError ERR_CHUNK_CORRUPT naming block, segment and offset
   */
  loadFrames(entry: SeriesEntry, out: ChunkFrames): boolean {
    const { chunkCount } = entry;
    out.count = 0;
    if (chunkCount === 0) return true;
    if (runLength(entry) < chunkCount) return false;
    const framesPtr = this.#check(entry, chunkCount);
    out.reserve(chunkCount);
    this.#views.renew();
    const { bytes, words } = this.#views;
    for (let i = 0, word = framesPtr >>> 2; i < chunkCount; i++, word += FRAME_WORDS) {
      const at = words[word]! >>> 0;
      const payloadAt = words[word + 1]! >>> 0;
      const payloadBytes = words[word + 2]! >>> 0;
      const encoding = words[word + 3]!;
      // A length written with more bytes than it needs is not copied.
      if (payloadAt - at - 1 !== (payloadBytes < 0x80 ? 1 : payloadBytes < 0x4000 ? 2 : uvarintBytes(payloadBytes))) return false;
      const isXor = encoding === CHUNK_ENCODING.xor && payloadBytes >= 2;
      const samples = isXor ? (bytes[payloadAt]! << 8) | bytes[payloadAt + 1]! : chunkSampleCount(encoding, bytes.subarray(payloadAt, payloadAt + payloadBytes));
      out.push(entry.mint[i]!, entry.maxt[i]!, samples, words, word);
    }
    return true;
  }

  /**
   * As `loadFrames`, into memory of their own, wherever they lie.
   * @param out replaced by the chunks
   */
  load(entry: SeriesEntry, out: BlockChunk[]): void {
    out.length = 0;
    const { refs, chunkCount } = entry;
    if (chunkCount === 0) return;
    const run = runLength(entry);
    let word = this.#check(entry, run) >>> 2;
    this.#views.renew();
    const { words } = this.#views;
    const base = words[word]! >>> 0;
    const last = word + (run - 1) * FRAME_WORDS;
    const piece = this.#kernels.memory.u8(base, (words[last + 1]! >>> 0) + (words[last + 2]! >>> 0) + 4 - base).slice();
    for (let i = 0; i < run; i++, word += FRAME_WORDS) {
      const at = (words[word]! >>> 0) - base;
      const payloadAt = (words[word + 1]! >>> 0) - base;
      const payloadBytes = words[word + 2]! >>> 0;
      const end = payloadAt + payloadBytes;
      out.push({
        mint: entry.mint[i]!,
        maxt: entry.maxt[i]!,
        encoding: words[word + 3]!,
        data: piece.subarray(payloadAt, end),
        // A length written with more bytes than it needs is not copied.
        frame: payloadAt - at - 1 === uvarintBytes(payloadBytes) ? piece.subarray(at, end + 4) : undefined,
      });
    }
    // Beyond a segment's end, or in a foreign order: one by one.
    for (let i = run; i < chunkCount; i++) out.push({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...this.#block.chunks.readChunk(refs[i]!) });
  }

  /** Lets go of kernel memory. */
  free(): void {
    this.#window.free();
    this.#table.free();
  }

  /** Has the first `run` chunks in the window, checked. @returns address of FRAME_WORDS words about each */
  #check({ refs }: SeriesEntry, run: number): number {
    const segment = chunkRefSegment(refs[0]!);
    const refsPtr = this.#table.ensure(run * (8 + FRAME_WORDS * 4));
    const framesPtr = refsPtr + run * 8;
    for (let end = chunkRefOffset(refs[run - 1]!) + this.#tailBytes; ; ) {
      this.#fill(segment, chunkRefOffset(refs[0]!), end);
      this.#views.renew();
      const { doubles } = this.#views;
      for (let i = 0; i < run; i++) doubles[(refsPtr >>> 3) + i] = refs[i]!;
      const sound = this.#kernels.checkChunkFrames(this.#window.ptr, this.#to - this.#from, segment * SEGMENT_STEP + this.#from, refsPtr, run, framesPtr);
      if (sound === run) return framesPtr;
      end = this.#endNeeded(segment, chunkRefOffset(refs[sound]!));
    }
  }

  /** Makes the window hold [from, to) of a segment, as far as there is a segment. */
  #fill(segment: number, from: number, to: number): void {
    const { chunks } = this.#block;
    const segmentBytes = chunks.segmentBytes(segment);
    if (segment === this.#segment && from >= this.#from && Math.min(to, segmentBytes) <= this.#to) return;
    if (from >= segmentBytes) throw chunkCorrupt(chunks.name, segment, from, `segment ends at ${segmentBytes}`);
    const length = Math.min(Math.max(this.#aheadBytes, to - from), segmentBytes - from);
    const ptr = this.#window.ensure(length + CHUNK_SLACK_BYTES);
    this.#segment = -1;
    const got = chunks.read(segment, this.#kernels.memory.u8(ptr, length), from);
    if (got < length) throw chunkCorrupt(chunks.name, segment, from + got, 'segment got shorter');
    this.#segment = segment;
    this.#from = from;
    this.#to = from + length;
  }

  /** Up to where the window has to hold a chunk that the kernel did not take. @throws TsdbError ERR_CHUNK_CORRUPT when that is not what it lacks */
  #endNeeded(segment: number, offset: number): number {
    const { name } = this.#block.chunks;
    const frame = this.#frame;
    const window = this.#kernels.memory.u8(this.#window.ptr, this.#to - this.#from);
    const segmentBytes = this.#block.chunks.segmentBytes(segment);
    const at = offset - this.#from;
    // The place of the chunk lies in the window; its length may be cut by the end of that.
    if (!frameChunk(window, at, frame)) throw chunkCorrupt(name, segment, offset, 'length is truncated or over-long');
    if (this.#from + frame.end > segmentBytes) throw chunkCorrupt(name, segment, offset, `payload of ${frame.payloadBytes} bytes passes the end of the segment (${segmentBytes} bytes)`);
    if (frame.end > window.length) {
      this.#tailBytes = Math.max(this.#tailBytes, frame.end - at);
      return this.#from + frame.end;
    }
    const crcAt = frame.end - 4;
    const got = this.#kernels.crc32c(this.#window.ptr + frame.encodingAt, frame.payloadBytes + 1, 0) >>> 0;
    throw chunkCorrupt(name, segment, offset, `invalid checksum ${got.toString(16)}, want ${be32(window, crcAt).toString(16)}`);
  }
}

/** Chunks from the first on that lie in one segment, one behind the other. */
function runLength({ refs, chunkCount }: SeriesEntry): number {
  const segmentEnd = (chunkRefSegment(refs[0]!) + 1) * SEGMENT_STEP;
  let run = 1;
  while (run < chunkCount && refs[run]! > refs[run - 1]! && refs[run]! < segmentEnd) run++;
  return run;
}
