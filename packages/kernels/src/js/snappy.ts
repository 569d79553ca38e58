/** Twin of as/snappy.ts: the codec of bytes, over the linear memory. */
import { BytesError, snappyDecode, snappyEncode } from '@gauntlet/bytes';
import type { SnappyKernels } from '../ingest-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

/** Snappy kernels in TypeScript. */
export function createSnappyTwin(memory: LinearMemory): SnappyKernels {
  return {
    snappyDecode(blockPtr, blockBytes, outPtr, plainBytes) {
      try {
        memory.bytes.set(snappyDecode(memory.bytes.subarray(blockPtr, blockPtr + blockBytes), { maxBytes: plainBytes }), outPtr);
      } catch (error) {
        if (error instanceof BytesError) return -1;
        throw error;
      }
      return plainBytes;
    },
    snappyEncode(ptr, length, outPtr) {
      const block = snappyEncode(memory.bytes.subarray(ptr, ptr + length));
      memory.bytes.set(block, outPtr);
      return block.length;
    },
  };
}
