/**
 * A block as an input of compaction: its series in label order, with labels as ordinals of the merged symbols, chunks loaded when the
 * series' turn comes, deleted samples gone, samples outside of the block's range too.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import type { BlockChunk } from '../block/block-writer.ts';
import { addInterval, type Intervals, isCovered, overlapsIntervals } from '../block/tombstones.ts';
import { ChunkFrames } from '../chunks/chunk-frames.ts';
import { chunkRefOffset, chunkRefSegment } from '../chunks/layout.ts';
import { TsdbError } from '../errors.ts';
import { compareOrdinals } from '../index-file/index-writer.ts';
import { indexCorrupt, SERIES_ALIGN } from '../index-file/layout.ts';
import type { Postings } from '../index-file/postings.ts';
import { createSeriesEntry, type SeriesEntry } from '../index-file/series-entry.ts';
import { isRecodable, recodeWithout } from '../query/recode-chunk.ts';
import { EntryBatch } from '../query/entry-batch.ts';
import { ChunkStream, TAIL_BYTES } from './chunk-stream.ts';

const NO_INTERVALS: Intervals = [];
/** Time no sample has. */
const FOREVER = Number.MAX_SAFE_INTEGER;

/** Walks the series of one block. Fields are valid after `next()` returned true, until the next call. */
export class SeriesInput {
  readonly block: Block;
  readonly #kernels: Kernels;
  readonly #map: Uint32Array;
  readonly #postings: Postings;
  readonly #mint: number;
  readonly #maxt: number;
  readonly #stream: ChunkStream;
  readonly #entry: SeriesEntry = createSeriesEntry();
  readonly #chunks: BlockChunk[] = [];
  readonly #batch: EntryBatch;
  /** Place in the postings of the batch's first entry. */
  #batchFrom = 0;
  /** The chunks of the series, after `loadFrames`. */
  readonly frames: ChunkFrames = new ChunkFrames();
  #intervals: Intervals = NO_INTERVALS;
  #position = 0;
  /** Labels as ordinals of the merged symbols: name, value, …; `ordinalCount` of them. */
  ordinals: Uint32Array = new Uint32Array(32);
  ordinalCount = 0;
  #previous: Uint32Array = new Uint32Array(32);
  #previousCount = -1;

  /**
   * @param map ordinals of the block → of the merged symbols
   * @param mint, maxt range of the samples to take, both inclusive
   */
  constructor(block: Block, map: Uint32Array, kernels: Kernels, mint: number, maxt: number, aheadBytes: number) {
    this.block = block;
    this.#kernels = kernels;
    this.#map = map;
    this.#mint = mint;
    this.#maxt = maxt;
    this.#postings = block.index.allPostings();
    this.#stream = new ChunkStream(block, kernels, aheadBytes);
    this.#batch = new EntryBatch(block.index, kernels, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  get seriesTotal(): number {
    return this.#postings.length;
  }

  /** Series walked, those passed over included. */
  get seriesDone(): number {
    return this.#position;
  }

  /** Bytes that the chunks of the series take, about. */
  get chunkBytes(): number {
    const { refs, chunkCount } = this.#entry;
    const [first, last] = [refs[0]!, refs[chunkCount - 1]!];
    // They lie one behind the other, but for where a segment ends.
    if (last < first || chunkRefSegment(first) !== chunkRefSegment(last)) return chunkCount * TAIL_BYTES;
    return chunkRefOffset(last) - chunkRefOffset(first) + TAIL_BYTES;
  }

