/** Compresses records of the log with the snappy kernel: record → kernel memory → block, with the checksums of its parts. */
import { snappyBoundBytes } from '@gauntlet/bytes';
import { KernelError, type Kernels, SNAPPY_SLACK_BYTES, SNAPPY_TABLE_BYTES } from '@gauntlet/kernels';

/** A compressed record. It holds kernel memory until `release`. */
export interface PackedRecord {
  /** The block, valid until kernel memory is allocated. */
  readonly bytes: Uint8Array;
  /** CRC-32C of bytes [from, to) of it. */
  crc32c(from: number, to: number): number;
  release(): void;
}

/** Compresses a record. @returns undefined when kernel memory has no room for it */
export function packRecord(kernels: Kernels, record: Uint8Array): PackedRecord | undefined {
  const { memory } = kernels;
  const recordRoom = record.length + SNAPPY_SLACK_BYTES;
  let ptr: number;
  try {
    ptr = memory.alloc(SNAPPY_TABLE_BYTES + recordRoom + snappyBoundBytes(record.length) + SNAPPY_SLACK_BYTES);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
  const recordPtr = ptr + SNAPPY_TABLE_BYTES;
  const blockPtr = recordPtr + recordRoom;
  memory.u8(recordPtr, record.length).set(record);
  const bytes = memory.u8(blockPtr, kernels.snappyEncode(recordPtr, record.length, blockPtr, ptr));
  return { bytes, crc32c: (from, to) => kernels.crc32c(blockPtr + from, to - from, 0), release: () => memory.free(ptr) };
}
