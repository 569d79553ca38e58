/**
 * Merges overlapping XOR chunks a window at a time, where equal timestamps have equal values.
 *
 *   window 1   ├ A ┤├ B ┤ │           chunks in order of their start until there are enough samples; those before the start of the next
 *                 ├── C ──│──┤        chunk (│) are complete: merged, encoded in chunks of 120
 *   window 2              │──┤├ D ┤   what is left of C goes into the next window
 *
 * So memory is bounded by the window and by how many chunks overlap at one time, not by how long the overlap is.
 */
import { CHUNK_SLACK_BYTES, FRAME_WORDS, type Kernels, xorFramesBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type BlockChunk, chunkSampleCount } from '../block/block-writer.ts';
import { TsdbError } from '../errors.ts';
import { KernelRegion } from '../query/load-chunks.ts';

/** Samples of a window, at least; about 1 MiB with what is made of them. */
const WINDOW_SAMPLES = 16_384;
/** Chunks encoded in one call. */
const ENCODED_CHUNKS = 16;

/** Samples that lie side by side in the columns, ascending: of chunks that follow one another. */
interface Lane {
  /** What the last window left, and where it lies in that. */
  readonly leftFrom: number;
  readonly leftTo: number;
  /** Chunks to decode behind that. */
  readonly chunks: BlockChunk[];
  /** Time of the last sample. */
  maxt: number;
  /** Place in this window: [start, end). */
  start: number;
  end: number;
}

/** Room for samples. */
class Room {
  readonly #kernels: Kernels;
  readonly times: KernelRegion;
  readonly values: KernelRegion;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.times = new KernelRegion(kernels);
    this.values = new KernelRegion(kernels);
  }

  /** Contents are lost when it grows, and every view over kernel memory may be void. */
  ensure(samples: number): void {
    this.times.ensure(samples * 8 + 8);
    this.values.ensure(samples * 8 + 8);
  }

  timesOf(samples: number): Float64Array {
    return this.#kernels.memory.f64(this.times.ptr, samples);
  }

  wordsOf(samples: number): Int32Array {
    return this.#kernels.memory.i32(this.values.ptr, samples * 2);
  }

  free(): void {
    this.times.free();
    this.values.free();
  }
}

/** Merges; owns scratch space in kernel memory. */
export class FloatMerger {
  readonly #kernels: Kernels;
  readonly #samplesMax: number;
  readonly #windowSamples: number;
  readonly #poll: (() => void) | undefined;
  readonly #bytes: KernelRegion;
  readonly #encoded: KernelRegion;
  /** Lanes for the kernel that merges; descriptions of what was encoded. */
  readonly #table: KernelRegion;
  readonly #out: Room;
  /** The window, and the one before it. */
  #now: Room;
  #before: Room;
  // Samples that do not fill a chunk yet.
  readonly #restTimes: Float64Array;
  readonly #restWords: Int32Array;
  #rest = 0;

  /**
   * @param samplesMax of a chunk
   * @param poll called once a window; what it throws ends the merge
   */
  constructor(kernels: Kernels, samplesMax: number, poll?: () => void, windowSamples: number = WINDOW_SAMPLES) {
    this.#kernels = kernels;
    this.#samplesMax = samplesMax;
    this.#windowSamples = windowSamples;
    this.#poll = poll;
    this.#bytes = new KernelRegion(kernels);
    this.#encoded = new KernelRegion(kernels);
    this.#table = new KernelRegion(kernels);
    this.#out = new Room(kernels);
    this.#now = new Room(kernels);
    this.#before = new Room(kernels);
    this.#restTimes = new Float64Array(samplesMax);
    this.#restWords = new Int32Array(samplesMax * 2);
  }

