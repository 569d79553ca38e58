/**
 * One data folder, handed to and fro between our database and Prometheus, each time as a kill leaves it:
 *
 *   ours: floats, native histograms, samples out of order  ─►  Prometheus: the same answers, and it goes on scraping
 *   ours: all of that, and cuts blocks                      ◄─
 *                                                           ─►  Prometheus: the same answers still
 */
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type IntegerHistogram, type Labels, STALE_HISTOGRAM } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createDb, type Db } from '@gauntlet/tsdb';
import { expect, test } from '@jest/globals';
import { getApi, instant, type QueryResult } from '../harness/api.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { needPeer, type PeerServer, startPrometheus } from '../harness/peers.ts';
import { temporaryDir, waitFor } from '../harness/process.ts';

const HOUR_MS = 3_600_000;
const STEP_MS = 60_000;
const START_MS = Math.floor((Date.now() - 7 * HOUR_MS) / STEP_MS) * STEP_MS;
/** Minutes of history that are written first, and all of them. */
const PART = 300;
const STEPS = 410;
const EVERYTHING = '{__name__!=""}[8h]';

/** Series → time → value; of a histogram count and sum. */
type Answer = ReadonlyMap<string, ReadonlyMap<number, string>>;

function open(dir: string): Db {
  return createDb({ fs: createNodeFileSystem(), dir, kernels: createKernels(), clock: Date, random: Math.random }, { outOfOrderWindowMs: 12 * HOUR_MS });
}

async function readDb(db: Db): Promise<Answer> {
  const answer = new Map<string, Map<number, string>>();
  for await (const batch of db.queryable.select({ matchers: [createMatcher('!=', '__name__', '')], mint: 0, maxt: 2 ** 52 })) {
    for (const [i, labels] of batch.labels.entries()) {
      const samples = new Map<number, string>();
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const id = batch.histograms?.ids[s] ?? -1;
        const histogram = id < 0 ? undefined : batch.histograms!.get(id);
        // Range selectors leave stale markers out.
        const isStale = histogram === STALE_HISTOGRAM || (histogram === undefined && Number.isNaN(batch.values[s]!));
        if (!isStale) samples.set(batch.timestampsMs[s]!, histogram === undefined ? String(batch.values[s]) : `${histogram.count} ${histogram.sum}`);
      }
      const pairs: [string, string][] = [];
      for (let l = 0; l < labels.length; l += 2) pairs.push([labels[l]!, labels[l + 1]!]);
      answer.set(JSON.stringify(pairs), samples);
    }
  }
  return answer;
}

/**
 * Everything a Prometheus has.
 * @param isModern Prometheus 2.42 answers ranges of histograms with the same histogram at all times: it is asked for counts and sums, minute by minute
 */
async function readPrometheus(prometheus: PeerServer, isModern: boolean): Promise<Answer> {
  const answer = new Map<string, Map<number, string>>();
  for (const { metric, values = [], ...rest } of await instant(prometheus.url, EVERYTHING, Date.now() / 1000)) {
    const { histograms = [] } = rest as { histograms?: readonly (readonly [number, { readonly count: string; readonly sum: string }])[] };
    const samples = new Map<number, string>();
    for (const [time, value] of values) samples.set(Math.round(time * 1000), String(Number(value)));
    for (const [time, { count, sum }] of isModern ? histograms : []) samples.set(Math.round(time * 1000), `${Number(count)} ${Number(sum)}`);
    answer.set(JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1))), samples);
    if (isModern || histograms.length === 0) continue;
    const range = { start: START_MS / 1000, end: (START_MS + STEPS * STEP_MS) / 1000, step: STEP_MS / 1000 };
    const [counts, sums] = await Promise.all(['count', 'sum'].map((what) => getApi<QueryResult>(prometheus.url, 'query_range', { query: `histogram_${what}(${metric['__name__']})`, ...range })));
    // Between samples an answer repeats the one before; at which times there are some the range says truly.
    const times = new Set(histograms.map(([time]) => time));
    for (const [i, [time, count]] of (counts!.data.result[0]?.values ?? []).entries()) if (times.has(time)) samples.set(time * 1000, `${Number(count)} ${Number(sums!.data.result[0]!.values![i]![1])}`);
  }
  return answer;
}

/** What is wrong with `got`: missing series and samples, other values. */
function differences(got: Answer, want: Answer): string[] {
  const found: string[] = [];
  for (const [series, samples] of want) {
    for (const [time, value] of samples) {
      const other = got.get(series)?.get(time);
      if (other !== value) found.push(`${series} at ${time}: got ${other}, want ${value}`);
    }
  }
  return found.slice(0, 10);
}

function sampleCount(answer: Answer): number {
  return [...answer.values()].reduce((sum, samples) => sum + samples.size, 0);
}

