/** The seam of bytes. README.md has the reading order. */
export { ByteReader } from './byte-reader.ts';
export { BitReader, BitWriter } from './bit-stream.ts';
export { crc32c } from './crc32c.ts';
export { BytesError, type BytesErrorCode } from './errors.ts';
export { GrowableBytes } from './growable-bytes.ts';
export { type Column, grownColumn } from './grown-column.ts';
export { snappyBoundBytes, snappyDecode, type SnappyDecodeOptions, snappyEncode, snappyPlainLength } from './snappy.ts';
export { compareBytes, compareUtf8, utf8Decode, utf8Encode, utf8EncodeInto, utf8Length } from './utf8.ts';
export { uvarintBytes, VARINT_BYTES_MAX, varintBytes, writeUvarint, writeUvarintWords, writeVarint } from './varint.ts';
export {
  addWords,
  compareWords,
  mulHigh32,
  mulWords,
  signedWordsToNumber,
  subWords,
  type Words64,
  wordsFromBigInt,
  wordsFromNumber,
  wordsToBigInt,
  wordsToHex,
  wordsToNumber,
} from './words64.ts';
export { xxhash64 } from './xxhash64.ts';
export { zstdDecode, type ZstdDecodeOptions } from './zstd-decode.ts';
