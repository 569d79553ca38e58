/**
 * Reads the chunks that Prometheus' head has mapped from disk: `chunks_head/000001`, `000002`, …
 *
 *   header   magic 01 30 BC 91 │ version 01 │ 00 00 00                                                    8 bytes
 *   chunk    u64 series reference │ i64 mint │ i64 maxt │ encoding, top bit: out of order │ uvarint length │ payload
 *            │ CRC-32C of all that
 *   end      zeros: files are made longer than what is in them
 *
 * A file is read up to its first damage; what the next one holds does not depend on it.
 * Source: Prometheus tsdb/docs/format/head_chunks.md, tsdb/chunks/head_chunks.go.
 */
import { ByteReader, crc32c } from '@gauntlet/bytes';
import { type FileHandle, type FileSystem, joinPath } from '../file-system.ts';
import { be32 } from '../index-file/layout.ts';
import { CHUNK_LENGTH_BYTES_MAX } from './layout.ts';

/** First four bytes of a file, big-endian. */
export const HEAD_CHUNKS_MAGIC = 0x0130bc91;
const HEAD_CHUNKS_VERSION = 1;
const HEADER_BYTES = 8;
/** Reference, times, encoding. */
const META_BYTES = 25;
const CRC_BYTES = 4;
/** The shortest chunk that is written has one sample, which takes more than this beside its fields. */
const CHUNK_BYTES_MIN = META_BYTES + CHUNK_LENGTH_BYTES_MAX + CRC_BYTES;
const OUT_OF_ORDER_BIT = 0x80;
/** Bytes read at a time; a longer chunk is read whole. */
const WINDOW_BYTES = 1 << 20;

/** A chunk of the head on disk, valid during the call that gets it. */
export interface HeadChunk {
  /** Reference of its series in the log. */
  readonly ref: number;
  /** Times of first and last sample, ms. */
  readonly mint: number;
  readonly maxt: number;
  /** As in blocks. */
  readonly encoding: number;
  readonly isOutOfOrder: boolean;
  readonly data: Uint8Array;
}

/**
 * Reads all chunks, in the order in which they were written; checksums are checked.
 * @param dir `chunks_head`; nothing is there where it is missing
 * @returns what cannot be read, each with its place
 * @throws the medium's error, and what `visit` throws
 */
export function readHeadChunks(fs: FileSystem, dir: string, visit: (chunk: HeadChunk) => void): string[] {
  const damage: string[] = [];
  if (fs.stat(dir)?.kind !== 'directory') return damage;
  const names = fs.list(dir).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b));
  for (const [i, name] of names.entries()) {
    const handle = fs.open(joinPath(dir, name), 'read');
    try {
      const found = readFile(handle, i === names.length - 1, visit);
      if (found !== undefined) damage.push(`${joinPath(dir, name)}: ${found}`);
    } finally {
      handle.close();
    }
  }
  return damage;
}

/** @returns where the file is damaged, and how; undefined for a sound one */
function readFile(handle: FileHandle, isLast: boolean, visit: (chunk: HeadChunk) => void): string | undefined {
  const fileBytes = handle.size();
  const window = new Window(handle, fileBytes);
  const header = window.view(0, Math.min(HEADER_BYTES, fileBytes));
  // Names are not synced when a file begins: a crash may leave the last one without contents.
  if (isLast && (header.length < 4 || be32(header, 0) === 0)) return undefined;
  if (header.length < HEADER_BYTES) return `offset 0: header has ${header.length} bytes, want ${HEADER_BYTES}`;
  if (be32(header, 0) !== HEAD_CHUNKS_MAGIC) return `offset 0: invalid magic number ${be32(header, 0).toString(16)}, want ${HEAD_CHUNKS_MAGIC.toString(16)}`;
  if (header[4] !== HEAD_CHUNKS_VERSION) return `offset 4: unknown version ${header[4]}, want ${HEAD_CHUNKS_VERSION}`;
  for (let at = HEADER_BYTES; at < fileBytes; ) {
    const rest = fileBytes - at;
    const start = window.view(at, Math.min(CHUNK_BYTES_MIN, rest));
    if (isZero(start, Math.min(META_BYTES - 1, rest))) return undefined;
    if (rest < CHUNK_BYTES_MIN) return `offset ${at}: a chunk is cut off after ${rest} bytes`;
    const length = lengthField(start);
    if (length === undefined) return `offset ${at}: length of a chunk is over-long`;
    const chunkBytes = META_BYTES + length.fieldBytes + length.payloadBytes + CRC_BYTES;
    if (chunkBytes > rest) return `offset ${at}: a chunk of ${chunkBytes} bytes, and ${rest} are left`;
    const bytes = window.view(at, chunkBytes);
    const want = be32(bytes, chunkBytes - CRC_BYTES);
    const got = crc32c(bytes.subarray(0, chunkBytes - CRC_BYTES));
    if (got !== want) return `offset ${at}: unexpected checksum ${got.toString(16)}, want ${want.toString(16)}`;
    const fields = fieldsOf(bytes);
    if (fields === undefined) return `offset ${at}: a reference or time beyond ±(2^53 − 1)`;
    const encoding = bytes[META_BYTES - 1]!;
    visit({
      ...fields,
      encoding: encoding & ~OUT_OF_ORDER_BIT,
      isOutOfOrder: (encoding & OUT_OF_ORDER_BIT) !== 0,
      data: bytes.subarray(META_BYTES + length.fieldBytes, chunkBytes - CRC_BYTES),
    });
    at += chunkBytes;
  }
  return undefined;
}

/** Reads a file forwards, in large pieces. */
class Window {
  readonly #handle: FileHandle;
  #bytes: Uint8Array;
  #from = 0;
  #length = 0;

  constructor(handle: FileHandle, fileBytes: number) {
    this.#handle = handle;
    this.#bytes = new Uint8Array(Math.min(WINDOW_BYTES, fileBytes));
  }

  /** `length` bytes from `at`, which are in the file; valid until the next call. */
  view(at: number, length: number): Uint8Array {
    if (at < this.#from || at + length > this.#from + this.#length) {
      if (length > this.#bytes.length) this.#bytes = new Uint8Array(length);
      this.#length = this.#handle.read(this.#bytes, at);
      this.#from = at;
    }
    return this.#bytes.subarray(at - this.#from, at - this.#from + Math.min(length, this.#length));
  }
}

function isZero(bytes: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function lengthField(chunk: Uint8Array): { readonly fieldBytes: number; readonly payloadBytes: number } | undefined {
  let payloadBytes = 0;
  let scale = 1;
  for (let i = 0; i < CHUNK_LENGTH_BYTES_MAX; i++) {
    const byte = chunk[META_BYTES + i]!;
    payloadBytes += (byte & 0x7f) * scale;
    if (byte < 0x80) return { fieldBytes: i + 1, payloadBytes };
    scale *= 128;
  }
  return undefined;
}

function fieldsOf(chunk: Uint8Array): Pick<HeadChunk, 'ref' | 'mint' | 'maxt'> | undefined {
  const reader = new ByteReader(chunk, 0);
  try {
    return { ref: reader.be64(), mint: reader.beI64(), maxt: reader.beI64() };
  } catch {
    return undefined;
  }
}
