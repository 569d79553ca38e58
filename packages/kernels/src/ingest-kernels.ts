/**
 * Contract of the kernels that a write request passes: snappy, the request's protobuf, and looking series up by the bytes of their labels.
 *
 *   body ─ snappyDecode ─► message ─ scanWriteRequest ─► rows, times, values ─ findKeys ─► a reference per sample
 *   log record ─ snappyEncode ─► block
 *
 * Bytes that a kernel reads have SNAPPY_SLACK_BYTES behind them that it may read too, and those it writes as many that it may overwrite:
 * copies go by 16 bytes.
 */

/** Bytes behind inputs and outputs of the kernels of this file, inside the same allocation. */
export const SNAPPY_SLACK_BYTES = 16;

/** Bytes that `snappyEncode` needs at `tablePtr`. */
export const SNAPPY_TABLE_BYTES: number = 2 << 14;

/** The block format of `snappyDecode` and `snappyEncode` in bytes. */
export interface SnappyKernels {
  /**
   * Decompresses one block.
   * @param plainBytes what `snappyPlainLength` of the block says
   * @returns `plainBytes`, or −1 when the block is damaged: `snappyDecode` of bytes says how
   */
  snappyDecode(blockPtr: number, blockBytes: number, outPtr: number, plainBytes: number): number;

  /**
   * Compresses into one block, the same as `snappyEncode` of bytes makes.
   * @param outPtr room for `snappyBoundBytes(length)`
   * @param tablePtr SNAPPY_TABLE_BYTES of scratch
   * @returns bytes of the block
   */
  snappyEncode(ptr: number, length: number, outPtr: number, tablePtr: number): number;
}

/** Bytes of a series' row: three 32-bit integers. */
export const WRITE_ROW_BYTES = 12;

/** Bytes of the state of `scanWriteRequest`: three 32-bit integers. */
export const WRITE_STATE_BYTES = 12;

/** Why `scanWriteRequest` stopped. */
export const WRITE_SCAN = { end: 0, other: 1, noRoom: 2 } as const;

/** Remote-write 1.0 requests, decompressed. */
export interface WriteRequestKernels {
  /**
   * Scans series until the message ends, room is out, or a field comes that is no ordinary series: one that holds anything but labels of a name and
   * a value each, at least one, and behind them samples as encoders write them; or one that is damaged. Whoever calls decodes that field by other
   * means, which can say what is wrong, and goes on behind it.
   * @param length of the message, below 2^31
   * @param rowsPtr out: per series the first byte of its labels and the one behind them, as offsets into the message, and the samples up to its end
   * @param timesPtr out: times, ms, Float64
   * @param valuesPtr out: values, Float64 with their bits
   * @param statePtr in and out: offset into the message, rows, samples so far
   * @returns of WRITE_SCAN
   */
  scanWriteRequest(bytesPtr: number, length: number, rowsPtr: number, rowMax: number, timesPtr: number, valuesPtr: number, sampleMax: number, statePtr: number): number;
}

/** Bytes of an entry of a table of keys: where the record of a key lies, 0 for none, and the key's hash, 32 bits each. */
export const KEY_ENTRY_BYTES = 8;

/** Bytes of a key's record before the key: its reference, a Float64; its bytes, 32 bits; four unused. */
export const KEY_HEADER_BYTES = 16;

/** Entries that are looked at for a key: one of them has it, or none. */
export const KEY_PROBES_MAX = 64;

/** Bytes of a record and what lies between it and the next one: records begin at multiples of 16. */
export function keyRecordBytes(keyBytes: number): number {
  return KEY_HEADER_BYTES + ((keyBytes + 15) & ~15);
}

/**
 * References by the bytes of a key. Records of keys lie one behind the other, 8-byte aligned, in any number of runs, each with KEY_HEADER_BYTES of zeros
 * at its end; entries of a table with open addressing lead to them, from `hash & (entries − 1)` to the first free one. Keys are compared in full.
 */
export interface KeyTableKernels {
  /**
   * Looks series up. Those that come in the order of their records are compared without being hashed.
   * @param rowsPtr as of `scanWriteRequest`
   * @param sampleFrom the first sample of the first row
   * @param tablePtr `entries` · KEY_ENTRY_BYTES; zeros at first
   * @param entries a power of two
   * @param seed so that nobody who sends keys knows where they go
   * @param refsPtr out: the reference of the series for each of its samples, Float64, beginning with sample `sampleFrom`; 0 where the
   *   table does not have it
   * @returns series that the table does not have
   */
  findKeys(bytesPtr: number, rowsPtr: number, count: number, sampleFrom: number, tablePtr: number, entries: number, seed: number, refsPtr: number): number;

  /**
   * Adds the key of a record, or sets the reference of the record that has it.
   * @param recordPtr complete, and kept if the key is added
   * @returns 1 when it was added, 0 when it was there; −1 when the next KEY_PROBES_MAX entries are taken, then nothing changes
   */
  putKey(recordPtr: number, tablePtr: number, entries: number, seed: number): number;
}

/** All kernels of this file. */
export interface IngestKernels extends SnappyKernels, WriteRequestKernels, KeyTableKernels {}
