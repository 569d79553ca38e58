/**
 * Samples of an OpenMetrics file of any length, a piece of it in memory at a time:
 *
 *   file     … │ whole lines, about 4 MB │ whole lines │ … # EOF
 *   parsed   the last `# TYPE` line before the piece │ the piece │ # EOF
 *
 * What a `# TYPE` line says holds for the lines after it, and only the last piece ends by itself.
 */
import { ExpositionParser, ScrapeError } from '@gauntlet/scrape';
import type { FileHandle } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const HASH = 0x23;
const BACKSLASH = 0x5c;
const PIECE_BYTES = 4 << 20;
/** Longest line: what a piece grows to at most. */
const LINE_BYTES_MAX = 64 << 20;

const EOF_LINE = new TextEncoder().encode('# EOF\n');

/** Where samples go. */
export interface SampleSink {
  /**
   * One sample of the file.
   * @param series a number that stays with a series text for a while; `labels` is to be called only when it is one not seen before
   * @param isNewSeries whether the number was given out just now, possibly for the second time
   */
  sample(series: number, isNewSeries: boolean, labels: () => [name: string, value: string][], timeMs: number, value: number): void;
  /** After each piece. @param doneBytes of the file */
  piece(doneBytes: number): void;
}

/** Series texts that are remembered; afterwards all are forgotten. */
export const SERIES_REMEMBERED_MAX = 100_000;

/**
 * Reads a file from its beginning to its end.
 * @param path for messages
 * @param pieceBytes for tests
 * @throws ToolsError ERR_TSDB_IMPORT naming file and line: not OpenMetrics, or a sample without timestamp
 */
export function readOpenMetrics(file: FileHandle, path: string, sink: SampleSink, pieceBytes: number = PIECE_BYTES): void {
  const fileBytes = file.size();
  const remembered = new SeriesTexts();
  let typeLine: Uint8Array = new Uint8Array(0);
  let linesBefore = 0;
  let at = 0;
  let wanted = pieceBytes;
  do {
    const bytes = readPiece(file, at, wanted);
    const isLast = at + bytes.length >= fileBytes;
    const scan = scanLines(bytes, isLast);
    if (scan.end === 0 && !isLast) {
      wanted *= 2;
      if (wanted > LINE_BYTES_MAX) throw new ToolsError('ERR_TSDB_IMPORT', `read ${path}: line ${linesBefore + 1} is longer than ${LINE_BYTES_MAX} bytes`);
      continue;
    }
    const piece = bytes.subarray(0, scan.end);
    try {
      parsePiece(concat(typeLine, piece, isLast ? new Uint8Array(0) : EOF_LINE), remembered, sink);
    } catch (error) {
      throw inFile(error, path, linesBefore - (typeLine.length > 0 ? 1 : 0));
    }
    if (scan.typeLineEnd > 0) {
      typeLine = piece.slice(scan.typeLineStart, scan.typeLineEnd);
    }
    linesBefore += scan.lines;
    at += scan.end;
    wanted = pieceBytes;
    sink.piece(at);
    if (isLast) break;
  } while (at < fileBytes);
}

function parsePiece(bytes: Uint8Array, remembered: SeriesTexts, sink: SampleSink): void {
  const parser = new ExpositionParser(bytes, 'openmetrics');
  const labels = (): [name: string, value: string][] => parser.labels();
  let series = -1;
  for (;;) {
    const predicted = remembered.after(series);
    parser.expected = predicted < 0 ? undefined : remembered.textOf(predicted);
    const kind = parser.next();
    if (kind === 'end') return;
    if (kind === 'type') {
      // The type decides how some label values are written, so a text may stand for other labels from here on.
      remembered.forget();
      series = -1;
      continue;
    }
    if (kind !== 'series') continue;
    if (!parser.hasTimestamp) throw new MissingTimestamp(lineOf(bytes, parser.seriesStart), new TextDecoder().decode(bytes.subarray(parser.seriesStart, Math.min(parser.seriesEnd, parser.seriesStart + 200))));
    let isNew = false;
    if (parser.isExpected) series = predicted;
    else {
      const text = bytes.subarray(parser.seriesStart, parser.seriesEnd);
      const before = series;
      series = remembered.find(text);
      isNew = series < 0;
      if (isNew) series = remembered.add(text);
      remembered.follow(before, series);
    }
    sink.sample(series, isNew, labels, parser.timestampMs, parser.value);
  }
}

