/**
 * Second part of verification: do the postings lists say what the series say? All lists lie side by side in memory, 4 bytes per label of a
 * series; series then come in the order of their references, and each of their label pairs takes the next reference off its list.
 *
 *   lists     a="1" [ 5  9 ]   a="2" [ 13 ]   b="x" [ 5  13 ]
 *   series 5  {a="1", b="x"}   takes 5 off a="1" and off b="x"
 *   at the end every list is used up
 *
 * And the tables: values in order, offsets inside their section; of Prometheus 2, label indices with right checksums.
 */
import { BytesError, ByteReader, compareBytes } from '@gauntlet/bytes';
import type { IndexReader } from '../index-file/index-reader.ts';
import type { SeriesEntry } from '../index-file/series-entry.ts';
import type { Findings } from './verify-findings.ts';

const FILE = 'index';

/** Checks all of an index but its series, which it is shown one by one. */
export class PostingsVerifier {
  readonly #index: IndexReader;
  readonly #findings: Findings;
  #lists = new Uint32Array(1024);
  /** Of each entry of the table: next reference, and where its list ends. */
  readonly #next: Uint32Array;
  readonly #end: Uint32Array;
  /** Entries whose list could not be read, or was already found wrong. */
  readonly #isSettled: Uint8Array;
  readonly #valueOrdinals: Uint32Array;
  /** By ordinal of the name: entries as [first, end). */
  readonly #ranges = new Map<number, readonly [number, number]>();

  /** Reads the table and all lists. */
  constructor(index: IndexReader, findings: Findings) {
    const table = index.postingsTable;
    this.#index = index;
    this.#findings = findings;
    this.#next = new Uint32Array(table.count);
    this.#end = new Uint32Array(table.count);
    this.#isSettled = new Uint8Array(table.count);
    this.#valueOrdinals = new Uint32Array(table.count);
    this.#verifySymbols();
    let used = 0;
    for (const name of table.names) {
      const [first, end] = table.range(name);
      const nameOrdinal = index.symbols.indexOf(name);
      if (nameOrdinal < 0) this.#table(first, `label name ${JSON.stringify(name)} is not among the symbols`);
      else this.#ranges.set(nameOrdinal, [first, end]);
      for (let entry = first; entry < end; entry++) {
        if (entry > first && compareBytes(table.valueBytesAt(entry - 1), table.valueBytesAt(entry)) >= 0) this.#table(entry, `value ${JSON.stringify(table.valueAt(entry))} of ${name} does not follow ${JSON.stringify(table.valueAt(entry - 1))}`);
        const valueOrdinal = index.symbols.indexOf(table.valueAt(entry));
        if (valueOrdinal < 0) this.#table(entry, `value ${JSON.stringify(table.valueAt(entry))} of ${name} is not among the symbols`);
        this.#valueOrdinals[entry] = Math.max(valueOrdinal, 0);
        used = this.#readList(name, entry, used);
      }
    }
    this.#verifyLabelIndices();
  }

