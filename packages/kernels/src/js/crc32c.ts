/** Twin of as/crc32c.ts: the checksum of `bytes` over the linear memory. */
import { crc32c } from '@gauntlet/bytes';
import type { LinearMemory } from '../kernel-memory.ts';
import type { HashKernels } from '../kernels.ts';

/** Hash kernels in TypeScript. */
export function createHashTwin(memory: LinearMemory): HashKernels {
  return {
    crc32c: (ptr, length, seed) => crc32c(memory.bytes.subarray(ptr, ptr + length), seed),
  };
}
