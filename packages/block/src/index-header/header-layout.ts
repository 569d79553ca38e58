/**
 * The index-header file: what a store gateway needs of a block's index besides series and postings, copied section by section.
 *
 *   ┌ u32 magic 0xBAAAD792 ┬ u8 version 1 ┬ u8 index version 2 ┬ u64 end of the postings in the index ┐  14 bytes
 *   │ symbols section of the index, with its length and CRC (and the padding up to the series)         │
 *   │ postings offset table of the index, with its length and CRC, and the index's own TOC             │
 *   └ u64 offset of the symbols ┬ u64 offset of the postings offset table ┬ CRC of these 16 bytes ─────┘  20 bytes
 *
 * Big-endian throughout. Source: Thanos pkg/block/indexheader/binary_reader.go; docs/formats/index-header.md.
 */

/** First four bytes. */
export const HEADER_MAGIC = 0xbaaad792;
/** The version read and written. */
export const HEADER_VERSION = 1;
/** Bytes before the symbols. */
export const HEADER_BYTES = 14;
/** Bytes of the table of contents at the end. */
export const HEADER_TOC_BYTES = 20;
