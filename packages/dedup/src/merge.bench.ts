/**
 * Merges of two replicas, per sample read: both healthy, with holes by turns, and as counters; by kernel and over views; chain beside them.
 * Then counters as running totals, by kernel and over views.
 * Run: node --import tsx packages/dedup/src/merge.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { createKernels } from '@gauntlet/kernels';
import { compareVariants } from '@gauntlet/kernels/testing';
import { applyCounterResets } from './counter-resets.ts';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import { type MemoryColumns, mergePenaltyInMemory, penaltyRoomBytes } from './penalty-in-memory.ts';
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

const kernels = createKernels();
const { memory } = kernels;

function place({ timestampsMs, values }: ReplicaColumns): MemoryColumns {
  const count = timestampsMs.length;
  const placed = { timestampsPtr: memory.alloc(8 * count), valuesPtr: memory.alloc(8 * count), count };
  memory.f64(placed.timestampsPtr, count).set(timestampsMs);
  memory.f64(placed.valuesPtr, count).set(values);
  return placed;
}

const out = new DedupBuffer();
for (const [name, holeEvery] of [
  ['healthy', 0],
  ['holes by turns', 4],
] as const) {
  const replicas = [replica(0, holeEvery), replica(7000, holeEvery)];
  const third = [...replicas, replica(11000, holeEvery)];
  const placed = third.map(place);
  const room = memory.alloc(penaltyRoomBytes(3 * SAMPLES, 3));
  const total = (of: readonly ReplicaColumns[]): number => of.reduce((sum, { timestampsMs }) => sum + timestampsMs.length, 0);
  const repeat = (merge: () => void): (() => number) => () => {
    for (let s = 0; s < seriesCount; s++) merge();
    return out.length;
  };
  const byKernel = (columns: readonly MemoryColumns[], isCounter: boolean): (() => number) => () => {
    let length = 0;
    for (let s = 0; s < seriesCount; s++) length = mergePenaltyInMemory(kernels, columns, { isCounter }, room)!.count;
    return length;
  };
  const two = compareVariants(
    [
      { name: 'penalty', run: repeat(() => mergePenalty(replicas, { isCounter: false }, out)) },
      { name: 'penalty, counter', run: repeat(() => mergePenalty(replicas, { isCounter: true }, out)) },
      { name: 'penalty by kernel', run: byKernel(placed.slice(0, 2), false) },
      { name: 'penalty by kernel, counter', run: byKernel(placed.slice(0, 2), true) },
      { name: 'chain', run: repeat(() => mergeChain(replicas, out)) },
    ],
    seriesCount * total(replicas),
    isSmall ? 3 : 15,
  );
  const three = compareVariants([{ name: 'penalty, three replicas', run: repeat(() => mergePenalty(third, { isCounter: false }, out)) }, { name: 'penalty by kernel, three', run: byKernel(placed, false) }], seriesCount * total(third), isSmall ? 3 : 15);
  for (const result of [...two, ...three]) console.log(`${name.padEnd(15)} ${result.name.padEnd(27)} ${result.nsPerItem.toFixed(2).padStart(7)} ns/sample   ${result.hash} samples a series`);
}

for (const [name, resetEvery] of [
  ['no resets', SAMPLES],
  ['a reset', 500],
] as const) {
  const counter: ReplicaColumns = { timestampsMs: Float64Array.from({ length: SAMPLES }, (_, i) => i * 15000), values: Float64Array.from({ length: SAMPLES }, (_, i) => (i % resetEvery) * 10) };
  // Rewritten in place, so each run begins with a copy.
  const [times, values] = [counter.timestampsMs.slice(), counter.values.slice()];
  const placed = place(counter);
  const results = compareVariants(
    [
      {
        name: 'totals',
        run: () => {
          for (let s = 0; s < seriesCount; s++) {
            values.set(counter.values);
            applyCounterResets(times, values, SAMPLES);
          }
          return values[SAMPLES - 1]!;
        },
      },
      {
        name: 'totals by kernel',
        run: () => {
          const own = memory.f64(placed.valuesPtr, SAMPLES);
          for (let s = 0; s < seriesCount; s++) {
            own.set(counter.values);
            kernels.applyCounterResets(placed.timestampsPtr, placed.valuesPtr, SAMPLES);
          }
          return own[SAMPLES - 1]!;
        },
      },
    ],
    seriesCount * SAMPLES,
    isSmall ? 3 : 15,
  );
  for (const result of results) console.log(`${name.padEnd(15)} ${result.name.padEnd(27)} ${result.nsPerItem.toFixed(2).padStart(7)} ns/sample   ${result.hash} last total`);
}