  /** Takes the label pairs of a series off their lists. Series come in ascending order of `ref`. */
  take(ref: number, { symbols, labelCount }: SeriesEntry): void {
    for (let i = 0; i < labelCount * 2; i += 2) {
      const entry = this.#find(symbols[i]!, symbols[i + 1]!);
      if (entry < 0) {
        this.#wrong(-1, `the postings table has no list for ${this.#pair(symbols[i]!, symbols[i + 1]!)} of series ${ref}`);
        continue;
      }
      if (this.#isSettled[entry] !== 0) continue;
      const at = this.#next[entry]!;
      const got = at < this.#end[entry]! ? this.#lists[at]! : Number.POSITIVE_INFINITY;
      if (got === ref) this.#next[entry] = at + 1;
      else {
        this.#isSettled[entry] = 1;
        const pair = this.#pair(symbols[i]!, symbols[i + 1]!);
        this.#wrong(this.#index.postingsTable.offsetAt(entry), got < ref ? `the list of ${pair} has series ${got}, which has not that label` : `the list of ${pair} lacks series ${ref}`);
      }
    }
  }

  /** Reports what is left on the lists. Not to be called when series could not be read. */
  finish(): void {
    const table = this.#index.postingsTable;
    for (const name of table.names) {
      const [first, end] = table.range(name);
      for (let entry = first; entry < end; entry++) {
        const left = this.#end[entry]! - this.#next[entry]!;
        if (left === 0 || this.#isSettled[entry] !== 0) continue;
        this.#wrong(table.offsetAt(entry), `the list of ${name}=${JSON.stringify(table.valueAt(entry))} has series ${this.#lists[this.#next[entry]!]!} and ${left - 1} more, which have not that label`);
      }
    }
  }

  #readList(name: string, entry: number, used: number): number {
    const { toc, postingsTable } = this.#index;
    this.#next[entry] = this.#end[entry] = used;
    const value = postingsTable.valueAt(entry);
    const offset = postingsTable.offsetAt(entry);
    if (offset < toc.postings || offset >= this.#index.toc.postingsTable) this.#table(entry, `the list of ${name}=${JSON.stringify(value)} is at ${offset}, outside of the section`);
    try {
      const list = this.#index.postings(name, value);
      if (list.length === 0) this.#table(entry, `the list of ${name}=${JSON.stringify(value)} is empty`);
      if (used + list.length > this.#lists.length) {
        const grown = new Uint32Array(Math.max(used + list.length, this.#lists.length * 2));
        grown.set(this.#lists.subarray(0, used));
        this.#lists = grown;
      }
      this.#lists.set(list, used);
      this.#end[entry] = used + list.length;
    } catch (error) {
      this.#isSettled[entry] = 1;
      this.#findings.addError(error, 'POSTINGS_UNREADABLE', { file: FILE });
    }
    return this.#end[entry]!;
  }

  #verifySymbols(): void {
    const { symbols, toc } = this.#index;
    for (let i = 1; i < symbols.count; i++) {
      if (compareBytes(symbols.bytesOf(i - 1), symbols.bytesOf(i)) < 0) continue;
      this.#findings.add('fault', 'SYMBOLS_ORDER', { file: FILE, section: 'symbols', offset: toc.symbols }, `symbol ${i} ${JSON.stringify(symbols.lookup(i))} does not follow ${JSON.stringify(symbols.lookup(i - 1))}`);
    }
  }

  /** Sections that Prometheus 2 wrote and nobody reads any more. In files of Prometheus 3 the TOC points at other sections instead. */
  #verifyLabelIndices(): void {
    const { toc } = this.#index;
    if (toc.labelIndicesTable === 0 || toc.labelIndicesTable === toc.postingsTable) return;
    const place = { file: FILE, section: 'label index table', offset: toc.labelIndicesTable };
    try {
      const reader = new ByteReader(this.#index.readSection('label index table', toc.labelIndicesTable));
      const count = reader.be32();
      for (let i = 0; i < count; i++) {
        for (let names = reader.uvarint(); names > 0; names--) reader.bytes(reader.uvarint());
        this.#index.readSection('label index', reader.uvarint());
      }
    } catch (error) {
      if (error instanceof BytesError) this.#findings.add('damage', 'LABEL_INDICES', place, `the table of label indices: ${error.message}`);
      else this.#findings.addError(error, 'LABEL_INDICES', place);
    }
  }

  #find(name: number, value: number): number {
    const range = this.#ranges.get(name);
    if (range === undefined) return -1;
    let [low, high] = range;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#valueOrdinals[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low < range[1] && this.#valueOrdinals[low] === value ? low : -1;
  }

  #pair(name: number, value: number): string {
    const { symbols } = this.#index;
    return name < symbols.count && value < symbols.count ? `${symbols.lookup(name)}=${JSON.stringify(symbols.lookup(value))}` : `symbols ${name} and ${value}`;
  }

  #table(entry: number, message: string): void {
    this.#findings.add('fault', 'POSTINGS_TABLE', { file: FILE, section: 'postings table', offset: this.#index.toc.postingsTable }, `entry ${entry}: ${message}`);
  }

  #wrong(offset: number, message: string): void {
    this.#findings.add('fault', 'POSTINGS_WRONG', { file: FILE, section: 'postings', offset }, message);
  }
}

