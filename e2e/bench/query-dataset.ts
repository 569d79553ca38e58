/**
 * The data set of the goals for queries, written straight into blocks from a fixed seed: 7,200 series, one sample every 15 s over 6 h, 3 % of
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
import { join } from 'node:path';
import { labelsFromPairs } from '@gauntlet/model';
import { seededRandom } from '../harness/random.ts';
import { type BenchSeries, type ValueSource, writeBlocksOnce } from './write-blocks.ts';

export interface QueryDataset {
  /** Folder with block folders. */
  readonly dir: string;
  /** Blocks cover [startMs, endMs). */
  readonly startMs: number;
  readonly endMs: number;
  readonly series: number;
  readonly samples: number;
}

const VERSION = 2;
const SCRAPE_MS = 15_000;
const BLOCK_MS = 2 * 3_600_000;
const BLOCKS = 3;
const SAMPLES_PER_BLOCK = BLOCK_MS / SCRAPE_MS;
/** Aligned to 2 h. */
const START_MS = Date.UTC(2026, 9, 1);

const BOUNDS = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'];

function integerCounter(seed: number): ValueSource {
  const random = seededRandom(seed);
  const rate = random() * random() * 400;
  let value = Math.floor(random() * 1e5);
  return () => (value = random() < 0.0002 ? 0 : value + Math.floor(rate * random() * 2));
}

function decimalCounter(seed: number): ValueSource {
  const random = seededRandom(seed);
  let cents = Math.floor(random() * 1e6);
  const rate = random() * 1500;
  return () => (cents += Math.floor(random() * rate)) / 100;
}

function realCounter(seed: number): ValueSource {
  const random = seededRandom(seed);
  let value = 0;
  return () => (value += random() * 20);
}

/** A random walk in whole pages that often stays where it is. */
function integerGauge(seed: number): ValueSource {
  const random = seededRandom(seed);
  let pages = 10_000 + Math.floor(random() * 100_000);
  return () => {
    if (random() > 0.4) pages = Math.max(0, pages + Math.floor((random() - 0.5) * 200));
    return pages * 4096;
  };
}

function realGauge(seed: number): ValueSource {
  const random = seededRandom(seed);
  let value = random() * 8;
  return () => (value = Math.abs(value + (random() - 0.5) * 0.4));
}

/** Cumulative count of one bucket; all buckets of a histogram have one seed and see the same observations. */
function bucketCounter(seed: number, bucket: number): ValueSource {
  const random = seededRandom(seed);
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

/** All series as one replica scraped them; `share` of the instances of each job. */
function allSeries(share: number, replica: number): BenchSeries[] {
  const series: BenchSeries[] = [];
  let seed = 20_262;
  const add = (target: number, name: string, labels: readonly [string, string][], open: (seed: number) => ValueSource): void => {
    const own = seed++;
    series.push({ labels: labelsFromPairs([['__name__', name], ...labels]), openTimes: () => openClock(target + replica * 1000), openValues: () => open(own) });
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
  return series;
}

/** The clock of one target: its own offset, some scrapes late, never on a whole second. */
function openClock(target: number): (scrape: number) => number {
  const random = seededRandom(7_000_000 + target);
  // 1 … 14,980 ms, with room for a late scrape before the next whole second.
  const offsetMs = Math.floor(random() * 15) * 1000 + 1 + Math.floor(random() * 980);
  return (scrape) => START_MS + scrape * SCRAPE_MS + offsetMs + (random() < 0.03 ? Math.floor(random() * 12) : 0);
}

/**
 * Makes the data set, or finds it made.
 * @param share of its 200 targets; 1 for all
 * @param replica scraped at other times: the same series with the same values in turn
 */
export function queryDataset(cacheDir: string, share: number, replica: number = 0): QueryDataset {
  const series = allSeries(share, replica);
  const dir = join(cacheDir, `query-dataset-${VERSION}-${series.length}${replica === 0 ? '' : `-replica-${replica}`}`);
  writeBlocksOnce(dir, series, { startMs: START_MS, blockMs: BLOCK_MS, blocks: BLOCKS, samplesPerBlock: SAMPLES_PER_BLOCK });
  return { dir, startMs: START_MS, endMs: START_MS + BLOCKS * BLOCK_MS, series: series.length, samples: series.length * BLOCKS * SAMPLES_PER_BLOCK };
}
