/**
 * A block as verification reads it: series after series, labels as ordinals of the output's symbols, chunks in kernel memory with their
 * checksums compared.
 *
 *   postings ─► 128 entries per call ─► their chunks, planned and read as those of a query ─► one series after the other, as part of columns
 *
 * Compaction reads by series-input.ts and chunk-stream.ts.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { type Intervals, isCovered } from '../block/tombstones.ts';
import { TsdbError } from '../errors.ts';
import type { Postings } from '../index-file/postings.ts';
import { createSeriesEntry, type SeriesEntry } from '../index-file/series-entry.ts';
import { createBlockSource } from '../query/block-source.ts';
import { EntryBatch } from '../query/entry-batch.ts';
import { KernelRegion, loadIntoKernels } from '../query/load-chunks.ts';
import { type ChunkRequest, createChunkRequest, type SeriesSource } from '../query/series-source.ts';
import { ABSENT } from './verify-symbols.ts';

const NO_INTERVALS: Intervals = [];

/** Walks the series of a block. Fields are valid after `next()` returned true, until the next call. */
export class SeriesWalk {
  readonly block: Block;
  readonly #map: Uint32Array | undefined;
  readonly #mint: number;
  readonly #maxt: number;
  readonly #postings: Postings;
  readonly #kernels: Kernels;
  readonly #source: SeriesSource;
  readonly #batch: EntryBatch;
  readonly #entry: SeriesEntry = createSeriesEntry();
  readonly #request: ChunkRequest = createChunkRequest();
  readonly #loading: { readonly requests: readonly ChunkRequest[] };
  readonly #sources: readonly SeriesSource[];
  readonly #region: KernelRegion;
  /** Next series, and place in the postings of the first and behind the last of those that are loaded. */
  #position = 0;
  #loadedFrom = 0;
  #loadedEnd = 0;
  #symbols: Uint32Array;
  #symbolFrom = 0;
  /** Labels: name, value, …; `ordinalCount` of them. ABSENT where the output does not have the symbol. */
  ordinals: Uint32Array = new Uint32Array(32);
  ordinalCount = 0;
  /** Whether all labels are symbols of the output. */
  isKnown = true;
  /** Chunks [from, end) of the columns are those of the series, in order and apart. */
  from = 0;
  end = 0;
  mint: Float64Array;
  maxt: Float64Array;
  /** Deleted ranges of the series; empty for most. */
  intervals: Intervals = NO_INTERVALS;

  /**
   * @param map ordinals of the block → of the output; undefined for the output itself
   * @param mint, maxt chunks wholly outside of it are left out
   */
  constructor(block: Block, map: Uint32Array | undefined, kernels: Kernels, mint: number, maxt: number) {
    this.block = block;
    this.#map = map;
    this.#mint = mint;
    this.#maxt = maxt;
    this.#postings = block.index.allPostings();
    this.#kernels = kernels;
    this.#source = createBlockSource(block, kernels);
    this.#sources = [this.#source];
    this.#loading = { requests: [this.#request] };
    this.#batch = new EntryBatch(block.index, kernels, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.#region = new KernelRegion(kernels);
    this.#symbols = this.#batch.symbols;
    this.mint = this.#batch.mint;
    this.maxt = this.#batch.maxt;
  }

  /** Series walked. */
  get seriesDone(): number {
    return this.#position;
  }

  /** Encodings and payload lengths of the chunks, as columns. */
  get encoding(): Uint8Array {
    return this.#request.encodings;
  }

  get payloadBytes(): Int32Array {
    return this.#request.bytes;
  }

  /** Address of a chunk's payload in kernel memory. */
  payloadAt(chunk: number): number {
    return this.#region.ptr + this.#request.at[chunk]!;
  }

  /** Payload of a chunk: a view, valid until kernel memory is allocated. */
  payload(chunk: number): Uint8Array {
    return this.#kernels.memory.u8(this.payloadAt(chunk), this.#request.bytes[chunk]!);
  }

