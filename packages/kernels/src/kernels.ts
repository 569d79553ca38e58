/**
 * The contract of the compute kernels: inner loops over columns that live in one linear memory.
 *
 * Two implementations: `wasm` (AssemblyScript, as/) and `js` (the plain TypeScript twins, js/). They give bit-equal results; the
 * twin is the oracle in tests and the fallback where WebAssembly is not to be had. Kernels compute, TypeScript decides: no
 * kernel knows labels, PromQL or files.
 *
 * Arguments ending in `Ptr` are byte offsets into `memory`; Float64 columns are 8-byte aligned. A family of kernels is one
 * interface here, one file in as/ and one in js/ (README.md, "How to add a kernel").
 */
import type { ChunkFieldKernels } from './chunk-field-kernels.ts';
import type { FrameKernels, MergeCheckKernels, MergeKernels } from './frame-kernels.ts';
import type { HistogramKernels } from './histogram-kernels.ts';
import type { IngestKernels } from './ingest-kernels.ts';
import type { PostingsKernels } from './postings-kernels.ts';
import type { ReplicaKernels } from './replica-kernels.ts';
import type { SpacingKernels } from './spacing-kernels.ts';
import type { AggregateKernels, WindowKernels } from './window-kernels.ts';
import type { Xor2Kernels } from './xor2-kernels.ts';

/** The linear memory and who has which part of it. */
export interface KernelMemory {
  /** Current backing buffer; changes when memory grows, so never keep views across an `alloc`. */
  readonly buffer: ArrayBuffer;
  /** Bytes in use by allocations, with their rounding. */
  readonly usedBytes: number;
  /** Upper bound of the memory, bytes. */
  readonly maxBytes: number;
  /**
   * Reserves bytes, 16-byte aligned, contents undefined.
   * @throws KernelError ERR_KERNEL_MEMORY when `maxBytes` would be passed; the query that asked fails, nothing else
   */
  alloc(bytes: number): number;
  /** Gives back an allocation; `ptr` must come from `alloc` of the same memory. */
  free(ptr: number): void;
  /** View of `length` bytes; valid until the next `alloc`. */
  u8(ptr: number, length: number): Uint8Array;
  /** View of `length` 32-bit integers; valid until the next `alloc`. */
  i32(ptr: number, length: number): Int32Array;
  /** View of `length` doubles; valid until the next `alloc`. */
  f64(ptr: number, length: number): Float64Array;
}

/** Bytes behind a chunk that the decoder may read (never use): keep them inside the allocation. */
export const CHUNK_SLACK_BYTES = 16;

/** `decodeXorChunks` when `sampleMax` is too small. */
export const BATCH_NO_ROOM = -2147483648;

/**
 * XOR chunks, as Prometheus stores float samples. Timestamps and the differences between neighbours are integers within
 * ±(2^53 − 1); a chunk with others counts as damaged.
 */
export interface XorKernels {
  /**
   * Decodes one XOR chunk (payload after the encoding byte) into columns. Values keep their raw bits.
   * Reads up to CHUNK_SLACK_BYTES past the chunk's end: keep that slack inside the allocation.
   * @param sampleMax room in the out columns
   * @returns samples written, or a negative value: −1 truncated or corrupt, −2 `sampleMax` too small. After −1 the columns hold
   *   undefined samples
   */
  decodeXor(chunkPtr: number, chunkBytes: number, timestampsPtr: number, valuesPtr: number, sampleMax: number): number;

  /**
   * Decodes chunks one behind the other into the same columns.
   * @param descriptorPtr `chunkCount` pairs of 32-bit integers: chunk pointer, chunk bytes
   * @returns samples written in all, −1 − i if chunk i is truncated or corrupt, or BATCH_NO_ROOM
   */
  decodeXorChunks(descriptorPtr: number, chunkCount: number, timestampsPtr: number, valuesPtr: number, sampleMax: number): number;

  /**
   * As `decodeXorChunks`, but leaves of each chunk only its samples in [mint, maxt], both inclusive. Chunks are taken to be in order of time.
   * @param countsPtr out: samples kept of each chunk, 32-bit integers
   * @param sampleMax room for what the chunks say they hold, kept or not
   */
  decodeXorChunksWithin(descriptorPtr: number, chunkCount: number, mint: number, maxt: number, timestampsPtr: number, valuesPtr: number, countsPtr: number, sampleMax: number): number;

  /** Samples that the chunks say they hold: room to give to `decodeXorChunks`, with the same descriptors. */
  countXorSamples(descriptorPtr: number, chunkCount: number): number;

  /**
   * Encodes columns into one XOR chunk payload (2-byte sample count first), as Prometheus 3.14's appender does.
   * @param outMax room; `xorChunkBytesMax(count)` always suffices
   * @returns bytes written; −1 when the samples cannot be encoded (more than 65,535, or timestamps as above violated); −2 when less
   *   than a worst-case sample (32 bytes) is left before some sample
   */
  encodeXor(timestampsPtr: number, valuesPtr: number, count: number, outPtr: number, outMax: number): number;
}

