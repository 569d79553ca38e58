/**
 * Proves that a compacted block holds what its inputs hold: every series, every timestamp once, with a value that an input has there.
 *
 *   inputs ─► the read path of queries ─► series by series ┐
 *                                                          ├─ runs of chunks that share time, side by side
 *   output ─► the read path of queries ─► series by series ┘      equal bytes: proven │ else decoded by the other kernels, compared
 *
 * Nothing of this is shared with the compaction but the formats: other readers, another merge, and the TypeScript kernels when
 * compaction used WebAssembly. Memory holds a batch of 128 series of either side.
 */
import { compareBytes, wordsToHex } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, createKernels, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { chunkSampleCount } from '../block/block-writer.ts';
import { type Intervals, overlapsIntervals } from '../block/tombstones.ts';
import { decodeHistogramChunk, type HistogramColumns, isHistogramEncoding, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { TsdbError } from '../errors.ts';
import { createBlockSource } from '../query/block-source.ts';
import { ChunkBatch } from '../query/chunk-batch.ts';
import { KernelRegion, loadIntoBuffer } from '../query/load-chunks.ts';
import { mergeSeries, type SeriesMerge } from '../query/merge-series.ts';
import type { SeriesCursor, SeriesSource } from '../query/series-source.ts';
import type { CompactDeps } from './compact-blocks.ts';

/** How to go about it. */
export interface VerifyCompactionOptions {
  /** Polled every 128 series. */
  readonly shouldStop?: () => boolean;
  /** Which series of the inputs the output is to have: those of its shard. Default: all. */
  readonly hasSeries?: (labels: Labels) => boolean;
}

/** All of time, for reading a block whole. */
const FOREVER = Number.MAX_SAFE_INTEGER;

/**
 * Compares `output` with what merging `inputs` must give.
 * @param deps the kernels that compaction used; others are taken here where there are any
 * @throws TsdbError ERR_COMPACT_MISMATCH naming the blocks and the first difference; ERR_COMPACT_CANCELED; damage in a block under the
 *   codes of reading it
 */
export function verifyCompaction(deps: CompactDeps, inputs: readonly Block[], output: Block, options: VerifyCompactionOptions = {}): void {
  const mint = Math.min(...inputs.map(({ meta }) => meta.minTime));
  const maxt = Math.max(...inputs.map(({ meta }) => meta.maxTime)) - 1;
  const title = `compare block ${output.meta.ulid} with its inputs ${inputs.map(({ meta }) => meta.ulid).join(', ')}`;
  const mismatch: Mismatch = (what) => new TsdbError('ERR_COMPACT_MISMATCH', `${title}: ${what}`);
  if (output.meta.minTime !== mint || output.meta.maxTime !== maxt + 1) throw mismatch(`got range [${output.meta.minTime}, ${output.meta.maxTime}), want [${mint}, ${maxt + 1})`);

  const want = new SeriesReader(inputs, mint, maxt);
  const got = new SeriesReader([output], -FOREVER, FOREVER);
  const comparer = new SampleComparer(otherKernels(deps.kernels), mint, maxt);
  const counts = { numSeries: 0, numChunks: 0, numSamples: 0 };
  try {
    const { hasSeries } = options;
    const nextWant = (): boolean => {
      for (;;) {
        if (!want.next()) return false;
        if (hasSeries === undefined || hasSeries(want.labels)) return true;
      }
    };
    let hasWant = nextWant();
    let hasGot = got.next();
    for (let series = 0; hasWant || hasGot; series++) {
      if (series % 128 === 0 && options.shouldStop?.() === true) throw new TsdbError('ERR_COMPACT_CANCELED', `${title}: canceled after ${series} series`);
      const order = !hasWant ? 1 : !hasGot ? -1 : compareLabels(want.labels, got.labels);
      if (order > 0) throw mismatch(`got series ${JSON.stringify(got.labels)}, which no input has${hasSeries === undefined ? '' : ', or not for this shard'}`);
      if (order === 0) {
        counts.numSeries++;
        counts.numChunks += got.end - got.start;
        for (let chunk = got.start; chunk < got.end; chunk++) counts.numSamples += chunkSampleCount(got.encoding(chunk), got.data(chunk));
      }
      // A series of the inputs may be missing when all its samples are deleted: then it has none to compare.
      comparer.compare(want, order === 0 ? got : undefined, mismatch);
      hasWant = nextWant();
      if (order === 0) hasGot = got.next();
    }
  } finally {
    comparer.free();
  }
  for (const key of ['numSeries', 'numChunks', 'numSamples'] as const) {
    if (output.meta.stats[key] !== counts[key]) throw mismatch(`meta.json says ${key} ${output.meta.stats[key]}, the block has ${counts[key]}`);
  }
}

type Mismatch = (what: string) => TsdbError;

function startText(startTimestamps: Float64Array | undefined, sample: number): string {
  const start = startTimestamps?.[sample] ?? 0;
  return start === 0 ? '' : ` since ${start}`;
}

/** Kernels of another implementation than `used`; the same kind where there is only one. */
function otherKernels(used: Kernels): Kernels {
  const limits = { maxMemoryBytes: used.memory.maxBytes };
  return used.backend === 'wasm' ? createKernels({ ...limits, backend: 'js' }) : createKernels(limits);
}

/** Walks blocks series by series, all chunks of a series loaded. Chunks are numbers in [start, end), in order of mint. */
class SeriesReader {
  readonly #sources: readonly SeriesSource[];
  readonly #cursors: readonly SeriesCursor[];
  readonly #merge: SeriesMerge;
  readonly #batch: ChunkBatch;
  #buffer: Uint8Array = new Uint8Array(0);
  #series = -1;

  constructor(blocks: readonly Block[], mint: number, maxt: number) {
    this.#sources = blocks.map((block) => createBlockSource(block));
    this.#cursors = this.#sources.map((source) => source.cursor(source.index.allPostings(), mint, maxt));
    this.#merge = mergeSeries(this.#cursors);
    this.#batch = new ChunkBatch(this.#sources);
  }

  next(): boolean {
    if (++this.#series < this.#batch.labels.length) return true;
    this.#series = 0;
    if (!this.#batch.fill(this.#merge, this.#cursors)) return false;
    this.#buffer = loadIntoBuffer(this.#batch, this.#sources, this.#buffer);
    return true;
  }

  get labels(): Labels {
    return this.#batch.labels[this.#series]!;
  }

  get start(): number {
    return this.#batch.starts[this.#series]!;
  }

  get end(): number {
    return this.#batch.starts[this.#series + 1]!;
  }

  mint(chunk: number): number {
    return this.#batch.mint[chunk]!;
  }

  maxt(chunk: number): number {
    return this.#batch.maxt[chunk]!;
  }

  /** Deleted ranges that touch the chunk. */
  intervals(chunk: number): Intervals | undefined {
    return this.#batch.intervals.size === 0 ? undefined : this.#batch.intervals.get(chunk);
  }

  encoding(chunk: number): number {
    return this.#batch.requests[this.#batch.source[chunk]!]!.encodings[this.#batch.place[chunk]!]!;
  }

  /** Payload. A view, valid until the next `next()`. */
  data(chunk: number): Uint8Array {
    const source = this.#batch.source[chunk]!;
    const request = this.#batch.requests[source]!;
    const place = this.#batch.place[chunk]!;
    return this.#buffer.subarray(request.at[place]!, request.at[place]! + request.bytes[place]!);
  }
}

function isSameChunk(a: SeriesReader, chunkOfA: number, b: SeriesReader, chunkOfB: number): boolean {
  return (
    a.mint(chunkOfA) === b.mint(chunkOfB) &&
    a.maxt(chunkOfA) === b.maxt(chunkOfB) &&
    a.encoding(chunkOfA) === b.encoding(chunkOfB) &&
    compareBytes(a.data(chunkOfA), b.data(chunkOfB)) === 0
  );
}

/** Decoded samples of some chunks: lanes, one behind the other, within each of which time ascends. */
interface Samples {
  readonly times: Float64Array;
  /** Two per sample: low, high. */
  readonly words: Int32Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const NO_SAMPLES: Samples = { times: new Float64Array(0), words: new Int32Array(0), starts: new Int32Array(0), ends: new Int32Array(0) };

/** Room for decoded samples. */
interface Columns {
  readonly times: KernelRegion;
  readonly values: KernelRegion;
  /** Samples there is room for. */
  count: number;
}

/** Compares the chunks of one series of either side. */
class SampleComparer {
  readonly #kernels: Kernels;
  readonly #mint: number;
  readonly #maxt: number;
  readonly #bytes: KernelRegion;
  readonly #wanted: Columns;
  readonly #have: Columns;

  /** @param mint, maxt range of the samples that count, both inclusive */
  constructor(kernels: Kernels, mint: number, maxt: number) {
    this.#kernels = kernels;
    this.#mint = mint;
    this.#maxt = maxt;
    this.#bytes = new KernelRegion(kernels);
    this.#wanted = { times: new KernelRegion(kernels), values: new KernelRegion(kernels), count: 0 };
    this.#have = { times: new KernelRegion(kernels), values: new KernelRegion(kernels), count: 0 };
  }

  free(): void {
    for (const region of [this.#bytes, this.#wanted.times, this.#wanted.values, this.#have.times, this.#have.values]) region.free();
  }

  /** @param got the same series of the output, undefined when it has none */
  compare(want: SeriesReader, got: SeriesReader | undefined, mismatch: Mismatch): void {
    const fail: Mismatch = (what) => mismatch(`series ${JSON.stringify(want.labels)}: ${what}`);
    let out = got?.start ?? 0;
    const outEnd = got?.end ?? 0;
    for (let first = want.start; first < want.end; ) {
      // The inputs' chunks that share time, directly or through others.
      let isOne = !this.#isTouched(want, first);
      let time = want.maxt(first);
      let end = first + 1;
      for (; end < want.end && want.mint(end) <= time; end++) {
        isOne &&= isSameChunk(want, end, want, first) && !this.#isTouched(want, end);
        time = Math.max(time, want.maxt(end));
      }
      if (isOne && out < outEnd && isSameChunk(want, first, got!, out)) out++;
      else {
        const outFirst = out;
        while (out < outEnd && got!.mint(out) <= time) {
          // An output chunk that reaches further brings what it overlaps.
          time = Math.max(time, got!.maxt(out++));
          for (; end < want.end && want.mint(end) <= time; end++) time = Math.max(time, want.maxt(end));
        }
        this.#compareRun(want, first, end, got, outFirst, out, fail);
      }
      first = end;
    }
    if (out < outEnd) throw fail(`got a chunk from ${got!.mint(out)} to ${got!.maxt(out)}, where no input has samples`);
  }

  /** Whether the chunk is more than what counts of it. */
  #isTouched(reader: SeriesReader, chunk: number): boolean {
    return reader.intervals(chunk) !== undefined || reader.mint(chunk) < this.#mint || reader.maxt(chunk) > this.#maxt;
  }

  #compareRun(want: SeriesReader, first: number, end: number, got: SeriesReader | undefined, outFirst: number, outEnd: number, fail: Mismatch): void {
    let isFloat = true;
    for (const [reader, from, to] of [[want, first, end], [got, outFirst, outEnd]] as const) {
      for (let chunk = from; chunk < to; chunk++) {
        const encoding = reader!.encoding(chunk);
        isFloat &&= encoding === CHUNK_ENCODING.xor;
        if (encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2 || isHistogramEncoding(encoding)) continue;
        throw fail(`${nameOf(reader!, chunk)} of ${reader === want ? 'an input' : 'the output'} has encoding ${encoding}, which cannot be decoded, and no equal on the other side`);
      }
    }
    if (isFloat) this.#compareFloats(want, first, end, got, outFirst, outEnd, fail);
    else this.#compareMixed(want, first, end, got, outFirst, outEnd, fail);
  }

  /** Native histograms, perhaps with floats among them, and floats with start timestamps: sample by sample, as texts. */
  #compareMixed(want: SeriesReader, first: number, end: number, got: SeriesReader | undefined, outFirst: number, outEnd: number, fail: Mismatch): void {
    const wanted = new Map<number, string[]>();
    for (let chunk = first; chunk < end; chunk++) {
      const intervals = want.intervals(chunk);
      for (const [time, text] of this.#readTexts(want, chunk, fail)) {
        if (time < this.#mint || time > this.#maxt || (intervals !== undefined && overlapsIntervals(intervals, time, time))) continue;
        const texts = wanted.get(time);
        if (texts === undefined) wanted.set(time, [text]);
        else texts.push(text);
      }
    }
    let previous = Number.NEGATIVE_INFINITY;
    for (let chunk = outFirst; chunk < outEnd; chunk++) {
      for (const [time, text] of this.#readTexts(got!, chunk, fail)) {
        if (time <= previous) throw fail(`got timestamp ${time} after ${previous}`);
        previous = time;
        const texts = wanted.get(time);
        if (texts === undefined) throw fail(`got a sample at ${time}, which no input has`);
        if (!texts.includes(text)) throw fail(`at ${time} got ${text}, want ${texts.join(' or ')}`);
        wanted.delete(time);
      }
    }
    if (wanted.size > 0) throw fail(`got no sample at ${Math.min(...wanted.keys())}`);
  }

  /** The samples of a chunk as texts that are equal when they mean the same: empty buckets are left out. */
  #readTexts(reader: SeriesReader, chunk: number, fail: Mismatch): (readonly [number, string])[] {
    const texts: (readonly [number, string])[] = [];
    if (reader.encoding(chunk) === CHUNK_ENCODING.xor) {
      this.#reserve(this.#have, reader, chunk, chunk + 1);
      const { times, words } = this.#decode(this.#have, reader, chunk, chunk + 1, fail);
      for (let i = 0; i < times.length; i++) texts.push([times[i]!, hexOf(words, i)]);
      return texts;
    }
    if (reader.encoding(chunk) === CHUNK_ENCODING.xor2) {
      const { timestampsMs, values, startTimestamps } = decodeXor2Chunk(reader.data(chunk), `series ${JSON.stringify(reader.labels)}`);
      if (timestampsMs[0] !== reader.mint(chunk) || timestampsMs.at(-1) !== reader.maxt(chunk)) {
        throw fail(`${nameOf(reader, chunk)} has samples from ${timestampsMs[0]} to ${timestampsMs.at(-1)}`);
      }
      const words = new Int32Array(values.buffer);
      for (let i = 0; i < timestampsMs.length; i++) texts.push([timestampsMs[i]!, hexOf(words, i) + startText(startTimestamps, i)]);
      return texts;
    }
    const columns = decodeHistogramChunk(reader.encoding(chunk), reader.data(chunk), `series ${JSON.stringify(reader.labels)}`);
    if (columns.timestampsMs[0] !== reader.mint(chunk) || columns.timestampsMs.at(-1) !== reader.maxt(chunk)) {
      throw fail(`${nameOf(reader, chunk)} has samples from ${columns.timestampsMs[0]} to ${columns.timestampsMs.at(-1)}`);
    }
    const sums = new Int32Array(columns.sums.buffer, columns.sums.byteOffset, columns.count * 2);
    for (let i = 0; i < columns.count; i++) texts.push([columns.timestampsMs[i]!, histogramText(columns, i, hexOf(sums, i)) + startText(columns.startTimestamps, i)]);
    return texts;
  }

  #compareFloats(want: SeriesReader, first: number, end: number, got: SeriesReader | undefined, outFirst: number, outEnd: number, fail: Mismatch): void {
    // Room for both sides first: it may move the memory that views look at.
    this.#reserve(this.#wanted, want, first, end);
    if (got !== undefined) this.#reserve(this.#have, got, outFirst, outEnd);
    const wanted = this.#decode(this.#wanted, want, first, end, fail);
    const have = got === undefined ? NO_SAMPLES : this.#decode(this.#have, got, outFirst, outEnd, fail);
    if (have.starts.length > 1) throw fail(`got chunks that overlap between ${got!.mint(outFirst)} and ${got!.maxt(outEnd - 1)}`);
    const at = wanted.starts.slice();
    const sample = firstDifference(wanted, have, at);
    if (sample < 0) return;
    const next = Math.min(...Array.from(at, (position, lane) => (position < wanted.ends[lane]! ? wanted.times[position]! : Number.POSITIVE_INFINITY)));
    const time = have.times[sample]!;
    if (sample === have.ends[0] || have.starts.length === 0) throw fail(`got no sample at ${next}`);
    if (time > next) throw fail(`got no sample at ${next}, next is ${time}`);
    if (time < next) throw fail(`got a sample at ${time}, which no input has`);
    throw fail(`at ${time} got value bits ${hexOf(have.words, sample)}, want ${valuesAt(wanted, time).join(' or ')}`);
  }

  /** Makes room for the samples of chunks. */
  #reserve(columns: Columns, reader: SeriesReader, first: number, end: number): void {
    let bytes = 0;
    let samples = 0;
    for (let chunk = first; chunk < end; chunk++) {
      const data = reader.data(chunk);
      bytes = Math.max(bytes, data.length);
      samples += chunkSampleCount(CHUNK_ENCODING.xor, data);
    }
    this.#bytes.ensure(bytes + CHUNK_SLACK_BYTES);
    columns.times.ensure(samples * 8 + 8);
    columns.values.ensure(samples * 8 + 8);
    columns.count = samples;
  }

  /** Decodes chunks for which there is room, holds them to what the index says of them, and leaves the samples that count. */
  #decode(columns: Columns, reader: SeriesReader, first: number, end: number, fail: Mismatch): Samples {
    const { memory } = this.#kernels;
    const bytesPtr = this.#bytes.ptr;
    const timesPtr = columns.times.ptr;
    const valuesPtr = columns.values.ptr;
    const times = memory.f64(timesPtr, columns.count);
    const words = memory.i32(valuesPtr, columns.count * 2);
    const lanes = makeLanes(reader, first, end);
    const starts = new Int32Array(lanes.length);
    const ends = new Int32Array(lanes.length);
    let to = 0;
    for (let lane = 0; lane < lanes.length; lane++) {
      starts[lane] = to;
      for (const chunk of lanes[lane]!) {
        const data = reader.data(chunk);
        memory.u8(bytesPtr, data.length).set(data);
        const count = chunkSampleCount(CHUNK_ENCODING.xor, data);
        const decoded = this.#kernels.decodeXor(bytesPtr, data.length, timesPtr + to * 8, valuesPtr + to * 8, count);
        if (decoded !== count || count === 0) throw fail(`${nameOf(reader, chunk)}: ${count} samples announced, decoder answered ${decoded}`);
        if (times[to] !== reader.mint(chunk) || times[to + count - 1] !== reader.maxt(chunk)) throw fail(`${nameOf(reader, chunk)} has samples from ${times[to]} to ${times[to + count - 1]}`);
        const late = firstNotAscending(times, to, to + count);
        if (late >= 0) throw fail(`${nameOf(reader, chunk)} has timestamp ${times[late]} after ${times[late - 1]}`);
        to += columns === this.#wanted && this.#isTouched(reader, chunk) ? this.#dropUncounted(times, words, to, count, reader.intervals(chunk)) : count;
      }
      ends[lane] = to;
    }
    return { times, words, starts, ends };
  }

  /** Moves up the samples that are in range and not deleted. @returns how many */
  #dropUncounted(times: Float64Array, words: Int32Array, from: number, count: number, intervals: Intervals | undefined): number {
    let to = from;
    for (let i = from; i < from + count; i++) {
      const time = times[i]!;
      if (time < this.#mint || time > this.#maxt || (intervals !== undefined && overlapsIntervals(intervals, time, time))) continue;
      times[to] = time;
      words[to * 2] = words[i * 2]!;
      words[to * 2 + 1] = words[i * 2 + 1]!;
      to++;
    }
    return to - from;
  }
}

