/**
 * Writes an index file, version 2, byte for byte as Prometheus 3.14 does.
 *
 *   1 symbols    all of them first, sorted: ordinals are needed by everything after
 *   2 series     streamed in label order; of each label pair only (name, value, reference) is remembered, 12 bytes; of more than
 *                4 M pairs nothing but how many each name has, and the entries are read again for the postings
 *   3 postings   all series, then name by name, value by value
 *   4 table, TOC
 *
 * So memory is bounded by symbols and postings offsets, 4 bytes per series, and the pairs of as many names as 4 M pairs make; of one name at
 * least. Symbols and postings offsets are one section each, whose length has 32 bits: what would not fit is refused before it is written.
 *
 * The label-index sections of Prometheus 2 are not written; the TOC points them where Prometheus 3 does.
 */
import { compareUtf8, crc32c, GrowableBytes, utf8Length } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import { createFileSource } from './byte-source.ts';
import { INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGN } from './layout.ts';
import { createSeriesEntry, decodeSeriesEntry, encodeSeriesEntry } from './series-entry.ts';

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

/** Bounds of an index file; for tests, which cannot write gigabytes. */
export interface IndexWriteLimits {
  /** Of a section's body, bytes: 32 bits say its length. */
  readonly sectionBytesMax?: number;
  /** Largest series reference: 32 bits in the postings, 64 GiB of series. */
  readonly referenceMax?: number;
  /** Label pairs of series held in memory at a time. */
  readonly pairsMax?: number;
}

const BUFFER_BYTES = 1024 * 1024;
const SECTION_BYTES_MAX = 0xffffffff;
const REFERENCE_MAX = 0xffffffff;
const PAIRS_MAX = 4 * 1024 * 1024;
/** Read of an entry whose length is not known, bytes. */
const ENTRY_READ_BYTES = 512;

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
 * @throws TsdbError ERR_INDEX_WRITE when symbols are not ascending, or more than an index can hold: the message says into how many blocks the
 *   series have to be split
 */
