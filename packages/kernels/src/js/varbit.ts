/**
 * Varbit numbers: a prefix of ones says how many bits follow, most significant first.
 *
 *   0            0                 1110    + 9      111110   + 18     11111110 + 56
 *   10    + 3                      11110   + 12     1111110  + 25     11111111 + 64
 *   110   + 6
 *
 * Signed: k bits hold −(2^(k−1) − 1) … 2^(k−1). Native histogram chunks consist of them. Source: Prometheus tsdb/chunkenc/varbit.go.
 */
import { type BitReader, type BitWriter, signedWordsToNumber, wordsToNumber } from '@gauntlet/bytes';

/** Bits after a prefix of so many ones. */
const WIDTHS: readonly number[] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/** Ones at the start of a word, up to the eight of the longest prefix. */
function prefixOf(word: number): number {
  return Math.min(8, Math.clz32(~word));
}

/** Reads an unsigned number. @throws BytesError ERR_BYTES_TRUNCATED, ERR_BYTES_UNSAFE_INTEGER beyond 2^53 */
export function readVarbitUint(reader: BitReader): number {
  const word = reader.peek32();
  // Nearly every number: prefix and bits are within the word.
  if (word >= 0) {
    reader.skip(1);
    return 0;
  }
  const ones = prefixOf(word);
  if (ones <= 5) {
    const width = WIDTHS[ones]!;
    reader.skip(ones + 1 + width);
    return (word << (ones + 1)) >>> (32 - width);
  }
  reader.skip(ones === 8 ? 8 : ones + 1);
  if (ones === 6) return reader.readBits(25);
  reader.readBits64(WIDTHS[ones]!);
  return wordsToNumber(reader);
}

/** Reads a signed number. @throws BytesError ERR_BYTES_TRUNCATED, ERR_BYTES_UNSAFE_INTEGER beyond ±2^53 */
export function readVarbitInt(reader: BitReader): number {
  const word = reader.peek32();
  if (word >= 0) {
    reader.skip(1);
    return 0;
  }
  const ones = prefixOf(word);
  if (ones <= 6) {
    const width = WIDTHS[ones]!;
    let bits: number;
    if (ones === 6) {
      reader.skip(7);
      bits = reader.readBits(25);
    } else {
      reader.skip(ones + 1 + width);
      bits = (word << (ones + 1)) >>> (32 - width);
    }
    return bits > 1 << (width - 1) ? bits - (1 << width) : bits;
  }
  reader.skip(ones === 8 ? 8 : ones + 1);
  reader.readBits64(WIDTHS[ones]!);
  if (ones === 8) return signedWordsToNumber(reader);
  // 56 bits: what is above 2^55 is negative.
  const { hi, lo } = reader;
  return hi > 0x800000 || (hi === 0x800000 && lo > 0) ? signedWordsToNumber({ hi: (hi | 0xff000000) >>> 0, lo }) : wordsToNumber(reader);
}

/** Width for a signed number: the least that holds it. */
function signedOnes(value: number): number {
  if (value === 0) return 0;
  for (let ones = 1; ones < 8; ones++) {
    const half = 2 ** (WIDTHS[ones]! - 1);
    if (value > -half && value <= half) return ones;
  }
  return 8;
}

function unsignedOnes(value: number): number {
  if (value === 0) return 0;
  for (let ones = 1; ones < 8; ones++) if (value < 2 ** WIDTHS[ones]!) return ones;
  return 8;
}

function write(writer: BitWriter, value: number, ones: number): void {
  // The prefix ends with a zero, but for the longest.
  if (ones === 8) writer.writeBits(0xff, 8);
  else writer.writeBits((1 << (ones + 1)) - 2, ones + 1);
  const width = WIDTHS[ones]!;
  if (width <= 25) writer.writeBits(value, width);
  else writer.writeBits64(Math.floor(value / 2 ** 32) >>> 0, value >>> 0, width);
}

/** Writes a safe integer ≥ 0; inverse of `readVarbitUint`. */
export function writeVarbitUint(writer: BitWriter, value: number): void {
  write(writer, value, unsignedOnes(value));
}

/** Writes a safe integer; inverse of `readVarbitInt`. */
export function writeVarbitInt(writer: BitWriter, value: number): void {
  write(writer, value, signedOnes(value));
}
