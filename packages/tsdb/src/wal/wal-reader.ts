/**
 * Reads the records of a segment.
 *
 * Any damage is a `WalCorruptError` that says how much of the segment is good; zeros up to the end of a page, and a file that ends
 * between two records, are not damage. What to do about damage is the caller's decision (`head/replay.ts`).
 */
import { crc32c, snappyDecode, zstdDecode } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { isTsdbError } from '../errors.ts';
import { type FileSystem, joinPath } from '../file-system.ts';
import { CHECKPOINT_PREFIX, FRAGMENT, FRAGMENT_RESERVED, FRAGMENT_SNAPPY, FRAGMENT_ZSTD, WAL_FRAGMENT_HEADER_BYTES, WAL_PAGE_BYTES, WalCorruptError, walSegmentName } from './layout.ts';
import { RecordUnpacker } from './unpack-record.ts';

/** Largest record that is decompressed, bytes. */
const RECORD_BYTES_MAX = 1024 * 1024 * 1024;
/** Bytes read from the file at a time, a multiple of the page. */
const READ_BYTES: number = 32 * WAL_PAGE_BYTES;

/** Numbers of the segments in a folder, ascending. */
export function listSegments(fs: FileSystem, dir: string): number[] {
  return fs
    .list(dir)
    .filter((name) => /^\d{8,}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** The newest complete checkpoint of a log. */
export function lastCheckpoint(fs: FileSystem, walDir: string): { readonly dir: string; readonly segment: number } | undefined {
  const segments = fs
    .list(walDir)
    .filter((name) => name.startsWith(CHECKPOINT_PREFIX) && /^\d+$/.test(name.slice(CHECKPOINT_PREFIX.length)))
    .map((name) => ({ dir: joinPath(walDir, name), segment: Number(name.slice(CHECKPOINT_PREFIX.length)) }));
  return segments.sort((a, b) => a.segment - b.segment).at(-1);
}

/**
 * Calls `visit` with every record of a segment.
 * @param visit record bytes are valid during the call, and with `kernels` only until kernel memory is allocated
 * @param kernels decompress snappy; meanwhile some of their memory is in use
 * @throws WalCorruptError, also for an ERR_WAL_RECORD that `visit` throws
 */
export function readSegment(fs: FileSystem, dir: string, segment: number, visit: (record: Uint8Array) => void, kernels?: Kernels): void {
  const unpacker = kernels?.backend === 'wasm' ? new RecordUnpacker(kernels) : undefined;
  const handle = fs.open(joinPath(dir, walSegmentName(segment)), 'read');
  try {
    const fileBytes = handle.size();
    const buffer = new Uint8Array(Math.min(READ_BYTES, fileBytes));
    let assembled = new Uint8Array(0);
    let assembledBytes = 0;
    let isInside = false;
    let goodBytes = 0;
    const corrupt = (what: string, isTorn = false, cause?: unknown): WalCorruptError => new WalCorruptError(dir, segment, goodBytes, isTorn, what, cause);

    for (let bufferAt = 0; bufferAt < fileBytes; bufferAt += READ_BYTES) {
      const got = handle.read(buffer, bufferAt);
      const bytes = buffer.subarray(0, got);
      let at = 0;
      while (at < bytes.length) {
        const pageEnd = Math.min((Math.floor(at / WAL_PAGE_BYTES) + 1) * WAL_PAGE_BYTES, bytes.length);
        const isPageCut = pageEnd % WAL_PAGE_BYTES !== 0;
        const type = bytes[at]!;
        const kind = type & 7;
        if (type === FRAGMENT.pageEnd) {
          for (let i = at; i < pageEnd; i++) if (bytes[i] !== 0) throw corrupt('non-zero byte in the padding of a page');
          at = pageEnd;
          if (!isInside) goodBytes = bufferAt + at;
          continue;
        }
        if (type >= FRAGMENT_RESERVED) throw corrupt(`fragment type ${type} uses reserved bits`);
        if (pageEnd - at < WAL_FRAGMENT_HEADER_BYTES) throw corrupt('fragment header is cut off', isPageCut);
        const length = (bytes[at + 1]! << 8) | bytes[at + 2]!;
        const dataAt = at + WAL_FRAGMENT_HEADER_BYTES;
        if (length > WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER_BYTES) throw corrupt(`invalid fragment length ${length}`);
        if (dataAt + length > pageEnd) throw corrupt(`fragment of ${length} bytes is cut off`, isPageCut);
        const data = bytes.subarray(dataAt, dataAt + length);
        const want = ((bytes[at + 3]! << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!) >>> 0;
        const sum = crc32c(data);
        if (sum !== want) throw corrupt(`unexpected checksum ${sum.toString(16)}, want ${want.toString(16)}`);
        if (kind === FRAGMENT.pageEnd || kind > FRAGMENT.last || (kind === FRAGMENT.full || kind === FRAGMENT.first) === isInside) throw corrupt(`unexpected fragment type ${kind}`);
        at = dataAt + length;
        let record: Uint8Array = data;
        if (kind !== FRAGMENT.full) {
          if (kind === FRAGMENT.first) assembledBytes = 0;
          if (assembledBytes + length > assembled.length) {
            const bigger = new Uint8Array(Math.max(assembled.length * 2, assembledBytes + length));
            bigger.set(assembled.subarray(0, assembledBytes));
            assembled = bigger;
          }
          assembled.set(data, assembledBytes);
          assembledBytes += length;
          isInside = kind !== FRAGMENT.last;
          if (isInside) continue;
          record = assembled.subarray(0, assembledBytes);
        }
        const compression = type & (FRAGMENT_SNAPPY | FRAGMENT_ZSTD);
        if (compression !== 0) {
          if (compression === (FRAGMENT_SNAPPY | FRAGMENT_ZSTD)) throw corrupt('record is marked as snappy and as zstd');
          try {
            if (compression === FRAGMENT_ZSTD) record = zstdDecode(record, { maxBytes: RECORD_BYTES_MAX });
            else record = unpacker?.unpack(record, RECORD_BYTES_MAX) ?? snappyDecode(record, { maxBytes: RECORD_BYTES_MAX });
          } catch (error) {
            throw corrupt(`${compression === FRAGMENT_ZSTD ? 'zstd' : 'snappy'} record: ${(error as Error).message}`, false, error);
          }
        }
        try {
          visit(record);
        } catch (error) {
          throw isTsdbError(error, 'ERR_WAL_RECORD') ? corrupt(error.message, false, error) : error;
        }
        goodBytes = bufferAt + at;
      }
    }
    if (isInside) throw corrupt('last record is torn', true);
  } finally {
    unpacker?.release();
    handle.close();
  }
}