  /**
   * Merges XOR chunks of one series.
   * @param name of series and blocks, for messages
   * @returns undefined at a timestamp with different values: then the result depends on the order of the chunks
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_WRITE; KernelError ERR_KERNEL_MEMORY
   */
  merge(chunks: readonly BlockChunk[], name: () => string): BlockChunk[] | undefined {
    const order = chunks.toSorted((a, b) => a.mint - b.mint);
    const merged: BlockChunk[] = [];
    let left: Lane[] = [];
    this.#rest = 0;
    for (let next = 0; next < order.length; ) {
      this.#poll?.();
      // What was left is copied once per window: more of it, a longer window.
      let samples = left.reduce((sum, { leftFrom, leftTo }) => sum + leftTo - leftFrom, 0);
      const enough = Math.max(this.#windowSamples, samples * 2);
      const lanes = left;
      do {
        const chunk = order[next++]!;
        samples += chunkSampleCount(CHUNK_ENCODING.xor, chunk.data);
        const lane = lanes.find(({ maxt }) => maxt < chunk.mint);
        if (lane === undefined) lanes.push({ leftFrom: 0, leftTo: 0, chunks: [chunk], maxt: chunk.maxt, start: 0, end: 0 });
        else {
          lane.chunks.push(chunk);
          lane.maxt = chunk.maxt;
        }
      } while (next < order.length && samples < enough);
      this.#fill(lanes, samples, name);
      // Samples from here on may have company in chunks to come.
      const frontier = next < order.length ? order[next]!.mint : Number.POSITIVE_INFINITY;
      const times = this.#now.timesOf(samples);
      const starts = Int32Array.from(lanes, ({ start }) => start);
      const ends = Int32Array.from(lanes, ({ start, end }) => firstFrom(times, start, end, frontier));
      if (!this.#mergeWindow(starts, ends, samples, merged, name)) return undefined;
      left = [];
      for (const [i, { end, maxt }] of lanes.entries()) if (ends[i]! < end) left.push({ leftFrom: ends[i]!, leftTo: end, chunks: [], maxt, start: 0, end: 0 });
      [this.#now, this.#before] = [this.#before, this.#now];
    }
    if (this.#rest > 0) {
      this.#out.ensure(this.#rest);
      this.#out.timesOf(this.#rest).set(this.#restTimes.subarray(0, this.#rest));
      this.#out.wordsOf(this.#rest).set(this.#restWords.subarray(0, this.#rest * 2));
      this.#encode(0, this.#rest, merged, name);
    }
    return merged;
  }

  free(): void {
    for (const one of [this.#bytes, this.#encoded, this.#table, this.#out, this.#now, this.#before]) one.free();
  }

  /** Brings the samples of the lanes into the window, side by side. */
  #fill(lanes: readonly Lane[], samples: number, name: () => string): void {
    const { memory } = this.#kernels;
    let bytes = 0;
    for (const { chunks } of lanes) for (const { data } of chunks) bytes = Math.max(bytes, data.length);
    const bytesPtr = this.#bytes.ensure(bytes + CHUNK_SLACK_BYTES);
    this.#now.ensure(samples);
    this.#out.ensure(samples + this.#samplesMax);
    this.#encoded.ensure(xorFramesBytesMax(ENCODED_CHUNKS * this.#samplesMax, this.#samplesMax));
    this.#table.ensure(Math.max(ENCODED_CHUNKS * FRAME_WORDS * 4, lanes.length * 8));
    const times = this.#now.timesOf(samples);
    const words = this.#now.wordsOf(samples);
    const leftEnd = lanes.reduce((end, { leftTo }) => Math.max(end, leftTo), 0);
    const leftTimes = this.#before.timesOf(leftEnd);
    const leftWords = this.#before.wordsOf(leftEnd);
    let at = 0;
    for (const lane of lanes) {
      lane.start = at;
      times.set(leftTimes.subarray(lane.leftFrom, lane.leftTo), at);
      words.set(leftWords.subarray(lane.leftFrom * 2, lane.leftTo * 2), at * 2);
      at += lane.leftTo - lane.leftFrom;
      for (const { data, mint, maxt } of lane.chunks) {
        memory.u8(bytesPtr, data.length).set(data);
        const count = chunkSampleCount(CHUNK_ENCODING.xor, data);
        const decoded = this.#kernels.decodeXor(bytesPtr, data.length, this.#now.times.ptr + at * 8, this.#now.values.ptr + at * 8, count);
        if (decoded !== count || count === 0) throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${name()}: chunk from ${mint} to ${maxt}: XOR data is damaged although its checksum is right`);
        if (times[at] !== mint || times[at + count - 1] !== maxt) {
          throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${name()}: chunk from ${mint} to ${maxt} has samples from ${times[at]} to ${times[at + count - 1]}`);
        }
        at += count;
      }
      lane.end = at;
    }
  }

  /** Merges the window and writes the chunks that are full. @returns false at a timestamp with different values */
  #mergeWindow(starts: Int32Array, ends: Int32Array, samples: number, merged: BlockChunk[], name: () => string): boolean {
    const { memory } = this.#kernels;
    const table = this.#table.ptr;
    const outTimes = this.#out.timesOf(samples + this.#samplesMax);
    const outWords = this.#out.wordsOf(samples + this.#samplesMax);
    const rest = this.#rest;
    outTimes.set(this.#restTimes.subarray(0, rest));
    outWords.set(this.#restWords.subarray(0, rest * 2));
    const lanes = memory.i32(table, starts.length * 2);
    for (let i = 0; i < starts.length; i++) {
      lanes[i * 2] = starts[i]!;
      lanes[i * 2 + 1] = ends[i]!;
    }
    const count = this.#kernels.mergeColumns(this.#now.times.ptr, this.#now.values.ptr, table, starts.length, this.#out.times.ptr + rest * 8, this.#out.values.ptr + rest * 8);
    if (count < 0) return false;
    const end = rest + count;
    const from = end - (end % this.#samplesMax);
    this.#encode(0, from, merged, name);
    this.#restTimes.set(outTimes.subarray(from, end));
    this.#restWords.set(outWords.subarray(from * 2, end * 2));
    this.#rest = end - from;
    return true;
  }

  /** Encodes the samples [from, to) of the merged columns, the last chunk of what is left. */
  #encode(from: number, to: number, merged: BlockChunk[], name: () => string): void {
    const { memory } = this.#kernels;
    const samplesMax = this.#samplesMax;
    const [encoded, table] = [this.#encoded.ptr, this.#table.ptr];
    const times = this.#out.timesOf(to);
    const step = ENCODED_CHUNKS * samplesMax;
    for (; from < to; from += step) {
      const count = Math.min(step, to - from);
      const made = this.#kernels.encodeXorFrames(this.#out.times.ptr + from * 8, this.#out.values.ptr + from * 8, count, samplesMax, encoded, xorFramesBytesMax(count, samplesMax), table);
      if (made < 0) throw new TsdbError('ERR_CHUNK_WRITE', `merge ${name()}: encoder answered ${made} for ${count} samples from ${times[from]}`);
      const words = memory.i32(table, made * FRAME_WORDS);
      const last = (made - 1) * FRAME_WORDS;
      const piece = memory.u8(encoded, (words[last + 1]! >>> 0) + words[last + 2]! + 4 - encoded).slice();
      for (let i = 0; i < made; i++) {
        const at = (words[i * FRAME_WORDS]! >>> 0) - encoded;
        const payloadAt = (words[i * FRAME_WORDS + 1]! >>> 0) - encoded;
        const end = payloadAt + words[i * FRAME_WORDS + 2]!;
        const mint = times[from + i * samplesMax]!;
        const maxt = times[Math.min(from + (i + 1) * samplesMax, to) - 1]!;
        merged.push({ mint, maxt, encoding: CHUNK_ENCODING.xor, data: piece.subarray(payloadAt, end), frame: piece.subarray(at, end + 4) });
      }
    }
  }
}

/** First sample of [start, end) whose time is `time` or later. */
function firstFrom(times: Float64Array, start: number, end: number, time: number): number {
  let [low, high] = [start, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