function nameOf(reader: SeriesReader, chunk: number): string {
  return `chunk from ${reader.mint(chunk)} to ${reader.maxt(chunk)}`;
}

/** Place of the first timestamp in [from, end) that is not after the one before it, −1 when all are. */
function firstNotAscending(times: Float64Array, from: number, end: number): number {
  for (let i = from + 1; i < end; i++) if (!(times[i]! > times[i - 1]!)) return i;
  return -1;
}

/**
 * Walks both sides.
 * @param have one lane at most
 * @param at next sample of each lane of `wanted`; where the walk ended, before the sample that differs
 * @returns the place of the sample in `have` that differs, or lacks; −1 when nothing does
 */
function firstDifference(wanted: Samples, have: Samples, at: Int32Array): number {
  const { times, words, ends } = wanted;
  const end = have.ends.length === 0 ? 0 : have.ends[0]!;
  for (let sample = 0; sample < end; sample++) {
    const time = have.times[sample]!;
    const low = have.words[sample * 2]!;
    const high = have.words[sample * 2 + 1]!;
    let found = 0;
    let equal = 0;
    for (let lane = 0; lane < at.length; lane++) {
      const position = at[lane]!;
      if (position === ends[lane]!) continue;
      const wantedTime = times[position]!;
      if (wantedTime < time) return sample;
      if (wantedTime > time) continue;
      found++;
      if (words[position * 2] === low && words[position * 2 + 1] === high) equal++;
    }
    if (found === 0 || equal === 0) return sample;
    for (let lane = 0; lane < at.length; lane++) if (at[lane]! < ends[lane]! && times[at[lane]!] === time) at[lane]!++;
  }
  for (let lane = 0; lane < at.length; lane++) if (at[lane]! < ends[lane]!) return end;
  return -1;
}

/** Chunks of a run dealt out so that within a lane none overlaps the one before it: as many lanes as blocks overlap. */
function makeLanes(reader: SeriesReader, first: number, end: number): number[][] {
  const lanes: number[][] = [];
  for (let chunk = first; chunk < end; chunk++) {
    const lane = lanes.find((one) => reader.maxt(one.at(-1)!) < reader.mint(chunk));
    if (lane === undefined) lanes.push([chunk]);
    else lane.push(chunk);
  }
  return lanes;
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

/** The values that lanes have at a time, as hex digits of their bits. */
function valuesAt({ times, words, starts, ends }: Samples, time: number): string[] {
  return [...starts].flatMap((start, lane) => {
    const at = times.subarray(start, ends[lane]!).indexOf(time);
    return at < 0 ? [] : [hexOf(words, start + at)];
  });
}

function hexOf(words: Int32Array, sample: number): string {
  return wordsToHex({ hi: words[sample * 2 + 1]! >>> 0, lo: words[sample * 2]! >>> 0 });
}
