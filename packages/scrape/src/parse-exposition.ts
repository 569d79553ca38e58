/**
 * Reads an exposition, Prometheus text format 0.0.4 or OpenMetrics 1.0, straight from its bytes, one entry at a time.
 *
 *   # TYPE http_requests_total counter
 *   http_requests_total{code="200"} 1027 1395066363000
 *   └──── series text ─────────────┘ value  timestamp (ms; OpenMetrics: seconds)
 *
 * A target sends the same series text every time. The caller may say which one it expects next: if the bytes agree, the labels are not looked at.
 * OpenMetrics is strict: single spaces, no blank lines, a comma between labels, `# EOF` last; exemplars are read where somebody asks for them.
 * Source: prometheus/docs exposition_formats.md; OpenMetrics 1.0; which slips are tolerated, and the texts, from Prometheus model/textparse.
 */
import { utf8Decode } from '@gauntlet/bytes';
import { METRIC_NAME, quoteGo } from '@gauntlet/model';
import { CREATED_TYPES, type CreatedTimes, endsWithCreated, readCreatedTimes } from './created-times.ts';
import { ScrapeError } from './errors.ts';
import type { EntryKind, ExposedExemplar, ExpositionFormat, ExpositionReader, ReadOptions } from './exposition.ts';
import { formatOpenMetricsFloat, parseFloatText, parseShortDecimal } from './parse-float.ts';

/** The formats of lines. */
type TextFormat = Exclude<ExpositionFormat, 'protobuf'>;

const TAB = 0x09;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const COMMA = 0x2c;
const EQUAL = 0x3d;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Longest piece of input shown in an error. */
const SHOWN_MAX = 120;

const TYPES: Readonly<Record<TextFormat, ReadonlySet<string>>> = {
  text: new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']),
  openmetrics: new Set(['counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset', 'unknown']),
};

/** 1 where a byte may begin a label name, 2 also a metric name (`:`), 4 may only continue one (digits). */
const NAME_BYTES = new Uint8Array(256);
for (let i = 0; i < 26; i++) NAME_BYTES[0x41 + i] = NAME_BYTES[0x61 + i] = 1;
NAME_BYTES[0x5f] = 1;
NAME_BYTES[0x3a] = 2;
for (let i = 0; i < 10; i++) NAME_BYTES[0x30 + i] = 4;

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const NO_EXEMPLARS: readonly ExposedExemplar[] = [];

/** See the head of this file. */
export class ExpositionParser implements ExpositionReader {
  readonly seriesBytes: Uint8Array;
  seriesStart = 0;
  seriesEnd = 0;
  value = 0;
  hasTimestamp = false;
  timestampMs = 0;
  family = '';
  text = '';
  expected: Uint8Array | undefined;
  isExpected = false;

  readonly #bytes: Uint8Array;
  readonly #format: TextFormat;
  readonly #options: ReadOptions;
  readonly #end: number;
  #at = 0;
  #entryStart = 0;
  /** Type named by the last `# TYPE` line: `le` and `quantile` are numbers in some. */
  #type = '';
  /** Offsets into the bytes: name start, name end, then per label name start, name end, value start, value end. -1 while the name is missing. */
  #offsets: number[] = [];
  /** Where the exemplar of the current series begins, at the space before its braces; −1 without one. */
  #exemplarAt = -1;
  /** Start timestamps of the family, read ahead; undefined before the first is asked for. */
  #created: CreatedTimes | undefined;

  /** `bytes` is read, not changed, and kept until the parser is dropped. @param start where to begin: at a line */
  constructor(bytes: Uint8Array, format: TextFormat, options: ReadOptions = {}, start = 0) {
    this.#bytes = bytes;
    this.seriesBytes = bytes;
    this.#format = format;
    this.#options = options;
    this.#end = bytes.length;
    this.#at = start;
  }

