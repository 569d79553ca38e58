/**
 * The chunks of one series from several blocks, as one sequence in order and apart.
 *
 *   block 0   ├─A─┤├─B─┤        ├─E─┤           A, E, F as they are
 *   block 1          ├──C──┤├D┤     ├─F─┤       B, C, D decoded, merged by timestamp, encoded in chunks of 120
 *   block 2   ├─A─┤                             the second A: equal bytes, once
 *
 * Overlaps are found as a chain: what overlaps something that overlaps belongs to it. Source: Prometheus storage/merge.go,
 * `compactChunkIterator`, and storage/series.go, `seriesToChunkEncoder`.
 */
import { compareBytes } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels } from '@gauntlet/model';
import { type BlockChunk, chunkSampleCount } from '../block/block-writer.ts';
import { TsdbError } from '../errors.ts';
import { KernelRegion } from '../query/load-chunks.ts';
import { chainSamples, mergeSamples } from './chain-samples.ts';
import { isMergeable, mergeMixedChunks } from './merge-histograms.ts';
import { TieHeap } from './tie-heap.ts';

/** One series in several blocks. */
export interface SeriesParts {
  readonly labels: Labels;
  /** ULIDs of the blocks, by part; parts come in the order in which Prometheus' merge meets them, not in that of time. */
  readonly blocks: readonly string[];
  /** Chunks by part: each in order and apart, none empty. Valid during the call. */
  readonly chunks: readonly (readonly BlockChunk[])[];
}

/**
 * Makes one sequence of chunks out of parts; called for series that more than one block has.
 * @returns chunks in order and apart; those of the parts may be among them. Not retained
 */
export type SeriesChunkMerge = (parts: SeriesParts) => readonly BlockChunk[];

/** Samples in a chunk that is written anew. */
const SAMPLES_PER_CHUNK = 120;

