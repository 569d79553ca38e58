/**
 * Appends records to the log.
 *
 * All fragments of one `log` call are laid out in memory and given to the file system in one write at a known position, or one for each
 * segment that they reach into. When anything fails on the way, the log is cut back to where the call began: segments begun meanwhile are
 * removed, the first is truncated; so that a later record never follows a part of what was refused. If even that fails, the writer refuses
 * to go on until it succeeds. fsync happens when a segment ends, when asked, and on close: a returned `log` survives the death of the
 * process, not of the machine.
 */
import { crc32c, GrowableBytes, snappyEncode } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { TsdbError } from '../errors.ts';
import { type FileHandle, type FileSystem, joinPath } from '../file-system.ts';
import { FRAGMENT, FRAGMENT_SNAPPY, FRAGMENT_ZSTD, WAL_FRAGMENT_HEADER_BYTES, WAL_PAGE_BYTES, WAL_SEGMENT_BYTES, walSegmentName } from './layout.ts';
import { packRecord } from './pack-record.ts';

/** How records are compressed. */
export type WalCompression = 'snappy' | 'zstd' | 'none';

/** Makes a zstd frame of some bytes. */
export type ZstdEncode = (bytes: Uint8Array) => Uint8Array;

/** A place in the log. */
interface Place {
  readonly segment: number;
  readonly position: number;
  readonly handle: FileHandle;
}

/** An open log. */
export interface WalWriter {
  /** Segment that is being written. */
  readonly segment: number;
  /** Writes records, in order, in one go. @throws TsdbError ERR_WAL_FAILED once the log cannot be continued; the medium's error */
  log(records: readonly Uint8Array[]): void;
  /** Ends the present segment, fsyncs it and starts the next. */
  nextSegment(): void;
  fsync(): void;
  /** Fsyncs and closes. Idempotent. */
  close(): void;
}

/** Options of a log. */
export interface WalWriterOptions {
  readonly compression: WalCompression;
  /** For zstd, where the runtime has an encoder; without one records are snappy. */
  readonly zstdEncode?: ZstdEncode;
  /** Compress faster, into the same bytes. */
  readonly kernels?: Kernels;
  /** Upper bound of a segment, a multiple of 32 KiB; default 128 MiB. */
  readonly segmentBytesMax?: number;
}

/**
 * Starts a segment in `dir`, which exists.
 * @param firstSegment number of the new segment; its file must not exist
 */
