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
import { crc32c, GrowableBytes, utf8Length, uvarintBytes } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import { createFileSource } from './byte-source.ts';
import { FileBuffer } from './file-buffer.ts';
import { INDEX_HEADER_BYTES, INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGN } from './layout.ts';
import { createSeriesEntry, decodeSeriesEntry, putSeriesEntry, seriesEntryBytesMax } from './series-entry.ts';
import { compareRanges, encodeSymbols, type SymbolBytes, symbolText } from './symbol-bytes.ts';

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

const SECTION_BYTES_MAX = 0xffffffff;
const REFERENCE_MAX = 0xffffffff;
const PAIRS_MAX = 4 * 1024 * 1024;
/** Bytes of a varint that has 32 bits, at most; and around an entry: padding, length, checksum. */
const VARINT32_BYTES = 5;
const ENTRY_FRAME_BYTES = SERIES_ALIGN + VARINT32_BYTES + 4;
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
 * @param symbols every label name and value, in byte order, unique, as strings or as their bytes; retained
 * @throws TsdbError ERR_INDEX_WRITE when symbols are not ascending, or more than an index can hold: the message says into how many blocks the
 *   series have to be split
 */
export function createIndexWriter(fs: FileSystem, path: string, symbols: readonly string[] | SymbolBytes, limits: IndexWriteLimits = {}): IndexWriter {
  const { sectionBytesMax = SECTION_BYTES_MAX, referenceMax = REFERENCE_MAX, pairsMax = PAIRS_MAX } = limits;
  const refuse = (what: string): TsdbError => new TsdbError('ERR_INDEX_WRITE', `write index ${path}: ${what}`);
  const tooMuch = (what: string, bytes: number, max: number): TsdbError => refuse(`${what} take ${bytes} bytes, an index holds at most ${max}: split the series by hash into at least ${Math.ceil(bytes / max)} blocks`);
  // Before they are encoded: what is too much is not to be allocated.
  const symbolBytes = sectionBytes(symbols);
  if (symbolBytes > sectionBytesMax) throw tooMuch(`${'starts' in symbols ? symbols.count : symbols.length} symbols`, symbolBytes, sectionBytesMax);
  const table: SymbolBytes = 'starts' in symbols ? symbols : encodeSymbols(symbols);
  const { bytes: text, starts } = table;
  for (let i = 1; i < table.count; i++) {
    if (compareRanges(text, starts[i - 1]!, starts[i]!, text, starts[i]!, starts[i + 1]!) >= 0) throw refuse(`symbol ${JSON.stringify(symbolText(table, i))} after ${JSON.stringify(symbolText(table, i - 1))}`);
  }
  const handle: FileHandle = fs.open(path, 'create');
  const out = new FileBuffer(handle);
  /** Writes `u32 length · body · CRC`. */
  const putSection = (body: Uint8Array): void => {
    if (body.length > sectionBytesMax) throw tooMuch('postings of a label pair', body.length, sectionBytesMax);
    out.reserve(body.length + 8);
    out.putBE32(body.length);
    out.putRange(body, 0, body.length);
    out.putBE32(crc32c(body));
  };

  out.reserve(INDEX_HEADER_BYTES + 8);
  out.putBE32(INDEX_MAGIC);
  out.putU8(INDEX_VERSION);
  const symbolsAt = out.position;
  out.putBE32(symbolBytes);
  let symbolsCrc = 0;
  /** Where in the buffer bytes begin that are not in the checksum yet. */
  let unchecked = out.length;
  out.putBE32(table.count);
  for (let i = 0; i < table.count; i++) {
    const length = starts[i + 1]! - starts[i]!;
    if (out.isFullFor(length + VARINT32_BYTES)) {
      symbolsCrc = crc32c(out.bytes.subarray(unchecked, out.length), symbolsCrc);
      out.flush();
      unchecked = 0;
    }
    out.reserve(length + VARINT32_BYTES);
    out.putUvarint(length);
    out.putRange(text, starts[i]!, starts[i + 1]!);
  }
  symbolsCrc = crc32c(out.bytes.subarray(unchecked, out.length), symbolsCrc);
  out.reserve(4);
  out.putBE32(symbolsCrc);
  const seriesAt = out.position;

  const refs = new Uint32Column();
  /** Of each name, how many series have it. */
  const seriesOfName = new Uint32Array(table.count);
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
    ordinals ??= new Map(Array.from({ length: table.count }, (_none, i) => [symbolText(table, i), i]));
    const ordinal = ordinals.get(symbol);
    if (ordinal === undefined) throw refuse(`symbol ${JSON.stringify(symbol)} is not in the symbol table`);
    return ordinal;
  };
  const textOf = (labels: Uint32Array, count: number): string => JSON.stringify([...labels.subarray(0, count)].map((ordinal) => (ordinal < table.count ? symbolText(table, ordinal) : ordinal)));

  const addSeriesByOrdinal = (labels: Uint32Array, count: number, chunks: IndexChunks): void => {
    // Symbols are in byte order, so ordinals compare as the strings do.
    if (lastCount >= 0 && compareOrdinals(labels, count, last, lastCount) <= 0) throw refuse(`series ${textOf(labels, count)} after ${textOf(last, lastCount)}`);
    const { mint, maxt, refs: chunkRefs, count: chunkCount } = chunks;
    for (let i = 0; i < chunkCount; i++) {
      const ref = chunkRefs[i]!;
      if (ref < lastChunkRef) throw refuse(`chunk reference ${ref} after ${lastChunkRef} in series ${textOf(labels, count)}`);
      lastChunkRef = ref;
      if (!(maxt[i]! >= mint[i]!)) throw refuse(`chunk maxt ${maxt[i]} is before its mint ${mint[i]} in series ${textOf(labels, count)}`);
      if (i > 0 && mint[i]! <= maxt[i - 1]!) throw refuse(`chunk mint ${mint[i]} is not after the previous maxt ${maxt[i - 1]} in series ${textOf(labels, count)}`);
      if (!Number.isSafeInteger(mint[i]) || !Number.isSafeInteger(maxt[i]) || !Number.isSafeInteger(ref)) throw refuse(`chunk from ${mint[i]} to ${maxt[i]} at ${ref} in series ${textOf(labels, count)}: not safe integers`);
    }
    out.reserve(ENTRY_FRAME_BYTES + seriesEntryBytesMax(count, chunkCount));
    out.pad(SERIES_ALIGN);
    const ref = out.position / SERIES_ALIGN;
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
    putEntry(chunks);
  };

  /** Writes the entry of the series whose labels `last` has; there is room. */
  const putEntry = ({ count: chunkCount, mint, maxt, refs: chunkRefs }: IndexChunks): void => {
    // Entries mostly have 128 bytes or more: two bytes of length. Else the body is moved.
    const frameAt = out.length;
    const bodyAt = frameAt + 2;
    out.length = bodyAt;
    putSeriesEntry(out, last, lastCount, chunkCount, mint, maxt, chunkRefs);
    const bodyBytes = out.length - bodyAt;
    out.length = frameAt;
    if (uvarintBytes(bodyBytes) !== 2) out.bytes.copyWithin(frameAt + uvarintBytes(bodyBytes), bodyAt, bodyAt + bodyBytes);
    out.putUvarint(bodyBytes);
    const end = out.length + bodyBytes;
    const crc = crc32c(out.bytes.subarray(out.length, end));
    out.length = end;
    out.putBE32(crc);
  };

  /** Writes one list. @returns where it begins */
  const putPostings = (list: Uint32Array, first: number, end: number): number => {
    const bodyBytes = 4 + (end - first) * 4;
    if (bodyBytes > sectionBytesMax) throw tooMuch('postings of a label pair', bodyBytes, sectionBytesMax);
    out.reserve(bodyBytes + 12);
    out.pad(4);
    const at = out.position;
    out.putBE32(bodyBytes);
    const bodyAt = out.length;
    out.putBE32(end - first);
    for (let i = first; i < end; i++) out.putBE32(list[i]!);
    out.putBE32(crc32c(out.bytes.subarray(bodyAt, out.length)));
    return at;
  };

  /** Calls `visit` for every label pair of every series, in the order of the series. */
  const eachPair = (visit: (name: number, value: number, ref: number) => void): void => {
    if (isRecorded) {
      for (let i = 0; i < pairNames.length; i++) visit(pairNames.values[i]!, pairValues.values[i]!, pairRefs.values[i]!);
      return;
    }
    out.flush();
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
  const writePostings = (offsets: GrowableBytes): number => {
    let entries = 0;
    let tableBytes = 4;
    /** Once the table is too large it only counts, to be able to say by how much. @param pair the pair's strings, each with its length */
    const putPair = (pair: GrowableBytes, list: Uint32Array, first: number, end: number): void => {
      const isTooMuch = tableBytes > sectionBytesMax;
      const at = isTooMuch ? out.position : putPostings(list, first, end);
      tableBytes += 1 + pair.length + uvarintBytes(at);
      if (!isTooMuch) {
        offsets.putU8(2);
        offsets.putBytes(pair.bytes());
        offsets.putUvarint(at);
      }
      entries++;
    };
    const pair = new GrowableBytes(256);
    pair.putU8(0);
    pair.putU8(0);
    putPair(pair, refs.values, 0, refs.length);
    const nameIds: number[] = [];
    for (let name = 0; name < table.count; name++) if (seriesOfName[name]! > 0) nameIds.push(name);
    /** Where the pairs of a name go in the columns of the batch; −1 for names of other batches. */
    const cursor = new Int32Array(table.count).fill(-1);
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
        pair.reset();
        putSymbol(pair, name);
        putLists(pair, values.subarray(from, from + size), owners.subarray(from, from + size), putPair);
        cursor[name] = -1;
        from += size;
      }
      batchStart = batchEnd;
    }
    if (tableBytes > sectionBytesMax) throw tooMuch(`postings offsets of ${entries} label pairs`, tableBytes, sectionBytesMax);
    return entries;
  };

  const putSymbol = (target: GrowableBytes, ordinal: number): void => target.putUvarintBytes(text.subarray(starts[ordinal], starts[ordinal + 1]));

  /**
   * Writes the lists of one name.
   * @param pair the name; values are put behind it
   * @param values one per series that has the name, `owners` the series, in ascending order
   */
  const putLists = (pair: GrowableBytes, values: Uint32Array, owners: Uint32Array, putPair: (pair: GrowableBytes, list: Uint32Array, first: number, end: number) => void): void => {
    const nameBytes = pair.length;
    const sorted = new Uint32Array(values.length);
    eachRun(values, owners, sorted, (value, first, end) => {
      pair.truncate(nameBytes);
      putSymbol(pair, value);
      putPair(pair, sorted, first, end);
    });
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
      const seriesEnd = out.position;
      out.reserve(4);
      out.pad(4);
      const offsets = new GrowableBytes(4096);
      offsets.putBE32(0);
      const entries = writePostings(offsets);
      offsets.patchBE32(0, entries);
      const tableAt = out.position;
      putSection(offsets.bytes());
      const toc = new GrowableBytes(64);
      for (const offset of [symbolsAt, seriesAt, seriesEnd, tableAt, seriesEnd, tableAt]) toc.putBE64(offset);
      toc.putBE32(crc32c(toc.bytes()));
      out.reserve(toc.length);
      out.putRange(toc.bytes(), 0, toc.length);
      out.flush();
      handle.fsync();
      handle.close();
    },
    abandon() {
      handle.close();
    },
  };
}

