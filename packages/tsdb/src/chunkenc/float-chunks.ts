/**
 * Columns of floats ⇄ one chunk, for merging, deleting and aggregates: XOR by the kernel, or XOR2 where a sample has a start timestamp, which XOR
 * cannot hold. Source: Prometheus storage/series.go, `seriesToChunkEncoder`.
 */
import { CHUNK_SLACK_BYTES, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type RawChunk } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { encodeXor2Chunk, type Xor2Samples } from './xor2-encoder.ts';

/** Float samples of a chunk. */
export interface FloatColumns {
  readonly timestampsMs: Float64Array;
  /** Raw bits kept: a stale marker is recognised by them. */
  readonly values: Float64Array;
}

/** Bytes of the sample count. */
const XOR_HEADER_BYTES = 2;

/**
 * Decodes the payload of an XOR chunk into columns of their own.
 * @param name of chunk, series and block, for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT; KernelError ERR_KERNEL_MEMORY
 */
export function decodeXorColumns(data: Uint8Array, kernels: Kernels, name: string): FloatColumns {
  const { memory } = kernels;
  const count = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  // Every sample takes two bits at least: a count that is damage must not become an allocation.
  if (data.length < XOR_HEADER_BYTES || count > data.length * 4) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode XOR chunk of ${name}: ${count} samples in ${data.length} bytes`);
  const dataPtr = memory.alloc(data.length + CHUNK_SLACK_BYTES);
  const timesPtr = memory.alloc(count * 8 + 8);
  const valuesPtr = memory.alloc(count * 8 + 8);
  try {
    memory.u8(dataPtr, data.length).set(data);
    if (kernels.decodeXor(dataPtr, data.length, timesPtr, valuesPtr, count) !== count) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode XOR chunk of ${name}: ${count} samples, ${data.length} bytes of damaged data`);
    const values = new Float64Array(count);
    // As words: a NaN must keep its bits.
    new Int32Array(values.buffer).set(memory.i32(valuesPtr, count * 2));
    return { timestampsMs: memory.f64(timesPtr, count).slice(), values };
  } finally {
    for (const ptr of [dataPtr, timesPtr, valuesPtr]) memory.free(ptr);
  }
}

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
