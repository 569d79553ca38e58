/**
 * Thanos' aggregate chunks: what downsampling keeps of a stretch of one series, up to five chunks in one, stored with encoding 255.
 *
 *   payload   count │ sum │ min │ max │ counter         each   uvarint length │ encoding │ length bytes of payload
 *                                                       absent  uvarint 0, nothing else
 *
 *   floats       all five, as XOR chunks
 *   histograms   count as an XOR chunk, sum and counter as float histograms; no min, no max
 *
 * The last two samples of a float counter have one timestamp: behind the running total of the last window comes the last raw value, with which
 * whoever chains chunks recognises resets between them. Source: Thanos pkg/compact/downsample/aggr.go.
 */
import { ByteReader, BytesError, writeUvarint } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import type { ChunkPayload } from '../chunks/chunk-writer.ts';
import { TsdbError } from '../errors.ts';
import { decodeXorColumns, encodeFloatColumns, type FloatColumns } from './float-chunks.ts';
import { decodeHistogramChunk, type HistogramColumns, isHistogramEncoding } from './histogram-chunk.ts';
import { encodeHistogramColumns } from './histogram-encoder.ts';

/** Encoding of a chunk of aggregates. */
export const AGGREGATE_ENCODING = 0xff;

/** The aggregates, in the order in which a chunk has them. */
export const AGGREGATES = ['count', 'sum', 'min', 'max', 'counter'] as const;

/** One of `AGGREGATES`. */
export type AggregateName = (typeof AGGREGATES)[number];

/** The chunks of an aggregate chunk, those that it has. */
export type AggregateParts = { readonly [name in AggregateName]?: ChunkPayload };

/** Samples of one aggregate. */
export type AggregateSamples = FloatColumns | HistogramColumns;

/** An aggregate chunk in columns: the aggregates that it has. */
export type AggregateColumns = { readonly [name in AggregateName]?: AggregateSamples };

/** Whether samples are native histograms. */
export function areHistograms(samples: AggregateSamples): samples is HistogramColumns {
  return 'bucketAt' in samples;
}

/**
 * Takes an aggregate chunk apart.
 * @param name of series and block, for messages
 * @returns views into `data`
 * @throws TsdbError ERR_CHUNK_CORRUPT when lengths and bytes disagree
 */
export function splitAggregateChunk(data: Uint8Array, name: string): AggregateParts {
  const parts: { -readonly [key in AggregateName]?: ChunkPayload } = {};
  const reader = new ByteReader(data);
  try {
    for (const aggregate of AGGREGATES) {
      const length = reader.uvarint();
      if (length > 0) parts[aggregate] = { encoding: reader.u8(), data: reader.bytes(length) };
    }
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    throw new TsdbError('ERR_CHUNK_CORRUPT', `take aggregate chunk of ${name} apart: ${error.message}`, { cause: error });
  }
  if (reader.remaining > 0) throw new TsdbError('ERR_CHUNK_CORRUPT', `take aggregate chunk of ${name} apart: ${reader.remaining} bytes behind the last aggregate`);
  return parts;
}

/** Makes an aggregate chunk of chunks; inverse of `splitAggregateChunk`. @returns the payload, in memory of its own */
export function joinAggregateChunk(parts: AggregateParts): Uint8Array {
  let room = 0;
  for (const aggregate of AGGREGATES) room += 11 + (parts[aggregate]?.data.length ?? 0);
  const joined = new Uint8Array(room);
  let at = 0;
  for (const aggregate of AGGREGATES) {
    const part = parts[aggregate];
    at = writeUvarint(joined, at, part?.data.length ?? 0);
    if (part === undefined) continue;
    joined[at++] = part.encoding;
    joined.set(part.data, at);
    at += part.data.length;
  }
  return joined.slice(0, at);
}

/**
 * Decodes an aggregate chunk into columns of their own.
 * @param wanted which aggregates; default all
 * @param name of series and block, for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT; ERR_CHUNK_ENCODING for an aggregate in another encoding than XOR and native histograms
 */
export function decodeAggregateChunk(data: Uint8Array, kernels: Kernels, name: string, wanted: readonly AggregateName[] = AGGREGATES): AggregateColumns {
  const parts = splitAggregateChunk(data, name);
  const columns: { -readonly [key in AggregateName]?: AggregateSamples } = {};
  for (const aggregate of wanted) {
    const part = parts[aggregate];
    if (part === undefined) continue;
    const named = `${aggregate} of ${name}`;
    if (part.encoding === CHUNK_ENCODING.xor) columns[aggregate] = decodeXorColumns(part.data, kernels, named);
    else if (isHistogramEncoding(part.encoding)) columns[aggregate] = decodeHistogramChunk(part.encoding, part.data, named, kernels);
    else throw new TsdbError('ERR_CHUNK_ENCODING', `decode aggregate chunk of ${name}: ${aggregate} has encoding ${part.encoding}, want XOR or native histograms`);
  }
  return columns;
}

/**
 * Encodes aggregates; inverse of `decodeAggregateChunk`. Every aggregate given has at least one sample.
 * @returns the payload, in memory of its own
 * @throws TsdbError ERR_CHUNK_WRITE; KernelError ERR_KERNEL_MEMORY
 */
export function encodeAggregateChunk(columns: AggregateColumns, kernels: Kernels): Uint8Array {
  const parts: { -readonly [key in AggregateName]?: ChunkPayload } = {};
  for (const aggregate of AGGREGATES) {
    const samples = columns[aggregate];
    if (samples === undefined) continue;
    if (samples.timestampsMs.length === 0) throw new TsdbError('ERR_CHUNK_WRITE', `encode aggregate chunk: ${aggregate} has no samples`);
    parts[aggregate] = areHistograms(samples)
      ? encodeHistogramColumns(samples, Int32Array.from({ length: samples.count }, (_, i) => i), samples.header, samples.startTimestamps !== undefined, kernels)
      : encodeFloatColumns({ ...samples, startTimestamps: undefined }, 0, samples.timestampsMs.length, kernels);
  }
  return joinAggregateChunk(parts);
}
