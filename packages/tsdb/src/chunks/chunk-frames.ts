/**
 * Chunks as they lie in a segment file, whole frames in kernel memory, as columns: what is copied from block to block, or was just encoded, without
 * an object or a view per chunk.
 *
 *   frame   uvarint payload length │ encoding │ payload │ CRC-32C          address `at`, `payloadAt` behind the encoding
 */
import { grownColumn } from '@gauntlet/bytes';
import { FRAME_WORDS, type Kernels } from '@gauntlet/kernels';

/** Bytes of a checksum, behind the payload. */
const CRC_BYTES = 4;

/** Views of all of a kernel memory, which addresses index. To be renewed after whatever may have allocated there. */
export class KernelViews {
  readonly #kernels: Kernels;
  bytes: Uint8Array = new Uint8Array(0);
  words: Int32Array = new Int32Array(0);
  doubles: Float64Array = new Float64Array(0);

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.renew();
  }

  renew(): void {
    const { buffer } = this.#kernels.memory;
    if (this.bytes.buffer === buffer) return;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
  }
}

/** Chunks of one series. Columns are reused, and may be longer than `count` says; the owner of the frames says how long these stay. */
export class ChunkFrames {
  count = 0;
  /** First and last timestamp of a chunk, ms, both inclusive. */
  mint: Float64Array = new Float64Array(16);
  maxt: Float64Array = new Float64Array(16);
  /** Out: where the chunks were written. */
  refs: Float64Array = new Float64Array(16);
  /** Addresses of frames and of payloads. */
  at: Uint32Array = new Uint32Array(16);
  payloadAt: Uint32Array = new Uint32Array(16);
  payloadBytes: Uint32Array = new Uint32Array(16);
  encoding: Uint8Array = new Uint8Array(16);
  samples: Uint32Array = new Uint32Array(16);

  /** Makes room for so many chunks; contents stay. */
  reserve(count: number): void {
    if (count <= this.mint.length) return;
    const room = Math.max(count, this.mint.length * 2);
    for (const key of ['mint', 'maxt', 'refs'] as const) this[key] = grownColumn(this[key], room);
    for (const key of ['at', 'payloadAt', 'payloadBytes', 'samples'] as const) this[key] = grownColumn(this[key], room);
    this.encoding = grownColumn(this.encoding, room);
  }

  /** Address behind the frame of a chunk. */
  endOf(i: number): number {
    return this.payloadAt[i]! + this.payloadBytes[i]! + CRC_BYTES;
  }

  /** Adds a chunk that a kernel has described. @param word where the description is, in `words` */
  push(mint: number, maxt: number, samples: number, words: Int32Array, word: number): void {
    const i = this.count++;
    if (i === this.mint.length) this.reserve(i + 1);
    this.mint[i] = mint;
    this.maxt[i] = maxt;
    this.samples[i] = samples;
    this.at[i] = words[word]!;
    this.payloadAt[i] = words[word + 1]!;
    this.payloadBytes[i] = words[word + 2]!;
    this.encoding[i] = words[word + FRAME_WORDS - 1]!;
  }

  /** Adds a chunk of other frames. */
  pushFrom(other: ChunkFrames, from: number): void {
    const i = this.count++;
    if (i === this.mint.length) this.reserve(i + 1);
    this.mint[i] = other.mint[from]!;
    this.maxt[i] = other.maxt[from]!;
    this.samples[i] = other.samples[from]!;
    this.at[i] = other.at[from]!;
    this.payloadAt[i] = other.payloadAt[from]!;
    this.payloadBytes[i] = other.payloadBytes[from]!;
    this.encoding[i] = other.encoding[from]!;
  }
}
