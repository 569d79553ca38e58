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
import { CHUNK_ENCODING, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createXorAppend, createXorAppendState, XOR_CHUNK_BYTES_BEFORE_APPEND_MAX, XOR_HEADER_BYTES, XOR_SAMPLE_BYTES_MAX, type XorAppendState } from '../chunkenc/xor-appender.ts';
import type { HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { Xor2Stream } from '../chunkenc/xor2-encoder.ts';
import { ARENA_BLOCK_BYTES_MAX, createChunkArena } from './chunk-arena.ts';
import { firstHeader, HISTOGRAM_CHUNK_BYTES_TARGET, HISTOGRAM_CHUNK_SAMPLES_MIN, histogramEncoding, OpenHistogramChunk } from './open-histogram.ts';
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

type Column = Float64Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

function grown<T extends Column>(column: T, length: number): T {
  const bigger = new (column.constructor as new (length: number) => T)(length);
  bigger.set(column as never);
  return bigger;
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
  /** Label ids (name, value, …) of all series. */
  labelIds: Uint32Array = new Uint32Array(4096);
  labelStart: Float64Array = new Float64Array(256);
  labelCount: Uint16Array = new Uint16Array(256);
  #labelIdCount = 0;
  #hash: Uint32Array = new Uint32Array(256);
  #lookup: Int32Array = new Int32Array(1024).fill(NONE);

  firstChunk: Int32Array = new Int32Array(256).fill(NONE);
  #lastChunk: Int32Array = new Int32Array(256).fill(NONE);
  #nextCutMs: Float64Array = new Float64Array(256);
  #open: XorAppendState = createXorAppendState(256);

  /** Batch that last took a sample of the series, and that sample: what the next one of the batch must follow. */
  pendingBatch: Uint32Array = new Uint32Array(256);
  pendingTimeMs: Float64Array = new Float64Array(256);
  pendingHigh: Uint32Array = new Uint32Array(256);
  pendingLow: Uint32Array = new Uint32Array(256);
  /** Samples of the series in open batches: it is not removed before they are done. */
  held: Uint32Array = new Uint32Array(256);

  #chunkRows = 0;
  #freeRow = NONE;
  /** First and last timestamp of a chunk row. */
  chunkMint: Float64Array = new Float64Array(256);
  chunkMaxt: Float64Array = new Float64Array(256);
  #chunkAddress: Float64Array = new Float64Array(256);
  /** Bytes asked for at the arena. */
  #chunkRoom: Uint16Array = new Uint16Array(256);
  /** Payload bytes. */
  #chunkBytes: Uint16Array = new Uint16Array(256);
  /** Next chunk of the series, or of the free rows. */
  chunkNext: Int32Array = new Int32Array(256);
  /** CHUNK_ENCODING of a chunk row. */
  chunkEncoding: Uint8Array = new Uint8Array(256);
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
    const hash = hashIds(ids, idCount);
    return this.#lookup[this.#place(hash, ids, 0, idCount)]!;
  }

  /** Adds a series that `find` did not find. Returns its slot. */
  add(ref: number, ids: Uint32Array, idCount: number): number {
    const slot = this.slotCount++;
    if (slot === this.refs.length) this.#growSlots();
    if (this.#labelIdCount + idCount > this.labelIds.length) this.labelIds = grown(this.labelIds, Math.max(this.labelIds.length * 2, this.#labelIdCount + idCount));
    this.labelIds.set(ids.subarray(0, idCount), this.#labelIdCount);
    this.refs[slot] = ref;
    this.alive[slot] = 1;
    // After `compact` the slot may have had another series, whose chunks are that series' still.
    this.firstChunk[slot] = NONE;
    this.#lastChunk[slot] = NONE;
    this.held[slot] = 0;
    this.pendingBatch[slot] = 0;
    this.labelStart[slot] = this.#labelIdCount;
    this.labelCount[slot] = idCount / 2;
    this.#labelIdCount += idCount;
    const hash = hashIds(ids, idCount);
    this.#hash[slot] = hash;
    this.#lookup[this.#place(hash, ids, 0, idCount)] = slot;
    this.seriesCount++;
    return slot;
  }

  /** Labels of a series as strings. */
  labels(slot: number): Labels {
    const start = this.labelStart[slot]!;
    const labels: string[] = [];
    for (let i = start; i < start + this.labelCount[slot]! * 2; i++) labels.push(this.#symbols.text(this.labelIds[i]!));
    return labels;
  }

  /** True when the series has at least one sample. */
  hasSamples(slot: number): boolean {
    return this.#lastChunk[slot]! !== NONE;
  }

  /** Timestamp of the last sample; meaningful when there is one. */
  lastTimeMs(slot: number): number {
    return this.#open.timeMs[slot]!;
  }

  /** Timestamp of the newest sample that is here, −Infinity when there is none. */
  newestTimeMs(): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 1 && this.#lastChunk[slot] !== NONE && this.#open.timeMs[slot]! > newest) newest = this.#open.timeMs[slot]!;
    }
    return newest;
  }

  /** Whether the last sample is a float with these bits. */
  isLastValue(slot: number, high: number, low: number): boolean {
    return this.#open.high[slot] === high && this.#open.low[slot] === low && this.lastHistogram(slot) === undefined;
  }

  /** Whether the last sample in order says that the series has ended. */
  endsStale(slot: number): boolean {
    if (!this.hasSamples(slot)) return false;
    const last = this.lastHistogram(slot);
    return last === undefined ? this.#open.high[slot] === STALE_NAN_HI && this.#open.low[slot] === STALE_NAN_LO : last.isStale;
  }

  /** The last sample where it is a histogram. */
  lastHistogram(slot: number): HistogramSample | undefined {
    const row = this.#lastChunk[slot]!;
    if (row === NONE || this.chunkEncoding[row] === CHUNK_ENCODING.xor || this.chunkEncoding[row] === CHUNK_ENCODING.xor2) return undefined;
    return (this.#objects[this.#chunkAddress[row]!] as OpenHistogramChunk).last;
  }

  /**
   * Appends a sample after the last one.
   * @param startMs start timestamp, 0 = not known; passed over where they are not stored
   * @returns false when it is not after it
   */
  append(slot: number, timeMs: number, high: number, low: number, startMs: number = 0): boolean {
    if (this.#withStarts) return this.#appendWithStart(slot, timeMs, high, low, startMs);
    const open = this.#open;
    let row = this.#lastChunk[slot]!;
    if (row === NONE) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
    else if (this.chunkEncoding[row] !== CHUNK_ENCODING.xor) {
      if (open.timeMs[slot]! >= timeMs) return false;
      row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
    } else {
      if (open.timeMs[slot]! >= timeMs) return false;
      const count = open.count[slot]!;
      if (this.#chunkBytes[row]! > XOR_CHUNK_BYTES_BEFORE_APPEND_MAX) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
      else {
        if (count === CHUNK_SAMPLES_TARGET / 4) this.#nextCutMs[slot] = predictChunkEnd(this.chunkMint[row]!, this.chunkMaxt[row]!, this.#nextCutMs[slot]!, 4);
        if (timeMs >= this.#nextCutMs[slot]! || count >= CHUNK_SAMPLES_TARGET * 2) row = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor);
      }
    }
    const wanted = Math.max(this.#chunkBytes[row]!, XOR_HEADER_BYTES) + XOR_SAMPLE_BYTES_MAX;
    if (wanted > this.#arena.capacity(this.#chunkRoom[row]!)) this.#resizeChunk(row, Math.min(Math.max(wanted, this.#chunkRoom[row]! * 2), ARENA_BLOCK_BYTES_MAX));
    const address = this.#chunkAddress[row]!;
    this.#appendXor(this.#arena.page(address), this.#arena.offset(address), open, slot, timeMs, high, low);
    this.chunkMaxt[row] = timeMs;
    this.#chunkBytes[row] = (open.bits[slot]! + 7) >>> 3;
    return true;
  }

  /** As `append`, to an XOR2 chunk, which is cut by the same rules. */
  #appendWithStart(slot: number, timeMs: number, high: number, low: number, startMs: number): boolean {
    const open = this.#open;
    const row = this.#lastChunk[slot]!;
    if (row !== NONE && open.timeMs[slot]! >= timeMs) return false;
    let stream = row !== NONE && this.chunkEncoding[row] === CHUNK_ENCODING.xor2 ? (this.#objects[this.#chunkAddress[row]!] as Xor2Stream) : undefined;
    if (stream !== undefined) {
      if (stream.count === CHUNK_SAMPLES_TARGET / 4 && stream.byteLength <= XOR_CHUNK_BYTES_BEFORE_APPEND_MAX) {
        this.#nextCutMs[slot] = predictChunkEnd(this.chunkMint[row]!, this.chunkMaxt[row]!, this.#nextCutMs[slot]!, 4);
      }
      if (stream.byteLength > XOR_CHUNK_BYTES_BEFORE_APPEND_MAX || timeMs >= this.#nextCutMs[slot]! || stream.count >= CHUNK_SAMPLES_TARGET * 2) stream = undefined;
    }
    if (stream === undefined) {
      const cut = this.#cutChunk(slot, timeMs, CHUNK_ENCODING.xor2);
      stream = new Xor2Stream();
      this.#putObject(cut, stream);
    }
    stream.add(timeMs, high, low, startMs);
    this.chunkMaxt[this.#lastChunk[slot]!] = timeMs;
    open.timeMs[slot] = timeMs;
    open.high[slot] = high;
    open.low[slot] = low;
    return true;
  }

  /**
   * Appends a histogram after the last sample.
   * @returns false when it is not after it
   */
  appendHistogram(slot: number, sample: HistogramSample): boolean {
    const { timeMs } = sample;
    const row = this.#lastChunk[slot]!;
    if (row !== NONE && this.#open.timeMs[slot]! >= timeMs) return false;
    const encoding = histogramEncoding(sample.isFloat, this.#withStarts);
    if (row === NONE || this.chunkEncoding[row] !== encoding) this.#beginHistogram(slot, sample, firstHeader(sample));
    else {
      const open = this.#objects[this.#chunkAddress[row]!] as OpenHistogramChunk;
      const mint = this.chunkMint[row]!;
      const rangeStart = open.isEndPredicted ? rangeEnd(mint, this.#chunkRangeMs) : this.#nextCutMs[slot]!;
      const bytes = open.byteLength;
      if (!open.isEndPredicted && bytes >= HISTOGRAM_CHUNK_BYTES_TARGET / 4) {
        this.#nextCutMs[slot] = predictChunkEnd(mint, this.chunkMaxt[row]!, this.#nextCutMs[slot]!, HISTOGRAM_CHUNK_BYTES_TARGET / bytes);
        open.isEndPredicted = true;
      }
      const isFull = timeMs >= this.#nextCutMs[slot]! || bytes >= HISTOGRAM_CHUNK_BYTES_TARGET * 2;
      if (isFull && (open.count >= HISTOGRAM_CHUNK_SAMPLES_MIN || timeMs >= rangeStart)) {
        this.#beginHistogram(slot, sample, sample.isGauge ? firstHeader(sample) : open.headerAfter(sample));
      } else {
        const nextHeader = open.append(sample);
        if (nextHeader >= 0) this.#beginHistogram(slot, sample, nextHeader);
        else this.chunkMaxt[row] = timeMs;
      }
    }
    this.#open.timeMs[slot] = timeMs;
    return true;
  }

  /** Payload of a chunk row, a view valid until the next change. */
  chunkData(row: number): Uint8Array {
    const address = this.#chunkAddress[row]!;
    if (this.#chunkRoom[row] === 0) {
      const object = this.#objects[address]!;
      return object instanceof Uint8Array ? object : object.bytes();
    }
    const offset = this.#arena.offset(address);
    return this.#arena.page(address).subarray(offset, offset + this.#chunkBytes[row]!);
  }

  /** Frees the chunks of a series that end before `mint`. @returns earliest timestamp left, or Infinity when nothing is left */
  dropChunksBefore(slot: number, mint: number): number {
    let row = this.firstChunk[slot]!;
    while (row !== NONE && this.chunkMaxt[row]! < mint) {
      const next = this.chunkNext[row]!;
      this.freeRow(row);
      row = next;
    }
    this.firstChunk[slot] = row;
    if (row !== NONE) return this.chunkMint[row]!;
    this.#lastChunk[slot] = NONE;
    return Number.POSITIVE_INFINITY;
  }

  /** Adds a chunk that is in no series' list, copying its payload. Returns its row. */
  addRow(mint: number, maxt: number, encoding: number, data: Uint8Array): number {
    const row = this.#newRow(mint, encoding);
    this.chunkMaxt[row] = maxt;
    this.#putData(row, data);
    return row;
  }

  /** Frees a chunk that is in no series' list. */
  freeRow(row: number): void {
    this.#freeData(row);
    this.chunkNext[row] = this.#freeRow;
    this.#freeRow = row;
    this.chunkCount--;
  }

  /** Marks series without chunks dead. Returns how many. Those with samples in open batches stay. @param isKept keeps others */
  removeEmpty(isKept: (slot: number) => boolean): number {
    let removed = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 0 || this.firstChunk[slot] !== NONE || this.held[slot]! > 0 || isKept(slot)) continue;
      this.alive[slot] = 0;
      removed++;
    }
    if (removed > 0) {
      this.seriesCount -= removed;
      this.#rebuildLookup();
    }
    return removed;
  }

  /**
   * Closes the gaps that dead series left: new slots, label ids of `symbols`. Chunks stay where they are.
   * Every slot known from before is void.
   */
  compact(symbols: SymbolTable): void {
    const open = this.#open;
    let to = 0;
    let idTo = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 0) continue;
      const start = this.labelStart[slot]!;
      const idCount = this.labelCount[slot]! * 2;
      for (let i = 0; i < idCount; i++) this.labelIds[idTo + i] = symbols.intern(this.#symbols.text(this.labelIds[start + i]!));
      this.labelStart[to] = idTo;
      this.labelCount[to] = this.labelCount[slot]!;
      idTo += idCount;
      this.refs[to] = this.refs[slot]!;
      this.alive[to] = 1;
      this.firstChunk[to] = this.firstChunk[slot]!;
      this.#lastChunk[to] = this.#lastChunk[slot]!;
      this.#nextCutMs[to] = this.#nextCutMs[slot]!;
      open.count[to] = open.count[slot]!;
      open.bits[to] = open.bits[slot]!;
      open.timeMs[to] = open.timeMs[slot]!;
      open.delta[to] = open.delta[slot]!;
      open.high[to] = open.high[slot]!;
      open.low[to] = open.low[slot]!;
      open.leading[to] = open.leading[slot]!;
      open.trailing[to] = open.trailing[slot]!;
      this.pendingBatch[to] = this.pendingBatch[slot]!;
      this.pendingTimeMs[to] = this.pendingTimeMs[slot]!;
      this.pendingHigh[to] = this.pendingHigh[slot]!;
      this.pendingLow[to] = this.pendingLow[slot]!;
      this.held[to] = this.held[slot]!;
      this.#hash[to] = hashIds(this.labelIds.subarray(this.labelStart[to]!, idTo), idCount);
      to++;
    }
    this.slotCount = to;
    this.#labelIdCount = idTo;
    this.#symbols = symbols;
    this.#rebuildLookup();
  }

  /** Begins a chunk for floats, or with its data to come. Returns its row. */
  #cutChunk(slot: number, mint: number, encoding: number): number {
    const last = this.#lastChunk[slot]!;
    if (last !== NONE) this.#closeChunk(last);
    const row = this.#newRow(mint, encoding);
    if (last === NONE) this.firstChunk[slot] = row;
    else this.chunkNext[last] = row;
    this.#lastChunk[slot] = row;
    this.#nextCutMs[slot] = rangeEnd(mint, this.#chunkRangeMs);
    if (encoding === CHUNK_ENCODING.xor) {
      this.#chunkRoom[row] = CHUNK_BYTES_FIRST;
      this.#chunkAddress[row] = this.#arena.alloc(CHUNK_BYTES_FIRST);
      this.#open.count[slot] = 0;
      this.#open.bits[slot] = XOR_HEADER_BYTES * 8;
    }
    return row;
  }

  #newRow(mint: number, encoding: number): number {
    let row = this.#freeRow;
    if (row !== NONE) this.#freeRow = this.chunkNext[row]!;
    else {
      row = this.#chunkRows++;
      if (row === this.chunkMint.length) this.#growChunks();
    }
    this.chunkCount++;
    this.chunkMint[row] = mint;
    this.chunkMaxt[row] = mint;
    this.chunkEncoding[row] = encoding;
    this.#chunkBytes[row] = 0;
    this.chunkNext[row] = NONE;
    return row;
  }

  #beginHistogram(slot: number, sample: HistogramSample, header: number): void {
    const row = this.#cutChunk(slot, sample.timeMs, histogramEncoding(sample.isFloat, this.#withStarts));
    this.#putObject(row, new OpenHistogramChunk(sample, header, this.#withStarts));
  }

  /** Gives a chunk that gets no more samples no more room than it needs. */
  #closeChunk(row: number): void {
    if (this.chunkEncoding[row] === CHUNK_ENCODING.xor) {
      const bytes = this.#chunkBytes[row]!;
      if (this.#arena.capacity(bytes) < this.#arena.capacity(this.#chunkRoom[row]!)) this.#resizeChunk(row, bytes);
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
    this.#chunkAddress[row] = address;
    this.#chunkRoom[row] = data.length;
    this.#chunkBytes[row] = data.length;
  }

  #putObject(row: number, object: OpenHistogramChunk | Xor2Stream | Uint8Array): void {
    const place = this.#freeObjects.pop() ?? this.#objects.length;
    this.#objects[place] = object;
    this.#chunkRoom[row] = 0;
    this.#chunkAddress[row] = place;
  }

  #freeData(row: number): void {
    const address = this.#chunkAddress[row]!;
    if (this.#chunkRoom[row]! > 0) {
      this.#arena.free(address, this.#chunkRoom[row]!);
      return;
    }
    const object = this.#objects[address];
    if (object instanceof Uint8Array) this.#objectBytes -= object.length;
    this.#objects[address] = undefined;
    this.#freeObjects.push(address);
  }

  /** Moves a chunk into a block of another size. */
  #resizeChunk(row: number, bytes: number): void {
    const from = this.#chunkAddress[row]!;
    const room = this.#chunkRoom[row]!;
    const to = this.#arena.alloc(bytes);
    const kept = Math.min(this.#arena.capacity(room), this.#arena.capacity(bytes));
    const fromAt = this.#arena.offset(from);
    this.#arena.page(to).set(this.#arena.page(from).subarray(fromAt, fromAt + kept), this.#arena.offset(to));
    this.#arena.free(from, room);
    this.#chunkAddress[row] = to;
    this.#chunkRoom[row] = bytes;
  }

  /** Place in the lookup table: holds the slot, or NONE where it would go. Compares with the ids in [at, at + idCount). */
  #place(hash: number, ids: Uint32Array, at: number, idCount: number): number {
    const lookup = this.#lookup;
    const mask = lookup.length - 1;
    let place = hash & mask;
    for (;;) {
      const slot = lookup[place]!;
      if (slot === NONE) return place;
      if (this.#hash[slot] === hash && this.labelCount[slot]! * 2 === idCount) {
        const start = this.labelStart[slot]!;
        let i = 0;
        while (i < idCount && this.labelIds[start + i] === ids[at + i]) i++;
        if (i === idCount) return place;
      }
      place = (place + 1) & mask;
    }
  }

  #rebuildLookup(): void {
    let size = 1024;
    while (size < this.refs.length * 2) size *= 2;
    const lookup = new Int32Array(size).fill(NONE);
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (this.alive[slot] === 0) continue;
      let place = this.#hash[slot]! & (size - 1);
      while (lookup[place] !== NONE) place = (place + 1) & (size - 1);
      lookup[place] = slot;
    }
    this.#lookup = lookup;
  }

  #growSlots(): void {
    const size = this.refs.length * 2;
    this.refs = grown(this.refs, size);
    this.alive = grown(this.alive, size);
    this.labelStart = grown(this.labelStart, size);
    this.labelCount = grown(this.labelCount, size);
    this.#hash = grown(this.#hash, size);
    const filled = this.firstChunk.length;
    this.firstChunk = grown(this.firstChunk, size).fill(NONE, filled);
    this.#lastChunk = grown(this.#lastChunk, size).fill(NONE, filled);
    this.#nextCutMs = grown(this.#nextCutMs, size);
    this.pendingBatch = grown(this.pendingBatch, size);
    this.pendingTimeMs = grown(this.pendingTimeMs, size);
    this.pendingHigh = grown(this.pendingHigh, size);
    this.pendingLow = grown(this.pendingLow, size);
    this.held = grown(this.held, size);
    const open = this.#open;
    this.#open = {
      count: grown(open.count, size),
      bits: grown(open.bits, size),
      timeMs: grown(open.timeMs, size),
      delta: grown(open.delta, size),
      high: grown(open.high, size),
      low: grown(open.low, size),
      leading: grown(open.leading, size),
      trailing: grown(open.trailing, size),
    };
    this.#rebuildLookup();
  }

  #growChunks(): void {
    const size = this.chunkMint.length * 2;
    this.chunkMint = grown(this.chunkMint, size);
    this.chunkMaxt = grown(this.chunkMaxt, size);
    this.#chunkAddress = grown(this.#chunkAddress, size);
    this.#chunkRoom = grown(this.#chunkRoom, size);
    this.#chunkBytes = grown(this.#chunkBytes, size);
    this.chunkNext = grown(this.chunkNext, size);
    this.chunkEncoding = grown(this.chunkEncoding, size);
  }
}

function hashIds(ids: Uint32Array, idCount: number): number {
  let hash = idCount;
  for (let i = 0; i < idCount; i++) hash = Math.imul(hash ^ ids[i]!, 0x85ebca6b) ^ (hash >>> 13);
  return (hash ^ (hash >>> 16)) >>> 0;
}
