/**
 * Reads one index file: labels and postings of a block.
 *
 * Opening reads header, TOC, symbols and the postings table and checks their CRCs; postings lists and series entries are read and
 * checked one by one when asked for. Nothing is believed that a CRC does not cover.
 */
import { crc32c } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import type { ByteSource } from './byte-source.ts';
import {
  be32,
  checkIndexHeader,
  CRC_BYTES,
  INDEX_HEADER_BYTES,
  INDEX_TOC_BYTES,
  indexCorrupt,
  type IndexToc,
  parseIndexToc,
  SERIES_ALIGN,
  sectionBody,
} from './layout.ts';
import { decodePostings, EMPTY_POSTINGS, type Postings, unionPostings } from './postings.ts';
import { parsePostingsTable, type PostingsTable } from './postings-table.ts';
import { decodeSeriesEntry, type SeriesEntry } from './series-entry.ts';
import { parseSymbols, type Symbols } from './symbols.ts';

/** What matchers are evaluated over: the inverted index of a block or of the head. Lists are ascending references. */
export interface LabelIndex {
  /** Every series. */
  allPostings(): Postings;
  /** Series with the label pair. */
  postings(name: string, value: string): Postings;
  /**
   * Series whose label has a value that `accept` takes; never asked about ''.
   * @param prefix every accepted value begins with it; saves asking about others
   */
  postingsWhere(name: string, accept: (value: string) => boolean, prefix?: string): Postings;
  /** Series that have the label at all. */
  postingsOfName(name: string): Postings;
  /** In byte order. */
  labelNames(): readonly string[];
  /** In byte order. */
  labelValues(name: string): string[];
}

/** An open index file. */
export interface IndexReader extends LabelIndex {
  readonly name: string;
  readonly toc: IndexToc;
  readonly symbols: Symbols;
  readonly postingsTable: PostingsTable;
  /**
   * Decodes the entry of a series.
   * @param ref as found in postings
   * @param out columns, overwritten
   * @throws TsdbError ERR_INDEX_CORRUPT
   */
  readSeries(ref: number, out: SeriesEntry, chunksWanted?: boolean): void;
  /** Labels of a decoded entry. */
  labelsOf(entry: SeriesEntry): Labels;
  /** Bytes of the series section from an entry on, unchecked; shorter where the section ends. Valid until the next call of anything here. */
  seriesBytes(ref: number, length: number): Uint8Array;
  /** Bytes that an entry takes, its length and checksum included; for one that `readSeries` takes. */
  entryBytes(ref: number): number;
  /** The body of a framed section, its checksum checked; for sections that nothing here reads. Valid until the next call of anything here. */
  readSection(section: string, offset: number): Uint8Array;
}

/** Length of a series entry guessed for the first read of it, bytes. */
const SERIES_READ_BYTES = 512;

/**
 * Opens an index.
 * @param source its bytes, retained
 * @param name block id for error messages
 * @throws TsdbError ERR_INDEX_CORRUPT, ERR_INDEX_VERSION
 */
