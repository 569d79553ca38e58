/**
 * The head: the newest samples, in memory, with the log that makes them survive.
 *
 *   append ─► head-append.ts ─► WAL, then series table          read ─► query/head-source.ts
 *   start  ─► replay.ts: checkpoint and WAL ─► series table     cut  ─► compact/cut-block.ts, then truncate()
 *
 * Time bounds, ms:
 *   minTime        data before it belongs to blocks (or was never there)
 *   minValidTime   no sample before it is taken: it may belong to a block already
 *   maxTime        newest sample
 *
 * Removal waits for readers: a reader holds a lease, and what `truncate` makes obsolete is freed when the leases that were out at that
 * time are back.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { addInterval, type Intervals } from '../block/tombstones.ts';
import { TsdbError } from '../errors.ts';
import type { WalWriter } from '../wal/wal-writer.ts';
import { ExemplarBuffer } from './exemplar-buffer.ts';
import { LabelOrder } from './label-order.ts';
import { createMemPostings, type MemPostings } from './mem-postings.ts';
import { MetadataTable } from './metadata-table.ts';
import { OutOfOrderSamples } from './out-of-order.ts';
import { createRefMap, type RefMap } from './ref-map.ts';
import { SeriesTable } from './series-table.ts';
import { createSymbolTable, type SymbolTable } from './symbol-table.ts';

/** A reader's claim on what it may still read. */
export interface HeadLease {
  /** Idempotent. */
  release(): void;
}

/** What a head keeps. */
export interface HeadOptions {
  /** Range of a block, ms. */
  readonly chunkRangeMs: number;
  /** Exemplars kept; none by default. */
  readonly exemplars?: number;
  /** How much older than the newest sample one may be and still be taken, ms; 0, the default: not older than its series' last one. */
  readonly outOfOrderWindowMs?: number;
  /** Most series at a time; 0, the default: no limit. */
  readonly seriesMax?: number;
  /** Whether start timestamps are stored; default false. */
  readonly startTimestamps?: boolean;
}

/** Dead slots tolerated before the table is rebuilt. */
const DEAD_SLOTS_MIN = 1024;

/** Samples in memory; see the head of this file. */
export class Head {
  readonly chunkRangeMs: number;
  readonly outOfOrderWindowMs: number;
  readonly seriesMax: number;
  /** Whether start timestamps are stored. */
  readonly withStarts: boolean;
  readonly exemplars: ExemplarBuffer;
  /** Replaced when its samples have gone into blocks; readers keep the one they began with. */
  outOfOrder: OutOfOrderSamples;
  metadata: MetadataTable = new MetadataTable();
  symbols: SymbolTable = createSymbolTable();
  table: SeriesTable;
  postings: MemPostings;
  readonly order: LabelOrder = new LabelOrder();
  /** Reference → slot; several references may lead to one series after a replay. */
  readonly refs: RefMap = createRefMap();
  /** Deleted ranges by reference. */
  readonly tombstones: Map<number, Intervals> = new Map();
  /** Set once the log has been replayed. */
  wal: WalWriter | undefined;
  /** Log of samples out of order; set where they are taken. */
  wbl: WalWriter | undefined;
  /** Slots of series that no log record names yet. */
  readonly unlogged: number[] = [];
  /** +Infinity as long as there is no sample. */
  minTimeMs: number = Number.POSITIVE_INFINITY;
  maxTimeMs: number = Number.NEGATIVE_INFINITY;
  minValidTimeMs: number = Number.NEGATIVE_INFINITY;
  /** Number of the newest batch; see `SeriesTable.pendingBatch`. */
  batchCount = 0;
  /** Batches committed. */
  commitCount = 0;
  /** How often slots were numbered anew: as long as it stays, a slot means the same series. */
  slotNumbering = 0;

