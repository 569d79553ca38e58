/**
 * The series of a head and their chunks, as columns.
 *
 *   series  slot → reference, label ids (a range of one pool), first and last chunk, state of the open chunk
 *   chunks  row  → mint, maxt, encoding, address and bytes in the arena, next row of the same series
 *
 *   slot 7:  firstChunk ─► row 12 ─next─► row 31 ─next─► row 40 = lastChunk, still open
 *
 * Slots are given out in ascending order and never twice, which keeps postings sorted; `head.ts` rebuilds the table when too many
 * are dead. Histogram chunks that are open, float chunks with start timestamps that are open, and chunks too large for the arena are objects in a list of their own: room 0, address = place in the
 * list. Chunks are cut as Prometheus cuts them: at the end of the block range at the latest, evenly before that.
 */
import { type Column, grownColumn } from '@gauntlet/bytes';
import { CHUNK_ENCODING, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createXorAppend, createXorAppendState, XOR_CHUNK_BYTES_BEFORE_APPEND_MAX, XOR_HEADER_BYTES, XOR_SAMPLE_BYTES_MAX, type XorAppendState } from '../chunkenc/xor-appender.ts';
import type { HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { staleSample } from '../chunkenc/histogram-sample.ts';
import { Xor2Stream } from '../chunkenc/xor2-encoder.ts';
import { ARENA_BLOCK_BYTES_MAX, createChunkArena } from './chunk-arena.ts';
import { grownLength, PAGE_BITS, PAGE_MASK, reserveEntry } from './columns.ts';
import { HashIndex } from './hash-index.ts';
import { firstHeader, HISTOGRAM_CHUNK_BYTES_TARGET, HISTOGRAM_CHUNK_SAMPLES_MIN, histogramEncoding, OpenHistogramChunk } from './open-histogram.ts';
import { RunPool } from './run-pool.ts';
import type { SymbolTable } from './symbol-table.ts';

/** End of the aligned range of `width` ms that holds `timeMs`: the first multiple after it, rounding towards zero as Go does. */
export function rangeEnd(timeMs: number, width: number): number {
  return Math.trunc(timeMs / width) * width + width;
}

/** Samples a chunk is aimed at. */
export const CHUNK_SAMPLES_TARGET = 120;
const NONE = -1;
/** First room of a chunk; the median chunk of real data ends near twice this. */
const CHUNK_BYTES_FIRST = 96;

/** Where an even distribution of chunks wants this one to end, ms. */
export function predictChunkEnd(startMs: number, lastMs: number, latestMs: number, ratioToFull: number): number {
  const chunksLeft = (latestMs - startMs) / ((lastMs - startMs + 1) * ratioToFull);
  return chunksLeft <= 1 ? latestMs : Math.trunc(startMs + (latestMs - startMs) / Math.floor(chunksLeft));
}

/** Columns of a page of series. */
class SlotPage {
  readonly length: number;
  readonly firstChunk: Int32Array;
  readonly lastChunk: Int32Array;
  readonly nextCutMs: Float64Array;
  readonly open: XorAppendState;

  constructor(length: number, before: SlotPage | undefined) {
    this.length = length;
    this.firstChunk = pageOf(new Int32Array(length), before?.firstChunk);
    this.lastChunk = pageOf(new Int32Array(length), before?.lastChunk);
    this.nextCutMs = pageOf(new Float64Array(length), before?.nextCutMs);
    this.open = createXorAppendState(length);
    if (before !== undefined) for (const name of OPEN_COLUMNS) this.open[name].set(before.open[name]);
  }

  /** Takes over a series. */
  copy(at: number, from: SlotPage, fromAt: number): void {
    this.firstChunk[at] = from.firstChunk[fromAt]!;
    this.lastChunk[at] = from.lastChunk[fromAt]!;
    this.nextCutMs[at] = from.nextCutMs[fromAt]!;
    for (const name of OPEN_COLUMNS) this.open[name][at] = from.open[name][fromAt]!;
  }
}

/** Columns of a page of chunks. */
class ChunkPage {
  readonly length: number;
  readonly mint: Float64Array;
  readonly maxt: Float64Array;
  readonly address: Uint32Array;
  /** Bytes asked for at the arena. */
  readonly room: Uint16Array;
  /** Payload bytes. */
  readonly bytes: Uint16Array;
  /** Next chunk of the series, or of the free rows. */
  readonly next: Int32Array;
  readonly encoding: Uint8Array;

  constructor(length: number, before: ChunkPage | undefined) {
    this.length = length;
    this.mint = pageOf(new Float64Array(length), before?.mint);
    this.maxt = pageOf(new Float64Array(length), before?.maxt);
    this.address = pageOf(new Uint32Array(length), before?.address);
    this.room = pageOf(new Uint16Array(length), before?.room);
    this.bytes = pageOf(new Uint16Array(length), before?.bytes);
    this.next = pageOf(new Int32Array(length), before?.next);
    this.encoding = pageOf(new Uint8Array(length), before?.encoding);
  }
}

const OPEN_COLUMNS = ['count', 'bits', 'timeMs', 'delta', 'high', 'low', 'leading', 'trailing'] as const;

function pageOf<T extends Column>(column: T, before: T | undefined): T {
  if (before !== undefined) column.set(before as never);
  return column;
}

function makeSlotPage(length: number, before: SlotPage | undefined): SlotPage {
  return new SlotPage(length, before);
}

function makeChunkPage(length: number, before: ChunkPage | undefined): ChunkPage {
  return new ChunkPage(length, before);
}

/** Series and chunks of a head. */
export class SeriesTable {
  #symbols: SymbolTable;
  readonly #chunkRangeMs: number;
  readonly #withStarts: boolean;
  readonly #arena = createChunkArena();
  readonly #appendXor = createXorAppend();

  /** Slots given out so far, dead ones included. */
  slotCount = 0;
  /** Living series. */
  seriesCount = 0;
  /** Reference of a slot. */
  refs: Float64Array = new Float64Array(256);
  /** 1 for a living series. */
  alive: Uint8Array = new Uint8Array(256);
  readonly #slots: SlotPage[] = [];
  /** Label ids (name, value, …) of all series. */
  #labelIds: RunPool<Uint32Array> = new RunPool((length) => new Uint32Array(length));
  /** Slots by hash of their labels: a slot is the number of an entry, whose words are place and number of its label ids. */
  #byLabels = new HashIndex();

  /** Batch that last took a sample of the series, and that sample: what the next one of the batch must follow. */
  pendingBatch: Uint32Array = new Uint32Array(256);
  pendingTimeMs: Float64Array = new Float64Array(256);
  pendingHigh: Uint32Array = new Uint32Array(256);
  pendingLow: Uint32Array = new Uint32Array(256);
  /** Samples of the series in open batches: it is not removed before they are done. */
  held: Uint32Array = new Uint32Array(256);

  #chunkRows = 0;
  #freeRow = NONE;
  readonly #chunks: ChunkPage[] = [];
  /** Chunks outside of the arena, and places in this list that are free. */
  readonly #objects: (OpenHistogramChunk | Xor2Stream | Uint8Array | undefined)[] = [];
  readonly #freeObjects: number[] = [];
  #objectBytes = 0;
  /** Chunks in use. */
  chunkCount = 0;

  /** @param withStarts whether start timestamps are stored: floats in XOR2 chunks, histograms in those that can have them */
  constructor(symbols: SymbolTable, chunkRangeMs: number, withStarts: boolean = false) {
    this.#withStarts = withStarts;
    this.#symbols = symbols;
    this.#chunkRangeMs = chunkRangeMs;
  }

  /** Bytes of the arena's pages and of closed chunks outside of it. */
  get chunkBytes(): number {
    return this.#arena.bytes + this.#objectBytes;
  }

  /** Slot of the series with these label ids, −1 when there is none. */
  find(ids: Uint32Array, idCount: number): number {
    const index = this.#byLabels;
    for (let slot = index.first(hashIds(ids, idCount)); slot >= 0; slot = index.next(slot)) {
      if (this.alive[slot] === 1 && this.#hasLabels(slot, ids, idCount)) return slot;
    }
    return NONE;
  }

  #hasLabels(slot: number, ids: Uint32Array, idCount: number): boolean {
    if (this.#byLabels.wordB(slot) !== idCount) return false;
    const position = this.#byLabels.wordA(slot);
    const own = this.#labelIds.page(position);
    const from = this.#labelIds.offset(position);
    for (let i = 0; i < idCount; i++) if (own[from + i] !== ids[i]) return false;
    return true;
  }

  /** Adds a series that `find` did not find. Returns its slot. */
  add(ref: number, ids: Uint32Array, idCount: number): number {
    const position = this.#labelIds.reserve(idCount);
    const own = this.#labelIds.page(position);
    const from = this.#labelIds.offset(position);
    for (let i = 0; i < idCount; i++) own[from + i] = ids[i]!;
    const slot = this.#byLabels.add(hashIds(ids, idCount), position, idCount);
    this.slotCount = slot + 1;
    if (slot >= this.refs.length) this.#growSlots();
    reserveEntry(this.#slots, slot, makeSlotPage);
    const page = this.#slots[slot >>> PAGE_BITS]!;
    // After `compact` the slot may have had another series.
    page.firstChunk[slot & PAGE_MASK] = NONE;
    page.lastChunk[slot & PAGE_MASK] = NONE;
    this.refs[slot] = ref;
    this.alive[slot] = 1;
    this.held[slot] = 0;
    this.pendingBatch[slot] = 0;
    this.seriesCount++;
    return slot;
  }

  /** Label ids (name, value, …) of a series, a view valid until the next change. */
  labelIds(slot: number): Uint32Array {
    const position = this.#byLabels.wordA(slot);
    const from = this.#labelIds.offset(position);
    return this.#labelIds.page(position).subarray(from, from + this.#byLabels.wordB(slot));
  }

  /** Labels of a series as strings. */
  labels(slot: number): Labels {
    const labels: string[] = [];
    for (const id of this.labelIds(slot)) labels.push(this.#symbols.text(id));
    return labels;
  }

  /** Row of the first chunk of a series, negative when there is none. */
  firstChunk(slot: number): number {
    return this.#slots[slot >>> PAGE_BITS]!.firstChunk[slot & PAGE_MASK]!;
  }

  /** Row of the chunk after this one, negative when it is the last. */
  chunkNext(row: number): number {
    return this.#chunks[row >>> PAGE_BITS]!.next[row & PAGE_MASK]!;
  }

  /** Timestamp of the first sample of a chunk. */
  chunkMint(row: number): number {
    return this.#chunks[row >>> PAGE_BITS]!.mint[row & PAGE_MASK]!;
  }

  /** Timestamp of the last sample of a chunk. */
  chunkMaxt(row: number): number {
    return this.#chunks[row >>> PAGE_BITS]!.maxt[row & PAGE_MASK]!;
  }

  /** CHUNK_ENCODING of a chunk. */
  chunkEncoding(row: number): number {
    return this.#chunks[row >>> PAGE_BITS]!.encoding[row & PAGE_MASK]!;
  }

  /** True when the series has at least one sample. */
  hasSamples(slot: number): boolean {
    return this.#slots[slot >>> PAGE_BITS]!.lastChunk[slot & PAGE_MASK]! !== NONE;
  }

  /** Timestamp of the last sample; meaningful when there is one. */
  lastTimeMs(slot: number): number {
    return this.#slots[slot >>> PAGE_BITS]!.open.timeMs[slot & PAGE_MASK]!;
  }

  /** Timestamp of the newest sample that is here, −Infinity when there is none. */
  newestTimeMs(): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 1 && this.hasSamples(slot) && this.lastTimeMs(slot) > newest) newest = this.lastTimeMs(slot);
    }
    return newest;
  }

  /** Whether the last sample is a float with these bits. */
  isLastValue(slot: number, high: number, low: number): boolean {
    const { open } = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    return open.high[at] === high && open.low[at] === low && this.lastHistogram(slot) === undefined;
  }

  /** Whether the last sample in order says that the series has ended. */
  endsStale(slot: number): boolean {
    if (!this.hasSamples(slot)) return false;
    const last = this.lastHistogram(slot);
    if (last !== undefined) return last.isStale;
    const { open } = this.#slots[slot >>> PAGE_BITS]!;
    return open.high[slot & PAGE_MASK] === STALE_NAN_HI && open.low[slot & PAGE_MASK] === STALE_NAN_LO;
  }

  /** The last sample where it is a histogram. */
  lastHistogram(slot: number): HistogramSample | undefined {
    const row = this.#slots[slot >>> PAGE_BITS]!.lastChunk[slot & PAGE_MASK]!;
    if (row === NONE) return undefined;
    const encoding = this.chunkEncoding(row);
    return encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2 ? undefined : (this.#object(row) as OpenHistogramChunk).last;
  }

  /**
   * Appends a sample after the last one.
   * @param startMs start timestamp, 0 = not known; passed over where they are not stored
   * @returns false when it is not after it
   */
  append(slot: number, timeMs: number, high: number, low: number, startMs: number = 0): boolean {
    if (this.#withStarts) return this.#appendWithStart(slot, timeMs, high, low, startMs);
    const series = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    const { open } = series;
    let row = series.lastChunk[at]!;
    if (row === NONE) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
    else {
      if (open.timeMs[at]! >= timeMs) return false;
      const last = this.#chunks[row >>> PAGE_BITS]!;
      const lastAt = row & PAGE_MASK;
      if (last.encoding[lastAt] !== CHUNK_ENCODING.xor || last.bytes[lastAt]! > XOR_CHUNK_BYTES_BEFORE_APPEND_MAX) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
      else {
        const count = open.count[at]!;
        if (count === CHUNK_SAMPLES_TARGET / 4) series.nextCutMs[at] = predictChunkEnd(last.mint[lastAt]!, last.maxt[lastAt]!, series.nextCutMs[at]!, 4);
        if (timeMs >= series.nextCutMs[at]! || count >= CHUNK_SAMPLES_TARGET * 2) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
      }
    }
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const rowAt = row & PAGE_MASK;
    const wanted = Math.max(chunks.bytes[rowAt]!, XOR_HEADER_BYTES) + XOR_SAMPLE_BYTES_MAX;
    if (wanted > this.#arena.capacity(chunks.room[rowAt]!)) this.#resizeChunk(row, Math.min(Math.max(wanted, chunks.room[rowAt]! * 2), ARENA_BLOCK_BYTES_MAX));
    const address = chunks.address[rowAt]!;
    this.#appendXor(this.#arena.page(address), this.#arena.offset(address), open, at, timeMs, high, low);
    chunks.maxt[rowAt] = timeMs;
    chunks.bytes[rowAt] = (open.bits[at]! + 7) >>> 3;
    return true;
  }

  /** As `append`, to an XOR2 chunk, which is cut by the same rules. */
  #appendWithStart(slot: number, timeMs: number, high: number, low: number, startMs: number): boolean {
    const series = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    const { open } = series;
    const row = series.lastChunk[at]!;
    if (row !== NONE && open.timeMs[at]! >= timeMs) return false;
    let stream = row !== NONE && this.chunkEncoding(row) === CHUNK_ENCODING.xor2 ? (this.#object(row) as Xor2Stream) : undefined;
    if (stream !== undefined) {
      if (stream.count === CHUNK_SAMPLES_TARGET / 4 && stream.byteLength <= XOR_CHUNK_BYTES_BEFORE_APPEND_MAX) {
        series.nextCutMs[at] = predictChunkEnd(this.chunkMint(row), this.chunkMaxt(row), series.nextCutMs[at]!, 4);
      }
      if (stream.byteLength > XOR_CHUNK_BYTES_BEFORE_APPEND_MAX || timeMs >= series.nextCutMs[at]! || stream.count >= CHUNK_SAMPLES_TARGET * 2) stream = undefined;
    }
    if (stream === undefined) {
      const cut = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor2);
      stream = new Xor2Stream();
      this.#putObject(cut, stream);
    }
    stream.add(timeMs, high, low, startMs);
    this.#setMaxt(series.lastChunk[at]!, timeMs);
    open.timeMs[at] = timeMs;
    open.high[at] = high;
    open.low[at] = low;
    return true;
  }

  /**
   * Appends a float as logs have it: the end of a histogram series may be one, and becomes a histogram.
   * @returns false when it is not after the last sample
   */
  appendFloat(slot: number, timeMs: number, high: number, low: number, startMs: number = 0): boolean {
    if (high === STALE_NAN_HI && low === STALE_NAN_LO) {
      const last = this.lastHistogram(slot);
      if (last !== undefined) return this.appendHistogram(slot, staleSample(last.isFloat, timeMs));
    }
    return this.append(slot, timeMs, high, low, startMs);
  }

  /**
   * Appends a histogram after the last sample.
   * @returns false when it is not after it
   */
  appendHistogram(slot: number, sample: HistogramSample): boolean {
    const { timeMs } = sample;
    const series = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    const row = series.lastChunk[at]!;
    if (row !== NONE && series.open.timeMs[at]! >= timeMs) return false;
    const encoding = histogramEncoding(sample.isFloat, this.#withStarts);
    if (row === NONE || this.chunkEncoding(row) !== encoding) this.#beginHistogram(slot, sample, firstHeader(sample));
    else {
      const open = this.#object(row) as OpenHistogramChunk;
      const mint = this.chunkMint(row);
      const rangeStart = open.isEndPredicted ? rangeEnd(mint, this.#chunkRangeMs) : series.nextCutMs[at]!;
      const bytes = open.byteLength;
      if (!open.isEndPredicted && bytes >= HISTOGRAM_CHUNK_BYTES_TARGET / 4) {
        series.nextCutMs[at] = predictChunkEnd(mint, this.chunkMaxt(row), series.nextCutMs[at]!, HISTOGRAM_CHUNK_BYTES_TARGET / bytes);
        open.isEndPredicted = true;
      }
      const isFull = timeMs >= series.nextCutMs[at]! || bytes >= HISTOGRAM_CHUNK_BYTES_TARGET * 2;
      if (isFull && (open.count >= HISTOGRAM_CHUNK_SAMPLES_MIN || timeMs >= rangeStart)) {
        this.#beginHistogram(slot, sample, sample.isGauge ? firstHeader(sample) : open.headerAfter(sample));
      } else {
        const nextHeader = open.append(sample);
        if (nextHeader >= 0) this.#beginHistogram(slot, sample, nextHeader);
        else this.#setMaxt(row, timeMs);
      }
    }
    series.open.timeMs[at] = timeMs;
    return true;
  }

  #setMaxt(row: number, maxt: number): void {
    this.#chunks[row >>> PAGE_BITS]!.maxt[row & PAGE_MASK] = maxt;
  }

  /** What a chunk outside of the arena consists of. */
  #object(row: number): OpenHistogramChunk | Xor2Stream | Uint8Array | undefined {
    return this.#objects[this.#chunks[row >>> PAGE_BITS]!.address[row & PAGE_MASK]!];
  }

  /** Payload of a chunk row, a view valid until the next change. */
  chunkData(row: number): Uint8Array {
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const at = row & PAGE_MASK;
    if (chunks.room[at] === 0) {
      const object = this.#object(row)!;
      return object instanceof Uint8Array ? object : object.bytes();
    }
    const address = chunks.address[at]!;
    const offset = this.#arena.offset(address);
    return this.#arena.page(address).subarray(offset, offset + chunks.bytes[at]!);
  }

  /** Frees the chunks of a series that end before `mint`. @returns earliest timestamp left, or Infinity when nothing is left */
  dropChunksBefore(slot: number, mint: number): number {
    const series = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    let row = series.firstChunk[at]!;
    while (row !== NONE && this.chunkMaxt(row) < mint) {
      const next = this.chunkNext(row);
      this.freeRow(row);
      row = next;
    }
    series.firstChunk[at] = row;
    if (row !== NONE) return this.chunkMint(row);
    series.lastChunk[at] = NONE;
    return Number.POSITIVE_INFINITY;
  }

  /** Adds a chunk that is in no series' list, copying its payload. Returns its row. */
  addRow(mint: number, maxt: number, encoding: number, data: Uint8Array): number {
    const row = this.#newRow(mint, encoding);
    this.#setMaxt(row, maxt);
    this.#putData(row, data);
    return row;
  }

  /** Frees a chunk that is in no series' list. */
  freeRow(row: number): void {
    this.#freeData(row);
    this.#chunks[row >>> PAGE_BITS]!.next[row & PAGE_MASK] = this.#freeRow;
    this.#freeRow = row;
    this.chunkCount--;
  }

  /** Marks series without chunks dead. Returns how many. Those with samples in open batches stay. @param isKept keeps others */
  removeEmpty(isKept: (slot: number) => boolean): number {
    let removed = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 0 || this.firstChunk(slot) !== NONE || this.held[slot]! > 0 || isKept(slot)) continue;
      this.alive[slot] = 0;
      removed++;
    }
    this.seriesCount -= removed;
    return removed;
  }

  /**
   * Closes the gaps that dead series left: new slots, label ids of `symbols`. Chunks stay where they are.
   * Every slot known from before is void.
   */
  compact(symbols: SymbolTable): void {
    const byLabels = new HashIndex();
    const labelIds = new RunPool((length) => new Uint32Array(length));
    let to = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 0) continue;
      this.#slots[to >>> PAGE_BITS]!.copy(to & PAGE_MASK, this.#slots[slot >>> PAGE_BITS]!, slot & PAGE_MASK);
      const old = this.labelIds(slot);
      const position = labelIds.reserve(old.length);
      const from = labelIds.offset(position);
      const ids = labelIds.page(position).subarray(from, from + old.length);
      for (let i = 0; i < old.length; i++) ids[i] = symbols.intern(this.#symbols.text(old[i]!));
      byLabels.add(hashIds(ids, ids.length), position, ids.length);
      this.refs[to] = this.refs[slot]!;
      this.alive[to] = 1;
      this.pendingBatch[to] = this.pendingBatch[slot]!;
      this.pendingTimeMs[to] = this.pendingTimeMs[slot]!;
      this.pendingHigh[to] = this.pendingHigh[slot]!;
      this.pendingLow[to] = this.pendingLow[slot]!;
      this.held[to] = this.held[slot]!;
      to++;
    }
    this.#byLabels = byLabels;
    this.#labelIds = labelIds;
    this.slotCount = to;
    this.#slots.length = Math.ceil(to / (PAGE_MASK + 1));
    this.#symbols = symbols;
  }

  /** Begins a chunk for floats, or with its data to come. Returns its row. */
  #cutChunk(slot: number, mint: number, encoding: number): number {
    const series = this.#slots[slot >>> PAGE_BITS]!;
    const at = slot & PAGE_MASK;
    const last = series.lastChunk[at]!;
    if (last !== NONE) this.#closeChunk(last);
    const row = this.#newRow(mint, encoding);
    if (last === NONE) series.firstChunk[at] = row;
    else this.#chunks[last >>> PAGE_BITS]!.next[last & PAGE_MASK] = row;
    series.lastChunk[at] = row;
    series.nextCutMs[at] = rangeEnd(mint, this.#chunkRangeMs);
    if (encoding === CHUNK_ENCODING.xor) {
      const chunks = this.#chunks[row >>> PAGE_BITS]!;
      chunks.room[row & PAGE_MASK] = CHUNK_BYTES_FIRST;
      chunks.address[row & PAGE_MASK] = this.#arena.alloc(CHUNK_BYTES_FIRST);
      series.open.count[at] = 0;
      series.open.bits[at] = XOR_HEADER_BYTES * 8;
    }
    return row;
  }

  #newRow(mint: number, encoding: number): number {
    let row = this.#freeRow;
    if (row !== NONE) this.#freeRow = this.chunkNext(row);
    else {
      row = this.#chunkRows++;
      reserveEntry(this.#chunks, row, makeChunkPage);
    }
    this.chunkCount++;
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const at = row & PAGE_MASK;
    chunks.mint[at] = mint;
    chunks.maxt[at] = mint;
    chunks.encoding[at] = encoding;
    chunks.bytes[at] = 0;
    chunks.next[at] = NONE;
    return row;
  }

  #beginHistogram(slot: number, sample: HistogramSample, header: number): void {
    const row = this.#cutChunk(slot, sample.timeMs, histogramEncoding(sample.isFloat, this.#withStarts));
    this.#putObject(row, new OpenHistogramChunk(sample, header, this.#withStarts));
  }

  /** Gives a chunk that gets no more samples no more room than it needs. */
  #closeChunk(row: number): void {
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const at = row & PAGE_MASK;
    if (chunks.encoding[at] === CHUNK_ENCODING.xor) {
      const bytes = chunks.bytes[at]!;
      if (this.#arena.capacity(bytes) < this.#arena.capacity(chunks.room[at]!)) this.#resizeChunk(row, bytes);
      return;
    }
    const data = this.chunkData(row);
    this.#freeData(row);
    this.#putData(row, data);
  }

  /** Gives a chunk its payload, which is copied. */
  #putData(row: number, data: Uint8Array): void {
    if (data.length > ARENA_BLOCK_BYTES_MAX) {
      this.#putObject(row, data.slice());
      this.#objectBytes += data.length;
      return;
    }
    const address = this.#arena.alloc(data.length);
    this.#arena.page(address).set(data, this.#arena.offset(address));
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    chunks.address[row & PAGE_MASK] = address;
    chunks.room[row & PAGE_MASK] = data.length;
    chunks.bytes[row & PAGE_MASK] = data.length;
  }

  #putObject(row: number, object: OpenHistogramChunk | Xor2Stream | Uint8Array): void {
    const place = this.#freeObjects.pop() ?? this.#objects.length;
    this.#objects[place] = object;
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    chunks.room[row & PAGE_MASK] = 0;
    chunks.address[row & PAGE_MASK] = place;
  }

  #freeData(row: number): void {
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const address = chunks.address[row & PAGE_MASK]!;
    const room = chunks.room[row & PAGE_MASK]!;
    if (room > 0) {
      this.#arena.free(address, room);
      return;
    }
    const object = this.#objects[address];
    if (object instanceof Uint8Array) this.#objectBytes -= object.length;
    this.#objects[address] = undefined;
    this.#freeObjects.push(address);
  }

  /** Moves a chunk into a block of another size. */
  #resizeChunk(row: number, bytes: number): void {
    const chunks = this.#chunks[row >>> PAGE_BITS]!;
    const at = row & PAGE_MASK;
    const from = chunks.address[at]!;
    const room = chunks.room[at]!;
    const to = this.#arena.alloc(bytes);
    const kept = Math.min(this.#arena.capacity(room), this.#arena.capacity(bytes));
    const fromAt = this.#arena.offset(from);
    this.#arena.page(to).set(this.#arena.page(from).subarray(fromAt, fromAt + kept), this.#arena.offset(to));
    this.#arena.free(from, room);
    chunks.address[at] = to;
    chunks.room[at] = bytes;
  }

  #growSlots(): void {
    const size = grownLength(this.refs.length);
    this.refs = grownColumn(this.refs, size);
    this.alive = grownColumn(this.alive, size);
    this.pendingBatch = grownColumn(this.pendingBatch, size);
    this.pendingTimeMs = grownColumn(this.pendingTimeMs, size);
    this.pendingHigh = grownColumn(this.pendingHigh, size);
    this.pendingLow = grownColumn(this.pendingLow, size);
    this.held = grownColumn(this.held, size);
  }
}

function hashIds(ids: Uint32Array, idCount: number): number {
  let hash = idCount;
  for (let i = 0; i < idCount; i++) hash = Math.imul(hash ^ ids[i]!, 0x85ebca6b) ^ (hash >>> 13);
  return (hash ^ (hash >>> 16)) >>> 0;
}
