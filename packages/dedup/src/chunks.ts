/**
 * Chunk-level merge for compaction: chunks of all replicas of one series in, pieces out, in order of time. A piece is a chunk to be copied as it is,
 * or merged samples to be encoded anew, with the points where a chunk ends.
 *
 *   replica a   [ a1 ][ a2 ]      [ a3 ]
 *   replica b      [ b1 ]
 *   pieces      merged(a1 b1 a2)  copy a3
 *
 * `penalty` is upstream's offline deduplication: chunks that overlap, directly or through others, are one cluster; its chunks are merged one after
 * the other, each as if it were a replica, in order of first then last timestamp; a chunk equal to the one before is skipped. `stable` merges
 * everything at once and copies the chunks that come out whole.
 *
 * Source of the penalty rules: Thanos pkg/dedup/chunk_iter.go; of the cut after 120 samples: Prometheus storage/series.go.
 */
import { ChunkHeap } from './chunk-heap.ts';
import { mergePenalty } from './merge-penalty.ts';
import type { DedupBuffer, ReplicaColumns } from './replica-columns.ts';
import { mergeStable, type StableOptions } from './stable.ts';

/** Samples after which an encoded chunk ends. */
export const CHUNK_SAMPLES = 120;

/** One replica's chunks of a series, decoded one behind the other. */
export interface ChunkedReplica extends ReplicaColumns {
  /** Index behind the last sample of each chunk. Chunks are in order and do not overlap within a replica. */
  readonly chunkEnds: Int32Array;
}

/** A stretch of the result. */
export type ChunkPiece =
  | { readonly kind: 'copy'; readonly replica: number; readonly chunk: number }
  | {
      readonly kind: 'merged';
      /** Samples `from` … `to` − 1 of the buffer. */
      readonly from: number;
      readonly to: number;
      /** Where each of its chunks ends, ascending, the last is `to`. An encoder may have to cut between, where histograms do not fit together. */
      readonly cuts: readonly number[];
    };

/** What a chunk merge needs besides the samples. */
export interface ChunkMergeOptions {
  /** Whether two chunks with equal first and last timestamps have the same bytes. Default: no. */
  readonly isSameChunk?: (replica: number, chunk: number, otherReplica: number, otherChunk: number) => boolean;
}

/**
 * Merges chunks as upstream's `--deduplication.func=penalty` does.
 * @param out all merged samples; `replicas` and `indexes` name the inputs
 * @returns pieces in order of time
 */
export function mergeChunksPenalty(replicas: readonly ChunkedReplica[], options: ChunkMergeOptions, out: DedupBuffer): ChunkPiece[] {
  const pieces: ChunkPiece[] = [];
  const parts: Array<{ readonly piece: number; readonly columns: DedupBufferCopy }> = [];
  const heap = new ChunkHeap(replicas);
  const scratch = out.scratch();
  while (heap.length > 0) {
    const base = heap.take();
    const cluster = [base];
    let endMs = base.maxt;
    let previous = base;
    while (heap.length > 0 && heap.top().mint <= endMs) {
      const next = heap.take();
      const isSame = next.mint === previous.mint && next.maxt === previous.maxt && options.isSameChunk?.(next.replica, next.chunk, previous.replica, previous.chunk) === true;
      if (isSame) continue;
      cluster.push(next);
      endMs = Math.max(endMs, next.maxt);
      previous = next;
    }
    if (cluster.length === 1) {
      pieces.push({ kind: 'copy', replica: base.replica, chunk: base.chunk });
      continue;
    }
    mergePenalty(cluster.map(({ replica, from, to }) => sliceOf(replicas[replica]!, from, to)), { isCounter: false }, scratch);
    for (let i = 0; i < scratch.length; i++) {
      const { replica, from } = cluster[scratch.replicas[i]!]!;
      scratch.replicas[i] = replica;
      scratch.indexes[i] = scratch.indexes[i]! + from;
    }
    parts.push({ piece: pieces.length, columns: copyOf(scratch) });
    pieces.push({ kind: 'merged', from: 0, to: 0, cuts: [] });
  }
  join(parts, out);
  let at = 0;
  for (const { piece, columns } of parts) {
    const to = at + columns.timestampsMs.length;
    pieces[piece] = { kind: 'merged', from: at, to, cuts: cutsOf(replicas, out, at, to) };
    at = to;
  }
  return pieces;
}

