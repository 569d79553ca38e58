/** Offline deduplication against the blocks that `thanos compact --deduplication.func=penalty` made, and penalty over histograms against a querier. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type ChunkedReplica, mergeChunksPenalty } from './chunks.ts';
import { splitOverlappingChunks } from './group-replicas.ts';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

const shared = process.env['GAUNTLET_SHARED'] ?? join(process.cwd(), '..', 'shared');
const bucket = join(shared, 'golden', 'bucket');
const queries = join(shared, 'golden', 'http-api');
const onBlocks = existsSync(bucket) ? describe : describe.skip;
const onQueries = existsSync(queries) && existsSync(bucket) ? describe : describe.skip;

type Labels = ReadonlyArray<readonly [string, string]>;

interface ChunkLine {
  readonly labels: Labels;
  readonly chunks: ReadonlyArray<readonly [mint: number, maxt: number, encoding: number, base64: string]>;
}

interface SampleLine {
  readonly labels: Labels;
  readonly floats?: ReadonlyArray<readonly [ms: number, bits: string]>;
  readonly histograms?: ReadonlyArray<readonly [ms: number, histogram: Readonly<Record<string, unknown>>]>;
}

/** One series of a block: columns, chunk ends, and each sample as text. */
interface BlockSeries {
  readonly replica: ChunkedReplica;
  readonly chunks: ChunkLine['chunks'];
  readonly texts: readonly string[];
}

function lines<T>(block: string, kind: string): T[] {
  const path = join(bucket, 'expected', `${block}.${kind}.jsonl`);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : gunzipSync(readFileSync(`${path}.gz`)).toString('utf8');
  return text.trimEnd().split('\n').map((line) => JSON.parse(line) as T);
}

function readBlock(block: string): Map<string, BlockSeries> {
  const samples = new Map(lines<SampleLine>(block, 'samples').map((line) => [JSON.stringify(line.labels), line]));
  return new Map(lines<ChunkLine>(block, 'chunks').map(({ labels, chunks }) => [JSON.stringify(labels), seriesOf(chunks, samples.get(JSON.stringify(labels))!)]));
}

function seriesOf(chunks: ChunkLine['chunks'], { floats = [], histograms = [] }: SampleLine): BlockSeries {
  const points = [
    ...floats.map(([ms, bits]) => ({ ms, bits, text: bits, isHistogram: 0 })),
    // Hint and empty buckets are the encoder's: they follow from the samples before in the chunk.
    ...histograms.map(([ms, { count, zeroCount, sum, schema }]) => ({ ms, bits: '0', text: JSON.stringify({ count, zeroCount, sum, schema }), isHistogram: 1 })),
  ].sort((a, b) => a.ms - b.ms);
  const values = new BigUint64Array(points.map(({ bits }) => BigInt(`0x${bits}`)));
  return {
    replica: {
      timestampsMs: Float64Array.from(points, ({ ms }) => ms),
      values: new Float64Array(values.buffer),
      isHistogram: Uint8Array.from(points, ({ isHistogram }) => isHistogram),
      chunkEnds: Int32Array.from(chunks, ([, maxt]) => points.filter(({ ms }) => ms <= maxt).length),
    },
    chunks,
    texts: points.map(({ text }) => text),
  };
}

onBlocks('offline penalty (skipped where the recorded blocks are absent)', () => {
  interface Step {
    readonly name: string;
    readonly in: ReadonlyArray<{ readonly id: string }>;
    readonly out: { readonly id: string };
  }
  const steps = (existsSync(bucket) ? (JSON.parse(readFileSync(join(bucket, 'steps.json'), 'utf8')) as Step[]) : []).filter(({ name }) => /^penalty-2h-(restart|gap|nan)$/.test(name));

  test('three steps were recorded', () => expect(steps).toHaveLength(3));

  test.each(steps.map((step) => [step.name, step] as const))('%s', (_name, step) => {
    const inputs = step.in.map(({ id }) => readBlock(id));
    const expected = readBlock(step.out.id);
    let merged = 0;
    for (const [labels, want] of expected) {
      const series = inputs.map((input) => input.get(labels)).filter((found) => found !== undefined);
      const out = new DedupBuffer();
      const pieces = mergeChunksPenalty(
        series.map(({ replica }) => replica),
        { isSameChunk: (a, i, b, j) => series[a]!.chunks[i]![3] === series[b]!.chunks[j]![3] },
        out,
      );
      const times: number[] = [];
      const texts: string[] = [];
      const ends: number[] = [];
      const take = (replica: number, index: number): void => {
        times.push(series[replica]!.replica.timestampsMs[index]!);
        texts.push(series[replica]!.texts[index]!);
      };
      for (const piece of pieces) {
        if (piece.kind === 'copy') {
          const { chunkEnds } = series[piece.replica]!.replica;
          for (let i = piece.chunk === 0 ? 0 : chunkEnds[piece.chunk - 1]!; i < chunkEnds[piece.chunk]!; i++) take(piece.replica, i);
          ends.push(times.length);
          continue;
        }
        merged++;
        for (let i = piece.from; i < piece.to; i++) {
          take(out.replicas[i]!, out.indexes[i]!);
          if (piece.cuts.includes(i + 1)) ends.push(times.length);
        }
      }
      expect({ labels, times, texts }).toEqual({ labels, times: Array.from(want.replica.timestampsMs), texts: want.texts });
      // Histograms may be cut more often, where one does not fit the chunk of the one before.
      if (!want.replica.isHistogram!.includes(1)) expect({ labels, ends }).toEqual({ labels, ends: Array.from(want.replica.chunkEnds) });
    }
    expect(merged).toBeGreaterThan(5);
  });
});

