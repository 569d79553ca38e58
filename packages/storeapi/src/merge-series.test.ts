/** The merge against a naive one: random streams, random cuts into frames, random arrival. */
import { compareLabels, formatLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { createSeriesFrame, decodeSeriesFrame, encodeLabelFields, frameLabels, framePartData, SeriesFrameEncoder } from '@gauntlet/proto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createChunkRows, createShardMatcher, FrameBuffer, mergeChunks, SeriesMerge, SeriesRewriter } from './index.ts';

interface Piece {
  readonly labels: Labels;
  readonly chunks: readonly (readonly [number, number, number])[];
}

const labelsArbitrary = fc
  .uniqueArray(fc.tuple(fc.constantFrom('__name__', 'a', 'b', 'c', 'm', 'z'), fc.constantFrom('1', '2', 'é', '\u{1f600}', '\uffff')), { selector: (p) => p[0], minLength: 0, maxLength: 4 })
  .map((pairs) => labelsFromPairs(pairs));
const chunkArbitrary = fc.tuple(fc.nat(5), fc.nat(3), fc.nat(3)).map(([mint, span, fill]) => [mint, mint + span, fill] as const);
const pieceArbitrary = fc.record({ labels: labelsArbitrary, chunks: fc.array(chunkArbitrary, { maxLength: 4 }) });
const streamArbitrary = fc.record({ pieces: fc.array(pieceArbitrary, { maxLength: 12 }), batchSize: fc.constantFrom(0, 2, 5), pauses: fc.array(fc.nat(2), { maxLength: 12 }) });

function encode(pieces: readonly Piece[], batchSize: number): Uint8Array[] {
  const encoder = new SeriesFrameEncoder({ batchSize });
  const frames: Uint8Array[] = [];
  for (const piece of pieces) {
    encoder.beginSeries(encodeLabelFields(piece.labels));
    for (const [mint, maxt, fill] of piece.chunks) encoder.addChunk(mint, maxt, 1, new Uint8Array(fill).fill(fill));
    const frame = encoder.endSeries();
    if (frame !== undefined) frames.push(frame);
  }
  const last = encoder.flush();
  return last === undefined ? frames : [...frames, last];
}

async function* paced(frames: readonly Uint8Array[], pauses: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const [i, frame] of frames.entries()) {
    for (let n = 0; n < (pauses[i] ?? 0); n++) await Promise.resolve();
    yield frame;
  }
}

test('equals a naive merge', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(streamArbitrary, { maxLength: 5 }), async (streams) => {
      const sorted = streams.map((s) => ({ ...s, pieces: s.pieces.toSorted((a, b) => compareLabels(a.labels, b.labels)) }));
      const ends: string[] = [];
      const merge = new SeriesMerge(
        sorted.map((s) => {
          const buffer = new FrameBuffer({ frameTimeoutMs: 0, bufferBytesMax: 50 });
          buffer.start(paced(encode(s.pieces, s.batchSize), s.pauses));
          return { buffer };
        }),
        { onWarning: () => ends.push('warning'), onEnd: (_, end) => ends.push(end.kind) },
      );
      const got: [string, string[]][] = [];
      const rows = createChunkRows();
      for await (const batch of merge) {
        for (let s = 0; s < batch.seriesCount; s++) {
          const source = batch.sourceOffsets[s]!;
          mergeChunks(batch, s, rows);
          const chunks = Array.from({ length: rows.count }, (_, r) => {
            const frame = batch.frames[rows.sources[r]!]!;
            const chunk = rows.chunks[r]!;
            return `${frame.chunkMint[chunk]}-${frame.chunkMaxt[chunk]}:${Buffer.from(framePartData(frame, frame.partOffsets[chunk]!)).toString('hex')}`;
          });
          got.push([formatLabels(frameLabels(batch.frames[source]!, batch.series[source]!)), chunks]);
        }
      }
      expect(ends).toEqual(sorted.map(() => 'done'));

      const naive = new Map<string, { labels: Labels; chunks: Set<string> }>();
      for (const piece of sorted.flatMap((s) => s.pieces)) {
        const key = formatLabels(piece.labels);
        const entry = naive.get(key) ?? { labels: piece.labels, chunks: new Set<string>() };
        for (const [mint, maxt, fill] of piece.chunks) entry.chunks.add(`${mint}-${maxt}:${Buffer.alloc(fill, fill).toString('hex')}`);
        naive.set(key, entry);
      }
      const order = (a: string, b: string): number => {
        const [x, y] = [a, b].map((text) => text.split(/[-:]/));
        return Number(x![0]) - Number(y![0]) || Number(x![1]) - Number(y![1]) || (x![2]! < y![2]! ? 1 : -1);
      };
      const wanted = [...naive].toSorted((a, b) => compareLabels(a[1].labels, b[1].labels)).map(([key, entry]) => [key, [...entry.chunks].toSorted(order)]);
      expect(got).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
});