/** Merges chunks with `stable`, all of a range at once. See `mergeChunksPenalty`. */
export function mergeChunksStable(replicas: readonly ChunkedReplica[], options: StableOptions, out: DedupBuffer): ChunkPiece[] {
  mergeStable(replicas, options, out);
  const pieces: ChunkPiece[] = [];
  let mergedFrom = 0;
  const endMerged = (to: number): void => {
    if (mergedFrom < to) pieces.push({ kind: 'merged', from: mergedFrom, to, cuts: cutsOf(replicas, out, mergedFrom, to) });
  };
  let i = 0;
  while (i < out.length) {
    const replica = out.replicas[i]!;
    const { chunkEnds } = replicas[replica]!;
    const index = out.indexes[i]!;
    const chunk = chunkOf(chunkEnds, index);
    const start = chunk === 0 ? 0 : chunkEnds[chunk - 1]!;
    const last = i + chunkEnds[chunk]! - 1 - index;
    // Indexes of one replica rise, so the first and the last in place mean all between.
    if (index === start && last < out.length && out.replicas[last] === replica && out.indexes[last] === chunkEnds[chunk]! - 1 && isOneReplica(out.replicas, i, last)) {
      endMerged(i);
      pieces.push({ kind: 'copy', replica, chunk });
      i = last + 1;
      mergedFrom = i;
    } else {
      i++;
    }
  }
  endMerged(out.length);
  return pieces;
}

function isOneReplica(replicas: Int32Array, from: number, last: number): boolean {
  for (let i = from + 1; i <= last; i++) if (replicas[i] !== replicas[from]) return false;
  return true;
}

/** The chunk that has a sample. */
function chunkOf(chunkEnds: Int32Array, index: number): number {
  let low = 0;
  let high = chunkEnds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunkEnds[middle]! > index) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Ends of chunks: after 120 samples, and where floats and histograms meet. */
function cutsOf(replicas: readonly ReplicaColumns[], { replicas: sources, indexes }: DedupBuffer, from: number, to: number): number[] {
  const cuts: number[] = [];
  let start = from;
  const isHistogram = (i: number): boolean => (replicas[sources[i]!]!.isHistogram?.[indexes[i]!] ?? 0) !== 0;
  for (let i = from + 1; i < to; i++) {
    if (i - start < CHUNK_SAMPLES && isHistogram(i) === isHistogram(i - 1)) continue;
    cuts.push(i);
    start = i;
  }
  cuts.push(to);
  return cuts;
}

function sliceOf({ timestampsMs, values, isHistogram }: ReplicaColumns, from: number, to: number): ReplicaColumns {
  return {
    timestampsMs: timestampsMs.subarray(from, to),
    values: values.subarray(from, to),
    ...(isHistogram !== undefined && { isHistogram: isHistogram.subarray(from, to) }),
  };
}

/** One cluster's result, kept while the others are merged. */
interface DedupBufferCopy {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly replicas: Int32Array;
  readonly indexes: Int32Array;
}

function copyOf({ timestampsMs, values, replicas, indexes, length }: DedupBuffer): DedupBufferCopy {
  return { timestampsMs: timestampsMs.slice(0, length), values: values.slice(0, length), replicas: replicas.slice(0, length), indexes: indexes.slice(0, length) };
}

function join(parts: ReadonlyArray<{ readonly columns: DedupBufferCopy }>, out: DedupBuffer): void {
  out.reset(parts.reduce((sum, { columns }) => sum + columns.timestampsMs.length, 0));
  let at = 0;
  for (const { columns } of parts) {
    out.timestampsMs.set(columns.timestampsMs, at);
    out.values.set(columns.values, at);
    out.replicas.set(columns.replicas, at);
    out.indexes.set(columns.indexes, at);
    at += columns.timestampsMs.length;
  }
  out.length = at;
}