/** Merges as Prometheus does; see the head of this file. Owns scratch space in kernel memory. */
export class ChunkMerger {
  readonly #kernels: Kernels;
  readonly #bytes: KernelRegion;
  readonly #times: KernelRegion;
  readonly #values: KernelRegion;
  readonly #outTimes: KernelRegion;
  readonly #outValues: KernelRegion;
  readonly #encoded: KernelRegion;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#bytes = new KernelRegion(kernels);
    this.#times = new KernelRegion(kernels);
    this.#values = new KernelRegion(kernels);
    this.#outTimes = new KernelRegion(kernels);
    this.#outValues = new KernelRegion(kernels);
    this.#encoded = new KernelRegion(kernels);
  }

  /**
   * A `SeriesChunkMerge`.
   * @throws TsdbError ERR_CHUNK_ENCODING when chunks overlap that are not equal, and of an encoding that cannot be merged; ERR_CHUNK_CORRUPT
   */
  merge(parts: SeriesParts): BlockChunk[] {
    const sequences: (readonly BlockChunk[])[] = [...parts.chunks];
    const position = sequences.map(() => 0);
    const at = (part: number): BlockChunk => sequences[part]![position[part]!]!;
    const heap = new TieHeap((a, b) => {
      const [left, right] = [at(a), at(b)];
      return left.mint === right.mint ? left.maxt < right.maxt : left.mint < right.mint;
    });
    for (const part of sequences.keys()) heap.push(part);
    const take = (): BlockChunk => {
      const part = heap.pop();
      const chunk = at(part);
      position[part]!++;
      if (position[part]! < sequences[part]!.length) heap.push(part);
      return chunk;
    };
    const merged: BlockChunk[] = [];
    while (heap.size > 0) {
      const first = take();
      const overlapping: BlockChunk[] = [];
      let end = first.maxt;
      let previous = first;
      while (heap.size > 0 && at(heap.top).mint <= end) {
        const next = take();
        if (isSameChunk(next, previous)) continue;
        overlapping.push(next);
        end = Math.max(end, next.maxt);
        previous = next;
      }
      if (overlapping.length === 0) {
        merged.push(first);
        continue;
      }
      // The order of the runs matters for equal timestamps: the chunk that began the overlap comes last.
      overlapping.push(first);
      const [head, ...rest] = this.#mergeSamples(overlapping, parts);
      merged.push(head!);
      if (rest.length > 0) {
        sequences.push(rest);
        position.push(0);
        heap.push(sequences.length - 1);
      }
    }
    return merged;
  }

  free(): void {
    for (const region of [this.#bytes, this.#times, this.#values, this.#outTimes, this.#outValues, this.#encoded]) region.free();
  }

  /** Decodes, merges, encodes. */
  #mergeSamples(chunks: readonly BlockChunk[], parts: SeriesParts): BlockChunk[] {
    const { memory } = this.#kernels;
    let bytes = 0;
    let isFloat = true;
    for (const chunk of chunks) {
      if (!isMergeable(chunk.encoding)) {
        throw new TsdbError('ERR_CHUNK_ENCODING', `merge ${nameOf(parts)}: chunk from ${chunk.mint} to ${chunk.maxt} overlaps others and has encoding ${chunk.encoding}, which cannot be merged yet`);
      }
      isFloat &&= chunk.encoding === CHUNK_ENCODING.xor;
      bytes = Math.max(bytes, chunk.data.length);
    }
    if (!isFloat) return mergeMixedChunks(chunks, SAMPLES_PER_CHUNK, this.#kernels, nameOf(parts));
    const { starts, ends, laneStarts, laneEnds } = placeInLanes(chunks);
    const samples = laneEnds.at(-1)!;
    const bytesPtr = this.#bytes.ensure(bytes + CHUNK_SLACK_BYTES);
    const timesPtr = this.#times.ensure(samples * 8 + 8);
    const valuesPtr = this.#values.ensure(samples * 8 + 8);
    const outTimesPtr = this.#outTimes.ensure(samples * 8 + 8);
    const outValuesPtr = this.#outValues.ensure(samples * 8 + 8);
    const encodedPtr = this.#encoded.ensure(xorChunkBytesMax(SAMPLES_PER_CHUNK));
    const columns = {
      times: memory.f64(timesPtr, samples),
      words: memory.i32(valuesPtr, samples * 2),
      outTimes: memory.f64(outTimesPtr, samples),
      outWords: memory.i32(outValuesPtr, samples * 2),
    };
    for (const [i, { data, mint, maxt }] of chunks.entries()) {
      memory.u8(bytesPtr, data.length).set(data);
      const count = ends[i]! - starts[i]!;
      const decoded = this.#kernels.decodeXor(bytesPtr, data.length, timesPtr + starts[i]! * 8, valuesPtr + starts[i]! * 8, count);
      if (decoded !== count || count === 0) throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${nameOf(parts)}: chunk from ${mint} to ${maxt}: XOR data is damaged although its checksum is right`);
      if (columns.times[starts[i]!] !== mint || columns.times[ends[i]! - 1] !== maxt) {
        throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${nameOf(parts)}: chunk from ${mint} to ${maxt} has samples from ${columns.times[starts[i]!]} to ${columns.times[ends[i]! - 1]}`);
      }
    }
    let count = mergeSamples(columns, laneStarts, laneEnds);
    if (count < 0) count = chainSamples(columns, starts, ends);
    const merged: BlockChunk[] = [];
    for (let start = 0; start < count; start += SAMPLES_PER_CHUNK) {
      const length = Math.min(SAMPLES_PER_CHUNK, count - start);
      const written = this.#kernels.encodeXor(outTimesPtr + start * 8, outValuesPtr + start * 8, length, encodedPtr, xorChunkBytesMax(SAMPLES_PER_CHUNK));
      if (written < 0) throw new TsdbError('ERR_CHUNK_WRITE', `merge ${nameOf(parts)}: encoder answered ${written} for ${length} samples from ${columns.outTimes[start]}`);
      merged.push({ mint: columns.outTimes[start]!, maxt: columns.outTimes[start + length - 1]!, encoding: CHUNK_ENCODING.xor, data: memory.u8(encodedPtr, written).slice() });
    }
    return merged;
  }
}

/** Where the samples of chunks go in the columns. */
interface Lanes {
  /** Of each chunk. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Of each lane: chunks that follow one another in time lie side by side, and merge as one run. */
  readonly laneStarts: Int32Array;
  readonly laneEnds: Int32Array;
}

/** Deals chunks out to as few lanes as go, in the order of their start. */
function placeInLanes(chunks: readonly BlockChunk[]): Lanes {
  const lanes: number[][] = [];
  const order = [...chunks.keys()].sort((a, b) => chunks[a]!.mint - chunks[b]!.mint);
  for (const chunk of order) {
    const lane = lanes.find((one) => chunks[one.at(-1)!]!.maxt < chunks[chunk]!.mint);
    if (lane === undefined) lanes.push([chunk]);
    else lane.push(chunk);
  }
  const placed = { starts: new Int32Array(chunks.length), ends: new Int32Array(chunks.length), laneStarts: new Int32Array(lanes.length), laneEnds: new Int32Array(lanes.length) };
  let samples = 0;
  for (const [i, lane] of lanes.entries()) {
    placed.laneStarts[i] = samples;
    for (const chunk of lane) {
      placed.starts[chunk] = samples;
      samples += chunkSampleCount(CHUNK_ENCODING.xor, chunks[chunk]!.data);
      placed.ends[chunk] = samples;
    }
    placed.laneEnds[i] = samples;
  }
  return placed;
}

function nameOf({ labels, blocks }: SeriesParts): string {
  return `series ${JSON.stringify(labels)} of blocks ${blocks.join(', ')}`;
}

function isSameChunk(a: BlockChunk, b: BlockChunk): boolean {
  return a.mint === b.mint && a.maxt === b.maxt && a.encoding === b.encoding && compareBytes(a.data, b.data) === 0;
}
