/**
 * Reads the chunks of a block series after series, ahead of need.
 *
 *   segment   ├──────── window, read in one piece ────────┤
 *                │ chunks of the series asked for │ next series …
 *
 * A block's chunks lie in the order of its series, so a window mostly serves many of them. The window is ordinary memory, which stays
 * where it is whatever kernels allocate; a copy in kernel memory is what checksums are computed over.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Block } from '../block/block-reader.ts';
import type { BlockChunk } from '../block/block-writer.ts';
import { type ChunkFrame, frameChunk } from '../chunks/chunk-reader.ts';
import { chunkCorrupt, chunkRefOffset, chunkRefSegment } from '../chunks/layout.ts';
import { uvarintBytes } from '@gauntlet/bytes';
import { be32 } from '../index-file/layout.ts';
import type { SeriesEntry } from '../index-file/series-entry.ts';
import { KernelRegion } from '../query/load-chunks.ts';

/** First guess of the length of a series' last chunk with its frame: float chunks end near 1 KiB. */
export const TAIL_BYTES = 1100;

/** The chunks of one block. */
export class ChunkStream {
  readonly #block: Block;
  readonly #kernels: Kernels;
  readonly #aheadBytes: number;
  readonly #mirror: KernelRegion;
  readonly #frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** What the window holds: bytes [#from, #to) of a segment. */
  #segment = -1;
  #from = 0;
  #to = 0;
  #tailBytes: number = TAIL_BYTES;

  /** @param aheadBytes length of a read; a window is longer only when one series needs it */
  constructor(block: Block, kernels: Kernels, aheadBytes: number) {
    this.#block = block;
    this.#kernels = kernels;
    this.#aheadBytes = aheadBytes;
    this.#mirror = new KernelRegion(kernels);
  }

  /**
   * Brings the chunks [0, entry.chunkCount) of a series into memory, checksums verified.
   * @param out replaced by the chunks, which stay valid until the next call
   * @throws TsdbError ERR_CHUNK_CORRUPT naming block, segment and offset
   */
  load(entry: SeriesEntry, out: BlockChunk[]): void {
    out.length = 0;
    const { refs, chunkCount } = entry;
    if (chunkCount === 0) return;
    const segment = chunkRefSegment(refs[0]!);
    let run = 1;
    while (run < chunkCount && refs[run]! > refs[run - 1]! && chunkRefSegment(refs[run]!) === segment) run++;
    let end = chunkRefOffset(refs[run - 1]!) + this.#tailBytes;
    while (out.length < run) {
      this.#fill(segment, chunkRefOffset(refs[0]!), end);
      end = this.#frameRun(entry, run, out);
    }
    // Beyond a segment's end, or in a foreign order: one by one.
    for (let i = run; i < chunkCount; i++) out.push({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...this.#block.chunks.readChunk(refs[i]!) });
  }

  /** Lets go of kernel memory. */
  free(): void {
    this.#mirror.free();
  }

  /** Makes the window hold [from, to) of a segment, as far as there is a segment. */
  #fill(segment: number, from: number, to: number): void {
    const { chunks } = this.#block;
    const segmentBytes = chunks.segmentBytes(segment);
    if (segment === this.#segment && from >= this.#from && Math.min(to, segmentBytes) <= this.#to) return;
    if (from >= segmentBytes) throw chunkCorrupt(chunks.name, segment, from, `segment ends at ${segmentBytes}`);
    const length = Math.min(Math.max(this.#aheadBytes, to - from), segmentBytes - from);
    if (this.#window.length < length) this.#window = new Uint8Array(length);
    const view = this.#window.subarray(0, length);
    this.#segment = -1;
    const got = chunks.read(segment, view, from);
    if (got < length) throw chunkCorrupt(chunks.name, segment, from + got, 'segment got shorter');
    const ptr = this.#mirror.ensure(length);
    this.#kernels.memory.u8(ptr, length).set(view);
    this.#segment = segment;
    this.#from = from;
    this.#to = from + length;
  }

  /** Takes the first `run` chunks out of the window. @returns the end needed when the window is too short, and then `out` is empty */
  #frameRun(entry: SeriesEntry, run: number, out: BlockChunk[]): number {
    const frame = this.#frame;
    const name = this.#block.chunks.name;
    const window = this.#window;
    const segment = this.#segment;
    const segmentBytes = this.#block.chunks.segmentBytes(segment);
    for (let i = 0; i < run; i++) {
      const offset = chunkRefOffset(entry.refs[i]!);
      const at = offset - this.#from;
      const held = this.#to - this.#from;
      if (!frameChunk(window, at, frame)) throw chunkCorrupt(name, segment, offset, 'length is truncated or over-long');
      if (this.#from + frame.end > segmentBytes) throw chunkCorrupt(name, segment, offset, `payload of ${frame.payloadBytes} bytes passes the end of the segment (${segmentBytes} bytes)`);
      if (frame.end > held) {
        out.length = 0;
        this.#tailBytes = Math.max(this.#tailBytes, frame.end - at);
        return this.#from + frame.end;
      }
      const crcAt = frame.end - 4;
      const got = this.#kernels.crc32c(this.#mirror.ptr + frame.encodingAt, frame.payloadBytes + 1, 0) >>> 0;
      const want = be32(window, crcAt);
      if (got !== want) throw chunkCorrupt(name, segment, offset, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
      out.push({
        mint: entry.mint[i]!,
        maxt: entry.maxt[i]!,
        encoding: window[frame.encodingAt]!,
        data: window.subarray(frame.encodingAt + 1, crcAt),
        // A length written with more bytes than it needs is not copied.
        frame: frame.encodingAt - at === uvarintBytes(frame.payloadBytes) ? window.subarray(at, frame.end) : undefined,
      });
    }
    return 0;
  }
}
