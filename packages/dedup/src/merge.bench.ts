/**
 * Merges of two replicas, per sample read: both healthy, with holes by turns, and as counters; chain beside them.
 * Run: node --import tsx packages/dedup/src/merge.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { compareVariants } from '@gauntlet/kernels/testing';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const seriesCount = isSmall ? 20 : 1000;
const SAMPLES = 720;

function replica(offsetMs: number, holeEvery: number): ReplicaColumns {
  const kept = Array.from({ length: SAMPLES }, (_, i) => i).filter((i) => holeEvery === 0 || Math.floor(i / 20) % holeEvery !== (offsetMs > 0 ? 1 : 0));
  return {
    timestampsMs: Float64Array.from(kept, (i) => 1772409600000 + i * 15000 + offsetMs + (i % 7)),
    values: Float64Array.from(kept, (i) => i * 10 + (i % 3)),
  };
}

const out = new DedupBuffer();
for (const [name, holeEvery] of [
  ['healthy', 0],
  ['holes by turns', 4],
] as const) {
  const replicas = [replica(0, holeEvery), replica(7000, holeEvery)];
  const third = [...replicas, replica(11000, holeEvery)];
  const total = (of: readonly ReplicaColumns[]): number => of.reduce((sum, { timestampsMs }) => sum + timestampsMs.length, 0);
  const repeat = (merge: () => void): (() => number) => () => {
    for (let s = 0; s < seriesCount; s++) merge();
    return out.length;
  };
  const two = compareVariants(
    [
      { name: 'penalty', run: repeat(() => mergePenalty(replicas, { isCounter: false }, out)) },
      { name: 'penalty, counter', run: repeat(() => mergePenalty(replicas, { isCounter: true }, out)) },
      { name: 'chain', run: repeat(() => mergeChain(replicas, out)) },
    ],
    seriesCount * total(replicas),
    isSmall ? 3 : 15,
  );
  const three = compareVariants([{ name: 'penalty, three replicas', run: repeat(() => mergePenalty(third, { isCounter: false }, out)) }], seriesCount * total(third), isSmall ? 3 : 15);
  for (const result of [...two, ...three]) console.log(`${name.padEnd(15)} ${result.name.padEnd(24)} ${result.nsPerItem.toFixed(2).padStart(7)} ns/sample   ${result.hash} samples a series`);
}
