/**
 * Builds an index-header from range reads of the index in the bucket.
 *
 *   1 the last 64 KiB      the TOC, and for most blocks the whole postings offset table
 *   2 the first bytes up to the series: index header and symbols
 *   3 the rest of the postings offset table, if it was not in 1
 *
 * Two requests for an ordinary block, one for a small one. Large sections are read in pieces. The CRC of each section is checked on
 * the way: a header that was written is intact.
 */
import { crc32c } from '@gauntlet/bytes';
import type { Bucket } from '@gauntlet/objstore';
import { CRC_BYTES, INDEX_HEADER_BYTES, INDEX_TOC_BYTES, INDEX_VERSION, be32, checkIndexHeader, parseIndexToc } from '@gauntlet/tsdb';
import { errorText } from '@gauntlet/service-kit';

import { INDEX_FILE } from '../block-id.ts';
import { BlockError } from '../errors.ts';
import { writeFileAtomically } from '../local-file.ts';
import { HEADER_BYTES, HEADER_MAGIC, HEADER_TOC_BYTES, HEADER_VERSION } from './header-layout.ts';

const TAIL_BYTES = 64 * 1024;
const PIECE_BYTES = 8 * 1024 * 1024;

/** How to build. */
export interface BuildHeaderOptions {
  /** Size of the index, from meta.json; saves a request. */
  readonly indexBytes?: number;
  readonly signal?: AbortSignal;
}

/** Checks a section `u32 length · body · CRC` that passes in pieces; bytes after it are not its business. */
class SectionCheck {
  readonly #name: string;
  readonly #id: string;
  readonly #prefix: Uint8Array = new Uint8Array(4);
  readonly #wanted: Uint8Array = new Uint8Array(CRC_BYTES);
  #seen: number = 0;
  #bodyBytes: number = 0;
  #crc: number = 0;

  constructor(name: string, id: string) {
    this.#name = name;
    this.#id = id;
  }

  push(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length && this.#seen < 4) this.#prefix[this.#seen++] = piece[at++]!;
    if (this.#seen >= 4 && at < piece.length) {
      this.#bodyBytes = be32(this.#prefix, 0);
      const inBody = Math.min(piece.length - at, Math.max(0, 4 + this.#bodyBytes - this.#seen));
      this.#crc = crc32c(piece.subarray(at, at + inBody), this.#crc);
      this.#seen += inBody;
      at += inBody;
      while (at < piece.length && this.#seen < 4 + this.#bodyBytes + CRC_BYTES) this.#wanted[this.#seen++ - 4 - this.#bodyBytes] = piece[at++]!;
    }
  }

  end(): void {
    const wanted = be32(this.#wanted, 0);
    if (this.#seen < 4 + this.#bodyBytes + CRC_BYTES || this.#seen < 8) throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${this.#id}: ${this.#name} of ${this.#bodyBytes} bytes passes its end`);
    if (wanted !== this.#crc) throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${this.#id}: ${this.#name} has checksum ${this.#crc.toString(16)}, wanted ${wanted.toString(16)}`);
  }
}

/** The bytes [start, end) of the index in pieces, taken from what is at hand where possible. */
async function* readSpan(bucket: Bucket, key: string, start: number, end: number, tail: Uint8Array, tailStart: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const withSignal = signal === undefined ? {} : { signal };
  for (let at = start; at < end;) {
    if (at >= tailStart) {
      yield tail.subarray(at - tailStart, end - tailStart);
      return;
    }
    const bytes = await bucket.getRange(key, at, Math.min(PIECE_BYTES, Math.min(end, tailStart) - at), withSignal);
    at += bytes.length;
    yield bytes;
  }
}

async function* headerPieces(bucket: Bucket, id: string, options: BuildHeaderOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  const withSignal = signal === undefined ? {} : { signal };
  const key = `${id}/${INDEX_FILE}`;
  const size = options.indexBytes ?? (await bucket.attributes(key, withSignal)).size;
  if (size < INDEX_HEADER_BYTES + INDEX_TOC_BYTES) throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${id}: index of ${size} bytes is too short`);
  const tailStart = Math.max(0, size - TAIL_BYTES);
  const tail = await bucket.getRange(key, tailStart, size - tailStart, withSignal);
  if (tail.length !== size - tailStart) throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${id}: index ends ${size - tailStart - tail.length} bytes before its size of ${size}`);
  const toc = parseIndexToc(tail.subarray(tail.length - INDEX_TOC_BYTES), size, id);
  if (toc.series < toc.symbols || toc.symbols < INDEX_HEADER_BYTES) throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${id}: symbols at ${toc.symbols}, series at ${toc.series}`);

  const head = new Uint8Array(HEADER_BYTES);
  const headView = new DataView(head.buffer);
  headView.setUint32(0, HEADER_MAGIC);
  headView.setUint8(4, HEADER_VERSION);
  headView.setUint8(5, INDEX_VERSION);
  headView.setBigUint64(6, BigInt(toc.postingsTable));
  yield head;

  const symbols = new SectionCheck('symbols', id);
  let skip = toc.symbols;
  let isChecked = false;
  for await (const piece of readSpan(bucket, key, 0, toc.series, tail, tailStart, signal)) {
    if (!isChecked) {
      checkIndexHeader(piece.subarray(0, INDEX_HEADER_BYTES), id);
      isChecked = true;
    }
    const rest = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - rest.length;
    symbols.push(rest);
    if (rest.length > 0) yield rest;
  }
  symbols.end();

  const table = new SectionCheck('postings offset table', id);
  for await (const piece of readSpan(bucket, key, toc.postingsTable, size, tail, tailStart, signal)) {
    table.push(piece);
    yield piece;
  }
  table.end();

  const end = new Uint8Array(HEADER_TOC_BYTES);
  const endView = new DataView(end.buffer);
  endView.setBigUint64(0, BigInt(HEADER_BYTES));
  endView.setBigUint64(8, BigInt(HEADER_BYTES + toc.series - toc.symbols));
  endView.setUint32(16, crc32c(end.subarray(0, 16)));
  yield end;
}

async function* named(id: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
  } catch (error) {
    // Errors of the index parser become errors of this package; those of the bucket stay what they are.
    if ((error as { name?: string }).name === 'TsdbError') throw new BlockError('ERR_INDEX_HEADER_CORRUPT', `build index-header of block ${id}: ${errorText(error)}`, error);
    throw error;
  }
}

/**
 * Builds an index-header in memory.
 * @throws BlockError ERR_INDEX_HEADER_CORRUPT if the index is damaged; ObjstoreError
 */
export async function buildIndexHeader(bucket: Bucket, id: string, options: BuildHeaderOptions = {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of named(id, headerPieces(bucket, id, options))) {
    pieces.push(piece);
    size += piece.length;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Builds an index-header into a file, atomically; memory stays below two pieces of 8 MiB. */
export async function writeIndexHeader(bucket: Bucket, id: string, path: string, options: BuildHeaderOptions = {}): Promise<void> {
  await writeFileAtomically(path, named(id, headerPieces(bucket, id, options)));
}
