/**
 * The chunks of one series from several blocks, as one sequence in order and apart.
 *
 *   block 0   ├─A─┤├─B─┤        ├─E─┤           A, E, F as they are
 *   block 1          ├──C──┤├D┤     ├─F─┤       B, C, D merged by timestamp and encoded in chunks of 120, a window at a time
 *   block 2   ├─A─┤                             the second A: equal bytes, once
 *
 * Overlaps are found as a chain: what overlaps something that overlaps belongs to it. Source: Prometheus storage/merge.go,
 * `compactChunkIterator`, and storage/series.go, `seriesToChunkEncoder`.
 */
import { compareBytes } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels } from '@gauntlet/model';
import type { BlockChunk } from '../block/block-writer.ts';
import { TsdbError } from '../errors.ts';
import { FloatMerger } from './merge-floats.ts';
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
export const SAMPLES_PER_CHUNK = 120;

/** Merges as Prometheus does; see the head of this file. Owns scratch space in kernel memory. */
export class ChunkMerger {
  readonly #kernels: Kernels;
  readonly #floats: FloatMerger;
  readonly #poll: (() => void) | undefined;

  /** @param poll called now and then within a long merge; what it throws ends it */
  constructor(kernels: Kernels, poll?: () => void) {
    this.#kernels = kernels;
    this.#floats = new FloatMerger(kernels, SAMPLES_PER_CHUNK, poll);
    this.#poll = poll;
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
    this.#floats.free();
  }

  /** Decodes, merges, encodes. */
  #mergeSamples(chunks: readonly BlockChunk[], parts: SeriesParts): BlockChunk[] {
    let isFloat = true;
    for (const chunk of chunks) {
      if (!isMergeable(chunk.encoding)) {
        throw new TsdbError('ERR_CHUNK_ENCODING', `merge ${nameOf(parts)}: chunk from ${chunk.mint} to ${chunk.maxt} overlaps others and has encoding ${chunk.encoding}, which cannot be merged`);
      }
      isFloat &&= chunk.encoding === CHUNK_ENCODING.xor;
    }
    const merged = isFloat ? this.#floats.merge(chunks, () => nameOf(parts)) : undefined;
    return merged ?? mergeMixedChunks(chunks, SAMPLES_PER_CHUNK, this.#kernels, nameOf(parts), this.#poll);
  }
}

function nameOf({ labels, blocks }: SeriesParts): string {
  return `series ${JSON.stringify(labels)} of blocks ${blocks.join(', ')}`;
}

function isSameChunk(a: BlockChunk, b: BlockChunk): boolean {
  return a.mint === b.mint && a.maxt === b.maxt && a.encoding === b.encoding && compareBytes(a.data, b.data) === 0;
}
