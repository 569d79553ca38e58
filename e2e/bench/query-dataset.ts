/**
 * The data set of docs/PERFORMANCE.md, written straight into blocks from a fixed seed: 7,200 series, one sample every 15 s over 6 h, 3 % of
 * them a few ms late, in three 2 h blocks: 10.4 M samples. Made in some seconds and kept in .cache/.
 *
 *   http_requests_total                   2,400   integer counters with resets           job, instance, method, code
 *   http_request_duration_seconds_bucket  2,400   200 classic histograms of 12 buckets   job, instance, path, le
 *   …_count, …_sum                      200 each  integer, full-precision counters       job, instance, path
 *   cpu_seconds_total                       800   counters of two decimals               job, instance, mode
 *   memory_bytes, load                  400 each  integer and full-precision gauges      job, instance, part
 *   up, build_info                      200 each  constants                              job, instance
 *
 * No timestamp is a whole second, so that no sample lies on the edge of a window, which Prometheus counted in before 3.0.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareUtf8 } from '@gauntlet/bytes';
import { createKernels, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type BlockChunk, createBlockWriter } from '@gauntlet/tsdb';

export interface QueryDataset {
  /** Folder with block folders. */
  readonly dir: string;
  /** Blocks cover [startMs, endMs). */
  readonly startMs: number;
  readonly endMs: number;
  readonly series: number;
  readonly samples: number;
}

const VERSION = 1;
const SCRAPE_MS = 15_000;
const BLOCK_MS = 2 * 3_600_000;
const BLOCKS = 3;
const SAMPLES_PER_BLOCK = BLOCK_MS / SCRAPE_MS;
const SAMPLES_PER_CHUNK = 120;
/** Aligned to 2 h. */
const START_MS = Date.UTC(2026, 9, 1);

/** Small fast generator with a 32-bit state (mulberry32); numbers in [0, 1). */
function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Gives the value of each scrape in turn. */
type ValueSource = () => number;

interface Series {
  readonly labels: Labels;
  /** Same for all series of one target. */
  readonly target: number;
  readonly open: () => ValueSource;
}

const BOUNDS = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'];

function integerCounter(seed: number): ValueSource {
  const random = createRandom(seed);
  const rate = random() * random() * 400;
  let value = Math.floor(random() * 1e5);
  return () => (value = random() < 0.0002 ? 0 : value + Math.floor(rate * random() * 2));
}

function decimalCounter(seed: number): ValueSource {
  const random = createRandom(seed);
  let cents = Math.floor(random() * 1e6);
  const rate = random() * 1500;
  return () => (cents += Math.floor(random() * rate)) / 100;
}

function realCounter(seed: number): ValueSource {
  const random = createRandom(seed);
  let value = 0;
  return () => (value += random() * 20);
}

/** A random walk in whole pages that often stays where it is. */
function integerGauge(seed: number): ValueSource {
  const random = createRandom(seed);
  let pages = 10_000 + Math.floor(random() * 100_000);
  return () => {
    if (random() > 0.4) pages = Math.max(0, pages + Math.floor((random() - 0.5) * 200));
    return pages * 4096;
  };
}

function realGauge(seed: number): ValueSource {
  const random = createRandom(seed);
  let value = random() * 8;
  return () => (value = Math.abs(value + (random() - 0.5) * 0.4));
}

/** Cumulative count of one bucket; all buckets of a histogram have one seed and see the same observations. */
function bucketCounter(seed: number, bucket: number): ValueSource {
  const random = createRandom(seed);
  const busy = random() * 40;
  const typical = 2 + random() * 6;
  let count = 0;
  return () => {
    for (let i = 0; i < BOUNDS.length; i++) {
      const distance = i - typical;
      const observed = Math.floor((busy * random() * 2) / (1 + distance * distance));
      if (i <= bucket) count += observed;
    }
    return count;
  };
}

