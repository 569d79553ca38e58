/**
 * Compares what a compacted block has of a series with what its inputs have of it.
 *
 *   1  a chunk that no other input overlaps, and the output has byte for byte                               proven
 *   2  chunks that overlap, or the output cut in another way: all decoded into columns                      every input's timestamps are found in
 *        input 0   10    20    30                                                                           the output's, every output sample has
 *        input 1      15    20                                                                              a timestamp, and the value, of an input
 *        output    10 15 20    30
 *   3  what the columns cannot say (histograms, XOR2) or do not agree in: sample by sample, as texts        names the difference
 *
 * Of the columns, those of every 256th comparison are decoded by other kernels too; texts come from these alone.
 */
import { wordsToHex } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { chunkSampleCount } from '../block/block-writer.ts';
import { overlapsIntervals } from '../block/tombstones.ts';
import { decodeHistogramChunk, type HistogramColumns, isHistogramEncoding, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { KernelViews } from '../chunks/chunk-frames.ts';
import type { TsdbError } from '../errors.ts';
import { KernelRegion } from '../query/load-chunks.ts';
import type { SeriesWalk } from './verify-series.ts';

/** Makes the error for a difference. */
export type Mismatch = (what: string) => TsdbError;

/** One of so many comparisons is decoded by the other kernels too. */
const OTHER_KERNELS_EVERY = 256;

/** Chunks [from, end) of a series in one block. */
interface ChunkRange {
  readonly walk: SeriesWalk;
  from: number;
  end: number;
}

/** Compares series; owns scratch space in kernel memory. */
export class SampleComparer {
  readonly #kernels: Kernels;
  readonly #others: Kernels;
  readonly #mint: number;
  readonly #maxt: number;
  readonly #views: KernelViews;
  #data: DataView = new DataView(new ArrayBuffer(0));
  /** Descriptors of chunks, then where each input's samples are in the columns; samples: times, then values. */
  readonly #table: KernelRegion;
  readonly #columns: KernelRegion;
  /** A chunk and its samples, for the other kernels. */
  readonly #other: KernelRegion;
  /** Chunks that share time, by part; all before are compared. */
  readonly #ranges: ChunkRange[] = [];
  #compared = 0;

  /**
   * @param others of another implementation
   * @param mint, maxt range of the samples that count, both inclusive
   */
  constructor(kernels: Kernels, others: Kernels, mint: number, maxt: number) {
    this.#kernels = kernels;
    this.#others = others;
    this.#mint = mint;
    this.#maxt = maxt;
    this.#views = new KernelViews(kernels);
    this.#table = new KernelRegion(kernels);
    this.#columns = new KernelRegion(kernels);
    this.#other = new KernelRegion(others);
  }

  free(): void {
    for (const region of [this.#table, this.#columns, this.#other]) region.free();
  }

  /**
   * Compares a series.
   * @param parts the inputs that stand at it, one or more
   * @param got the output, undefined when it does not have the series
   * @returns samples of the output
   * @throws what `mismatch` makes of the first difference
   */
  compare(parts: readonly SeriesWalk[], got: SeriesWalk | undefined, mismatch: Mismatch): number {
    const fail: Mismatch = (what) => mismatch(`series ${JSON.stringify(parts[0]!.labels())}: ${what}`);
    this.#renewViews();
    const ranges = this.#ranges;
    ranges.length = 0;
    for (const walk of parts) ranges.push({ walk, from: walk.from, end: walk.from });
    const out: ChunkRange | undefined = got === undefined ? undefined : { walk: got, from: got.from, end: got.from };
    for (;;) {
      // The part whose next chunk begins first, and when another's does.
      let first = -1;
      let mint = Number.POSITIVE_INFINITY;
      let otherMint = Number.POSITIVE_INFINITY;
      for (let p = 0; p < ranges.length; p++) {
        const { walk, end } = ranges[p]!;
        if (end === walk.end) continue;
        const at = walk.mint[end]!;
        if (at < mint) {
          otherMint = mint;
          mint = at;
          first = p;
        } else if (at < otherMint) otherMint = at;
      }
      if (first < 0) break;
      if (out !== undefined && this.#passEqual(ranges[first]!, otherMint, out)) continue;
      this.#takeRun(ranges[first]!, out, fail);
    }
    if (out === undefined) return 0;
    const { walk } = out;
    if (out.end < walk.end) throw fail(`got a chunk from ${walk.mint[out.end]} to ${walk.maxt[out.end]}, where no input has samples`);
    out.from = walk.from;
    return this.#rangeSamples(out);
  }

  #renewViews(): void {
    this.#views.renew();
    const { buffer } = this.#views.bytes;
    if (this.#data.buffer !== buffer) this.#data = new DataView(buffer);
  }

  /** Passes chunks of a part that nothing overlaps and the output has as they are. @returns whether there are such */
  #passEqual(range: ChunkRange, otherMint: number, out: ChunkRange): boolean {
    const { walk } = range;
    const start = range.end;
    let at = range.end;
    let outAt = out.end;
    while (at < walk.end && outAt < out.walk.end && walk.maxt[at]! < otherMint && !this.#isTouched(walk, at) && this.#isSameChunk(walk, at, out.walk, outAt)) {
      at++;
      outAt++;
    }
    range.end = at;
    out.end = outAt;
    return at > start;
  }

  /** Compares the chunks that share time with the next one of a part, directly or through others. */
  #takeRun(first: ChunkRange, out: ChunkRange | undefined, fail: Mismatch): void {
    const ranges = this.#ranges;
    for (const range of ranges) range.from = range.end;
    if (out !== undefined) out.from = out.end;
    let time = first.walk.maxt[first.end++]!;
    let isWhole = false;
    // Blocks that hold the same, as replicas without any lag do: chunks that are one another's equals count once.
    let isOne = !this.#isTouched(first.walk, first.from);
    while (!isWhole) {
      isWhole = true;
      for (const range of ranges) {
        const { walk } = range;
        while (range.end < walk.end && walk.mint[range.end]! <= time) {
          isOne &&= !this.#isTouched(walk, range.end) && this.#isSameChunk(walk, range.end, first.walk, first.from);
          time = Math.max(time, walk.maxt[range.end++]!);
          isWhole = false;
        }
      }
      if (!isWhole || out === undefined) continue;
      if (isOne && out.end === out.from && out.end < out.walk.end && this.#isSameChunk(out.walk, out.end, first.walk, first.from)) {
        out.end++;
        return;
      }
      isOne = false;
      while (out.end < out.walk.end && out.walk.mint[out.end]! <= time) {
        time = Math.max(time, out.walk.maxt[out.end++]!);
        isWhole = false;
      }
    }
    const all = out === undefined ? ranges : [...ranges, out];
    let areColumns = true;
    for (const { walk, from, end } of all) for (let chunk = from; chunk < end; chunk++) areColumns &&= walk.encoding[chunk] === CHUNK_ENCODING.xor;
    if (areColumns && this.#areColumnsEqual(all, out, fail)) return;
    this.#compareTexts(out, fail);
    if (areColumns) throw fail(`samples from ${first.walk.mint[first.from]} to ${time} differ by kernels ${this.#kernels.backend}, and not by kernels ${this.#others.backend}`);
  }

  /** Whether the chunk is more than what counts of it. */
  #isTouched(walk: SeriesWalk, chunk: number): boolean {
    const mint = walk.mint[chunk]!;
    const maxt = walk.maxt[chunk]!;
    return mint < this.#mint || maxt > this.#maxt || (walk.intervals.length > 0 && overlapsIntervals(walk.intervals, mint, maxt));
  }

  #isSameChunk(a: SeriesWalk, chunkOfA: number, b: SeriesWalk, chunkOfB: number): boolean {
    if (a.mint[chunkOfA] !== b.mint[chunkOfB] || a.maxt[chunkOfA] !== b.maxt[chunkOfB] || a.encoding[chunkOfA] !== b.encoding[chunkOfB] || a.payloadBytes[chunkOfA] !== b.payloadBytes[chunkOfB]) return false;
    return areBytesEqual(this.#data, a.payloadAt(chunkOfA), b.payloadAt(chunkOfB), a.payloadBytes[chunkOfA]!);
  }

  #rangeSamples({ walk, from, end }: ChunkRange): number {
    let samples = 0;
    for (let chunk = from; chunk < end; chunk++) samples += this.#samplesOf(walk, chunk);
    return samples;
  }

  #samplesOf(walk: SeriesWalk, chunk: number): number {
    const encoding = walk.encoding[chunk]!;
    if (encoding !== CHUNK_ENCODING.xor || walk.payloadBytes[chunk]! < 2) return chunkSampleCount(encoding, walk.payload(chunk));
    const at = walk.payloadAt(chunk);
    return (this.#views.bytes[at]! << 8) | this.#views.bytes[at + 1]!;
  }

  /** Whether XOR chunks are sound, and the output has what the inputs have. @param all the inputs' and the output's ranges */
  #areColumnsEqual(all: readonly ChunkRange[], out: ChunkRange | undefined, fail: Mismatch): boolean {
    let chunks = 0;
    let samples = 0;
    for (const { walk, from, end } of all) {
      chunks += end - from;
      for (let chunk = from; chunk < end; chunk++) samples += this.#samplesOf(walk, chunk);
    }
    const tablePtr = this.#table.ensure((chunks + all.length) * 8);
    const timesPtr = this.#columns.ensure(samples * 16 + 16);
    this.#renewViews();
    const { words, doubles } = this.#views;
    let word = tablePtr >>> 2;
    for (const { walk, from, end } of all) {
      for (let chunk = from; chunk < end; chunk++) {
        words[word++] = walk.payloadAt(chunk);
        words[word++] = walk.payloadBytes[chunk]!;
      }
    }
    if (this.#kernels.decodeXorChunks(tablePtr, chunks, timesPtr, timesPtr + samples * 8, samples) !== samples) return false;
    const times = doubles.subarray(timesPtr >>> 3, (timesPtr >>> 3) + samples);
    const values = words.subarray((timesPtr >>> 2) + samples * 2, (timesPtr >>> 2) + samples * 4);
    if (this.#compared++ % OTHER_KERNELS_EVERY === 0) this.#checkKernels(all, times, values, fail);

    // Each input's samples that count, one behind the other; the output's come last.
    const lanes = this.#ranges.length;
    const lanesAt = (tablePtr >>> 2) + chunks * 2;
    let at = 0;
    for (let p = 0; p < all.length; p++) {
      const { walk, from, end } = all[p]!;
      let to = at;
      if (p < lanes) words[lanesAt + p * 2] = at;
      for (let chunk = from; chunk < end; chunk++) {
        const count = this.#samplesOf(walk, chunk);
        if (count === 0 || times[at] !== walk.mint[chunk] || times[at + count - 1] !== walk.maxt[chunk]) return false;
        if (p < lanes && (to < at || this.#isTouched(walk, chunk))) to = this.#keepCounted(walk, times, values, at, at + count, to);
        else to += count;
        at += count;
      }
      if (p < lanes) words[lanesAt + p * 2 + 1] = to;
    }
    const outSamples = out === undefined ? 0 : this.#rangeSamples(out);
    return this.#kernels.checkMerge(timesPtr, timesPtr + samples * 8, lanesAt * 4, lanes, samples - outSamples, samples) === 1;
  }

  /** Moves samples [from, end) that are in range and not deleted to `to`. @returns where the next would go */
  #keepCounted({ intervals }: SeriesWalk, times: Float64Array, values: Int32Array, from: number, end: number, to: number): number {
    for (let i = from; i < end; i++) {
      const time = times[i]!;
      if (time < this.#mint || time > this.#maxt || overlapsIntervals(intervals, time, time)) continue;
      times[to] = time;
      values[to * 2] = values[i * 2]!;
      values[to * 2 + 1] = values[i * 2 + 1]!;
      to++;
    }
    return to;
  }

  /** Holds decoded chunks to what the other kernels make of them. */
  #checkKernels(all: readonly ChunkRange[], times: Float64Array, values: Int32Array, fail: Mismatch): void {
    let at = 0;
    for (const { walk, from, end } of all) {
      for (let chunk = from; chunk < end; chunk++) {
        const other = this.#decodeByOthers(walk, chunk, fail);
        for (let i = 0; i < other.times.length; i++, at++) {
          if (other.times[i] === times[at] && other.values[i * 2] === values[at * 2] && other.values[i * 2 + 1] === values[at * 2 + 1]) continue;
          throw fail(`${nameOf(walk, chunk)} has by kernels ${this.#kernels.backend} ${hexOf(values, at)} at ${times[at]}, by kernels ${this.#others.backend} ${hexOf(other.values, i)} at ${other.times[i]}`);
        }
      }
    }
  }

  /** Samples of an XOR chunk: views, valid until the next call. */
  #decodeByOthers(walk: SeriesWalk, chunk: number, fail: Mismatch): { readonly times: Float64Array; readonly values: Int32Array } {
    const { memory } = this.#others;
    const payload = walk.payload(chunk);
    const count = chunkSampleCount(CHUNK_ENCODING.xor, payload);
    const timesPtr = this.#other.ensure(count * 16 + payload.length + CHUNK_SLACK_BYTES);
    const payloadPtr = timesPtr + count * 16;
    memory.u8(payloadPtr, payload.length).set(payload);
    const decoded = this.#others.decodeXor(payloadPtr, payload.length, timesPtr, timesPtr + count * 8, count);
    if (decoded !== count || count === 0) throw fail(`${nameOf(walk, chunk)}: ${count} samples announced, decoder answered ${decoded}`);
    return { times: memory.f64(timesPtr, count), values: memory.i32(timesPtr + count * 8, count * 2) };
  }

  /** Compares the ranges sample by sample, whatever they hold. @throws naming the first difference, if there is one */
  #compareTexts(out: ChunkRange | undefined, fail: Mismatch): void {
    const wanted = new Map<number, string[]>();
    for (const { walk, from, end } of this.#ranges) {
      for (let chunk = from; chunk < end; chunk++) {
        for (const [time, text] of this.#readTexts(walk, chunk, 'an input', fail)) {
          if (time < this.#mint || time > this.#maxt || overlapsIntervals(walk.intervals, time, time)) continue;
          const texts = wanted.get(time);
          if (texts === undefined) wanted.set(time, [text]);
          else texts.push(text);
        }
      }
    }
    if (out !== undefined) {
      for (let chunk = out.from; chunk < out.end; chunk++) {
        for (const [time, text] of this.#readTexts(out.walk, chunk, 'the output', fail)) {
          const texts = wanted.get(time);
          if (texts === undefined) throw fail(`got a sample at ${time}, which no input has`);
          if (!texts.includes(text)) throw fail(`at ${time} got ${text}, want ${texts.join(' or ')}`);
          wanted.delete(time);
        }
      }
    }
    if (wanted.size > 0) throw fail(`got no sample at ${[...wanted.keys()].reduce((a, b) => Math.min(a, b))}`);
  }

  /** The samples of a chunk as texts that are equal when they mean the same: empty buckets are left out. */
  #readTexts(walk: SeriesWalk, chunk: number, whose: string, fail: Mismatch): (readonly [number, string])[] {
    const encoding = walk.encoding[chunk]!;
    const { times, textOf } = this.#decodeTexts(walk, chunk, encoding, whose, fail);
    if (times[0] !== walk.mint[chunk] || times.at(-1) !== walk.maxt[chunk]) throw fail(`${nameOf(walk, chunk)} has samples from ${times[0]} to ${times.at(-1)}`);
    return Array.from(times, (time, i) => {
      if (i > 0 && !(time > times[i - 1]!)) throw fail(`${nameOf(walk, chunk)} has timestamp ${time} after ${times[i - 1]}`);
      return [time, textOf(i)] as const;
    });
  }

  #decodeTexts(walk: SeriesWalk, chunk: number, encoding: number, whose: string, fail: Mismatch): { readonly times: Float64Array; readonly textOf: (sample: number) => string } {
    const title = `series ${JSON.stringify(walk.labels())}`;
    if (encoding === CHUNK_ENCODING.xor) {
      const { times, values } = this.#decodeByOthers(walk, chunk, fail);
      return { times, textOf: (i) => `value bits ${hexOf(values, i)}` };
    }
    if (encoding === CHUNK_ENCODING.xor2) {
      const { timestampsMs, values, startTimestamps } = decodeXor2Chunk(walk.payload(chunk), title);
      const words = new Int32Array(values.buffer);
      return { times: timestampsMs, textOf: (i) => `value bits ${hexOf(words, i)}${startText(startTimestamps, i)}` };
    }
    if (!isHistogramEncoding(encoding)) throw fail(`${nameOf(walk, chunk)} of ${whose} has encoding ${encoding}, which cannot be decoded, and no equal on the other side`);
    const columns = decodeHistogramChunk(encoding, walk.payload(chunk), title);
    const sums = new Int32Array(columns.sums.buffer, columns.sums.byteOffset, columns.count * 2);
    return { times: columns.timestampsMs.subarray(0, columns.count), textOf: (i) => histogramText(columns, i, hexOf(sums, i)) + startText(columns.startTimestamps, i) };
  }
}