function integers(i: number, gauge = false): IntegerHistogram {
  const counts = gauge ? [i % 7, i % 5] : [i, i * 2, Math.floor(i / 50)];
  const count = counts.reduce((sum, one) => sum + one, 0);
  const deltas = counts.map((one, b) => one - (counts[b - 1] ?? 0));
  return { ...createHistogram({ schema: 3, zeroThreshold: 2 ** -128, count, sum: i / 3, resetHint: gauge ? 3 : 0, positiveSpans: [{ offset: 4 - (i % 2), length: counts.length }] }), positiveDeltas: deltas, negativeDeltas: [] };
}

function custom(i: number): FloatHistogram {
  return createHistogram({ schema: CUSTOM_BUCKETS_SCHEMA, count: i + 0.5, sum: i, customValues: Float64Array.of(0.1, 1, 10), positiveSpans: [{ offset: 0, length: 2 }], positiveBuckets: Float64Array.of(i, 0.5) });
}

/**
 * A part of the history, of every kind, a fifth of it late.
 * @param isModern with what Prometheus 2.42 does not know: custom buckets, late histograms
 */
function fill(db: Db, firstStep: number, endStep: number, isModern: boolean): void {
  const kinds: readonly (readonly [string, (i: number) => number | FloatHistogram | IntegerHistogram])[] = [
    ['requests_total', (i) => i * 7],
    ['temperature', (i) => Math.sin(i)],
    ['latency', (i) => integers(i)],
    ['queue', (i) => integers(i, true)],
    ['mixed', (i) => (i % 40 < 20 ? i : { ...integers(i), resetHint: 1 })],
    ['fraction', (i) => createHistogram({ schema: 0, zeroThreshold: 0.001, zeroCount: 0.25, count: i + 0.25, sum: -i, negativeSpans: [{ offset: i % 3, length: 1 }], negativeBuckets: Float64Array.of(i) })],
    ...(isModern ? ([['custom', custom]] as const) : []),
  ];
  const late: number[] = [];
  const append = (i: number, isLate = false): void => {
    const appender = db.appender();
    for (const [name, valueAt] of kinds) {
      const labels: Labels = ['__name__', name, 'job', 'ünï'];
      const value = valueAt(i);
      if (isLate && !isModern && (typeof value !== 'number' || name === 'mixed')) continue;
      if (typeof value === 'number') appender.append(0, labels, START_MS + i * STEP_MS, value);
      else appender.appendHistogram(0, labels, START_MS + i * STEP_MS, value);
    }
    appender.commit();
  };
  for (let i = firstStep; i < endStep; i++) {
    if (i % 5 === 2) late.push(i);
    else append(i);
    if (i % 100 === 99) for (const one of late.splice(0).reverse()) append(one, true);
  }
}

describeWithPeers('a data folder', ['prometheus'], () => {
  test('is taken over in both directions, after a kill each time', async () => {
    const help = spawnSync(needPeer('prometheus'), ['--help'], { encoding: 'utf8' });
    const isModern = /wal-compression-type/.test(help.stdout + help.stderr);
    const ours = temporaryDir('data-folder');
    const first = open(join(ours, 'data'));
    fill(first, 1, PART, isModern);
    const written = await readDb(first);
    expect(sampleCount(written)).toBeGreaterThan(1000);
    const theirs = temporaryDir('data-folder-theirs');
    cpSync(join(ours, 'data'), join(theirs, 'data'), { recursive: true });
    first.close();

    const config = `
global: { scrape_interval: 1s }
scrape_configs: [{ job_name: self, static_configs: [{ targets: [ADDRESS] }] }]
storage: { tsdb: { out_of_order_time_window: 12h } }
`;
    const start = async (dataDir: string): Promise<PeerServer> => startPrometheus({ config: config.replace('ADDRESS', '127.0.0.1:1'), dataDir, args: ['--enable-feature=native-histograms'] });
    const prometheus = await start(theirs);
    let answer: Answer;
    try {
      expect(differences(await readPrometheus(prometheus, isModern), written)).toEqual([]);
      // It goes on: `up` of a target that is not there.
      await waitFor('scrapes', async () => [...(await readPrometheus(prometheus, isModern)).entries()].some(([series, samples]) => series.includes('"up"') && samples.size >= 3));
      answer = await readPrometheus(prometheus, isModern);
    } finally {
      await prometheus.stop('SIGKILL');
    }

    const back = open(join(theirs, 'data'));
    expect(differences(await readDb(back), answer)).toEqual([]);
    fill(back, PART, STEPS, isModern);
    const all = await readDb(back);
    expect(differences(all, answer)).toEqual([]);
    const blocks = back.compactHead({ force: true });
    expect(blocks.some(({ compaction }) => compaction.hints?.includes('from-out-of-order'))).toBe(true);
    expect(differences(await readDb(back), all)).toEqual([]);
    const again = temporaryDir('data-folder-again');
    cpSync(join(theirs, 'data'), join(again, 'data'), { recursive: true });
    back.close();

    const successor = await start(again);
    try {
      expect(differences(await readPrometheus(successor, isModern), all)).toEqual([]);
    } finally {
      await successor.stop();
    }
  }, 120_000);
});
