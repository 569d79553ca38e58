/**
 * Zstandard frames, decoded: what Prometheus writes into its log with `--storage.tsdb.wal-compression-type=zstd`. No dictionaries.
 *
 *   frame      magic │ descriptor │ window │ content size │ block… │ checksum
 *   block      u24: last, type, size │ raw, one repeated byte, or compressed: literals │ sequences
 *   literals   bytes that matches do not give: raw, one repeated byte, or Huffman in 1 or 4 streams
 *   sequence   so many literals, then a match: so many bytes from so far back; coded with FSE, offsets with a memory of the last three
 *
 * Several frames follow one another; skippable frames are skipped. Nothing is allocated beyond `maxBytes`. Source: RFC 8878.
 */
import { BytesError } from './errors.ts';
import { xxhash64 } from './xxhash64.ts';
import { BackwardBits, buildFseTable, constantFseTable, damaged, decodeHuffman, type FseTable, type HuffmanTable, readFseTable, readHuffmanTable } from './zstd-entropy.ts';

/** Options of `zstdDecode`. */
export interface ZstdDecodeOptions {
  /** Most plain bytes accepted; default 256 MiB. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;
const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_BYTES_MAX = 128 * 1024;

/** Literals of the block at hand; kept between calls, for most frames are small. */
let literalScratch = new Uint8Array(0);

/** One of the three codes of a sequence: where its values begin, and how many bits follow. */
interface SequenceCode {
  readonly accuracyMax: number;
  readonly symbolMax: number;
  readonly byDefault: FseTable;
}

const LITERAL_BASES = Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536);
const LITERAL_BITS = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const MATCH_BASES = Int32Array.from({ length: 53 }, (_, code) => (code < 32 ? code + 3 : [35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539][code - 32]!));
const MATCH_BITS = Uint8Array.from({ length: 53 }, (_, code) => (code < 32 ? 0 : [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16][code - 32]!));

