/**
 * Writes an index file, version 2, byte for byte as Prometheus 3.14 does.
 *
 *   1 symbols    all of them first, sorted: ordinals are needed by everything after
 *   2 series     streamed in label order; of each label pair only (name, value, reference) is remembered, 12 bytes
 *   3 postings   all series, then name by name, value by value
 *   4 table, TOC
 *
 * The label-index sections of Prometheus 2 are not written; the TOC points them where Prometheus 3 does.
 */
import { compareUtf8, crc32c, GrowableBytes } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import { INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGN } from './layout.ts';
import { createSeriesEntry, encodeSeriesEntry } from './series-entry.ts';

/** Chunks of a series as the index records them. */
export interface IndexChunks {
  readonly count: number;
  readonly mint: Float64Array;
  readonly maxt: Float64Array;
  readonly refs: Float64Array;
}

/** A streaming writer; see the head of this file. */
export interface IndexWriter {
  /** Adds the next series; labels ascending, chunks ascending and apart. @throws TsdbError ERR_INDEX_WRITE */
  addSeries(labels: Labels, chunks: IndexChunks): void;
  /**
   * As `addSeries`, with labels as ordinals of the writer's symbols.
   * @param ordinals name, value, name, value, …; not retained
   * @param count how many of them count, twice the number of labels
   */
  addSeriesByOrdinal(ordinals: Uint32Array, count: number, chunks: IndexChunks): void;
  /** Writes the rest, fsyncs, closes. */
  finish(): void;
  /** Closes without finishing; for error paths. */
  abandon(): void;
}

const BUFFER_BYTES = 1024 * 1024;

/** Growable u32 column. */
class Uint32Column {
  values: Uint32Array = new Uint32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new Uint32Array(this.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }
}

/** Orders label sets given as ordinals of one table in byte order, as `compareLabels` orders the strings. */
export function compareOrdinals(a: Uint32Array, aCount: number, b: Uint32Array, bCount: number): number {
  const count = aCount < bCount ? aCount : bCount;
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return aCount - bCount;
}

/**
 * Starts an index file.
 * @param symbols every label name and value, in byte order, unique; retained
 * @throws TsdbError ERR_INDEX_WRITE when symbols are not ascending
 */