/** All series in label order; `share` of the instances of each job. */
function allSeries(share: number): Series[] {
  const series: Series[] = [];
  let seed = 20_262;
  const add = (target: number, name: string, labels: readonly [string, string][], open: (seed: number) => ValueSource): void => {
    const own = seed++;
    series.push({ labels: labelsFromPairs([['__name__', name], ...labels]), target, open: () => open(own) });
  };
  const instances = Math.max(1, Math.round(20 * share));
  for (let job = 0; job < 10; job++) {
    for (let instance = 0; instance < instances; instance++) {
      const target = job * 20 + instance;
      const where: [string, string][] = [['instance', `10.0.${job}.${instance}:8080`], ['job', `job-${job}`]];
      for (const method of ['GET', 'POST', 'PUT']) for (const code of ['200', '404', '500', '503']) add(target, 'http_requests_total', [...where, ['method', method], ['code', code]], integerCounter);
      const histogram = seed++;
      BOUNDS.forEach((le, bucket) => add(target, 'http_request_duration_seconds_bucket', [...where, ['path', '/api/v1/query'], ['le', le]], () => bucketCounter(histogram, bucket)));
      add(target, 'http_request_duration_seconds_count', [...where, ['path', '/api/v1/query']], () => bucketCounter(histogram, BOUNDS.length - 1));
      add(target, 'http_request_duration_seconds_sum', [...where, ['path', '/api/v1/query']], realCounter);
      for (const mode of ['idle', 'iowait', 'system', 'user']) add(target, 'cpu_seconds_total', [...where, ['mode', mode]], decimalCounter);
      for (const part of ['heap', 'stack']) add(target, 'memory_bytes', [...where, ['part', part]], integerGauge);
      for (const part of ['short', 'long']) add(target, 'load', [...where, ['part', part]], realGauge);
      add(target, 'up', where, () => () => 1);
      add(target, 'build_info', [...where, ['version', '1.4.2']], () => () => 1);
    }
  }
  return series.sort((a, b) => compareLabels(a.labels, b.labels));
}

/** One chunk of samples [from, to) of the columns. */
function encode(kernels: Kernels, timesPtr: number, valuesPtr: number, from: number, to: number, outPtr: number): BlockChunk {
  const times = kernels.memory.f64(timesPtr, to);
  const bytes = kernels.encodeXor(timesPtr + from * 8, valuesPtr + from * 8, to - from, outPtr, xorChunkBytesMax(to - from));
  return { mint: times[from]!, maxt: times[to - 1]!, encoding: CHUNK_ENCODING.xor, data: kernels.memory.u8(outPtr, bytes).slice() };
}

function writeBlocks(dir: string, series: readonly Series[]): void {
  const fs = createNodeFileSystem();
  const kernels = createKernels({});
  const { memory } = kernels;
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const writers = Array.from({ length: BLOCKS }, (_none, block) =>
    createBlockWriter(fs, dir, { ulid: `01M3ZZZZZZZZZZZZZZZZZZZZ${VERSION}${block}`, minTime: START_MS + block * BLOCK_MS, maxTime: START_MS + (block + 1) * BLOCK_MS, symbols }),
  );
  const timesPtr = memory.alloc(SAMPLES_PER_BLOCK * 8);
  const valuesPtr = memory.alloc(SAMPLES_PER_BLOCK * 8);
  const outPtr = memory.alloc(xorChunkBytesMax(SAMPLES_PER_CHUNK));
  for (const { labels, target, open } of series) {
    const scrape = createRandom(7_000_000 + target);
    const next = open();
    // 1 … 14,980 ms, with room for a late scrape before the next whole second.
    const offsetMs = Math.floor(scrape() * 15) * 1000 + 1 + Math.floor(scrape() * 980);
    writers.forEach((writer, block) => {
      const times = memory.f64(timesPtr, SAMPLES_PER_BLOCK);
      const values = memory.f64(valuesPtr, SAMPLES_PER_BLOCK);
      for (let i = 0; i < SAMPLES_PER_BLOCK; i++) {
        const lateMs = scrape() < 0.03 ? Math.floor(scrape() * 12) : 0;
        times[i] = START_MS + block * BLOCK_MS + i * SCRAPE_MS + offsetMs + lateMs;
        values[i] = next();
      }
      const chunks: BlockChunk[] = [];
      for (let from = 0; from < SAMPLES_PER_BLOCK; from += SAMPLES_PER_CHUNK) chunks.push(encode(kernels, timesPtr, valuesPtr, from, from + SAMPLES_PER_CHUNK, outPtr));
      writer.addSeries(labels, chunks);
    });
  }
  for (const writer of writers) writer.finish();
}

/**
 * Makes the data set, or finds it made.
 * @param share of its 200 targets; 1 for all
 */
export function queryDataset(cacheDir: string, share: number): QueryDataset {
  const series = allSeries(share);
  const dir = join(cacheDir, `query-dataset-${VERSION}-${series.length}`);
  const dataset = { dir, startMs: START_MS, endMs: START_MS + BLOCKS * BLOCK_MS, series: series.length, samples: series.length * BLOCKS * SAMPLES_PER_BLOCK };
  if (existsSync(dir) && readdirSync(dir).length === BLOCKS) return dataset;
  const draft = `${dir}.draft`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  writeBlocks(draft, series);
  renameSync(draft, dir);
  return dataset;
}