export function createIndexWriter(fs: FileSystem, path: string, symbols: readonly string[], limits: IndexWriteLimits = {}): IndexWriter {
  const { sectionBytesMax = SECTION_BYTES_MAX, referenceMax = REFERENCE_MAX, pairsMax = PAIRS_MAX } = limits;
  const refuse = (what: string): TsdbError => new TsdbError('ERR_INDEX_WRITE', `write index ${path}: ${what}`);
  for (let i = 1; i < symbols.length; i++) {
    if (compareUtf8(symbols[i - 1]!, symbols[i]!) >= 0) throw refuse(`symbol ${JSON.stringify(symbols[i])} after ${JSON.stringify(symbols[i - 1])}`);
  }
  const tooMuch = (what: string, bytes: number, max: number): TsdbError => refuse(`${what} take ${bytes} bytes, an index holds at most ${max}: split the series by hash into at least ${Math.ceil(bytes / max)} blocks`);
  let symbolBytes = 4;
  for (const symbol of symbols) symbolBytes += stringBytes(symbol);
  if (symbolBytes > sectionBytesMax) throw tooMuch(`${symbols.length} symbols`, symbolBytes, sectionBytesMax);
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
    if (body.length > sectionBytesMax) throw tooMuch('postings of a label pair', body.length, sectionBytesMax);
    buffer.putBE32(body.length);
    buffer.putBytes(body);
    buffer.putBE32(crc32c(body));
    flushIfFull();
  };

  buffer.putBE32(INDEX_MAGIC);
  buffer.putU8(INDEX_VERSION);
  const symbolsAt = position();
  const scratch = new GrowableBytes(4096);
  buffer.putBE32(symbolBytes);
  scratch.putBE32(symbols.length);
  let symbolsCrc = 0;
  for (const [i, symbol] of symbols.entries()) {
    scratch.putUvarintString(symbol);
    if (scratch.length < BUFFER_BYTES && i < symbols.length - 1) continue;
    symbolsCrc = crc32c(scratch.bytes(), symbolsCrc);
    buffer.putBytes(scratch.bytes());
    flushIfFull();
    scratch.reset();
  }
  if (symbols.length === 0) {
    symbolsCrc = crc32c(scratch.bytes());
    buffer.putBytes(scratch.bytes());
  }
  buffer.putBE32(symbolsCrc);
  const seriesAt = position();

  const refs = new Uint32Column();
  /** Of each name, how many series have it. */
  const seriesOfName = new Uint32Array(symbols.length);
  let pairNames = new Uint32Column();
  let pairValues = new Uint32Column();
  let pairRefs = new Uint32Column();
  /** Whether all pairs so far are in the three columns; else the entries are read again. */
  let isRecorded = true;
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
    if (ref > referenceMax) throw refuse(`series take more than ${(referenceMax + 1) * SERIES_ALIGN} bytes, an index holds no more: split the series by hash into at least 2 blocks`);
    refs.push(ref);
    if (last.length < count) last = new Uint32Array(count * 2);
    for (let i = 0; i < count; i++) last[i] = labels[i]!;
    lastCount = count;
    for (let i = 0; i < count; i += 2) {
      seriesOfName[last[i]!]!++;
      if (!isRecorded) continue;
      pairNames.push(last[i]!);
      pairValues.push(last[i + 1]!);
      pairRefs.push(ref);
    }
    if (isRecorded && pairNames.length > pairsMax) {
      isRecorded = false;
      [pairNames, pairValues, pairRefs] = [new Uint32Column(), new Uint32Column(), new Uint32Column()];
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

  /** Calls `visit` for every label pair of every series, in the order of the series. */
  const eachPair = (visit: (name: number, value: number, ref: number) => void): void => {
    if (isRecorded) {
      for (let i = 0; i < pairNames.length; i++) visit(pairNames.values[i]!, pairValues.values[i]!, pairRefs.values[i]!);
      return;
    }
    flush();
    const source = createFileSource(handle);
    for (let series = 0; series < refs.length; series++) {
      const ref = refs.values[series]!;
      const at = ref * SERIES_ALIGN;
      let bytes = source.view(at, ENTRY_READ_BYTES);
      let head = 0;
      let length = 0;
      do length += (bytes[head]! & 0x7f) * 2 ** (7 * head);
      while (bytes[head++]! >= 0x80);
      if (head + length > bytes.length) bytes = source.view(at, head + length);
      const problem = decodeSeriesEntry(bytes, head, Math.min(head + length, bytes.length), entry, false);
      if (problem !== '') throw refuse(`read again what was written at ${at}: ${problem}`);
      for (let i = 0; i < entry.labelCount * 2; i += 2) visit(entry.symbols[i]!, entry.symbols[i + 1]!, ref);
    }
  };

  /** Writes all lists and collects the table's body. */
  const writePostings = (table: GrowableBytes): number => {
    let entries = 0;
    let tableBytes = 4;
    /** Once the table is too large it only counts, to be able to say by how much. */
    const putEntry = (name: string, value: string, list: Uint32Array, first: number, end: number): void => {
      const at = tableBytes > sectionBytesMax ? position() : putPostings(list, first, end);
      const before = table.length;
      if (tableBytes <= sectionBytesMax) {
        table.putUvarint(2);
        table.putUvarintString(name);
        table.putUvarintString(value);
        table.putUvarint(at);
      }
      tableBytes += table.length > before ? table.length - before : 1 + stringBytes(name) + stringBytes(value) + uvarintBytes(at);
      entries++;
    };
    putEntry('', '', refs.values, 0, refs.length);
    const nameIds: number[] = [];
    for (let name = 0; name < symbols.length; name++) if (seriesOfName[name]! > 0) nameIds.push(name);
    /** Where the pairs of a name go in the columns of the batch; −1 for names of other batches. */
    const cursor = new Int32Array(symbols.length).fill(-1);
    for (let batchStart = 0; batchStart < nameIds.length; ) {
      let batchEnd = batchStart;
      let pairs = 0;
      for (; batchEnd < nameIds.length && (isRecorded || pairs === 0 || pairs + seriesOfName[nameIds[batchEnd]!]! <= pairsMax); batchEnd++) {
        cursor[nameIds[batchEnd]!] = pairs;
        pairs += seriesOfName[nameIds[batchEnd]!]!;
      }
      const values = new Uint32Array(pairs);
      const owners = new Uint32Array(pairs);
      eachPair((name, value, ref) => {
        const at = cursor[name]!;
        if (at < 0) return;
        values[at] = value;
        owners[at] = ref;
        cursor[name] = at + 1;
      });
      for (let i = batchStart, from = 0; i < batchEnd; i++) {
        const name = nameIds[i]!;
        const size = seriesOfName[name]!;
        putLists(symbols[name]!, values.subarray(from, from + size), owners.subarray(from, from + size), putEntry);
        cursor[name] = -1;
        from += size;
      }
      batchStart = batchEnd;
    }
    if (tableBytes > sectionBytesMax) throw tooMuch(`postings offsets of ${entries} label pairs`, tableBytes, sectionBytesMax);
    return entries;
  };

  /** Writes the lists of one name. @param values one per series that has the name, `owners` the series, in ascending order */
  const putLists = (name: string, values: Uint32Array, owners: Uint32Array, putEntry: (name: string, value: string, list: Uint32Array, first: number, end: number) => void): void => {
    const size = values.length;
    // value · size + rank sorts by value and keeps reference order; both are far below 2^26 for any real block.
    const keys = new Float64Array(size);
    for (let i = 0; i < size; i++) keys[i] = values[i]! * size + i;
    keys.sort();
    const sorted = new Uint32Array(size);
    let runStart = 0;
    let runValue = -1;
    for (let i = 0; i <= size; i++) {
      const value = i === size ? -1 : Math.floor(keys[i]! / size);
      if (value !== runValue) {
        if (i > runStart) putEntry(name, symbols[runValue]!, sorted, runStart, i);
        runStart = i;
        runValue = value;
      }
      if (i < size) sorted[i] = owners[keys[i]! - value * size]!;
    }
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

function uvarintBytes(value: number): number {
  let bytes = 1;
  for (; value >= 0x80; value /= 128) bytes++;
  return bytes;
}

/** Bytes of a string with its length in front. */
function stringBytes(text: string): number {
  const bytes = utf8Length(text);
  return uvarintBytes(bytes) + bytes;
}
