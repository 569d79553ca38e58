/**
 * Writes columns of floats as one chunk, for merging and deleting: XOR by the kernel, or XOR2 where a sample has a start timestamp, which XOR
 * cannot hold. Source: Prometheus storage/series.go, `seriesToChunkEncoder`.
 */
import { type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type RawChunk } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { encodeXor2Chunk, type Xor2Samples } from './xor2-encoder.ts';

/**
 * Encodes the samples [from, to), at least one, in memory of its own.
 * @throws TsdbError ERR_CHUNK_WRITE when they cannot be encoded; KernelError ERR_KERNEL_MEMORY
 */
export function encodeFloatColumns(samples: Xor2Samples, from: number, to: number, kernels: Kernels): RawChunk {
  const { timestampsMs, values, startTimestamps } = samples;
  const [mint, maxt] = [timestampsMs[from]!, timestampsMs[to - 1]!];
  for (let i = from; startTimestamps !== undefined && i < to; i++) {
    if (startTimestamps[i] !== 0) return { mint, maxt, encoding: CHUNK_ENCODING.xor2, data: encodeXor2Chunk(samples, from, to) };
  }
  const { memory } = kernels;
  const count = to - from;
  const room = xorChunkBytesMax(count);
  const [timesPtr, valuesPtr, outPtr] = [memory.alloc(count * 8), memory.alloc(count * 8), memory.alloc(room)];
  try {
    memory.f64(timesPtr, count).set(timestampsMs.subarray(from, to));
    // As words: a NaN must keep its bits.
    memory.i32(valuesPtr, count * 2).set(new Int32Array(values.buffer, values.byteOffset + from * 8, count * 2));
    const bytes = kernels.encodeXor(timesPtr, valuesPtr, count, outPtr, room);
    if (bytes < 0) throw new TsdbError('ERR_CHUNK_WRITE', `encode ${count} samples from ${mint}: encoder answered ${bytes}`);
    return { mint, maxt, encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() };
  } finally {
    for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  }
}
