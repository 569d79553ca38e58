/**
 * Two replicas of 1.15 M samples, decode included: `stable` beside `penalty` with the same kernels, and beside a merge sample by sample; healthy, and
 * with faults. Time per sample read; floors: `ratioMax` × penalty, and at least 3 × faster than sample by sample.
 * Run: node --import tsx packages/dedup/src/stable.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { CHUNK_SLACK_BYTES, createKernels, SPACING_ROW_BYTES, xorChunkBytesMax } from '@gauntlet/kernels';
import { compareVariants } from '@gauntlet/kernels/testing';
import { mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import { mergeStable } from './stable.ts';
import { summarizeWith } from './stable-kernel.ts';
import { summarizeHere, WindowTable } from './stable-windows.ts';
import { mergeNaively } from './testing/naive.ts';
import { createRandom } from './testing/random.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 10 : 1000;
const SAMPLES = 1150;
const CHUNK = 120;
const rounds = isSmall ? 3 : 9;

const kernels = createKernels();
const { memory } = kernels;

/** Chunks of one replica of one series in kernel memory. */
interface Encoded {
  readonly descriptorPtr: number;
  readonly chunks: number;
  readonly samples: number;
}

function encode(offsetMs: number, lost: number, seed: number): Encoded {
  const random = createRandom(seed);
  const kept = Array.from({ length: SAMPLES }, (_, i) => i).filter(() => random() >= lost);
  const timesPtr = memory.alloc(8 * kept.length);
  const valuesPtr = memory.alloc(8 * kept.length);
  memory.f64(timesPtr, kept.length).set(kept.map((i) => 1772409600000 + i * 15_000 + offsetMs + Math.floor(random() * 4)));
  memory.f64(valuesPtr, kept.length).set(kept.map((i) => 100_000 + i * 150 + Math.floor(offsetMs / 100)));
  const chunks = Math.ceil(kept.length / CHUNK);
  const descriptorPtr = memory.alloc(8 * chunks);
  for (let c = 0; c < chunks; c++) {
    const count = Math.min(CHUNK, kept.length - c * CHUNK);
    const scratch = memory.alloc(xorChunkBytesMax(count));
    const bytes = kernels.encodeXor(timesPtr + 8 * c * CHUNK, valuesPtr + 8 * c * CHUNK, count, scratch, xorChunkBytesMax(count));
    const ptr = memory.alloc(bytes + CHUNK_SLACK_BYTES);
    memory.u8(ptr, bytes).set(memory.u8(scratch, bytes));
    memory.free(scratch);
    memory.i32(descriptorPtr + 8 * c, 2).set([ptr, bytes]);
  }
  memory.free(timesPtr);
  memory.free(valuesPtr);
  return { descriptorPtr, chunks, samples: kept.length };
}

const columnPtrs = [0, 1].map(() => ({ timesPtr: memory.alloc(8 * SAMPLES), valuesPtr: memory.alloc(8 * SAMPLES) }));
const rowsPtr = memory.alloc(SPACING_ROW_BYTES * SAMPLES);

function decode(pair: readonly Encoded[]): ReplicaColumns[] {
  return pair.map(({ descriptorPtr, chunks, samples }, r) => {
    const { timesPtr, valuesPtr } = columnPtrs[r]!;
    kernels.decodeXorChunks(descriptorPtr, chunks, timesPtr, valuesPtr, SAMPLES);
    return { timestampsMs: memory.f64(timesPtr, samples), values: memory.f64(valuesPtr, samples) };
  });
}

const failures: string[] = [];
for (const [name, lost, ratioMax] of [
  ['healthy', 0, 1.3],
  ['1 % lost', 0.01, 1.5],
  ['10 % lost', 0.1, 2.3],
] as const) {
  const pairs = Array.from({ length: SERIES }, (_, s) => [encode(0, lost, 2 * s + 1), encode(7000, lost, 2 * s + 2)]);
  const total = pairs.flat().reduce((sum, { samples }) => sum + samples, 0);
  const out = new DedupBuffer();
  const windows = new WindowTable();
  const kernelSummary = summarizeWith(kernels, rowsPtr);
  const over = (merge: (replicas: ReplicaColumns[]) => number): (() => number) => () => {
    let shown = 0;
    for (const pair of pairs) shown += merge(decode(pair));
    return shown;
  };
  const results = compareVariants(
    [
      { name: 'decode alone', run: over(([a, b]) => a!.values.length + b!.values.length) },
      { name: 'penalty', run: over((replicas) => (mergePenalty(replicas, { isCounter: false }, out), out.length)) },
      { name: 'stable, kernel', run: over((replicas) => (mergeStable(replicas, { isCounterSeries: true, summarize: kernelSummary, windows }, out), out.length)) },
      { name: 'stable, TypeScript', run: over((replicas) => (mergeStable(replicas, { isCounterSeries: true, summarize: summarizeHere, windows }, out), out.length)) },
    ],
    total,
    rounds,
  );
  const naive = compareVariants([{ name: 'sample by sample', run: over((replicas) => mergeNaively(replicas).length) }], total, isSmall ? 1 : 3);
  const [, penalty, stable] = results;
  for (const { name: variant, nsPerItem, hash } of [...results, ...naive]) console.log(`${name.padEnd(10)} ${variant.padEnd(20)} ${nsPerItem.toFixed(2).padStart(8)} ns/sample   ${hash} samples`);
  const ratio = stable!.nsPerItem / penalty!.nsPerItem;
  const faster = naive[0]!.nsPerItem / stable!.nsPerItem;
  console.log(`${name.padEnd(10)} stable / penalty ${ratio.toFixed(2)}, sample by sample / stable ${faster.toFixed(1)}`);
  if (!isSmall && (ratio > ratioMax || faster < 3)) failures.push(`${name}: ${ratio.toFixed(2)} × penalty (floor ${ratioMax}), ${faster.toFixed(1)} × faster than sample by sample (floor 3)`);
  for (const { descriptorPtr, chunks } of pairs.flat()) {
    for (let c = 0; c < chunks; c++) memory.free(memory.i32(descriptorPtr + 8 * c, 2)[0]!);
    memory.free(descriptorPtr);
  }
}
if (failures.length > 0) {
  console.error(failures.join('\n'));
  process.exitCode = 1;
}