const LITERAL_LENGTHS: SequenceCode = {
  accuracyMax: 9,
  symbolMax: 35,
  byDefault: buildFseTable([4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6, 0),
};
const MATCH_LENGTHS: SequenceCode = {
  accuracyMax: 9,
  symbolMax: 52,
  byDefault: buildFseTable([1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array.from({ length: 37 }, () => 1), ...Array.from({ length: 7 }, () => -1)], 6, 0),
};
const OFFSETS: SequenceCode = {
  accuracyMax: 8,
  symbolMax: 31,
  byDefault: buildFseTable([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5, 0),
};

/**
 * Decompresses all frames.
 * @returns freshly allocated plain bytes
 * @throws BytesError ERR_BYTES_TOO_LARGE past `maxBytes`, ERR_BYTES_ZSTD on damage
 */
export function zstdDecode(bytes: Uint8Array, options: ZstdDecodeOptions = {}): Uint8Array {
  const decoder = new Decoder(bytes, options.maxBytes ?? DEFAULT_MAX_BYTES);
  let at = 0;
  if (bytes.length === 0) throw damaged('no frame', 0);
  while (at < bytes.length) at = decoder.frame(at);
  return decoder.result();
}

class Decoder {
  readonly #bytes: Uint8Array;
  readonly #maxBytes: number;
  #out = new Uint8Array(0);
  #to = 0;
  #frameStart = 0;
  #literals: Uint8Array = literalScratch;
  #literalBytes = 0;
  #huffman: HuffmanTable | undefined;
  #literalTable: FseTable | undefined;
  #offsetTable: FseTable | undefined;
  #matchTable: FseTable | undefined;
  readonly #recent = new Float64Array(3);

  constructor(bytes: Uint8Array, maxBytes: number) {
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
  }

  result(): Uint8Array {
    return this.#to === this.#out.length ? this.#out : this.#out.slice(0, this.#to);
  }

  /** Decodes a frame. @returns where it ends */
  frame(start: number): number {
    const bytes = this.#bytes;
    const magic = this.#le(start, 4);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      const end = start + 8 + this.#le(start + 4, 4);
      if (end > bytes.length) throw damaged('skippable frame is cut off', start);
      return end;
    }
    if (magic !== MAGIC) throw damaged(`magic number is 0x${magic.toString(16)}, want 0x${MAGIC.toString(16)}`, start);
    const descriptor = this.#le(start + 4, 1);
    if ((descriptor & 8) !== 0) throw damaged('reserved bit of the frame header is set', start + 4);
    const isSingleSegment = (descriptor & 32) !== 0;
    let at = start + 5 + (isSingleSegment ? 0 : 1);
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    if (dictionaryBytes > 0 && this.#le(at, dictionaryBytes) !== 0) throw damaged('frame needs a dictionary', at);
    at += dictionaryBytes;
    const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
    const contentBytes = sizeBytes === 0 ? -1 : this.#le(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
    at += sizeBytes;
    this.#frameStart = this.#to;
    if (contentBytes >= 0) this.#reserve(contentBytes, start, true);
    this.#huffman = this.#literalTable = this.#offsetTable = this.#matchTable = undefined;
    this.#recent.set([1, 4, 8]);
    for (let isLast = false; !isLast; ) {
      const header = this.#le(at, 3);
      isLast = (header & 1) === 1;
      at = this.#block(at + 3, (header >>> 1) & 3, header >>> 3);
    }
    if (contentBytes >= 0 && this.#to - this.#frameStart !== contentBytes) throw damaged(`frame gave ${this.#to - this.#frameStart} bytes, want ${contentBytes}`, start);
    if ((descriptor & 4) === 0) return at;
    const sum = xxhash64(this.#out.subarray(this.#frameStart, this.#to)).lo;
    if (this.#le(at, 4) !== sum) throw damaged(`unexpected checksum ${sum.toString(16)}, want ${this.#le(at, 4).toString(16)}`, at);
    return at + 4;
  }

  /** Little-endian number; 8 bytes are rounded beyond 2^53. */
  #le(at: number, width: number): number {
    if (at + width > this.#bytes.length) throw damaged('frame is cut off', this.#bytes.length);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#bytes[at + i]!;
    return value;
  }

  /** Room for `more` bytes. */
  #reserve(more: number, offset: number, isExact = false): void {
    const needed = this.#to + more;
    if (needed > this.#maxBytes) throw new BytesError('ERR_BYTES_TOO_LARGE', `decode zstd at offset ${offset}: ${needed} plain bytes, at most ${this.#maxBytes}`, offset);
    if (needed <= this.#out.length) return;
    // A declared size is believed up to what blocks of the bytes that are there can give.
    const believed = isExact ? Math.min(needed, this.#to + Math.ceil(this.#bytes.length / 4) * BLOCK_BYTES_MAX) : Math.min(this.#maxBytes, Math.max(needed, this.#out.length * 2));
    const grown = new Uint8Array(believed);
    grown.set(this.#out.subarray(0, this.#to));
    this.#out = grown;
  }

  #block(at: number, type: number, size: number): number {
    if (type === 3) throw damaged('reserved block type', at - 3);
    if (size > BLOCK_BYTES_MAX) throw damaged(`block of ${size} bytes, at most ${BLOCK_BYTES_MAX}`, at - 3);
    const end = at + (type === 1 ? 1 : size);
    if (end > this.#bytes.length) throw damaged('block is cut off', at - 3);
    if (type === 2) {
      this.#sequences(this.#readLiterals(at, end), end);
      return end;
    }
    this.#reserve(size, at);
    if (type === 0) this.#out.set(this.#bytes.subarray(at, end), this.#to);
    else this.#out.fill(this.#bytes[at]!, this.#to, this.#to + size);
    this.#to += size;
    return end;
  }

  /** @returns where the sequences begin */
  #readLiterals(start: number, end: number): number {
    const bytes = this.#bytes;
    if (start >= end) throw damaged('literals are missing', start);
    const type = bytes[start]! & 3;
    const format = (bytes[start]! >>> 2) & 3;
    const headerBytes = type < 2 ? [1, 2, 1, 3][format]! : [3, 3, 4, 5][format]!;
    if (start + headerBytes > end) throw damaged('literals header is cut off', start);
    const header = this.#le(start, headerBytes);
    const at = start + headerBytes;
    if (type < 2) {
      const size = Math.floor(header / (format === 0 || format === 2 ? 8 : 16));
      this.#checkLiterals(size, start);
      const next = at + (type === 0 ? size : 1);
      if (next > end) throw damaged('literals are cut off', start);
      if (type === 0) this.#literals.set(bytes.subarray(at, next));
      else this.#literals.fill(bytes[at]!, 0, size);
      return next;
    }
    const width = [1024, 1024, 16384, 262144][format]!;
    const size = Math.floor(header / 16) % width;
    const packed = Math.floor(header / 16 / width);
    this.#checkLiterals(size, start);
    const next = at + packed;
    if (next > end) throw damaged('literals are cut off', start);
    let streams = at;
    if (type === 2) {
      const description = readHuffmanTable(bytes, at, next);
      this.#huffman = description.table;
      streams = description.end;
    }
    const table = this.#huffman;
    if (table === undefined) throw damaged('literals refer to a Huffman table that was never given', start);
    if (format === 0) {
      decodeHuffman(table, bytes, streams, next, this.#literals, 0, size);
      return next;
    }
    if (streams + 6 > next) throw damaged('jump table is cut off', streams);
    const part = Math.floor((size + 3) / 4);
    let from = streams + 6;
    for (let i = 0; i < 4; i++) {
      const to = i === 3 ? next : from + this.#le(streams + i * 2, 2);
      if (to > next || part * 3 > size) throw damaged('Huffman streams do not fit', streams);
      decodeHuffman(table, bytes, from, to, this.#literals, part * i, i === 3 ? size : part * (i + 1));
      from = to;
    }
    return next;
  }

  #checkLiterals(size: number, offset: number): void {
    if (size > BLOCK_BYTES_MAX) throw damaged(`${size} bytes of literals, at most ${BLOCK_BYTES_MAX}`, offset);
    if (size > this.#literals.length) this.#literals = literalScratch = new Uint8Array(Math.max(size, 4096));
    this.#literalBytes = size;
  }

  #sequences(start: number, end: number): void {
    const bytes = this.#bytes;
    if (start >= end) throw damaged('sequences are missing', start);
    let at = start + 1;
    let count = bytes[start]!;
    if (count >= 128) {
      const wide = count === 255 ? 2 : 1;
      if (at + wide > end) throw damaged('sequence count is cut off', start);
      count = wide === 2 ? this.#le(at, 2) + 0x7f00 : ((count - 128) << 8) + bytes[at]!;
      at += wide;
    }
    if (count === 0) {
      if (at !== end) throw damaged('bytes after an empty list of sequences', at);
      this.#copyLiterals(0, this.#literalBytes, at);
      return;
    }
    if (at >= end) throw damaged('sequence modes are missing', at);
    const modes = bytes[at++]!;
    if ((modes & 3) !== 0) throw damaged('reserved bits of the sequence modes are set', at - 1);
    const read = (mode: number, code: SequenceCode, previous: FseTable | undefined): FseTable => {
      if (mode === 0) return code.byDefault;
      if (mode === 3) {
        if (previous === undefined) throw damaged('sequences refer to a table that was never given', start);
        return previous;
      }
      if (mode === 2) {
        const description = readFseTable(bytes, at, end, code.accuracyMax, code.symbolMax);
        at = description.end;
        return description.table;
      }
      if (at >= end || bytes[at]! > code.symbolMax) throw damaged(`sequence code ${bytes[at]}, at most ${code.symbolMax}`, at);
      return constantFseTable(bytes[at++]!);
    };
    const literalTable = (this.#literalTable = read(modes >>> 6, LITERAL_LENGTHS, this.#literalTable));
    const offsetTable = (this.#offsetTable = read((modes >>> 4) & 3, OFFSETS, this.#offsetTable));
    const matchTable = (this.#matchTable = read((modes >>> 2) & 3, MATCH_LENGTHS, this.#matchTable));

    const bits = new BackwardBits(bytes, at, end);
    let literalState = bits.read(literalTable.accuracy);
    let offsetState = bits.read(offsetTable.accuracy);
    let matchState = bits.read(matchTable.accuracy);
    let literalsAt = 0;
    const blockStart = this.#to;
    for (let i = 0; i < count; i++) {
      const offsetCode = offsetTable.symbols[offsetState]!;
      const offsetValue = 2 ** offsetCode + bits.read(offsetCode);
      const matchCode = matchTable.symbols[matchState]!;
      const matchLength = MATCH_BASES[matchCode]! + bits.read(MATCH_BITS[matchCode]!);
      const literalCode = literalTable.symbols[literalState]!;
      const literalLength = LITERAL_BASES[literalCode]! + bits.read(LITERAL_BITS[literalCode]!);
      if (i < count - 1) {
        literalState = literalTable.baselines[literalState]! + bits.read(literalTable.bits[literalState]!);
        matchState = matchTable.baselines[matchState]! + bits.read(matchTable.bits[matchState]!);
        offsetState = offsetTable.baselines[offsetState]! + bits.read(offsetTable.bits[offsetState]!);
      }
      if (bits.left < 0) throw damaged('sequences are cut off', at);
      if (literalLength > this.#literalBytes - literalsAt) throw damaged(`sequence ${i} takes ${literalLength} literals of ${this.#literalBytes - literalsAt}`, at);
      if (this.#to - blockStart + literalLength + matchLength > BLOCK_BYTES_MAX) throw damaged(`block gives more than ${BLOCK_BYTES_MAX} bytes`, at);
      this.#copyLiterals(literalsAt, literalsAt + literalLength, at);
      literalsAt += literalLength;
      this.#copyMatch(this.#offset(offsetValue, literalLength), matchLength, at);
    }
    if (bits.left !== 0) throw damaged(`sequences have ${bits.left} bits too many`, at);
    if (this.#to - blockStart + this.#literalBytes - literalsAt > BLOCK_BYTES_MAX) throw damaged(`block gives more than ${BLOCK_BYTES_MAX} bytes`, at);
    this.#copyLiterals(literalsAt, this.#literalBytes, at);
  }

  /** The offset that a value stands for: one of the last three, or a new one. */
  #offset(value: number, literalLength: number): number {
    const recent = this.#recent;
    let offset: number;
    if (value > 3) offset = value - 3;
    else {
      const index = value - 1 + (literalLength === 0 ? 1 : 0);
      if (index === 0) return recent[0]!;
      offset = index === 3 ? recent[0]! - 1 : recent[index]!;
      if (index === 1) {
        recent[1] = recent[0]!;
        recent[0] = offset;
        return offset;
      }
    }
    recent[2] = recent[1]!;
    recent[1] = recent[0]!;
    recent[0] = offset;
    return offset;
  }

  #copyLiterals(from: number, to: number, offset: number): void {
    this.#reserve(to - from, offset);
    const out = this.#out;
    if (to - from > 32) out.set(this.#literals.subarray(from, to), this.#to);
    else for (let i = from, at = this.#to; i < to; i++) out[at++] = this.#literals[i]!;
    this.#to += to - from;
  }

  #copyMatch(distance: number, length: number, offset: number): void {
    if (distance <= 0 || distance > this.#to - this.#frameStart) throw damaged(`match from ${distance} bytes back, ${this.#to - this.#frameStart} are there`, offset);
    this.#reserve(length, offset);
    const out = this.#out;
    const from = this.#to - distance;
    if (length > 32 && distance >= length) out.copyWithin(this.#to, from, from + length);
    else for (let i = 0; i < length; i++) out[this.#to + i] = out[from + i]!;
    this.#to += length;
  }
}
