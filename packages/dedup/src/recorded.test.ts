/** Both merges against what Thanos answered (testdata/README.md). */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyCounterResets } from './counter-resets.ts';
import { splitOverlappingChunks } from './group-replicas.ts';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

type Point = readonly [ms: number, value: string];

interface Recorded {
  readonly name: string;
  readonly replicas: ReadonlyArray<readonly Point[]>;
  readonly penalty: readonly Point[];
  readonly chain: readonly Point[];
  readonly increase?: { readonly atMs: number; readonly rangeMs: number; readonly value: string };
}

const CHUNK_MS = 7200_000;
const recorded = JSON.parse(readFileSync(join(process.cwd(), 'packages', 'dedup', 'testdata', 'samples.json'), 'utf8')) as Recorded[];

function columnsOf(points: readonly Point[]): ReplicaColumns {
  return {
    timestampsMs: Float64Array.from(points, ([ms]) => ms),
    values: Float64Array.from(points, ([, value]) => Number(value.replace('Inf', 'Infinity'))),
  };
}

function pointsOf(out: DedupBuffer): Point[] {
  return Array.from({ length: out.length }, (_, i) => [out.timestampsMs[i]!, String(out.values[i]!).replace(/^(-?)Infinity$/, (_all, sign) => `${sign || '+'}Inf`)]);
}

/**
 * The stores had joined the replicas into one series of two-hour chunks; the querier takes them apart again. The chunks at the query's
 * start began before it: replica a's first, as the recording's README says.
 */
function pseudoReplicas(replicas: ReadonlyArray<readonly Point[]>): ReplicaColumns[] {
  const firstWindow = Math.floor(Math.min(...replicas.flat().map(([ms]) => ms)) / CHUNK_MS);
  const chunks: Array<{ mint: number; points: Point[] }> = [];
  replicas.forEach((points, replica) => {
    let window = -1;
    for (const point of points) {
      const of = Math.floor(point[0] / CHUNK_MS);
      if (of !== window) chunks.push({ mint: of === firstWindow ? of * CHUNK_MS + replica : point[0], points: [] });
      window = of;
      chunks.at(-1)!.points.push(point);
    }
  });
  chunks.sort((a, b) => a.mint - b.mint);
  const replicaOf = new Int32Array(chunks.length);
  const count = splitOverlappingChunks(chunks.map(({ mint }) => mint), chunks.map(({ points }) => points.at(-1)![0]), replicaOf);
  return Array.from({ length: count }, (_, replica) => columnsOf(chunks.filter((_chunk, i) => replicaOf[i] === replica).flatMap(({ points }) => points)));
}

/** Extrapolated increase without resets, as PromQL has it. */
function increaseOf(out: DedupBuffer, atMs: number, rangeMs: number): number {
  const { timestampsMs, values, length } = out;
  const first = timestampsMs[0]!;
  const last = timestampsMs[length - 1]!;
  const sampled = (last - first) / 1000;
  const result = values[length - 1]! - values[0]!;
  const average = sampled / (length - 1);
  let toStart = (first - (atMs - rangeMs)) / 1000;
  let toEnd = (atMs - last) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  if (result > 0 && values[0]! >= 0) toStart = Math.min(toStart, sampled * (values[0]! / result));
  if (toEnd >= average * 1.1) toEnd = average / 2;
  return result * ((sampled + toStart + toEnd) / sampled);
}

describe.each(recorded)('$name', ({ replicas, penalty, chain, increase }) => {
  const out = new DedupBuffer();

  test('penalty', () => {
    mergePenalty(pseudoReplicas(replicas), { isCounter: false }, out);
    expect(pointsOf(out)).toEqual(penalty);
  });

  test('chain', () => {
    mergeChain(pseudoReplicas(replicas), out);
    expect(pointsOf(out)).toEqual(chain);
    mergeChain(replicas.map(columnsOf), out);
    expect(pointsOf(out)).toEqual(chain);
  });

  (increase === undefined ? test.skip : test)('increase with counters adjusted (skipped where none was recorded)', () => {
    const counters = pseudoReplicas(replicas).map(({ timestampsMs, values }) => {
      const count = applyCounterResets(timestampsMs, values, timestampsMs.length);
      return { timestampsMs: timestampsMs.subarray(0, count), values: values.subarray(0, count) };
    });
    mergePenalty(counters, { isCounter: true }, out);
    expect(increaseOf(out, increase!.atMs, increase!.rangeMs)).toBeCloseTo(Number(increase!.value), 9);
  });
});