  #nextRef = 1;
  #ids: Uint32Array = new Uint32Array(64);
  /** References of removed series → last time their log records may be needed for. */
  readonly #walExpiries = new Map<number, number>();
  readonly #leases = new Set<HeadLease>();
  #awaited = new Set<HeadLease>();
  #isCollectionDue = false;
  /** Rows nobody may read any more once the leases that were out are back, and rows retired since. */
  #retiring: number[] = [];
  #retired: number[] = [];
  #retireAwaited = new Set<HeadLease>();

  constructor(options: HeadOptions) {
    this.chunkRangeMs = options.chunkRangeMs;
    this.outOfOrderWindowMs = options.outOfOrderWindowMs ?? 0;
    this.seriesMax = options.seriesMax ?? 0;
    this.withStarts = options.startTimestamps ?? false;
    this.exemplars = new ExemplarBuffer(options.exemplars ?? 0, this.outOfOrderWindowMs);
    this.table = new SeriesTable(this.symbols, this.chunkRangeMs, this.withStarts);
    this.outOfOrder = this.#newOutOfOrder();
    this.postings = createMemPostings(this.symbols);
  }

  /** True once a sample has set the time bounds. */
  get isInitialized(): boolean {
    return this.minTimeMs !== Number.POSITIVE_INFINITY;
  }

  /** Earliest timestamp that a sample may have now. */
  appendableMinTimeMs(): number {
    return Math.max(this.maxTimeMs - this.chunkRangeMs / 2, this.minValidTimeMs);
  }

  /** Sets the bounds from the first sample ever. */
  initializeTime(timeMs: number): void {
    if (this.isInitialized) return;
    this.minTimeMs = timeMs;
    this.maxTimeMs = Math.max(this.maxTimeMs, timeMs);
  }

  /** True when the head spans more than one and a half block ranges. */
  get isCompactable(): boolean {
    return this.isInitialized && this.maxTimeMs - this.minTimeMs > (this.chunkRangeMs / 2) * 3;
  }

