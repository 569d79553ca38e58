/** Contract of the kernel for XOR2 chunks: floats as Prometheus 3.11 and later may store them, with start timestamps. */

export interface Xor2Kernels {
  /**
   * Decodes one XOR2 chunk (payload after the encoding byte) into columns. Values keep their raw bits. Reads up to CHUNK_SLACK_BYTES past the
   * chunk's end: keep that slack inside the allocation.
   * @param startsPtr out, when each sample's counting began, ms, 0 = not known; 0 if that is not wanted
   * @param sampleMax room in the out columns
   * @returns samples written, or a negative value: −1 truncated or corrupt, or a time beyond ±(2^53 − 1), −2 `sampleMax` too small. After −1
   *   the columns hold undefined samples
   */
  decodeXor2(chunkPtr: number, chunkBytes: number, timestampsPtr: number, valuesPtr: number, startsPtr: number, sampleMax: number): number;
}