test('the rewriter equals sorting everything', () => {
  const names = fc.uniqueArray(fc.constantFrom<string[]>('__name__', 'a', 'c', 'm', 'zz', 'A'), { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(labelsArbitrary, { maxLength: 30 }), names, names, fc.constantFrom(0, 3), (series, external, without, batchSize) => {
      // A series that consists of removed labels alone is refused, see below.
      const isLeft = (labels: Labels): boolean => external.some((name) => !without.includes(name)) || labels.length === 0 || labels.some((name, i) => i % 2 === 0 && !without.includes(name));
      const sorted = series.filter(isLeft).toSorted(compareLabels);
      const externalLabels = labelsFromPairs(external.map((name) => [name, 'x']));
      const rewriter = new SeriesRewriter({ externalLabels, withoutLabels: without, shard: undefined, batchSize, limit: 0 });
      const frames: Uint8Array[] = [];
      for (const labels of sorted) {
        rewriter.add(labels, new Uint8Array(0));
        frames.push(...rewriter.takeFrames());
      }
      frames.push(...rewriter.finish());
      const frame = createSeriesFrame();
      const got: Labels[] = [];
      for (const bytes of frames) {
        decodeSeriesFrame(bytes, frame);
        for (let s = 0; s < frame.seriesCount; s++) got.push(frameLabels(frame, s));
      }
      const wanted = sorted
        .map((labels) => {
          const map = new Map<string, string>();
          for (let i = 0; i < labels.length; i += 2) map.set(labels[i]!, labels[i + 1]!);
          for (const name of external) map.set(name, 'x');
          for (const name of without) map.delete(name);
          return labelsFromPairs(map);
        })
        .toSorted(compareLabels);
      expect(got).toEqual(wanted);
      expect(rewriter.pendingBytes).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test('a late series without any other label is refused by name', () => {
  const rewriter = new SeriesRewriter({ externalLabels: [], withoutLabels: ['replica'], shard: undefined, batchSize: 0, limit: 0 });
  rewriter.add(['__name__', 'up'], new Uint8Array(0));
  expect(() => rewriter.add(['replica', 'a'], new Uint8Array(0))).toThrow('remove labels replica: series {replica="a"} has no other');
});

describe('shard hash', () => {
  const labels = ['container', 'nginx', 'node', 'node-1', 'pod', 'nginx'];
  // Values that Thanos' stores agree on.
  test.each([
    ['by node, pod', true, ['node', 'pod'], 1],
    ['without node', false, ['node'], 0],
    ['all labels', false, [], 0],
    ['by nothing', true, [], 1],
  ])('%s', (_, by, names, shard) => {
    const frame = createSeriesFrame();
    decodeSeriesFrame(encode([{ labels, chunks: [] }], 0)[0]!, frame);
    for (const shardIndex of [0, 1]) {
      const matcher = createShardMatcher({ shardIndex, totalShards: 2, by, labels: names })!;
      expect(matcher.matchesLabels(labels)).toBe(shardIndex === shard);
      expect(matcher.matchesFrame(frame, 0)).toBe(shardIndex === shard);
    }
  });

  test('no shards is no filter; any number of shards divides', () => {
    expect(createShardMatcher({ shardIndex: 0, totalShards: 0, by: true, labels: [] })).toBeUndefined();
    for (const totalShards of [3, 1000, 2 ** 40]) {
      const wanted = Number(0xe705b759f68fcc1bn % BigInt(totalShards));
      expect(createShardMatcher({ shardIndex: wanted, totalShards, by: true, labels: ['node', 'pod'] })!.matchesLabels(labels)).toBe(true);
    }
  });
});
