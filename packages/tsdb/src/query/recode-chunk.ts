/** Takes deleted samples out of a chunk that is passed on encoded: decode, drop, encode. */
import { CHUNK_SLACK_BYTES, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type RawChunk, wordsOf } from '@gauntlet/model';
import { type Intervals, overlapsIntervals } from '../block/tombstones.ts';
import { decodeHistogramChunk, isHistogramEncoding, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { encodeHistogramColumns } from '../chunkenc/histogram-encoder.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { encodeXor2Chunk } from '../chunkenc/xor2-encoder.ts';
import { TsdbError } from '../errors.ts';
import { mergeOverlapping } from './decode-batch.ts';

/** Encodings that samples can be taken out of. */
export function isRecodable(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2 || isHistogramEncoding(encoding);
}

/**
 * The chunk without the samples in `intervals`, in memory of its own; undefined when none is left.
 * @param chunk of an encoding that `isRecodable`
 * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING
 */
export function recodeWithout(chunk: RawChunk, intervals: Intervals, kernels: Kernels): RawChunk | undefined {
  if (chunk.encoding === CHUNK_ENCODING.xor2) return recodeXor2(chunk, intervals);
  if (chunk.encoding !== CHUNK_ENCODING.xor) return recodeHistograms(chunk, intervals, kernels);
  const { memory } = kernels;
  const count = (chunk.data[0]! << 8) | chunk.data[1]!;
  const chunkPtr = memory.alloc(chunk.data.length + CHUNK_SLACK_BYTES);
  const timesPtr = memory.alloc(count * 8 + 8);
  const valuesPtr = memory.alloc(count * 8 + 8);
  const outPtr = memory.alloc(xorChunkBytesMax(count));
  try {
    memory.u8(chunkPtr, chunk.data.length).set(chunk.data);
    const decoded = kernels.decodeXor(chunkPtr, chunk.data.length, timesPtr, valuesPtr, count);
    if (decoded !== count) throw new TsdbError('ERR_CHUNK_CORRUPT', `apply tombstones to a chunk from ${chunk.mint} to ${chunk.maxt}: XOR data is damaged although its checksum is right`);
    const times = memory.f64(timesPtr, count);
    const kept = mergeOverlapping(times, memory.f64(valuesPtr, count), 0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Int32Array.of(count), () => intervals);
    if (kept === 0) return undefined;
    const bytes = kernels.encodeXor(timesPtr, valuesPtr, kept, outPtr, xorChunkBytesMax(count));
    if (bytes < 0) throw new TsdbError('ERR_CHUNK_CORRUPT', `apply tombstones to a chunk from ${chunk.mint} to ${chunk.maxt}: encoder answered ${bytes}`);
    return { mint: times[0]!, maxt: times[kept - 1]!, encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() };
  } finally {
    for (const ptr of [chunkPtr, timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  }
}

function recodeXor2(chunk: RawChunk, intervals: Intervals): RawChunk | undefined {
  const { count, timestampsMs, values, startTimestamps } = decodeXor2Chunk(chunk.data, `a chunk from ${chunk.mint} to ${chunk.maxt} that has deleted samples`);
  const words = wordsOf(values);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const time = timestampsMs[i]!;
    if (overlapsIntervals(intervals, time, time)) continue;
    timestampsMs[kept] = time;
    words[2 * kept] = words[2 * i]!;
    words[2 * kept + 1] = words[2 * i + 1]!;
    if (startTimestamps !== undefined) startTimestamps[kept] = startTimestamps[i]!;
    kept++;
  }
  if (kept === 0) return undefined;
  return { mint: timestampsMs[0]!, maxt: timestampsMs[kept - 1]!, encoding: chunk.encoding, data: encodeXor2Chunk({ timestampsMs, values, startTimestamps }, 0, kept) };
}

/** As Prometheus writes what is left: nothing is known any more of what came before. */
function recodeHistograms(chunk: RawChunk, intervals: Intervals, kernels: Kernels): RawChunk | undefined {
  const columns = decodeHistogramChunk(chunk.encoding, chunk.data, `a chunk from ${chunk.mint} to ${chunk.maxt} that has deleted samples`, kernels);
  const kept = new Int32Array(columns.count);
  let count = 0;
  for (let i = 0; i < columns.count; i++) {
    const time = columns.timestampsMs[i]!;
    if (!overlapsIntervals(intervals, time, time)) kept[count++] = i;
  }
  if (count === 0) return undefined;
  return encodeHistogramColumns(columns, kept.subarray(0, count), columns.header === RESET_HINT.gauge ? RESET_HINT.gauge : RESET_HINT.unknown, chunk.encoding >= CHUNK_ENCODING.histogramSt, kernels);
}
