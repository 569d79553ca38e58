/**
 * Blocks for measuring compaction: 2 h of counters each, one sample every 15 s in chunks of 120, 3 % of them a few ms late; the same series in
 * all blocks. Made from fixed seeds; of the kind that packages/tsdb/src/compact/compact.bench.ts has.
 */
import { compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { seededRandom } from '../harness/random.ts';
import { writeBlocks } from './write-blocks.ts';

/** Range of each block, ms. */
export const RANGE_MS = 7_200_000;
/** A multiple of all block ranges. */
export const START_MS = 1_699_920_000_000;
const STEP_MS = 15_000;

/** Blocks of one scraper, one after the other from START_MS on. */
export interface BenchReplica {
  readonly blocks: number;
  /** How much later than the first replica it scrapes. */
  readonly delayMs: number;
}

/** Labels of the series of all benchmarks of tsdb, in order. */
export function benchLabels(series: number): Labels[] {
  return Array.from({ length: series }, (_none, i) =>
    labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.0.${i >> 5}.${i & 31}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 13}`]]),
  ).sort(compareLabels);
}

/** Writes the blocks of all replicas. @returns their folders */
export function writeCompactionBlocks(dir: string, seriesCount: number, replicas: readonly BenchReplica[]): string[] {
  const labels = benchLabels(seriesCount);
  const dirs: string[] = [];
  for (const [replica, { blocks, delayMs }] of replicas.entries()) {
    const seed = (i: number): number => (replica * seriesCount + i) * 2;
    const series = labels.map((own, i) => ({ labels: own, openTimes: () => lateTimes(seed(i), (i % 100) + delayMs), openValues: () => counter(seed(i) + 1) }));
    dirs.push(...writeBlocks(dir, series, { startMs: START_MS, blockMs: RANGE_MS, blocks, samplesPerBlock: RANGE_MS / STEP_MS, firstId: dirs.length }));
  }
  return dirs;
}

function lateTimes(seed: number, offsetMs: number): (sample: number) => number {
  const random = seededRandom(seed);
  return (sample) => START_MS + sample * STEP_MS + offsetMs + (random() < 0.03 ? Math.floor(random() * 12) : 0);
}

function counter(seed: number): () => number {
  const random = seededRandom(seed);
  let value = 0;
  return () => (value += Math.floor(random() * 20));
}