/**
 * Numbers of series texts, from 0 on; given out anew once there are too many. Files are in the order of series or of scrapes: what came after a
 * series last time is likely to come after it again, so most texts are compared with one that is expected rather than looked up (1 µs → 0.2).
 */
class SeriesTexts {
  readonly #decoder = new TextDecoder('latin1');
  readonly #numbers: Map<string, number> = new Map();
  readonly #texts: Uint8Array[] = [];
  /** Which series came after each. */
  readonly #next = new Int32Array(SERIES_REMEMBERED_MAX);

  /** @returns −1 for a text not seen */
  find(text: Uint8Array): number {
    return this.#numbers.get(this.#decoder.decode(text)) ?? -1;
  }

  add(text: Uint8Array): number {
    if (this.#texts.length >= SERIES_REMEMBERED_MAX) this.forget();
    const number = this.#texts.length;
    this.#numbers.set(this.#decoder.decode(text), number);
    this.#texts.push(text.slice());
    this.#next[number] = number;
    return number;
  }

  textOf(series: number): Uint8Array {
    return this.#texts[series]!;
  }

  /** The series that probably comes after one; −1 when nothing is known. */
  after(series: number): number {
    return series < 0 ? -1 : this.#next[series]!;
  }

  /** Says what came after a series. */
  follow(series: number, next: number): void {
    if (series >= 0 && series < this.#texts.length && next < this.#texts.length) this.#next[series] = next;
  }

  forget(): void {
    this.#numbers.clear();
    this.#texts.length = 0;
  }
}

class MissingTimestamp extends Error {
  constructor(line: number, series: string) {
    super(`line ${line}: expected timestamp for series ${series}, got none`);
  }
}

/** The same with the file's name, and lines counted from its beginning. */
function inFile(error: unknown, path: string, linesBefore: number): unknown {
  if (!(error instanceof MissingTimestamp) && !(error instanceof ScrapeError)) return error;
  const message = error.message.replace(/^line (\d+)/, (_, line: string) => `line ${Number(line) + linesBefore}`);
  return new ToolsError('ERR_TSDB_IMPORT', `read ${path}: ${message}`, error);
}

function readPiece(file: FileHandle, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, file.read(bytes, at));
}

interface LineScan {
  /** Just past the last whole line; of the last piece, its end. */
  end: number;
  /** Lines up to there. */
  lines: number;
  /** The last `# TYPE` line; empty range where there is none. */
  typeLineStart: number;
  typeLineEnd: number;
}

/** Finds where the last line ends. A line feed in quotes ends none, unless the line is metadata, where quotes are only text. */
function scanLines(bytes: Uint8Array, isLast: boolean): LineScan {
  const scan: LineScan = { end: 0, lines: 0, typeLineStart: 0, typeLineEnd: 0 };
  let lineFeeds = 0;
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    let end: number;
    if (bytes[at] === HASH) end = bytes.indexOf(NEWLINE, at);
    else {
      let isQuoted = false;
      for (; at < bytes.length; at++) {
        const byte = bytes[at]!;
        if (byte === BACKSLASH && isQuoted) {
          at++;
          if (bytes[at] === NEWLINE) lineFeeds++;
        } else if (byte === QUOTE) isQuoted = !isQuoted;
        else if (byte === NEWLINE) {
          if (!isQuoted) break;
          lineFeeds++;
        }
      }
      end = at < bytes.length ? at : -1;
    }
    if (end < 0) break;
    lineFeeds++;
    at = end + 1;
    scan.end = at;
    scan.lines = lineFeeds;
    if (isTypeLine(bytes, start)) {
      scan.typeLineStart = start;
      scan.typeLineEnd = at;
    }
  }
  if (isLast) scan.end = bytes.length;
  return scan;
}

const TYPE_PREFIX = new TextEncoder().encode('# TYPE ');

function isTypeLine(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < TYPE_PREFIX.length; i++) if (bytes[start + i] !== TYPE_PREFIX[i]) return false;
  return true;
}

function lineOf(bytes: Uint8Array, offset: number): number {
  let line = 1;
  for (let i = 0; i < offset; i++) if (bytes[i] === NEWLINE) line++;
  return line;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
