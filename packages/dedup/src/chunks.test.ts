/** Chunk merges by small pictures: which chunks are copied, which are merged, and where new ones end. */
import { describe, expect, test } from '@jest/globals';
import { type ChunkedReplica, type ChunkPiece, mergeChunksPenalty, mergeChunksStable } from './chunks.ts';
import { DedupBuffer } from './replica-columns.ts';
import { mergeStable } from './stable.ts';
import { createTimeline } from './testing/timelines.ts';

const START = 1772409600000;

/** Chunks as lists of seconds. */
function chunked(...chunks: ReadonlyArray<readonly number[]>): ChunkedReplica {
  const seconds = chunks.flat();
  let end = 0;
  return {
    timestampsMs: Float64Array.from(seconds, (s) => START + 1000 * s),
    values: Float64Array.from(seconds, (s) => s),
    chunkEnds: Int32Array.from(chunks, (chunk) => (end += chunk.length)),
  };
}

function every(from: number, count: number, step = 15): number[] {
  return Array.from({ length: count }, (_, i) => from + i * step);
}

function secondsOf(replicas: readonly ChunkedReplica[], out: DedupBuffer, pieces: readonly ChunkPiece[]): number[] {
  return pieces.flatMap((piece) => {
    if (piece.kind === 'merged') return Array.from(out.values.subarray(piece.from, piece.to));
    const { chunkEnds, values } = replicas[piece.replica]!;
    return Array.from(values.subarray(piece.chunk === 0 ? 0 : chunkEnds[piece.chunk - 1]!, chunkEnds[piece.chunk]!));
  });
}

describe('penalty', () => {
  test('chunks that do not overlap are copied, in order of time', () => {
    const out = new DedupBuffer();
    const replicas = [chunked(every(0, 10), every(600, 10)), chunked(every(300, 10))];
    const pieces = mergeChunksPenalty(replicas, {}, out);
    expect(pieces).toEqual([
      { kind: 'copy', replica: 0, chunk: 0 },
      { kind: 'copy', replica: 1, chunk: 0 },
      { kind: 'copy', replica: 0, chunk: 1 },
    ]);
    expect(out.length).toBe(0);
  });

  test('overlapping chunks are merged, one that follows is copied', () => {
    const out = new DedupBuffer();
    const replicas = [chunked(every(0, 10), every(600, 10)), chunked(every(7, 10))];
    const pieces = mergeChunksPenalty(replicas, {}, out);
    expect(pieces).toEqual([
      { kind: 'merged', from: 0, to: 11, cuts: [11] },
      { kind: 'copy', replica: 0, chunk: 1 },
    ]);
    expect(secondsOf(replicas, out, pieces).slice(0, 3)).toEqual([0, 7, 22]);
  });

  test('equal chunks are one', () => {
    const out = new DedupBuffer();
    expect(mergeChunksPenalty([chunked(every(0, 10)), chunked(every(0, 10))], { isSameChunk: () => true }, out)).toEqual([{ kind: 'copy', replica: 0, chunk: 0 }]);
  });

  test('a merged stretch is cut after 120 samples and where floats and histograms meet', () => {
    const out = new DedupBuffer();
    const a = chunked(every(0, 250));
    const b = { ...chunked(every(0, 250)), isHistogram: new Uint8Array(250) };
    const withHistograms = { ...a, isHistogram: Uint8Array.from({ length: 250 }, (_, i) => (i >= 130 && i < 140 ? 1 : 0)) };
    expect(mergeChunksPenalty([withHistograms, b], {}, out)).toEqual([{ kind: 'merged', from: 0, to: 250, cuts: [120, 130, 140, 250] }]);
  });

  test('no replicas, no chunks', () => {
    expect(mergeChunksPenalty([], {}, new DedupBuffer())).toEqual([]);
    expect(mergeChunksPenalty([chunked()], {}, new DedupBuffer())).toEqual([]);
  });
});

describe('stable', () => {
  test('chunks of a leader without holes are copied', () => {
    const out = new DedupBuffer();
    const pieces = mergeChunksStable([chunked(every(0, 120), every(1800, 120)), chunked(every(7, 240))], { isCounterSeries: false }, out);
    expect(pieces).toEqual([
      { kind: 'copy', replica: 0, chunk: 0 },
      { kind: 'copy', replica: 0, chunk: 1 },
    ]);
  });

  test('a chunk with a filled hole is encoded anew, its neighbours are copied', () => {
    const out = new DedupBuffer();
    const holed = every(1800, 120).filter((s) => s < 2100 || s >= 2145);
    const replicas = [chunked(every(0, 120), holed, every(3600, 120)), chunked(every(7, 360))];
    const pieces = mergeChunksStable(replicas, { isCounterSeries: false }, out);
    expect(pieces.map(({ kind }) => kind)).toEqual(['copy', 'merged', 'copy']);
    expect(secondsOf(replicas, out, pieces)).toEqual(Array.from(out.values.subarray(0, out.length)));
  });

  test('pieces together are the merge, over random timelines', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { replicas } = createTimeline(seed);
      const withChunks = replicas.map((columns): ChunkedReplica => {
        const ends: number[] = [];
        for (let end = 0; end < columns.values.length; ) ends.push((end = Math.min(columns.values.length, end + 7 + (seed % 30))));
        return { ...columns, chunkEnds: Int32Array.from(ends) };
      });
      const out = new DedupBuffer();
      const pieces = mergeChunksStable(withChunks, { isCounterSeries: true }, out);
      const merged = new DedupBuffer();
      mergeStable(replicas, { isCounterSeries: true }, merged);
      expect(secondsOf(withChunks, out, pieces)).toEqual(Array.from(merged.values.subarray(0, merged.length)));
      for (const piece of pieces) if (piece.kind === 'merged') expect(piece.cuts.at(-1)).toBe(piece.to);
    }
  });
});
