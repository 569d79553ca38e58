/** Contract of the kernels of compaction: chunks as they lie in segment files, and runs of samples that become one. See kernels.ts. */

/** Words that describe a chunk with its frame: address of the frame, address of the payload, payload bytes, encoding. */
export const FRAME_WORDS = 4;

/** Room with which `encodeXorFrames` of `count` samples in chunks of `samplesMax` never answers −2. */
export function xorFramesBytesMax(count: number, samplesMax: number): number {
  return 19 * count + Math.ceil(count / samplesMax) * 96;
}

/** Chunks with length, encoding and checksum: `uvarint payload length · encoding · payload · CRC-32C of encoding and payload`. */
export interface FrameKernels {
  /**
   * Finds chunks in a piece of a segment file, and compares their checksums. Ends before the first that is cut by the end of the piece, or
   * damaged; whoever calls finds out by other means which.
   * @param bytesPtr `length` bytes of the file
   * @param base place of the first of these bytes, counted as references are
   * @param refsPtr `count` chunk references, doubles
   * @param framesPtr out: FRAME_WORDS 32-bit words per chunk
   * @returns chunks that are there and sound
   */
  checkChunkFrames(bytesPtr: number, length: number, base: number, refsPtr: number, count: number, framesPtr: number): number;

  /**
   * Encodes columns into XOR chunks of `samplesMax` samples each, the last one of what is left, with their frames, one behind the other.
   * @param samplesMax at least 1
   * @param outMax room; `xorFramesBytesMax` always suffices
   * @param framesPtr out: FRAME_WORDS 32-bit words per chunk
   * @returns chunks written; −1 or −2 as `encodeXor`
   */
  encodeXorFrames(timestampsPtr: number, valuesPtr: number, count: number, samplesMax: number, outPtr: number, outMax: number, framesPtr: number): number;
}

/** Samples of several chunks in order. */
export interface MergeKernels {
  /**
   * Merges runs of ascending samples into one in which every timestamp is once. Runs may have equal timestamps where the values are equal too.
   * @param lanesPtr per run two 32-bit integers: its first sample in the columns and the one after its last. Overwritten
   * @param outTimestampsPtr out, apart from the columns: room for all samples
   * @returns samples written, or −1 at a timestamp with different values
   */
  mergeColumns(timestampsPtr: number, valuesPtr: number, lanesPtr: number, laneCount: number, outTimestampsPtr: number, outValuesPtr: number): number;
}

/** What a merge came to, held to what went in. */
export interface MergeCheckKernels {
  /**
   * Whether samples [first, end) of the columns ascend, each has the timestamp and the value of a sample of a run, and each timestamp of a run is there.
   * @param lanesPtr per run two 32-bit integers: its first sample in the columns and the one after its last. Overwritten
   * @returns 1 or 0
   */
  checkMerge(timestampsPtr: number, valuesPtr: number, lanesPtr: number, laneCount: number, first: number, end: number): number;
}
