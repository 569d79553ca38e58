/**
 * The chunks of one series from several blocks, as one sequence: what `ChunkMerger` (merge-chunks.ts) does, for the case nearly all series are, and
 * in kernel memory from the bytes that were read to the bytes that are written.
 *
 *   block 0   ├─A─┤├─B─┤├─C─┤      ├─E─┤           chunks that overlap, found as there, become a group:
 *   block 1      ├─a─┤  ├─c─┤         ├─F─┤        A B a │ C c
 *
 *   A, B into one column, a into the next ─► merged by timestamp ─► chunks of 120 with length and checksum        three calls of kernels
 *
 * It gives up, having changed nothing, where that is not so: chunks other than XOR overlap, values differ at a timestamp, very many samples
 * overlap.
 */
import { CHUNK_SLACK_BYTES, FRAME_WORDS, type Kernels, xorFramesBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type ChunkFrames, KernelViews } from '../chunks/chunk-frames.ts';
import { KernelRegion } from '../query/load-chunks.ts';

/** Samples of a group, at most; 1 MiB with what is made of them. A longer one is merged a window at a time. */
const GROUP_SAMPLES_MAX = 16_384;
/** Blocks that take part in a group, at most: they are looked at one by one for every sample. */
const GROUP_PARTS_MAX = 8;
/** Room for what is encoded: pieces of this size, and so many in all. */
const ENCODED_BYTES = 256 * 1024;
const ENCODED_PIECES_MAX = 16;
/** Merged samples between two polls. */
const POLL_SAMPLES = 8192;

/** Merges; owns scratch space in kernel memory, a few MiB at most. */
export class FrameMerger {
  readonly #kernels: Kernels;
  readonly #views: KernelViews;
  readonly #samplesMax: number;
  readonly #poll: () => void;
  #unpolled = 0;
  /** By part: the next chunk, and the first one of the group. */
  #next: Int32Array = new Int32Array(8);
  #groupFrom: Int32Array = new Int32Array(8);
  /** Descriptors of chunks, lanes, and descriptions of what was encoded. */
  readonly #table: KernelRegion;
  /** Times and values of a group, then times and values merged. */
  readonly #columns: KernelRegion;
  readonly #encoded: KernelRegion[] = [];
  /** Pieces in use, and bytes of the last of them. */
  #pieces = 0;
  #pieceBytes = 0;

  /**
   * @param samplesMax of a chunk that is written anew
   * @param poll called now and then within a long merge; what it throws ends it
   */
  constructor(kernels: Kernels, samplesMax: number, poll: () => void) {
    this.#kernels = kernels;
    this.#views = new KernelViews(kernels);
    this.#samplesMax = samplesMax;
    this.#poll = poll;
    this.#table = new KernelRegion(kernels);
    this.#columns = new KernelRegion(kernels);
  }