onQueries('histograms as a querier showed them (skipped where the recordings are absent)', () => {
  type Result = ReadonlyArray<{ readonly metric: { readonly replica?: string }; readonly histograms?: ReadonlyArray<readonly [number, unknown]>; readonly values?: ReadonlyArray<readonly [number, string]> }>;
  const read = (folder: string, name: string): Result =>
    (JSON.parse((JSON.parse(readFileSync(join(queries, folder, `dedup-samples-${name}.json`), 'utf8')) as { text: string }).text) as { data: { result: Result } }).data.result;

  test.each(['hist-gap-a', 'hist-restart'])('%s: penalty and chain', (name) => {
    const off = read('query', `${name}-off`).toSorted((a, b) => (a.metric.replica! < b.metric.replica! ? -1 : 1));
    const entries = off.map(({ histograms = [], values = [] }) => [...histograms.map((point) => [...point, 1] as const), ...values.map((point) => [...point, 0] as const)].sort((a, b) => a[0] - b[0]));
    const columns = entries.map((points) => ({
      timestampsMs: Float64Array.from(points, ([seconds]) => Math.round(seconds * 1000)),
      values: Float64Array.from(points, ([, value, isHistogram]) => (isHistogram === 1 ? 0 : Number(value))),
      isHistogram: Uint8Array.from(points, ([, , isHistogram]) => isHistogram),
    }));
    const { replicas, points } = splitAsQuerier(columns, entries, off.map(({ metric }) => metric.replica!));
    const out = new DedupBuffer();
    const shown = (): unknown[] => Array.from({ length: out.length }, (_, i) => points[out.replicas[i]!]![out.indexes[i]!]!.slice(0, 2));
    mergePenalty(replicas, { isCounter: false }, out);
    const [penalty] = read('query', name);
    expect(shown()).toEqual([...(penalty!.histograms ?? []), ...(penalty!.values ?? [])].sort((a, b) => a[0] - b[0]));
    mergeChain(replicas, out);
    const [chain] = read('query-chain', name);
    expect(shown()).toEqual([...(chain!.histograms ?? []), ...(chain!.values ?? [])].sort((a, b) => a[0] - b[0]));
  });
});

/** The store had joined the replicas; the querier takes them apart by the chunks that overlap. Chunks are those of the recorded blocks. */
function splitAsQuerier<P>(columns: readonly ReplicaColumns[], entries: ReadonlyArray<readonly P[]>, names: readonly string[]): { readonly replicas: ReplicaColumns[]; readonly points: P[][] } {
  const chunks: Array<{ readonly mint: number; readonly maxt: number; readonly source: number }> = [];
  for (const block of readdirSync(join(bucket, 'plain'))) {
    const metaPath = join(bucket, 'plain', block, 'meta.json');
    if (!existsSync(metaPath)) continue;
    const { thanos } = JSON.parse(readFileSync(metaPath, 'utf8')) as { thanos: { labels: { replica: string }; downsample: { resolution: number } } };
    if (thanos.downsample.resolution !== 0) continue;
    const series = lines<ChunkLine>(block, 'chunks').filter(({ labels }) => labels.some(([name, value]) => name === '__name__' && value === 'request_duration_seconds'));
    for (const one of series) for (const [mint, maxt] of one.chunks) chunks.push({ mint, maxt, source: names.indexOf(thanos.labels.replica) });
  }
  const times = columns.flatMap(({ timestampsMs }) => Array.from(timestampsMs));
  const asked = chunks.filter(({ mint, maxt }) => maxt >= Math.min(...times) && mint <= Math.max(...times)).sort((a, b) => a.mint - b.mint || a.maxt - b.maxt);
  const replicaOf = new Int32Array(asked.length);
  const count = splitOverlappingChunks(asked.map(({ mint }) => mint), asked.map(({ maxt }) => maxt), replicaOf);
  const replicas: ReplicaColumns[] = [];
  const points: P[][] = [];
  for (let r = 0; r < count; r++) {
    const taken = asked.flatMap(({ mint, maxt, source }, i) =>
      replicaOf[i] !== r ? [] : Array.from(columns[source]!.timestampsMs.keys()).filter((k) => columns[source]!.timestampsMs[k]! >= mint && columns[source]!.timestampsMs[k]! <= maxt).map((k) => [source, k] as const),
    );
    replicas.push({
      timestampsMs: Float64Array.from(taken, ([source, k]) => columns[source]!.timestampsMs[k]!),
      values: Float64Array.from(taken, ([source, k]) => columns[source]!.values[k]!),
      isHistogram: Uint8Array.from(taken, ([source, k]) => columns[source]!.isHistogram![k]!),
    });
    points.push(taken.map(([source, k]) => entries[source]![k]!));
  }
  return { replicas, points };
}