export function createWalWriter(fs: FileSystem, dir: string, firstSegment: number, options: WalWriterOptions): WalWriter {
  const segmentBytesMax = options.segmentBytesMax ?? WAL_SEGMENT_BYTES;
  const zstdEncode = options.compression === 'zstd' ? options.zstdEncode : undefined;
  const out = new GrowableBytes(4096);
  let segment = firstSegment;
  let handle: FileHandle | undefined;
  /** Good bytes of the segment on disk. */
  let position = 0;
  /** Where the present call began: its segment stays open until the call is done. */
  let start: Place | undefined;
  /** Where the log is to be cut back to before anything else is written, and why. */
  let cut: { readonly to: Place; readonly cause: unknown; isShorter: boolean } | undefined;
  let isClosed = false;

  const open = (): FileHandle => {
    const opened = fs.open(joinPath(dir, walSegmentName(segment)), 'create-new');
    position = 0;
    try {
      fs.fsyncDir(dir);
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  };
  const cutBack = (): void => {
    if (cut === undefined) return;
    const { to } = cut;
    cut.isShorter ||= segment > to.segment;
    while (segment > to.segment) {
      handle?.close();
      handle = undefined;
      fs.remove(joinPath(dir, walSegmentName(segment)));
      segment--;
    }
    handle = to.handle;
    to.handle.truncate(to.position);
    // Or power loss might bring the removed segments back behind what is written here now.
    if (cut.isShorter) fs.fsyncDir(dir);
    position = to.position;
    cut = undefined;
  };
  const usable = (): FileHandle => {
    if (isClosed) throw new TsdbError('ERR_WAL_FAILED', `write WAL ${dir}: the log is closed`);
    if (cut !== undefined) {
      const { cause } = cut;
      try {
        cutBack();
      } catch {
        throw new TsdbError('ERR_WAL_FAILED', `write WAL segment ${dir}/${walSegmentName(segment)}: an earlier write failed and cannot be undone yet`, { cause });
      }
    }
    return handle!;
  };
  const writeOut = (): void => {
    if (out.length === 0) return;
    handle!.write(out.bytes(), position);
    position += out.length;
    out.reset();
  };
  const padPage = (): void => {
    const over = (position + out.length) % WAL_PAGE_BYTES;
    if (over !== 0) out.putZeros(WAL_PAGE_BYTES - over);
  };
  const nextSegment = (): void => {
    padPage();
    writeOut();
    const file = handle!;
    file.fsync();
    if (file !== start?.handle) file.close();
    handle = undefined;
    segment++;
    handle = open();
  };
  /** Does all of something, or leaves the log as it was. */
  const wholly = (write: () => void): void => {
    const before: Place = { handle: usable(), segment, position };
    start = before;
    try {
      write();
      if (handle !== before.handle) before.handle.close();
    } catch (error) {
      cut = { to: before, cause: error, isShorter: false };
      try {
        cutBack();
      } catch {
        // Tried again before the next write.
      }
      throw error;
    } finally {
      start = undefined;
      out.reset();
    }
  };

  /** Bytes of data that fit behind the present position in this segment; -1 where not even an empty record does. */
  const room = (): number => {
    const at = position + out.length;
    if (at >= segmentBytesMax) return -1;
    const inPage = WAL_PAGE_BYTES - (at % WAL_PAGE_BYTES);
    const pagesAfter = Math.max(0, Math.floor((segmentBytesMax - at - inPage) / WAL_PAGE_BYTES));
    if (inPage < WAL_FRAGMENT_HEADER_BYTES && pagesAfter === 0) return -1;
    return Math.max(0, inPage - WAL_FRAGMENT_HEADER_BYTES) + pagesAfter * (WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER_BYTES);
  };
  const layOut = (record: Uint8Array): void => {
    const packed = options.compression === 'none' || zstdEncode !== undefined || options.kernels === undefined ? undefined : packRecord(options.kernels, record);
    if (packed === undefined) layOutPlain(record);
    else {
      try {
        if (packed.bytes.length < record.length) layOutData(packed.bytes, FRAGMENT_SNAPPY, (from, to) => packed.crc32c(from, to));
        else layOutData(record, 0);
      } finally {
        packed.release();
      }
    }
  };
  const layOutPlain = (record: Uint8Array): void => {
    let data = record;
    let flags = 0;
    if (options.compression !== 'none') {
      const packed = zstdEncode === undefined ? snappyEncode(record) : zstdEncode(record);
      if (packed.length < record.length) {
        data = packed;
        flags = zstdEncode === undefined ? FRAGMENT_SNAPPY : FRAGMENT_ZSTD;
      }
    }
    layOutData(data, flags);
  };
  const layOutData = (data: Uint8Array, flags: number, sumOf: (from: number, to: number) => number = (from, to) => crc32c(data.subarray(from, to))): void => {
    if (data.length > room() && position + out.length > 0) nextSegment();
    let done = 0;
    let isFirst = true;
    do {
      let left = WAL_PAGE_BYTES - ((position + out.length) % WAL_PAGE_BYTES);
      if (left < WAL_FRAGMENT_HEADER_BYTES) {
        out.putZeros(left);
        left = WAL_PAGE_BYTES;
      }
      const length = Math.min(data.length - done, left - WAL_FRAGMENT_HEADER_BYTES);
      const isLast = done + length === data.length;
      out.putU8((isFirst ? (isLast ? FRAGMENT.full : FRAGMENT.first) : isLast ? FRAGMENT.last : FRAGMENT.middle) | flags);
      out.putBE16(length);
      out.putBE32(sumOf(done, done + length));
      out.putBytes(length === data.length ? data : data.subarray(done, done + length));
      done += length;
      isFirst = false;
    } while (done < data.length);
  };

  handle = open();
  return {
    get segment() {
      return segment;
    },
    log(records) {
      wholly(() => {
        for (const record of records) layOut(record);
        writeOut();
      });
    },
    nextSegment() {
      wholly(nextSegment);
    },
    fsync() {
      usable().fsync();
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      const refused = cut?.to.handle;
      try {
        cutBack();
        handle?.fsync();
      } finally {
        handle?.close();
        refused?.close();
        handle = undefined;
      }
    },
  };
}