  /** Labels as strings, for messages and shards. */
  labels(): Labels {
    const labels: string[] = [];
    for (let i = 0; i < this.ordinalCount; i++) labels.push(this.block.index.symbols.lookup(this.#symbols[this.#symbolFrom + i]!));
    return labels;
  }

  /**
   * Moves to the next series. It may have no chunks that count.
   * @throws TsdbError ERR_INDEX_CORRUPT, ERR_CHUNK_CORRUPT; ERR_BLOCK_CORRUPT when its chunks overlap
   */
  next(): boolean {
    if (this.#position >= this.#postings.length) return false;
    if (this.#position >= this.#loadedEnd) this.#load();
    const i = this.#position - this.#loadedFrom;
    const ref = this.#postings[this.#position++]!;
    const batch = this.#batch;
    if (batch.count > 0) {
      const { ends } = batch;
      this.#symbolFrom = i === 0 ? 0 : ends[i * 2 - 2]!;
      this.ordinalCount = ends[i * 2]! - this.#symbolFrom;
      this.from = i === 0 ? 0 : ends[i * 2 - 1]!;
      this.end = ends[i * 2 + 1]!;
    } else {
      this.#symbolFrom = 0;
      this.ordinalCount = this.#entry.labelCount * 2;
      this.from = 0;
      this.end = this.#entry.chunkCount;
    }
    this.#mapLabels();
    this.intervals = this.block.tombstones.size === 0 ? NO_INTERVALS : (this.block.tombstones.get(ref) ?? NO_INTERVALS);
    this.#selectChunks();
    return true;
  }

  free(): void {
    this.#region.free();
  }

  /** Decodes entries from `#position` on, and brings their chunks into kernel memory. */
  #load(): void {
    const batch = this.#batch;
    const request = this.#request;
    this.#loadedFrom = this.#position;
    batch.fill(this.#postings, this.#position);
    let refs = batch.refs;
    if (batch.count > 0) {
      this.#loadedEnd = this.#position + batch.count;
      request.count = batch.ends[batch.count * 2 - 1]!;
      [this.#symbols, this.mint, this.maxt] = [batch.symbols, batch.mint, batch.maxt];
    } else {
      this.block.index.readSeries(this.#postings[this.#position]!, this.#entry);
      this.#loadedEnd = this.#position + 1;
      request.count = this.#entry.chunkCount;
      [this.#symbols, this.mint, this.maxt, refs] = [this.#entry.symbols, this.#entry.mint, this.#entry.maxt, this.#entry.refs];
    }
    if (request.refs.length < request.count) {
      const room = request.count * 2;
      request.refs = new Float64Array(room);
      request.at = new Float64Array(room);
      request.bytes = new Int32Array(room);
      request.encodings = new Uint8Array(room);
    }
    request.refs.set(refs.subarray(0, request.count));
    loadIntoKernels(this.#loading, this.#sources, this.#kernels, this.#region);
  }

  #mapLabels(): void {
    const count = this.ordinalCount;
    if (this.ordinals.length < count) this.ordinals = new Uint32Array(count * 2);
    this.isKnown = true;
    const { symbols } = this.block.index;
    const map = this.#map;
    const symbolCount = symbols.count;
    for (let i = 0; i < count; i++) {
      const symbol = this.#symbols[this.#symbolFrom + i]!;
      // `lookup` says what is wrong with an ordinal that is not in the table.
      if (symbol >= symbolCount) symbols.lookup(symbol);
      const ordinal = map === undefined ? symbol : map[symbol]!;
      this.ordinals[i] = ordinal;
      if (ordinal === ABSENT) this.isKnown = false;
    }
  }

  /** Holds the chunks to their order, and leaves those of which something may count. */
  #selectChunks(): void {
    const { mint, maxt, from, end } = this;
    let previous = Number.NEGATIVE_INFINITY;
    let isAll = true;
    for (let i = from; i < end; i++) {
      if (!(mint[i]! > previous) || !(maxt[i]! >= mint[i]!)) {
        throw new TsdbError('ERR_BLOCK_CORRUPT', `read block ${this.block.meta.ulid}: series ${JSON.stringify(this.labels())}: chunk from ${mint[i]} to ${maxt[i]} is not after the one before it, which ends at ${previous}`);
      }
      previous = maxt[i]!;
      isAll &&= this.#mayCount(i);
    }
    if (isAll) return;
    const { at, bytes, encodings } = this.#request;
    let to = from;
    for (let i = from; i < end; i++) {
      if (!this.#mayCount(i)) continue;
      mint[to] = mint[i]!;
      maxt[to] = maxt[i]!;
      at[to] = at[i]!;
      bytes[to] = bytes[i]!;
      encodings[to++] = encodings[i]!;
    }
    this.end = to;
  }

  #mayCount(i: number): boolean {
    const mint = this.mint[i]!;
    const maxt = this.maxt[i]!;
    return maxt >= this.#mint && mint <= this.#maxt && (this.intervals.length === 0 || !isCovered(this.intervals, mint, maxt));
  }
}