/** Four at a time, which a view of bytes cannot: a fifth of the time. */
function areBytesEqual(data: DataView, a: number, b: number, length: number): boolean {
  const end = a + length;
  const wordsEnd = end - 3;
  while (a < wordsEnd) {
    if (data.getInt32(a) !== data.getInt32(b)) return false;
    a += 4;
    b += 4;
  }
  while (a < end) if (data.getUint8(a++) !== data.getUint8(b++)) return false;
  return true;
}

function nameOf(walk: SeriesWalk, chunk: number): string {
  return `chunk from ${walk.mint[chunk]} to ${walk.maxt[chunk]}`;
}

function startText(startTimestamps: Float64Array | undefined, sample: number): string {
  const start = startTimestamps?.[sample] ?? 0;
  return start === 0 ? '' : ` since ${start}`;
}

/** A histogram in words: all that it means, nothing of how its chunk lays it out. */
function histogramText(columns: HistogramColumns, sample: number, sum: string): string {
  const at = columns.bucketAt[sample]!;
  if (at < 0) return `${columns.isFloat ? 'float' : 'integer'} histogram, stale`;
  const buckets = (spans: Int32Array, from: number): string => {
    const filled: string[] = [];
    let index = 0;
    for (let i = 0; i < spans.length; i += 2) {
      index += spans[i]!;
      for (let n = spans[i + 1]!; n > 0; n--, index++, from++) if (columns.buckets[from] !== 0) filled.push(`${index}:${columns.buckets[from]}`);
    }
    return filled.join(' ');
  };
  const kind = `${columns.isFloat ? 'float' : 'integer'} ${columns.header === RESET_HINT.gauge ? 'gauge ' : ''}histogram`;
  const scale = `schema ${columns.schema}, zero threshold ${columns.zeroThreshold}, bounds [${columns.customBounds.join(' ')}]`;
  const positive = buckets(columns.positiveSpans, at);
  const negative = buckets(columns.negativeSpans, at + columns.positiveBuckets);
  return `${kind}, ${scale}, count ${columns.counts[sample]}, zeros ${columns.zeroCounts[sample]}, sum ${sum}, buckets {${positive}} and {${negative}}`;
}

function hexOf(words: Int32Array, sample: number): string {
  return wordsToHex({ hi: words[sample * 2 + 1]! >>> 0, lo: words[sample * 2]! >>> 0 });
}
