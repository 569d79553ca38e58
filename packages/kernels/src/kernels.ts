/**
 * The contract of the compute kernels: inner loops over columns that live in one linear memory.
 *
 * Two implementations: `wasm` (AssemblyScript, as/) and `js` (the plain TypeScript twins, js/). They give bit-equal results; the
 * twin is the oracle in tests and the fallback where WebAssembly is not to be had. Kernels compute, TypeScript decides: no
 * kernel knows labels, PromQL or files.
 *
 * Arguments ending in `Ptr` are byte offsets into `memory`; Float64 columns are 8-byte aligned.
 */

/** Thrown when an allocation would pass the memory's limit; the query that asked for it fails, nothing else. */
export interface KernelMemory {
  /** Current backing buffer; changes when memory grows, so never keep views across an `alloc`. */
  readonly buffer: ArrayBuffer;
  /** Bytes in use by allocations. */
  readonly usedBytes: number;
  /** Upper bound of the memory, bytes. */
  readonly maxBytes: number;
  /**
   * Reserves bytes, 16-byte aligned, contents undefined.
   * @throws KernelError ERR_KERNEL_MEMORY when `maxBytes` would be passed
   */
  alloc(bytes: number): number;
  /** Gives back an allocation; `ptr` must come from `alloc` of the same memory. */
  free(ptr: number): void;
  u8(ptr: number, length: number): Uint8Array;
  i32(ptr: number, length: number): Int32Array;
  f64(ptr: number, length: number): Float64Array;
}

export interface Kernels {
  readonly backend: 'wasm' | 'js';
  readonly memory: KernelMemory;

  /**
   * Decodes one XOR chunk (payload after the encoding byte) into columns.
   * Reads up to 16 bytes past the chunk's end: keep that slack inside the allocation.
   * @param sampleMax room in the out columns
   * @returns samples written, or a negative value: −1 truncated or corrupt, −2 `sampleMax` too small
   */
  decodeXor(chunkPtr: number, chunkBytes: number, timestampsPtr: number, valuesPtr: number, sampleMax: number): number;

  /**
   * Encodes columns into one XOR chunk payload (2-byte sample count first), as Prometheus 3.14's appender does.
   * @returns bytes written, or −2 when `outMax` is too small
   */
  encodeXor(timestampsPtr: number, valuesPtr: number, count: number, outPtr: number, outMax: number): number;

  /** CRC-32C (Castagnoli) of bytes; `seed` 0 to start, or a previous result to continue. */
  crc32c(ptr: number, length: number, seed: number): number;
}