  next(): EntryKind {
    if (this.#format === 'text') return this.#nextText();
    for (;;) {
      const kind = this.#nextOpenMetrics();
      if (kind !== 'series') this.#created = undefined;
      else if (this.#options.createdAsStart === true && this.#isCreated()) continue;
      return kind;
    }
  }

  histogram(): never {
    throw new ScrapeError('ERR_SCRAPE_PARSE', `read histogram of ${this.#shown(this.seriesStart, this.seriesEnd)}: the text formats have none`);
  }

  exemplars(): readonly ExposedExemplar[] {
    if (this.#exemplarAt < 0) return NO_EXEMPLARS;
    const { value } = this;
    const after = this.#at;
    this.#at = this.#exemplarAt;
    const exemplar = this.#readExemplar();
    this.#at = after;
    this.value = value;
    return [exemplar];
  }

  startMs(): number {
    if (this.#options.createdAsStart !== true || !CREATED_TYPES.has(this.#type)) return 0;
    const text = utf8Decode(this.#bytes, this.seriesStart, this.seriesEnd);
    this.#created ??= readCreatedTimes(new ExpositionParser(this.#bytes, this.#format, {}, this.#entryStart), this.#type);
    return this.#created.get(text);
  }

  labels(): [name: string, value: string][] {
    const offsets = this.#offsets;
    const pairs: [string, string][] = [[METRIC_NAME, this.#unescaped(offsets[0]!, offsets[1]!)]];
    for (let i = 2; i < offsets.length; i += 4) {
      const name = this.#unescaped(offsets[i]!, offsets[i + 1]!);
      const value = this.#unescaped(offsets[i + 2]!, offsets[i + 3]!);
      pairs.push([name, this.#isNumeric(name) ? normalizedFloat(value) : value]);
    }
    return pairs;
  }

  /** Whether the current series says since when the others of its metric count. */
  #isCreated(): boolean {
    // One that was expected has been given as a series before.
    return !this.isExpected && CREATED_TYPES.has(this.#type) && endsWithCreated(this.#bytes, this.#offsets[1]!);
  }

  #isNumeric(label: string): boolean {
    return (label === 'le' && this.#type === 'histogram') || (label === 'quantile' && this.#type === 'summary');
  }

  #nextText(): EntryKind {
    const bytes = this.#bytes;
    for (;;) {
      this.#skipBlanks();
      this.#entryStart = this.#at;
      if (this.#at >= this.#end || bytes[this.#at] === 0) return 'end';
      const byte = bytes[this.#at]!;
      if (byte === NEWLINE) {
        this.#at++;
        continue;
      }
      if (byte !== HASH) return this.#readSeries();
      this.#at++;
      const spaced = this.#skipBlanks();
      const word = spaced ? this.#takeWord('HELP', 'TYPE') : undefined;
      if (word !== undefined && this.#skipBlanks()) return this.#readMetadata(word);
      this.#at = this.#lineEnd() + 1;
    }
  }

  #nextOpenMetrics(): EntryKind {
    this.#entryStart = this.#at;
    if (this.#at >= this.#end) throw this.#error('data does not end with # EOF');
    if (this.#bytes[this.#at] !== HASH) return this.#readSeries();
    this.#at++;
    const word = this.#bytes[this.#at++] === SPACE ? this.#takeWord('HELP', 'TYPE', 'UNIT', 'EOF') : undefined;
    if (word === 'EOF') {
      if (this.#bytes[this.#at] === NEWLINE) this.#at++;
      if (this.#at < this.#end) throw this.#error('unexpected data after # EOF');
      return 'end';
    }
    if (word === undefined || this.#bytes[this.#at] !== SPACE) throw this.#unexpected('expected a valid start token');
    this.#at++;
    return this.#readMetadata(word);
  }

  #readMetadata(word: string): EntryKind {
    const bytes = this.#bytes;
    const start = this.#at;
    if (!this.#skipName(true)) throw this.#unexpected(`expected metric name after ${word}`);
    const quoted = bytes[start] === QUOTE ? 1 : 0;
    this.family = this.#unescaped(start + quoted, this.#at - quoted);
    const strict = this.#format === 'openmetrics';
    const end = this.#lineEnd();
    if (strict && (end >= this.#end || bytes[this.#at] !== SPACE)) throw this.#error(`expected text in ${word}`);
    this.text = this.#decode(Math.min(this.#at + 1, end), end, () => this.#error(`help text ${this.#shown(start, end)} is not a valid utf8 string`));
    this.#at = end + 1;
    if (word === 'HELP') {
      this.text = unescaped(this.text);
      return 'help';
    }
    if (word === 'UNIT') {
      if (this.text !== '' && !this.family.endsWith(`_${this.text}`)) throw this.#error(`unit ${quoteGo(this.text)} not a suffix of metric ${quoteGo(this.family)}`);
      return 'unit';
    }
    if (!TYPES[this.#format].has(this.text)) throw this.#error(`invalid metric type ${quoteGo(this.text)}`);
    this.#type = this.text;
    return 'type';
  }

  #readSeries(): EntryKind {
    this.seriesStart = this.#at;
    this.isExpected = this.#takeExpected();
    if (!this.isExpected) this.#readName();
    this.seriesEnd = this.#at;
    if (this.#format === 'text') this.#readTextSuffix();
    else this.#readOpenMetricsSuffix();
    return 'series';
  }

  /** Name and labels, from `seriesStart` on. */
  #readName(): void {
    const bytes = this.#bytes;
    this.#offsets.length = 0;
    if (bytes[this.#at] === OPEN) {
      this.#offsets.push(-1, -1);
      this.#readLabels(this.#offsets, false);
    } else {
      if (!this.#skipName(true) || bytes[this.seriesStart] === QUOTE) {
        this.#at = this.seriesStart;
        throw this.#unexpected('expected a valid start token');
      }
      this.#offsets.push(this.seriesStart, this.#at);
      const nameEnd = this.#at;
      if (this.#format === 'text') this.#skipBlanks();
      if (bytes[this.#at] === OPEN) this.#readLabels(this.#offsets, false);
      else this.#at = nameEnd;
    }
    if (this.#offsets[0] === -1) throw this.#error(`metric name not set while parsing: ${this.#shown(this.#entryStart, this.#at)}`);
  }

  /** Whether the expected series text is here, and nothing that would make it a longer one. */
  #takeExpected(): boolean {
    const { expected } = this;
    const bytes = this.#bytes;
    if (expected === undefined) return false;
    const start = this.#at;
    for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false;
    const end = start + expected.length;
    let after = end;
    while (bytes[after] === SPACE || bytes[after] === TAB) after++;
    if (after === end || bytes[after] === OPEN) return false;
    this.#at = end;
    return true;
  }

  /** Braces and what is in them, cursor at the opening one. */
  #readLabels(offsets: number[], isExemplar: boolean): void {
    const bytes = this.#bytes;
    const loose = this.#format === 'text';
    this.#at++;
    for (;;) {
      if (loose) this.#skipBlanks();
      if (bytes[this.#at] === CLOSE) {
        this.#at++;
        return;
      }
      const start = this.#at;
      const quoted = bytes[start] === QUOTE;
      if (!this.#skipName(false)) throw this.#unexpected('expected label name');
      const end = this.#at;
      if (loose) this.#skipBlanks();
      const next = bytes[this.#at];
      if (quoted && !isExemplar && (next === COMMA || next === CLOSE)) {
        if (offsets[0] !== -1) throw this.#error(`metric name already set while parsing: ${this.#shown(this.#entryStart, this.#at)}`);
        offsets[0] = start + 1;
        offsets[1] = end - 1;
        if (next === COMMA) this.#at++;
        continue;
      }
      if (next !== EQUAL) throw this.#unexpected('expected equal');
      this.#at++;
      if (loose) this.#skipBlanks();
      const valueStart = this.#at;
      if (bytes[valueStart] !== QUOTE || !this.#skipQuoted(!loose)) throw this.#unexpected('expected label value');
      offsets.push(quoted ? start + 1 : start, quoted ? end - 1 : end, valueStart + 1, this.#at - 1);
      if (loose) this.#skipBlanks();
      if (bytes[this.#at] === COMMA) this.#at++;
      else if (!loose && bytes[this.#at] !== CLOSE) throw this.#unexpected('expected comma or brace close');
    }
  }

  #readTextSuffix(): void {
    const bytes = this.#bytes;
    this.#skipBlanks();
    const start = this.#at;
    while (this.#at < this.#end && bytes[this.#at] !== SPACE && bytes[this.#at] !== TAB && bytes[this.#at] !== NEWLINE && bytes[this.#at] !== OPEN) this.#at++;
    if (this.#at === start) throw this.#unexpected('expected value after metric');
    this.#readValue(start, this.#at);
    this.#skipBlanks();
    this.hasTimestamp = false;
    const timeStart = this.#at;
    while (NAME_BYTES[bytes[this.#at] ?? 0] === 4) this.#at++;
    if (this.#at > timeStart) {
      this.hasTimestamp = true;
      this.timestampMs = this.#readInteger(timeStart, this.#at);
      this.#skipBlanks();
      if (this.#at < this.#end && bytes[this.#at] !== NEWLINE) throw this.#unexpected('expected next entry after timestamp');
    } else if (this.#at < this.#end && bytes[this.#at] !== NEWLINE) throw this.#unexpected('expected timestamp or new record');
    this.#at++;
  }

  #readOpenMetricsSuffix(): void {
    const bytes = this.#bytes;
    let start = this.#takeField('expected value after metric');
    this.#readValue(start, this.#at);
    this.hasTimestamp = false;
    if (bytes[this.#at] === SPACE && !this.#isExemplar()) {
      start = this.#takeField('expected timestamp');
      this.hasTimestamp = true;
      this.timestampMs = this.#readSeconds(start, this.#at, 'timestamp');
    }
    this.#exemplarAt = this.#isExemplar() ? this.#at : -1;
    if (this.#exemplarAt >= 0) this.#skipExemplar();
    if (this.#at >= this.#end) throw this.#error('data does not end with # EOF');
    if (bytes[this.#at] !== NEWLINE) throw this.#unexpected('expected next entry after timestamp');
    this.#at++;
  }

  /** ` # {` */
  #isExemplar(): boolean {
    const bytes = this.#bytes;
    return bytes[this.#at] === SPACE && bytes[this.#at + 1] === HASH && bytes[this.#at + 2] === SPACE && bytes[this.#at + 3] === OPEN;
  }

  #skipExemplar(): void {
    this.#at += 3;
    this.#readLabels([-1, -1], true);
    const value = this.value;
    let start = this.#takeField('expected value after exemplar labels');
    this.#readValue(start, this.#at);
    this.value = value;
    if (this.#bytes[this.#at] !== SPACE) return;
    start = this.#takeField('expected timestamp or comment');
    this.#readSeconds(start, this.#at, 'exemplar timestamp');
  }

  /** The exemplar that `skipExemplar` has found sound, cursor where it begins; leaves `value` and the cursor anywhere. */
  #readExemplar(): ExposedExemplar {
    const offsets = [-1, -1];
    this.#at += 3;
    this.#readLabels(offsets, true);
    const labels: [string, string][] = [];
    for (let i = 2; i < offsets.length; i += 4) labels.push([this.#unescaped(offsets[i]!, offsets[i + 1]!), this.#unescaped(offsets[i + 2]!, offsets[i + 3]!)]);
    this.#readValue(this.#takeField('expected value after exemplar labels'), this.#at);
    const { value } = this;
    if (this.#bytes[this.#at] !== SPACE) return { labels, value, timeMs: undefined };
    const start = this.#takeField('expected timestamp or comment');
    return { labels, value, timeMs: this.#readSeconds(start, this.#at, 'exemplar timestamp') };
  }

  /** One space and everything up to the next space or line feed; gives where it starts. */
  #takeField(expectation: string): number {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== SPACE) throw this.#unexpected(expectation);
    const start = ++this.#at;
    while (this.#at < this.#end && bytes[this.#at] !== SPACE && bytes[this.#at] !== NEWLINE) this.#at++;
    if (this.#at === start) throw this.#unexpected(expectation);
    return start;
  }

  #readValue(start: number, end: number): void {
    const short = parseShortDecimal(this.#bytes, start, end);
    if (short === short) {
      this.value = short;
      return;
    }
    const text = utf8Decode(this.#bytes, start, end);
    const value = parseFloatText(text);
    if (value === undefined) throw this.#badNumber(text);
    this.value = value;
  }

  #badNumber(text: string): ScrapeError {
    const reason = /^[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?$/.test(text) && !Number.isNaN(Number(text)) ? 'value out of range' : 'invalid syntax';
    return this.#error(`strconv.ParseFloat: parsing ${quoteGo(text)}: ${reason} while parsing: ${this.#shown(this.#entryStart, this.#at)}`);
  }

  #readInteger(start: number, end: number): number {
    const text = utf8Decode(this.#bytes, start, end);
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw this.#error(`strconv.ParseInt: parsing ${quoteGo(text)}: value out of range while parsing: ${this.#shown(this.#entryStart, end)}`);
    return value;
  }

  #readSeconds(start: number, end: number, what: string): number {
    const text = utf8Decode(this.#bytes, start, end);
    const seconds = parseFloatText(text);
    if (seconds === undefined) throw this.#badNumber(text);
    const ms = Math.trunc(seconds * 1000) + 0;
    if (!Number.isSafeInteger(ms)) throw this.#error(`invalid ${what} ${text}`);
    return ms;
  }

  /** Skips a bare or quoted name. @param isMetric whether `:` is allowed in it */
  #skipName(isMetric: boolean): boolean {
    const bytes = this.#bytes;
    const first = bytes[this.#at] ?? 0;
    if (first === QUOTE) return this.#skipQuoted(false);
    const allowed = isMetric ? 3 : 1;
    if ((NAME_BYTES[first]! & allowed) === 0) return false;
    do this.#at++;
    while ((NAME_BYTES[bytes[this.#at] ?? 0]! & (allowed | 4)) !== 0);
    return true;
  }

  /** Skips a quoted string, cursor at the opening quote; false, with the cursor where it was, if it does not end. */
  #skipQuoted(oneLine: boolean): boolean {
    const bytes = this.#bytes;
    for (let i = this.#at + 1; i < this.#end; i++) {
      const byte = bytes[i];
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) {
        this.#at = i + 1;
        return true;
      } else if (byte === NEWLINE && oneLine) return false;
    }
    return false;
  }

  #skipBlanks(): boolean {
    const start = this.#at;
    while (this.#bytes[this.#at] === SPACE || this.#bytes[this.#at] === TAB) this.#at++;
    return this.#at > start;
  }

  #takeWord(...words: readonly string[]): string | undefined {
    const word = words.find((candidate) => {
      for (let i = 0; i < candidate.length; i++) if (this.#bytes[this.#at + i] !== candidate.charCodeAt(i)) return false;
      return true;
    });
    if (word !== undefined) this.#at += word.length;
    return word;
  }

  /** Offset of the next line feed, or the end. */
  #lineEnd(): number {
    const end = this.#bytes.indexOf(NEWLINE, this.#at);
    return end < 0 ? this.#end : end;
  }

  /** Text of a name or value: UTF-8 with `\\`, `\"` and `\n`; other backslashes stay. */
  #unescaped(start: number, end: number): string {
    const text = this.#decode(start, end, () => this.#error(`invalid UTF-8 label value: ${this.#shown(start, end)}`));
    return unescaped(text);
  }

  #decode(start: number, end: number, error: () => ScrapeError): string {
    for (let i = start; i < end; i++) {
      if (this.#bytes[i]! < 0x80) continue;
      try {
        return strictDecoder.decode(this.#bytes.subarray(start, end));
      } catch {
        throw error();
      }
    }
    return utf8Decode(this.#bytes, start, end);
  }

  #unexpected(expectation: string): ScrapeError {
    const end = Math.min(this.#end, this.#at + 1);
    return this.#error(`${expectation}, got ${this.#at >= this.#end ? 'end of input' : this.#shown(this.#at, end)} while parsing: ${this.#shown(this.#entryStart, end)}`);
  }

  #shown(start: number, end: number): string {
    return quoteGo(utf8Decode(this.#bytes, start, Math.min(end, start + SHOWN_MAX)));
  }

  #error(message: string): ScrapeError {
    let line = 1;
    for (let i = 0; i < this.#entryStart; i++) if (this.#bytes[i] === NEWLINE) line++;
    return new ScrapeError('ERR_SCRAPE_PARSE', `line ${line}: ${message}`);
  }
}

/** `\\`, `\"` and `\n` resolved; a backslash before anything else stays. */
function unescaped(text: string): string {
  return text.includes('\\') ? text.replaceAll(/\\[\\"n]/g, (escape) => (escape === '\\n' ? '\n' : escape[1]!)) : text;
}

function normalizedFloat(text: string): string {
  const value = parseFloatText(text);
  return value === undefined ? text : formatOpenMetricsFloat(value);
}
