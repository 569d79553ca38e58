/**
 * Whether the data of a block is what its index and meta.json say: every chunk is read, its CRC checked; float chunks are decoded.
 *
 *   index entry  mint, maxt, ref ──► chunk: length, encoding, bytes, CRC ──► XOR: count, ascending times within [mint, maxt]
 *   meta.json    numSeries, numChunks, numSamples                             histograms, aggregates: CRC (and count where it is told)
 *
 * Upstream has no such check; it trusts chunks until a query trips over one.
 */
import { setImmediate as yieldToLoop } from 'node:timers/promises';

import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, formatLabels } from '@gauntlet/model';
import { chunkRefOffset, chunkRefSegment, chunkSampleCount, createSeriesEntry, isTsdbError } from '@gauntlet/tsdb';
import type { Block } from '@gauntlet/tsdb';

/** Outcome of {@link verifyBlockData}. */
export interface BlockDataReport {
  readonly series: number;
  readonly chunks: number;
  /** Samples of float and histogram chunks. */
  readonly samples: number;
  /** Payload bytes read. */
  readonly bytes: number;
  /** Sentences about what is wrong, the first `findingsMax`. */
  readonly findings: readonly string[];
  /** How many findings there are in all. */
  readonly findingCount: number;
}

/** How to verify. */
export interface VerifyBlockDataOptions {
  /** Findings kept as sentences; default 10. */
  readonly findingsMax?: number;
  readonly signal?: AbortSignal;
}

/** Chunk encoding of aggregates in downsampled blocks: no count of its own. */
const AGGREGATES_ENCODING = 255;
/** The event loop gets a turn every so many series. */
const SERIES_PER_TURN = 500;

/**
 * Reads all chunks of a block and compares. Memory is that of the index and of one chunk.
 * @param block stays the caller's
 * @param kernels decodes; its memory is given back
 * @throws TsdbError for a damaged index; the signal's reason. What is wrong with chunks is not thrown but reported.
 */
export async function verifyBlockData(block: Pick<Block, 'meta' | 'index' | 'chunks'>, kernels: Kernels, options: VerifyBlockDataOptions = {}): Promise<BlockDataReport> {
  const { index, chunks, meta } = block;
  const { findingsMax = 10, signal } = options;
  const findings: string[] = [];
  let findingCount = 0;
  const report = (what: string): void => {
    findingCount++;
    if (findings.length < findingsMax) findings.push(what);
  };
  const decoder = new TimeDecoder(kernels);
  const entry = createSeriesEntry();
  const postings = index.allPostings();
  let chunkCount = 0;
  let samples = 0;
  let bytes = 0;
  let isCountKnown = true;
  try {
    for (let i = 0; i < postings.length; i++) {
      if (i % SERIES_PER_TURN === 0) {
        await yieldToLoop();
        signal?.throwIfAborted();
      }
      index.readSeries(postings[i]!, entry);
      chunkCount += entry.chunkCount;
      for (let j = 0; j < entry.chunkCount; j++) {
        const ref = entry.refs[j]!;
        const at = (): string => `chunk ${j} of series ${formatLabels(index.labelsOf(entry))} (segment ${chunkRefSegment(ref) + 1}, offset ${chunkRefOffset(ref)})`;
        let chunk: { readonly encoding: number; readonly data: Uint8Array };
        try {
          chunk = chunks.readChunk(ref);
        } catch (error) {
          if (!isTsdbError(error)) throw error;
          report(`${at()}: ${error.message}`);
          continue;
        }
        bytes += chunk.data.length;
        if (chunk.encoding === AGGREGATES_ENCODING) {
          isCountKnown = false;
          continue;
        }
        const count = chunkSampleCount(chunk.encoding, chunk.data);
        samples += count;
        if (count === 0) report(`${at()}: holds no sample`);
        else if (chunk.encoding === CHUNK_ENCODING.xor) {
          const problem = decoder.check(chunk.data, count, entry.mint[j]!, entry.maxt[j]!);
          if (problem !== '') report(`${at()}: ${problem}`);
        }
      }
    }
  } finally {
    decoder.free();
  }
  const { stats } = meta;
  if (stats.numSeries !== postings.length) report(`meta.json says ${stats.numSeries} series, the index has ${postings.length}`);
  if (stats.numChunks !== chunkCount) report(`meta.json says ${stats.numChunks} chunks, the index has ${chunkCount}`);
  // Chunks that cannot be read have their own finding; the sum without them says nothing.
  if (isCountKnown && findingCount === 0 && stats.numSamples !== samples) report(`meta.json says ${stats.numSamples} samples, the chunks have ${samples}`);
  return { series: postings.length, chunks: chunkCount, samples, bytes, findings, findingCount };
}

/** Decodes the times of one XOR chunk at a time in kernel memory that grows with the largest. */
class TimeDecoder {
  readonly #kernels: Kernels;
  #chunkRoom: number = 0;
  #sampleRoom: number = 0;
  #chunkPtr: number = 0;
  #timesPtr: number = 0;
  #valuesPtr: number = 0;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  /** @returns '' or what is wrong */
  check(data: Uint8Array, count: number, mint: number, maxt: number): string {
    const { memory } = this.#kernels;
    if (data.length + CHUNK_SLACK_BYTES > this.#chunkRoom || count > this.#sampleRoom) this.#reserve(data.length + CHUNK_SLACK_BYTES, count);
    memory.u8(this.#chunkPtr, data.length).set(data);
    const decoded = this.#kernels.decodeXor(this.#chunkPtr, data.length, this.#timesPtr, this.#valuesPtr, count);
    if (decoded !== count) return `XOR data is damaged although its checksum is right (${count} samples wanted)`;
    const times = memory.f64(this.#timesPtr, count);
    for (let i = 1; i < count; i++) if (times[i]! <= times[i - 1]!) return `sample ${i} at ${times[i]} does not follow ${times[i - 1]}`;
    if (times[0]! < mint || times[count - 1]! > maxt) return `samples from ${times[0]} to ${times[count - 1]} are not within the chunk's range ${mint} to ${maxt}`;
    return '';
  }

  free(): void {
    for (const ptr of [this.#chunkPtr, this.#timesPtr, this.#valuesPtr]) if (ptr !== 0) this.#kernels.memory.free(ptr);
    this.#chunkPtr = this.#timesPtr = this.#valuesPtr = 0;
    this.#chunkRoom = this.#sampleRoom = 0;
  }

  #reserve(chunkBytes: number, samples: number): void {
    const chunkRoom = Math.max(4096, chunkBytes, this.#chunkRoom);
    const sampleRoom = Math.max(256, samples, this.#sampleRoom);
    this.free();
    this.#chunkPtr = this.#kernels.memory.alloc(chunkRoom);
    this.#timesPtr = this.#kernels.memory.alloc(sampleRoom * 8);
    this.#valuesPtr = this.#kernels.memory.alloc(sampleRoom * 8);
    this.#chunkRoom = chunkRoom;
    this.#sampleRoom = sampleRoom;
  }
}