  /**
   * Merges what several blocks have of a series.
   * @param parts each in order and apart, with one chunk or more
   * @param out replaced by chunks in order and apart: frames of the parts, and others that stay until the next call
   * @returns false where it gives up; `out` then says nothing
   */
  merge(parts: readonly ChunkFrames[], out: ChunkFrames): boolean {
    if (this.#next.length < parts.length) [this.#next, this.#groupFrom] = [new Int32Array(parts.length * 2), new Int32Array(parts.length * 2)];
    const next = this.#next;
    const groupFrom = this.#groupFrom;
    for (let p = 0; p < parts.length; p++) next[p] = 0;
    out.count = 0;
    this.#pieces = 0;
    for (;;) {
      const first = this.#earliest(parts, Number.POSITIVE_INFINITY);
      if (first < 0) return true;
      if (this.#takeAlone(parts, first, out)) continue;
      for (let p = 0; p < parts.length; p++) groupFrom[p] = next[p]!;
      let part = first;
      let end = parts[first]!.maxt[next[first]!]!;
      let isOverlap = false;
      for (;;) {
        const before = parts[part]!;
        const at = next[part]!++;
        part = this.#earliest(parts, end);
        if (part < 0) break;
        const chunk = next[part]!;
        // The same chunk in several blocks counts once.
        if (!isOverlap && this.#isSame(before, at, parts[part]!, chunk)) continue;
        isOverlap = true;
        if (parts[part]!.maxt[chunk]! > end) end = parts[part]!.maxt[chunk]!;
      }
      if (!isOverlap) out.pushFrom(parts[first]!, groupFrom[first]!);
      else if (!this.#mergeGroup(parts, out)) return false;
    }
  }

  free(): void {
    for (const one of [this.#table, this.#columns, ...this.#encoded]) one.free();
  }

  /** The part whose next chunk begins first, and ends first among those; −1 when none begins at `latest` or before. */
  #earliest(parts: readonly ChunkFrames[], latest: number): number {
    let found = -1;
    let mint = latest;
    let maxt = Number.POSITIVE_INFINITY;
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!;
      const at = this.#next[p]!;
      if (at >= part.count || !(part.mint[at]! <= mint) || (part.mint[at] === mint && found >= 0 && part.maxt[at]! >= maxt)) continue;
      found = p;
      mint = part.mint[at]!;
      maxt = part.maxt[at]!;
    }
    return found;
  }

  /** Takes the chunks of a part that end before any other part has one. @returns whether there are such */
  #takeAlone(parts: readonly ChunkFrames[], taken: number, out: ChunkFrames): boolean {
    let limit = Number.POSITIVE_INFINITY;
    for (let p = 0; p < parts.length; p++) {
      const at = this.#next[p]!;
      if (p !== taken && at < parts[p]!.count && parts[p]!.mint[at]! < limit) limit = parts[p]!.mint[at]!;
    }
    const part = parts[taken]!;
    const from = this.#next[taken]!;
    let at = from;
    for (; at < part.count && part.maxt[at]! < limit; at++) out.pushFrom(part, at);
    this.#next[taken] = at;
    return at > from;
  }

  #isSame(a: ChunkFrames, i: number, b: ChunkFrames, j: number): boolean {
    if (a.mint[i] !== b.mint[j] || a.maxt[i] !== b.maxt[j] || a.payloadBytes[i] !== b.payloadBytes[j]) return false;
    const views = this.#views;
    views.renew();
    // Payloads are equal when all is, encoding and checksum included.
    const length = a.endOf(i) - a.at[i]!;
    for (let k = 0, [left, right] = [a.at[i]!, b.at[j]!]; k < length; k++) if (views.bytes[left + k] !== views.bytes[right + k]) return false;
    return true;
  }

  /** Decodes the chunks [#groupFrom, #next) of all parts, merges, encodes. */
  #mergeGroup(parts: readonly ChunkFrames[], out: ChunkFrames): boolean {
    const [next, groupFrom, samplesMax] = [this.#next, this.#groupFrom, this.#samplesMax];
    let samples = 0;
    let chunks = 0;
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!;
      for (let i = groupFrom[p]!; i < next[p]!; i++, chunks++) {
        if (part.encoding[i] !== CHUNK_ENCODING.xor || part.samples[i] === 0) return false;
        samples += part.samples[i]!;
      }
    }
    if (samples > GROUP_SAMPLES_MAX) return false;
    this.#unpolled += samples;
    if (this.#unpolled > POLL_SAMPLES) {
      this.#unpolled = 0;
      this.#poll();
    }
    const encodedMax = Math.ceil(samples / samplesMax);
    const lanesPtr = this.#table.ensure(GROUP_PARTS_MAX * 8 + chunks * 8 + encodedMax * FRAME_WORDS * 4);
    const chunksPtr = lanesPtr + GROUP_PARTS_MAX * 8;
    const encodedPtr = chunksPtr + chunks * 8;
    const timesPtr = this.#columns.ensure(samples * 32);
    const [valuesPtr, outTimesPtr, outValuesPtr] = [timesPtr + samples * 8, timesPtr + samples * 16, timesPtr + samples * 24];
    const bytesMax = xorFramesBytesMax(samples, samplesMax);
    const framesPtr = this.#reserveEncoded(bytesMax);
    if (framesPtr === 0) return false;

    const views = this.#views;
    views.renew();
    const { words, doubles } = views;
    let lanes = 0;
    let word = chunksPtr >>> 2;
    for (let p = 0, at = 0; p < parts.length; p++) {
      const part = parts[p]!;
      if (groupFrom[p] === next[p]) continue;
      if (lanes === GROUP_PARTS_MAX) return false;
      words[(lanesPtr >>> 2) + lanes * 2] = at;
      for (let i = groupFrom[p]!; i < next[p]!; i++) {
        words[word++] = part.payloadAt[i]!;
        words[word++] = part.payloadBytes[i]!;
        at += part.samples[i]!;
      }
      words[(lanesPtr >>> 2) + lanes * 2 + 1] = at;
      lanes++;
    }
    if (this.#kernels.decodeXorChunks(chunksPtr, chunks, timesPtr, valuesPtr, samples) !== samples) return false;
    // Where a chunk is not what its entry says, the other way of merging says how.
    for (let p = 0, at = timesPtr >>> 3; p < parts.length; p++) {
      const part = parts[p]!;
      for (let i = groupFrom[p]!; i < next[p]!; i++) {
        if (doubles[at] !== part.mint[i]) return false;
        at += part.samples[i]!;
        if (doubles[at - 1] !== part.maxt[i]) return false;
      }
    }
    const count = this.#kernels.mergeColumns(timesPtr, valuesPtr, lanesPtr, lanes, outTimesPtr, outValuesPtr);
    if (count < 0) return false;
    const made = this.#kernels.encodeXorFrames(outTimesPtr, outValuesPtr, count, samplesMax, framesPtr, bytesMax, encodedPtr);
    if (made < 0) return false;
    word = encodedPtr >>> 2;
    for (let from = 0, time = outTimesPtr >>> 3; from < count; from += samplesMax, word += FRAME_WORDS) {
      const size = Math.min(samplesMax, count - from);
      out.push(doubles[time + from]!, doubles[time + from + size - 1]!, size, words, word);
    }
    this.#pieceBytes += out.endOf(out.count - 1) - framesPtr;
    return true;
  }

  /** Room behind what was encoded of the series before, or in a further piece. @returns 0 when there are too many */
  #reserveEncoded(bytes: number): number {
    if (this.#pieces > 0 && this.#pieceBytes + bytes <= ENCODED_BYTES) return this.#encoded[this.#pieces - 1]!.ptr + this.#pieceBytes;
    if (this.#pieces === ENCODED_PIECES_MAX) return 0;
    if (this.#pieces === this.#encoded.length) this.#encoded.push(new KernelRegion(this.#kernels));
    this.#pieceBytes = 0;
    // Less than a piece only where a group needs more than that.
    return this.#encoded[this.#pieces++]!.ensure(Math.max(bytes, ENCODED_BYTES) + CHUNK_SLACK_BYTES);
  }
}
