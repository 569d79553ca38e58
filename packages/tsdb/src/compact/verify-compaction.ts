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
    let hasWant = want.next();
    let hasGot = got.next();
    for (let series = 0; hasWant || hasGot; series++) {
      if (series % 128 === 0 && options.shouldStop?.() === true) throw new TsdbError('ERR_COMPACT_CANCELED', `${title}: canceled after ${series} series`);
      const order = !hasWant ? 1 : !hasGot ? -1 : compareLabels(want.labels, got.labels);
      if (order > 0) throw mismatch(`got series ${JSON.stringify(got.labels)}, which no input has`);
      if (order === 0) {
        counts.numSeries++;
        counts.numChunks += got.end - got.start;
        for (let chunk = got.start; chunk < got.end; chunk++) counts.numSamples += chunkSampleCount(got.encoding(chunk), got.data(chunk));
      }
      // A series of the inputs may be missing when all its samples are deleted: then it has none to compare.
      comparer.compare(want, order === 0 ? got : undefined, mismatch);
      hasWant = want.next();
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
    this.#sources = blocks.map(createBlockSource);
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

/** Decoded samples of some chunks, one chunk after the other. */
interface Samples {
  times: Float64Array;
  words: Uint32Array;
  /** First sample of each chunk, and the end. */
  starts: number[];
}

/** Compares the chunks of one series of either side. */
class SampleComparer {
  readonly #kernels: Kernels;
  readonly #mint: number;
  readonly #maxt: number;
  readonly #bytes: KernelRegion;
  readonly #times: KernelRegion;
  readonly #values: KernelRegion;

  /** @param mint, maxt range of the samples that count, both inclusive */
  constructor(kernels: Kernels, mint: number, maxt: number) {
    this.#kernels = kernels;
    this.#mint = mint;
    this.#maxt = maxt;
    this.#bytes = new KernelRegion(kernels);
    this.#times = new KernelRegion(kernels);
    this.#values = new KernelRegion(kernels);
  }

  free(): void {
    for (const region of [this.#bytes, this.#times, this.#values]) region.free();
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
    for (const [reader, from, to] of [[want, first, end], [got, outFirst, outEnd]] as const) {
      for (let chunk = from; chunk < to; chunk++) {
        if (reader!.encoding(chunk) === CHUNK_ENCODING.xor) continue;
        throw fail(`chunk from ${reader!.mint(chunk)} to ${reader!.maxt(chunk)} of ${reader === want ? 'an input' : 'the output'} has encoding ${reader!.encoding(chunk)} and no equal on the other side`);
      }
    }
    const wanted = this.#decode(want, first, end, fail);
    // Copied: the next decoding reuses kernel memory.
    wanted.times = wanted.times.slice();
    wanted.words = wanted.words.slice();
    const lanes = makeLanes(want, first, end);
    const have = got === undefined ? { times: new Float64Array(0), words: new Uint32Array(0), starts: [0] } : this.#decode(got, outFirst, outEnd, fail);
    const cursors = lanes.map((lane) => new LaneCursor(want, first, lane, wanted, this.#mint, this.#maxt));
    let previous = Number.NEGATIVE_INFINITY;
    for (let sample = 0; sample < have.times.length; sample++) {
      const time = have.times[sample]!;
      if (time <= previous) throw fail(`got timestamp ${time} after ${previous}`);
      previous = time;
      let wantTime = Number.POSITIVE_INFINITY;
      for (let i = 0; i < cursors.length; i++) if (cursors[i]!.time < wantTime) wantTime = cursors[i]!.time;
      if (time !== wantTime) throw fail(time < wantTime ? `got a sample at ${time}, which no input has` : `got no sample at ${wantTime}, next is ${time}`);
      let isEqual = false;
      for (let i = 0; i < cursors.length; i++) {
        const cursor = cursors[i]!;
        if (cursor.time !== time) continue;
        const at = cursor.at * 2;
        isEqual ||= wanted.words[at] === have.words[sample * 2] && wanted.words[at + 1] === have.words[sample * 2 + 1];
      }
      if (!isEqual) {
        const values = cursors.filter((cursor) => cursor.time === time).map((cursor) => hexOf(wanted.words, cursor.at));
        throw fail(`at ${time} got value bits ${hexOf(have.words, sample)}, want ${values.join(' or ')}`);
      }
      for (let i = 0; i < cursors.length; i++) if (cursors[i]!.time === time) cursors[i]!.next();
    }
    const missing = Math.min(...cursors.map(({ time }) => time));
    if (missing !== Number.POSITIVE_INFINITY) throw fail(`got no sample at ${missing}`);
  }

  /** Decodes chunks, and holds them to what the index says of them. */
  #decode(reader: SeriesReader, first: number, end: number, fail: Mismatch): Samples {
    const { memory } = this.#kernels;
    const starts = [0];
    let bytes = 0;
    for (let chunk = first; chunk < end; chunk++) {
      const data = reader.data(chunk);
      bytes = Math.max(bytes, data.length);
      starts.push(starts.at(-1)! + chunkSampleCount(CHUNK_ENCODING.xor, data));
    }
    const samples = starts.at(-1)!;
    const bytesPtr = this.#bytes.ensure(bytes + CHUNK_SLACK_BYTES);
    const timesPtr = this.#times.ensure(samples * 8 + 8);
    const valuesPtr = this.#values.ensure(samples * 8 + 8);
    const times = memory.f64(timesPtr, samples);
    for (let chunk = first; chunk < end; chunk++) {
      const data = reader.data(chunk);
      memory.u8(bytesPtr, data.length).set(data);
      const start = starts[chunk - first]!;
      const count = starts[chunk - first + 1]! - start;
      const decoded = this.#kernels.decodeXor(bytesPtr, data.length, timesPtr + start * 8, valuesPtr + start * 8, count);
      const name = `chunk from ${reader.mint(chunk)} to ${reader.maxt(chunk)}`;
      if (decoded !== count || count === 0) throw fail(`${name}: ${count} samples announced, decoder answered ${decoded}`);
      if (times[start] !== reader.mint(chunk) || times[start + count - 1] !== reader.maxt(chunk)) throw fail(`${name} has samples from ${times[start]} to ${times[start + count - 1]}`);
    }
    return { times, words: new Uint32Array(memory.buffer, valuesPtr, samples * 2), starts };
  }
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

/** Walks the samples of a lane that count. */
class LaneCursor {
  readonly #reader: SeriesReader;
  readonly #first: number;
  readonly #lane: readonly number[];
  readonly #samples: Samples;
  readonly #mint: number;
  readonly #maxt: number;
  #chunk = -1;
  #end = 0;
  #intervals: Intervals | undefined;
  /** The sample's place in the columns. */
  at = -1;
  /** Infinity at the end. */
  time = 0;

  constructor(reader: SeriesReader, first: number, lane: readonly number[], samples: Samples, mint: number, maxt: number) {
    this.#reader = reader;
    this.#first = first;
    this.#lane = lane;
    this.#samples = samples;
    this.#mint = mint;
    this.#maxt = maxt;
    this.next();
  }

  next(): void {
    for (;;) {
      if (++this.at >= this.#end) {
        if (++this.#chunk === this.#lane.length) {
          this.time = Number.POSITIVE_INFINITY;
          return;
        }
        const chunk = this.#lane[this.#chunk]!;
        this.at = this.#samples.starts[chunk - this.#first]!;
        this.#end = this.#samples.starts[chunk - this.#first + 1]!;
        this.#intervals = this.#reader.intervals(chunk);
      }
      this.time = this.#samples.times[this.at]!;
      if (this.time < this.#mint || this.time > this.#maxt) continue;
      if (this.#intervals === undefined || !overlapsIntervals(this.#intervals, this.time, this.time)) return;
    }
  }
}

function hexOf(words: Uint32Array, sample: number): string {
  return wordsToHex({ hi: words[sample * 2 + 1]!, lo: words[sample * 2]! });
}