  /** Slot of a series, −1 when it is not in the head. */
  findSeries(labels: Labels): number {
    if (labels.length > this.#ids.length) this.#ids = new Uint32Array(labels.length * 2);
    for (let i = 0; i < labels.length; i++) {
      const id = this.symbols.find(labels[i]!);
      if (id < 0) return -1;
      this.#ids[i] = id;
    }
    return this.table.find(this.#ids, labels.length);
  }

  /** Slot of a series that is made when absent, −1 when there are as many as may be. @throws TsdbError ERR_LABELS_INVALID */
  getOrCreateSeries(labels: Labels): number {
    const found = this.findSeries(labels);
    if (found >= 0) return found;
    checkLabels(labels);
    if (this.seriesMax > 0 && this.table.seriesCount >= this.seriesMax) return -1;
    for (let i = 0; i < labels.length; i++) this.#ids[i] = this.symbols.intern(labels[i]!);
    const slot = this.addSeries(this.#nextRef, this.#ids, labels.length);
    this.unlogged.push(slot);
    return slot;
  }

  /**
   * Adds a series, or another reference to the one that has these labels. Returns its slot.
   * @param isNew whether it is known that no series has these labels
   */
  addSeries(ref: number, ids: Uint32Array, idCount: number, isNew: boolean = false): number {
    this.reserveRef(ref);
    let slot = isNew ? -1 : this.table.find(ids, idCount);
    if (slot < 0) {
      slot = this.table.add(ref, ids, idCount);
      this.postings.add(slot, ids, idCount);
    }
    this.refs.set(ref, slot);
    return slot;
  }

  /** Never gives out a reference up to this one: the log has it. @returns whether it was free */
  reserveRef(ref: number): boolean {
    if (ref < this.#nextRef) return false;
    this.#nextRef = ref + 1;
    return true;
  }

  /** Records a deleted range of a series, in memory. */
  addTombstone(ref: number, mint: number, maxt: number): void {
    this.tombstones.set(ref, addInterval(this.tombstones.get(ref) ?? [], mint, maxt));
  }

  /** Widens the time bounds. */
  noteTimes(mint: number, maxt: number): void {
    if (mint < this.minTimeMs) this.minTimeMs = mint;
    if (maxt > this.maxTimeMs) this.maxTimeMs = maxt;
  }

  /** Whether somebody has a claim on what is in the head. */
  get isRead(): boolean {
    return this.#leases.size > 0;
  }

  /** Claims what is in the head now, until released. */
  lease(): HeadLease {
    const lease: HeadLease = {
      release: () => {
        this.#leases.delete(lease);
        this.#awaited.delete(lease);
        this.#retireAwaited.delete(lease);
        this.#collectIfFree();
        this.#freeRetired();
      },
    };
    this.#leases.add(lease);
    return lease;
  }

  /** Makes everything before `mint` obsolete: it is in a block now. */
  truncate(mint: number): void {
    if (this.isInitialized && this.minTimeMs >= mint) return;
    if (this.isInitialized) this.minTimeMs = mint;
    this.minValidTimeMs = Math.max(this.minValidTimeMs, mint);
    if (this.isInitialized && this.maxTimeMs < mint) this.maxTimeMs = mint;
    this.#isCollectionDue = true;
    this.#awaited = new Set(this.#leases);
    this.#collectIfFree();
  }

  /** Makes all samples out of order obsolete: they are in blocks now. */
  truncateOutOfOrder(): void {
    const rows = this.outOfOrder.allRows();
    this.outOfOrder = this.#newOutOfOrder();
    this.#retire(rows);
    this.collect();
  }

  /** Frees what is obsolete once the readers of now are done. */
  collect(): void {
    this.#isCollectionDue = true;
    this.#awaited = new Set(this.#leases);
    this.#collectIfFree();
  }

  #newOutOfOrder(): OutOfOrderSamples {
    return new OutOfOrderSamples({ addRow: (...chunk) => this.table.addRow(...chunk) }, (rows) => this.#retire(rows), this.withStarts);
  }

  /** Whether a checkpoint that drops samples before `mint` must keep the series of a reference. */
  isNeededInCheckpoint(ref: number, mint: number): boolean {
    return this.refs.get(ref) >= 0 || (this.#walExpiries.get(ref) ?? Number.NEGATIVE_INFINITY) >= mint;
  }

  /** Forgets removed series whose samples before `mint` have left the log. */
  forgetExpired(mint: number): void {
    for (const [ref, until] of this.#walExpiries) if (until < mint) this.#walExpiries.delete(ref);
  }

  /** Frees rows of the chunk table as soon as no reader can have them. */
  #retire(rows: readonly number[]): void {
    for (const row of rows) this.#retired.push(row);
    this.#freeRetired();
  }

  #freeRetired(): void {
    while (this.#retireAwaited.size === 0 && this.#retiring.length + this.#retired.length > 0) {
      for (const row of this.#retiring) this.table.freeRow(row);
      this.#retiring = this.#retired;
      this.#retired = [];
      this.#retireAwaited = new Set(this.#leases);
    }
  }

  #collectIfFree(): void {
    if (!this.#isCollectionDue || this.#awaited.size > 0) return;
    this.#isCollectionDue = false;
    const table = this.table;
    let actualMint = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < table.slotCount; slot++) {
      if (table.alive[slot] === 1) actualMint = Math.min(actualMint, table.dropChunksBefore(slot, this.minTimeMs));
    }
    // Nothing is left just after the bound: go on to where something is, but not past what may still be appended.
    if (this.isInitialized && actualMint > this.minTimeMs) {
      const next = Math.min(actualMint, this.appendableMinTimeMs());
      this.minTimeMs = Math.max(this.minTimeMs, next);
      this.minValidTimeMs = Math.max(this.minValidTimeMs, next);
    }
    const unlogged = new Set(this.unlogged);
    this.#removeEmpty((slot) => unlogged.has(slot) || this.outOfOrder.has(table.refs[slot]!), actualMint === Number.POSITIVE_INFINITY ? this.maxTimeMs : actualMint);
    this.#forgetTombstones();
    const dead = table.slotCount - table.seriesCount;
    if (dead > DEAD_SLOTS_MIN && dead > table.seriesCount && this.#leases.size === 0) this.#rebuild();
  }

  /**
   * Removes series with their samples, at once: nobody may be reading.
   * @param slots of series without samples out of order and in open batches
   */
  removeSeries(slots: readonly number[]): void {
    const removed = new Set(slots);
    for (const slot of removed) this.table.dropChunksBefore(slot, Number.POSITIVE_INFINITY);
    this.#removeEmpty((slot) => !removed.has(slot), this.maxTimeMs);
  }

  /** Removes series without chunks. @param keepUntil the last time that their records in the log may be needed for */
  #removeEmpty(isKept: (slot: number) => boolean, keepUntil: number): void {
    const { table } = this;
    if (table.removeEmpty(isKept) === 0) return;
    this.postings.remove((slot) => table.alive[slot] === 0);
    this.refs.retain((ref, slot) => {
      if (table.alive[slot] === 1) return true;
      this.metadata.clear(slot);
      this.#walExpiries.set(ref, keepUntil);
      this.tombstones.delete(ref);
      return false;
    });
  }

  /** Drops deleted ranges of which no sample is left here. */
  #forgetTombstones(): void {
    // Samples out of order may be older than the bound.
    if (this.outOfOrder.seriesCount > 0) return;
    for (const [ref, intervals] of this.tombstones) {
      let from = 0;
      while (from < intervals.length && intervals[from + 1]! < this.minTimeMs) from += 2;
      if (from === intervals.length) this.tombstones.delete(ref);
      else if (from > 0) this.tombstones.set(ref, intervals.slice(from));
    }
  }

  /** Renumbers slots and symbols without the dead. */
  #rebuild(): void {
    const oldRefs: number[] = [];
    const firstRefs: number[] = [];
    this.refs.forEach((ref, slot) => {
      oldRefs.push(ref);
      firstRefs.push(this.table.refs[slot]!);
    });
    const unlogged = this.unlogged.map((slot) => this.table.refs[slot]!);
    const metadata = firstRefs.map((_, i) => this.metadata.get(this.refs.get(oldRefs[i]!)));
    this.slotNumbering++;
    this.symbols = createSymbolTable();
    this.table.compact(this.symbols);
    this.order.reset();
    this.postings = createMemPostings(this.symbols);
    this.refs.retain(() => false);
    for (let slot = 0; slot < this.table.slotCount; slot++) {
      this.refs.set(this.table.refs[slot]!, slot);
      const ids = this.table.labelIds(slot);
      this.postings.add(slot, ids, ids.length);
    }
    for (const [i, ref] of oldRefs.entries()) this.refs.set(ref, this.refs.get(firstRefs[i]!));
    this.metadata = new MetadataTable();
    for (const [i, ref] of oldRefs.entries()) if (metadata[i] !== undefined) this.metadata.set(this.refs.get(ref), metadata[i]);
    this.unlogged.splice(0, this.unlogged.length, ...unlogged.map((ref) => this.refs.get(ref)));
  }
}

function checkLabels(labels: Labels): void {
  const refuse = (what: string): TsdbError => new TsdbError('ERR_LABELS_INVALID', `append to series ${JSON.stringify(labels)}: ${what}`);
  if (labels.length === 0 || labels.length % 2 !== 0) throw refuse('empty label set');
  if (labels.length > 2 * 65535) throw refuse(`${labels.length / 2} labels, at most 65535`);
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] === '') throw refuse('empty label name');
    if (labels[i + 1] === '') throw refuse(`label ${JSON.stringify(labels[i])} is empty`);
    if (i === 0) continue;
    const order = compareUtf8(labels[i - 2]!, labels[i]!);
    if (order === 0) throw refuse(`label name ${JSON.stringify(labels[i])} is not unique`);
    if (order > 0) throw refuse(`label ${JSON.stringify(labels[i])} after ${JSON.stringify(labels[i - 2])}, want byte order`);
  }
}