export function createIndexWriter(fs: FileSystem, path: string, symbols: readonly string[]): IndexWriter {
  const refuse = (what: string): TsdbError => new TsdbError('ERR_INDEX_WRITE', `write index ${path}: ${what}`);
  for (let i = 1; i < symbols.length; i++) {
    if (compareUtf8(symbols[i - 1]!, symbols[i]!) >= 0) throw refuse(`symbol ${JSON.stringify(symbols[i])} after ${JSON.stringify(symbols[i - 1])}`);
  }
  const handle: FileHandle = fs.open(path, 'create');
  const buffer = new GrowableBytes(16 * 1024);
  let flushed = 0;
  const position = (): number => flushed + buffer.length;
  const flush = (): void => {
    if (buffer.length === 0) return;
    handle.append(buffer.bytes());
    flushed += buffer.length;
    buffer.reset();
  };
  const flushIfFull = (): void => {
    if (buffer.length >= BUFFER_BYTES) flush();
  };
  const pad = (alignment: number): void => {
    const over = position() % alignment;
    if (over !== 0) buffer.putZeros(alignment - over);
  };
  /** Writes `u32 length · body · CRC`. */
  const putSection = (body: Uint8Array): void => {
    if (body.length > 0xffffffff) throw refuse(`section of ${body.length} bytes, at most ${0xffffffff}`);
    buffer.putBE32(body.length);
    buffer.putBytes(body);
    buffer.putBE32(crc32c(body));
    flushIfFull();
  };

  buffer.putBE32(INDEX_MAGIC);
  buffer.putU8(INDEX_VERSION);
  const symbolsAt = position();
  const scratch = new GrowableBytes(4096);
  scratch.putBE32(symbols.length);
  for (const symbol of symbols) scratch.putUvarintString(symbol);
  putSection(scratch.bytes());
  const seriesAt = position();

  const refs = new Uint32Column();
  const pairNames = new Uint32Column();
  const pairValues = new Uint32Column();
  const pairRefs = new Uint32Column();
  const entry = createSeriesEntry();
  let own = new Uint32Array(32);
  let last = new Uint32Array(32);
  /** Ordinals in `last`; −1 before the first series. */
  let lastCount = -1;
  let lastChunkRef = 0;

  /** Made when series come with strings. */
  let ordinals: Map<string, number> | undefined;
  const ordinalOf = (symbol: string): number => {
    ordinals ??= new Map(symbols.map((text, i) => [text, i]));
    const ordinal = ordinals.get(symbol);
    if (ordinal === undefined) throw refuse(`symbol ${JSON.stringify(symbol)} is not in the symbol table`);
    return ordinal;
  };
  const textOf = (labels: Uint32Array, count: number): string => JSON.stringify([...labels.subarray(0, count)].map((ordinal) => symbols[ordinal]));

  const addSeriesByOrdinal = (labels: Uint32Array, count: number, chunks: IndexChunks): void => {
    // Symbols are in byte order, so ordinals compare as the strings do.
    if (lastCount >= 0 && compareOrdinals(labels, count, last, lastCount) <= 0) throw refuse(`series ${textOf(labels, count)} after ${textOf(last, lastCount)}`);
    for (let i = 0; i < chunks.count; i++) {
      const ref = chunks.refs[i]!;
      if (ref < lastChunkRef) throw refuse(`chunk reference ${ref} after ${lastChunkRef} in series ${textOf(labels, count)}`);
      lastChunkRef = ref;
      if (chunks.maxt[i]! < chunks.mint[i]!) throw refuse(`chunk maxt ${chunks.maxt[i]} is before its mint ${chunks.mint[i]} in series ${textOf(labels, count)}`);
      if (i > 0 && chunks.mint[i]! <= chunks.maxt[i - 1]!) throw refuse(`chunk mint ${chunks.mint[i]} is not after the previous maxt ${chunks.maxt[i - 1]} in series ${textOf(labels, count)}`);
    }
    pad(SERIES_ALIGN);
    const ref = position() / SERIES_ALIGN;
    if (ref > 0xffffffff) throw refuse('more than 64 GiB');
    refs.push(ref);
    if (last.length < count) last = new Uint32Array(count * 2);
    for (let i = 0; i < count; i++) last[i] = labels[i]!;
    lastCount = count;
    for (let i = 0; i < count; i += 2) {
      pairNames.push(last[i]!);
      pairValues.push(last[i + 1]!);
      pairRefs.push(ref);
    }
    entry.labelCount = count / 2;
    entry.symbols = last;
    entry.chunkCount = chunks.count;
    entry.mint = chunks.mint;
    entry.maxt = chunks.maxt;
    entry.refs = chunks.refs;
    encodeSeriesEntry(entry, scratch);
    const body = scratch.bytes();
    buffer.putUvarint(body.length);
    buffer.putBytes(body);
    buffer.putBE32(crc32c(body));
    flushIfFull();
  };

  const putPostings = (list: Uint32Array, first: number, end: number): number => {
    pad(4);
    const at = position();
    scratch.reset();
    scratch.putBE32(end - first);
    for (let i = first; i < end; i++) scratch.putBE32(list[i]!);
    putSection(scratch.bytes());
    return at;
  };

  /** Writes all lists and collects the table's body. */
  const writePostings = (table: GrowableBytes): number => {
    let entries = 0;
    const putEntry = (name: string, value: string, at: number): void => {
      table.putUvarint(2);
      table.putUvarintString(name);
      table.putUvarintString(value);
      table.putUvarint(at);
      entries++;
    };
    putEntry('', '', putPostings(refs.values, 0, refs.length));
    // Names are few: bucket the pairs by name, keeping series order, then sort each bucket by value.
    const bucketOf = new Map<number, number>();
    const nameIds = [...new Set(pairNames.values.subarray(0, pairNames.length))].sort((a, b) => a - b);
    for (const [bucket, name] of nameIds.entries()) bucketOf.set(name, bucket);
    const starts = new Uint32Array(nameIds.length + 1);
    for (let i = 0; i < pairNames.length; i++) starts[bucketOf.get(pairNames.values[i]!)! + 1]!++;
    for (let b = 0; b < nameIds.length; b++) starts[b + 1]! += starts[b]!;
    const byName = new Uint32Array(pairNames.length);
    const cursor = starts.slice();
    for (let i = 0; i < pairNames.length; i++) byName[cursor[bucketOf.get(pairNames.values[i]!)!]!++] = i;
    for (const [bucket, nameId] of nameIds.entries()) {
      const first = starts[bucket]!;
      const size = starts[bucket + 1]! - first;
      // value · size + rank sorts by value and keeps reference order; both are far below 2^26 for any real block.
      const keys = new Float64Array(size);
      for (let i = 0; i < size; i++) keys[i] = pairValues.values[byName[first + i]!]! * size + i;
      keys.sort();
      const sorted = new Uint32Array(size);
      let runStart = 0;
      let runValue = -1;
      for (let i = 0; i <= size; i++) {
        const value = i === size ? -1 : Math.floor(keys[i]! / size);
        if (value !== runValue) {
          if (i > runStart) putEntry(symbols[nameId]!, symbols[runValue]!, putPostings(sorted, runStart, i));
          runStart = i;
          runValue = value;
        }
        if (i < size) sorted[i] = pairRefs.values[byName[first + keys[i]! - value * size]!]!;
      }
    }
    return entries;
  };

  return {
    addSeries(labels, chunks) {
      if (own.length < labels.length) own = new Uint32Array(labels.length * 2);
      for (let i = 0; i < labels.length; i++) own[i] = ordinalOf(labels[i]!);
      addSeriesByOrdinal(own, labels.length, chunks);
    },
    addSeriesByOrdinal,
    finish() {
      // As Prometheus 3 has it: no label indices, and the postings' offset is the end of the series, before the padding.
      const seriesEnd = position();
      pad(4);
      const table = new GrowableBytes(4096);
      table.putBE32(0);
      const entries = writePostings(table);
      table.patchBE32(0, entries);
      const tableAt = position();
      putSection(table.bytes());
      const toc = new GrowableBytes(64);
      for (const offset of [symbolsAt, seriesAt, seriesEnd, tableAt, seriesEnd, tableAt]) toc.putBE64(offset);
      toc.putBE32(crc32c(toc.bytes()));
      buffer.putBytes(toc.bytes());
      flush();
      handle.fsync();
      handle.close();
    },
    abandon() {
      handle.close();
    },
  };
}