  /** Labels as strings, for messages and merge functions. */
  labels(): Labels {
    return this.block.index.labelsOf(this.#entry);
  }

  /** Moves to the next series that may have samples. @throws TsdbError ERR_INDEX_CORRUPT, ERR_BLOCK_CORRUPT */
  next(): boolean {
    const entry = this.#entry;
    while (this.#position < this.#postings.length) {
      const ref = this.#postings[this.#position]!;
      if (!this.#takeFromBatch(entry)) this.block.index.readSeries(ref, entry);
      this.#position++;
      this.#mapLabels(ref);
      this.#intervals = this.block.tombstones.size === 0 ? NO_INTERVALS : (this.block.tombstones.get(ref) ?? NO_INTERVALS);
      this.#selectChunks();
      if (entry.chunkCount > 0) return true;
    }
    return false;
  }

  /**
   * Brings the chunks of the series into `frames`, in kernel memory, where they stay until the next call of anything here.
   * @returns false where samples have to be taken out of chunks, or these do not lie in one piece: `load` takes them
   * @throws TsdbError ERR_CHUNK_CORRUPT
   */
  loadFrames(): boolean {
    return this.#intervals.length === 0 && this.#stream.loadFrames(this.#entry, this.frames);
  }

  /**
   * The chunks of the series, in order and apart; none when all its samples are deleted. Valid until the next `next()`.
   * @throws TsdbError ERR_CHUNK_CORRUPT; ERR_CHUNK_ENCODING when samples are to be taken out of a chunk that cannot be decoded
   */
  load(): readonly BlockChunk[] {
    this.#stream.load(this.#entry, this.#chunks);
    if (this.#intervals.length === 0) return this.#chunks;
    const kept: BlockChunk[] = [];
    for (const chunk of this.#chunks) {
      if (!overlapsIntervals(this.#intervals, chunk.mint, chunk.maxt)) kept.push(chunk);
      else {
        if (!isRecodable(chunk.encoding)) {
          throw new TsdbError('ERR_CHUNK_ENCODING', `compact block ${this.block.meta.ulid}: take deleted samples out of series ${JSON.stringify(this.labels())}, chunk from ${chunk.mint} to ${chunk.maxt}: encoding ${chunk.encoding} cannot be written yet`);
        }
        const rest = recodeWithout(chunk, this.#intervals, this.#kernels);
        if (rest !== undefined) kept.push(rest);
      }
    }
    return kept;
  }

  free(): void {
    this.#stream.free();
  }

  /** The entry at `#position`, decoded with others. @returns false where it has to be read alone */
  #takeFromBatch(entry: SeriesEntry): boolean {
    const batch = this.#batch;
    if (this.#position >= this.#batchFrom + batch.count) {
      batch.fill(this.#postings, this.#position);
      this.#batchFrom = this.#position;
      if (batch.count === 0) return false;
    }
    const i = this.#position - this.#batchFrom;
    const { ends } = batch;
    const symbolsFrom = i === 0 ? 0 : ends[i * 2 - 2]!;
    const chunksFrom = i === 0 ? 0 : ends[i * 2 - 1]!;
    const symbols = ends[i * 2]! - symbolsFrom;
    const chunks = ends[i * 2 + 1]! - chunksFrom;
    reserveEntry(entry, symbols, chunks);
    entry.labelCount = symbols / 2;
    for (let j = 0; j < symbols; j++) entry.symbols[j] = batch.symbols[symbolsFrom + j]!;
    entry.chunkCount = chunks;
    for (let j = 0; j < chunks; j++) {
      entry.mint[j] = batch.mint[chunksFrom + j]!;
      entry.maxt[j] = batch.maxt[chunksFrom + j]!;
      entry.refs[j] = batch.refs[chunksFrom + j]!;
    }
    return true;
  }

  /** Translates labels, and checks that series ascend: everything after relies on it. */
  #mapLabels(ref: number): void {
    const entry = this.#entry;
    const count = entry.labelCount * 2;
    const labels = this.#previous;
    this.#previous = this.ordinals;
    this.#previousCount = this.#position > 1 ? this.ordinalCount : -1;
    this.ordinals = labels.length < count ? new Uint32Array(count * 2) : labels;
    this.ordinalCount = count;
    for (let i = 0; i < count; i++) {
      const symbol = entry.symbols[i]!;
      // `lookup` says what is wrong with an ordinal that is not in the table.
      if (symbol >= this.#map.length) this.block.index.symbols.lookup(symbol);
      this.ordinals[i] = this.#map[symbol]!;
    }
    if (this.#previousCount >= 0 && compareOrdinals(this.ordinals, count, this.#previous, this.#previousCount) <= 0) {
      throw indexCorrupt(this.block.meta.ulid, 'series', ref * SERIES_ALIGN, `series ${JSON.stringify(this.labels())} is not after the one before it`);
    }
  }

  /** Leaves the chunks that may have samples in range, and adds to the deleted ranges what lies outside. */
  #selectChunks(): void {
    const entry = this.#entry;
    let count = 0;
    let isFrontCut = false;
    let isBackCut = false;
    let previousMaxt = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < entry.chunkCount; i++) {
      const mint = entry.mint[i]!;
      const maxt = entry.maxt[i]!;
      if (mint <= previousMaxt) {
        throw new TsdbError('ERR_BLOCK_CORRUPT', `compact block ${this.block.meta.ulid}: series ${JSON.stringify(this.labels())}: chunk from ${mint} to ${maxt} is not after the one before it, which ends at ${previousMaxt}`);
      }
      previousMaxt = maxt;
      if (maxt < this.#mint || mint > this.#maxt) continue;
      if (this.#intervals.length > 0 && isCovered(this.#intervals, mint, maxt)) continue;
      isFrontCut ||= mint < this.#mint;
      isBackCut ||= maxt > this.#maxt;
      entry.mint[count] = mint;
      entry.maxt[count] = maxt;
      entry.refs[count++] = entry.refs[i]!;
    }
    entry.chunkCount = count;
    if (isFrontCut) this.#intervals = addInterval(this.#intervals, -FOREVER, this.#mint - 1);
    if (isBackCut) this.#intervals = addInterval(this.#intervals, this.#maxt + 1, FOREVER);
  }
}

/** Makes room; contents are lost where it grows. */
function reserveEntry(entry: SeriesEntry, symbols: number, chunks: number): void {
  if (entry.symbols.length < symbols) entry.symbols = new Uint32Array(symbols * 2);
  if (entry.mint.length >= chunks) return;
  entry.mint = new Float64Array(chunks * 2);
  entry.maxt = new Float64Array(chunks * 2);
  entry.refs = new Float64Array(chunks * 2);
}