export function openIndex(source: ByteSource, name: string): IndexReader {
  checkIndexHeader(source.view(0, INDEX_HEADER_BYTES), name);
  const tail = source.view(Math.max(source.bytes - INDEX_TOC_BYTES, 0), INDEX_TOC_BYTES);
  const toc = parseIndexToc(tail, source.bytes, name);
  const tocAt = source.bytes - INDEX_TOC_BYTES;
  /** The body of a framed section; one to be retained is copied out where later reads would overwrite it. */
  const readSection = (section: string, offset: number, retain: boolean): Uint8Array => {
    const head = source.view(offset, 4);
    if (head.length < 4) throw indexCorrupt(name, section, offset, 'length field is outside the file');
    const length = be32(head, 0);
    if (length > tocAt - offset - 4 - CRC_BYTES) throw indexCorrupt(name, section, offset, `length ${length} passes the end of the file`);
    const body = sectionBody(source.view(offset, length + 4 + CRC_BYTES), section, offset, name);
    return retain && !source.isStable ? body.slice() : body;
  };
  const symbols = parseSymbols(readSection('symbols', toc.symbols, true), toc.symbols, name);
  const table = parsePostingsTable(readSection('postings table', toc.postingsTable, true), toc.postingsTable, name);

  const readPostings = (entry: number): Postings => {
    if (entry < 0) return EMPTY_POSTINGS;
    const offset = table.offsetAt(entry);
    const body = readSection('postings', offset, false);
    if (body.length < 4 || be32(body, 0) * 4 + 4 !== body.length) throw indexCorrupt(name, 'postings', offset, `${body.length} bytes for ${body.length < 4 ? '?' : be32(body, 0)} references`);
    const list = decodePostings(body.subarray(4));
    for (let i = 1; i < list.length; i++) {
      if (list[i]! <= list[i - 1]!) throw indexCorrupt(name, 'postings', offset, `reference ${list[i]} after ${list[i - 1]}`);
    }
    return list;
  };
  // Outside of readSeries, which runs per series: a closure there is measurable.
  const failSeries = (offset: number, what: string): Error => indexCorrupt(name, 'series', offset, what);
  const seriesEnd = toc.labelIndices === 0 ? tocAt : Math.max(toc.labelIndices, toc.series);
  return {
    name,
    toc,
    symbols,
    postingsTable: table,
    allPostings: () => readPostings(table.find('', '')),
    postings: (label, value) => readPostings(table.find(label, value)),
    postingsWhere(label, accept, prefix) {
      const [first, end] = prefix === undefined ? table.range(label) : table.prefixRange(label, prefix);
      const lists: Postings[] = [];
      for (let entry = first; entry < end; entry++) {
        if (accept(table.valueAt(entry))) lists.push(readPostings(entry));
      }
      return unionPostings(lists);
    },
    postingsOfName(label) {
      const [first, end] = table.range(label);
      const lists: Postings[] = [];
      for (let entry = first; entry < end; entry++) lists.push(readPostings(entry));
      return unionPostings(lists);
    },
    labelNames: () => table.names,
    labelValues(label) {
      const [first, end] = table.range(label);
      const values: string[] = [];
      for (let entry = first; entry < end; entry++) values.push(table.valueAt(entry));
      return values;
    },
    readSeries(ref, out, chunksWanted = true) {
      const offset = ref * SERIES_ALIGN;
      if (offset < toc.series || offset >= seriesEnd) throw failSeries(offset, `reference ${ref} is outside the section [${toc.series}, ${seriesEnd})`);
      let bytes = source.view(offset, Math.min(SERIES_READ_BYTES, seriesEnd - offset));
      let length = 0;
      let head = 0;
      let byte: number;
      do {
        if (head >= bytes.length || head > 4) throw failSeries(offset, 'length is truncated');
        byte = bytes[head]!;
        length += (byte & 0x7f) * 2 ** (7 * head);
        head++;
      } while (byte >= 0x80);
      const entryBytes = head + length + CRC_BYTES;
      if (entryBytes > seriesEnd - offset) throw failSeries(offset, `length ${length} passes the end of the section`);
      if (entryBytes > bytes.length) bytes = source.view(offset, entryBytes);
      if (bytes.length < entryBytes) throw failSeries(offset, 'file is shorter than its TOC says');
      const want = be32(bytes, head + length);
      const got = crc32c(bytes.subarray(head, head + length));
      if (want !== got) throw failSeries(offset, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
      const problem = decodeSeriesEntry(bytes, head, head + length, out, chunksWanted);
      if (problem !== '') throw failSeries(offset, problem);
    },
    labelsOf(entry) {
      const labels: string[] = [];
      for (let i = 0; i < entry.labelCount * 2; i++) labels.push(symbols.lookup(entry.symbols[i]!));
      return labels;
    },
    entryBytes(ref) {
      const head = source.view(ref * SERIES_ALIGN, 5);
      let length = 0;
      let at = 0;
      let byte: number;
      do {
        byte = head[at]!;
        length += (byte & 0x7f) * 2 ** (7 * at);
        at++;
      } while (byte >= 0x80);
      return at + length + CRC_BYTES;
    },
    readSection: (section, offset) => readSection(section, offset, false),
    seriesBytes(ref, length) {
      const offset = ref * SERIES_ALIGN;
      return offset < toc.series ? source.view(offset, 0) : source.view(offset, Math.max(Math.min(length, seriesEnd - offset), 0));
    },
  };
}