/** Bytes of the body of the symbols section. */
function sectionBytes(symbols: readonly string[] | SymbolBytes): number {
  let total = 4;
  const count = 'starts' in symbols ? symbols.count : symbols.length;
  for (let i = 0; i < count; i++) {
    const bytes = 'starts' in symbols ? symbols.starts[i + 1]! - symbols.starts[i]! : utf8Length(symbols[i]!);
    total += uvarintBytes(bytes) + bytes;
  }
  return total;
}

/** How many times more ordinals than series there may be between the first and the last value, for values to be counted. */
const SPREAD_MAX = 8;

/**
 * Sorts series by value, those of a value in the order they have.
 * @param sorted out: `owners` in that order
 * @param visit called with each value and where its series are in `sorted`
 */
function eachRun(values: Uint32Array, owners: Uint32Array, sorted: Uint32Array, visit: (value: number, first: number, end: number) => void): void {
  const size = values.length;
  let low = values[0]!;
  let high = low;
  for (let i = 1; i < size; i++) {
    if (values[i]! < low) low = values[i]!;
    if (values[i]! > high) high = values[i]!;
  }
  const spread = high - low + 1;
  if (spread <= SPREAD_MAX * size + 1024) {
    // Counted, and each put where its value's begin.
    const ends = new Uint32Array(spread + 1);
    for (let i = 0; i < size; i++) ends[values[i]! - low + 1]!++;
    for (let value = 1; value <= spread; value++) ends[value]! += ends[value - 1]!;
    for (let i = 0; i < size; i++) sorted[ends[values[i]! - low]!++] = owners[i]!;
    // Where a value's begin has become where they end.
    for (let value = 0, first = 0; value < spread; value++) {
      const end = ends[value]!;
      if (end > first) visit(low + value, first, end);
      first = end;
    }
    return;
  }
  // value · size + rank sorts by value and keeps the order; both are far below 2^26 for any real block.
  const keys = new Float64Array(size);
  for (let i = 0; i < size; i++) keys[i] = values[i]! * size + i;
  keys.sort();
  for (let i = 0; i < size; i++) sorted[i] = owners[keys[i]! % size]!;
  for (let first = 0; first < size; ) {
    const value = Math.floor(keys[first]! / size);
    let end = first + 1;
    while (end < size && Math.floor(keys[end]! / size) === value) end++;
    visit(value, first, end);
    first = end;
  }
}