/** The newest samples of XOR chunks. */
export interface XorNewestKernels {
  /**
   * As `decodeXorChunksWithin`, but of the samples of a chunk in [mint, maxt] only the last one is kept. What comes after `maxt` is not looked at.
   * @param timestampsPtr room for a sample of each chunk; `valuesPtr` likewise
   * @returns samples kept, or −1 − i where chunk i is truncated or corrupt, longer than 4 KiB, or has times or distances of them that fill 2^52 or 2^35 ms:
   *   `decodeXorChunksWithin` says which
   */
  decodeXorChunksNewest(descriptorPtr: number, chunkCount: number, mint: number, maxt: number, timestampsPtr: number, valuesPtr: number, countsPtr: number): number;
}

/** Room with which `encodeXor` of `count` samples never answers −2. */
export function xorChunkBytesMax(count: number): number {
  return 64 + 19 * count;
}

/** Checksums. */
export interface HashKernels {
  /** CRC-32C (Castagnoli) of bytes; `seed` 0 to start, or a previous result to continue. Unsigned 32-bit result. */
  crc32c(ptr: number, length: number, seed: number): number;
}

/** Room for one number's text: 25 bytes, and what is overwritten behind it. */
export const FLOAT_TEXT_BYTES_MAX = 48;

/** Room for one point's JSON, comma included. */
export const POINT_JSON_BYTES_MAX = 64;

/** Bytes of a step's text. */
export const STEP_TEXT_BYTES = 32;

/** Room behind the points of a row of steps that may be overwritten. */
export const STEP_JSON_ROOM = 24;

/** Numbers as text, as Prometheus prints sample values. */
export interface FloatTextKernels {
  /**
   * Writes the shortest decimal that reads back as the same double: positional for 1e-6 ≤ |v| < 1e21, else like `1e-07`, `1.5e+21`;
   * `NaN`, `+Inf`, `-Inf`, `-0`. ASCII.
   * @param outPtr FLOAT_TEXT_BYTES_MAX of room
   * @returns bytes written
   */
  writeFloat(value: number, outPtr: number): number;

  /**
   * Writes points as JSON array elements, `[1700000000,"1.5"],[1700000000.250,"NaN"]`: seconds with three decimals or none.
   * @param timestampsPtr milliseconds, integers within ±(2^53 − 1)
   * @param outMax room; `count · POINT_JSON_BYTES_MAX` always suffices
   * @returns bytes written; −1 for a timestamp that is none; −2 when less than POINT_JSON_BYTES_MAX is left before some point
   */
  writePointsJson(timestampsPtr: number, valuesPtr: number, count: number, outPtr: number, outMax: number): number;

  /**
   * Writes what comes before the value of each step in JSON, `[1700000000,"`, for `writeStepsJson`: STEP_TEXT_BYTES per step, the last of which is
   * the length of the text.
   * @returns steps; −1 when a time is no integer within ±(2^53 − 1)
   */
  writeStepTexts(firstMs: number, stepMs: number, steps: number, textPtr: number): number;

  /**
   * Writes the present steps of a row as `writePointsJson` would.
   * @param textPtr of `writeStepTexts`, for the same steps
   * @param presentPtr one byte per step
   * @param outMax room; `steps · POINT_JSON_BYTES_MAX + STEP_JSON_ROOM` always suffices
   * @returns bytes written; −2 when less than POINT_JSON_BYTES_MAX + STEP_JSON_ROOM is left before some point
   */
  writeStepsJson(textPtr: number, valuesPtr: number, presentPtr: number, steps: number, outPtr: number, outMax: number): number;
}

/** Entries of the series section of a TSDB index. */
export interface SeriesEntryKernels {
  /**
   * Decodes entries, their checksums compared. Gives up at the first that is no ordinary one: cut by the end of the bytes, damaged, with a number,
   * time or reference beyond 2^53 − 1, or without room. Whoever calls decodes that one by other means, which can say what is wrong.
   * @param bytesPtr `length` bytes of the section
   * @param offsetsPtr `count` 32-bit offsets of entries in the bytes
   * @param mint chunks that do not touch [mint, maxt] are left out
   * @param symbolsPtr out: 32-bit symbol ordinals, name, value, …, entry after entry
   * @param chunksPtr out: three Float64 columns of `chunkMax` each: first and last time of a chunk, ms, and its reference
   * @param endsPtr out: per entry two 32-bit integers, the symbols and the chunks up to its end
   * @returns entries decoded
   */
  decodeSeriesEntries(
    bytesPtr: number,
    length: number,
    offsetsPtr: number,
    count: number,
    mint: number,
    maxt: number,
    symbolsPtr: number,
    symbolMax: number,
    chunksPtr: number,
    chunkMax: number,
    endsPtr: number,
  ): number;
}

/** All kernels over one memory. */
export interface Kernels extends XorKernels, XorNewestKernels, Xor2Kernels, HistogramKernels, HashKernels, SeriesEntryKernels, FloatTextKernels, WindowKernels, AggregateKernels, SpacingKernels, FrameKernels, MergeKernels, MergeCheckKernels, ReplicaKernels, IngestKernels, ChunkFieldKernels, PostingsKernels {
  readonly backend: 'wasm' | 'js';
  readonly memory: KernelMemory;
}
