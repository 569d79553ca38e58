/** Contract of the kernel that makes Store API messages of chunks. See kernels.ts. */

/** Words of `writeChunkFields` per chunk: end of its field and begin of its data, both counted from the start of the output. */
export const CHUNK_FIELD_WORDS = 2;
/** Bytes of a chunk's field beside its data at most: tags, lengths, times, encoding, hash. */
export const CHUNK_FIELD_ROOM = 64;

/** Chunks as fields of a Series message. */
export interface ChunkFieldKernels {
  /**
   * Writes chunks as `chunks` fields of a Series message (AggrChunk with raw data and its xxhash64), one behind the other.
   * @param framesPtr FRAME_WORDS words per chunk, as `checkChunkFrames` writes them; encodings as in chunk files, 1 to 127
   * @param mintsPtr first timestamps, ms, doubles that are integers; `maxtsPtr` the last ones
   * @param outPtr room for the data of all chunks and CHUNK_FIELD_ROOM for each
   * @param fieldsPtr out: CHUNK_FIELD_WORDS words per chunk
   * @returns bytes written
   */
  writeChunkFields(framesPtr: number, mintsPtr: number, maxtsPtr: number, count: number, outPtr: number, fieldsPtr: number): number;
}
