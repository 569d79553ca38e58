/**
 * The life of blocks in a bucket, told as one story:
 *
 *   Prometheus a ─ sidecar ─┐                            ┌─ store ─ querier ◄── asked without a pause, from the first test to the last
 *   Prometheus b ─ sidecar ─┴─► MinIO: blocks of 2 h ────┤
 *                                                        └─ compact --wait: 2 h → 8 h, marks, deletion; overlaps; damage
 *
 * Each Prometheus has twelve hours of history, of which eight fill one window. What each answered itself is the truth; the querier asks
 * the store alone, so that every answer comes from the bucket. promtool reads what the compactor made.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ThanosMeta, downloadBlock, parseThanosMeta } from '@gauntlet/block';
import { formatLabels, getLabel } from '@gauntlet/model';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import { createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { createUlid, readBlockMeta } from '@gauntlet/tsdb';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ApiSeries, getApi, instant, instantAnswer, labelsKey } from '../harness/api.ts';
import { type HistorySeries, shipBlock, writeHistory } from '../harness/blocks.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, needPeer, startPrometheus } from '../harness/peers.ts';
import { temporaryDir, waitFor } from '../harness/process.ts';
import { type S3, S3_PEERS, openS3 } from '../harness/s3.ts';

const HOUR_MS = 3_600_000;
const STEP_MS = 30_000;
/** The window of eight hours. Two more blocks follow: those of promtool do not reach to the ends of their hours, so a later one must tell that the window is complete. */
const WINDOW_MS = Math.floor((Date.now() - 4 * HOUR_MS) / (8 * HOUR_MS)) * 8 * HOUR_MS - 8 * HOUR_MS;
const WINDOW_END_MS = WINDOW_MS + 8 * HOUR_MS;
const END_MS = WINDOW_END_MS + 4 * HOUR_MS;
const NAMES = ['a', 'b'] as const;
/** The store stops reading a marked block after this, the compactor deletes it after that. */
const IGNORE_S = 8;
const DELETE_S = 20;
const TIMEOUT_MS = 180_000;
/** All samples of the two. As in Thanos, a store wants a matcher beside those of external labels. */
const SELECTOR = '{__name__!="",replica=~"a|b"}[13h]';

/** Every kind of float: counters with resets, fractions, constants, special values. */
const HISTORY: readonly HistorySeries[] = [
  ...['get', 'post', 'put'].flatMap((method, i) => [
    { name: 'requests_total', labels: [['method', method]] as const, valueAt: (t: number) => Math.floor((t % (5 * HOUR_MS)) / 1000) * (i + 1) },
    { name: 'latency_seconds', labels: [['method', method]] as const, valueAt: (t: number) => Math.sin(t / 1e6 + i) / 3 },
  ]),
  { name: 'up', labels: [['job', 'shop']], valueAt: () => 1 },
  { name: 'limit', labels: [['job', 'sh"op\\ö']], valueAt: (t) => (t % (3 * HOUR_MS) < HOUR_MS ? Number.POSITIVE_INFINITY : -1.5e-300) },
];

/** Scrape times of a replica, each a little late. */
function scrapeTimes(startMs: number, endMs: number, replica: number): number[] {
  const times: number[] = [];
  let state = 11 + replica;
  for (let t = startMs + 900 + replica * 11_300; t < endMs - 100; t += STEP_MS) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    times.push(t + ((state >>> 16) % 60));
  }
  return times;
}

interface Replica {
  readonly name: string;
  readonly data: string;
  readonly times: readonly number[];
  readonly blocks: readonly string[];
  readonly prometheus: PeerServer;
  readonly sidecar: Service;
}

/** What promtool finds in blocks: a line of series, value and time for each sample, sorted. @throws if it complains */
function dump(dir: string): readonly string[] {
  mkdirSync(join(dir, 'wal'), { recursive: true });
  const { status, stdout, stderr } = spawnSync(needPeer('promtool'), ['tsdb', 'dump', dir], { encoding: 'utf8', maxBuffer: 1 << 28 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter((line) => line !== '').sort();
}

/** `writeHistory`, with the names of the blocks in the order of their times. */
function writeBlocks(dir: string, series: readonly HistorySeries[], timesMs: readonly number[]): readonly string[] {
  const fs = createNodeFileSystem();
  return writeHistory(dir, series, timesMs).toSorted((x, y) => readBlockMeta(fs, join(dir, x)).minTime - readBlockMeta(fs, join(dir, y)).minTime);
}

/** A folder with copies of some blocks, for promtool. */
function folderOf(from: string, blocks: readonly string[]): string {
  const dir = temporaryDir('promtool');
  for (const block of blocks) cpSync(join(from, block), join(dir, block), { recursive: true });
  return dir;
}

const canonical = (series: readonly ApiSeries[], extra: Readonly<Record<string, string>> = {}): readonly string[] =>
  series.map(({ metric, values }) => `${labelsKey({ ...metric, ...extra })} ${JSON.stringify(values)}`).sort();

type Answer = readonly ApiSeries[];

/** Asks the querier one query after the other, and judges each answer. */
class Watch {
  /** Answers that were as wanted. */
  good = 0;
  readonly problems: string[] = [];
  readonly #url: string;
  readonly #selector: string;
  readonly #judge: (result: Answer) => boolean;
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(url: string, selector: string, judge: (result: Answer) => boolean) {
    this.#url = url;
    this.#selector = selector;
    this.#judge = judge;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const { result, warnings } = await instantAnswer(this.#url, this.#selector, END_MS / 1000, { dedup: 'false' });
        if (warnings.length > 0) this.#report(`warnings: ${warnings.join('; ')}`);
        else if (!this.#judge(result)) this.#report(`another answer, ${result.length} series with ${result.map(({ values }) => values!.length).join(',')} samples`);
        else this.good++;
      } catch (error) {
        this.#report(String(error));
      }
    }
  }

  #report(problem: string): void {
    this.problems.push(`${new Date().toISOString()} after ${this.good} good answers: ${problem}`);
  }

  /** Waits for some answers that began after this call. */
  async settle(): Promise<void> {
    const enough = this.good + 2;
    await waitFor('answers', async () => this.good > enough || this.problems.length > 0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }
}

describeWithPeers('compaction of what two Prometheus have shipped', ['prometheus', 'promtool', ...S3_PEERS], () => {
  let s3: S3;
  let objstore: string;
  let bucket: Bucket;
  let store: Service;
  let querier: Service;
  let compactor: Service;
  let replicas: Replica[];
  let watch: Watch;

  beforeAll(async () => {
    s3 = await openS3();
    objstore = await s3.createBucket(`gauntlet-compact-${process.pid}-${Date.now()}`);
    bucket = await createBucketFromConfig(objstore, { component: 'peers', source: 'peers', log: createNopLogger() });
    replicas = [];
    for (const [index, name] of NAMES.entries()) {
      const dir = temporaryDir(`compaction-${name}`);
      const data = join(dir, 'data');
      const times = scrapeTimes(WINDOW_MS, END_MS, index);
      const blocks = writeBlocks(data, HISTORY, times);
      const prometheus = await startPrometheus({ config: `global:\n  external_labels: {cluster: peers, replica: ${name}}\n`, dataDir: dir });
      const sidecar = await startService('sidecar', [`--prometheus.url=${prometheus.url}`, `--tsdb.path=${data}`, `--objstore.config=${objstore}`, '--prometheus.get_config_interval=1s'], { name: `sidecar ${name}` });
      replicas.push({ name, data, times, blocks, prometheus, sidecar });
    }
    store = await startService('store', [`--objstore.config=${objstore}`, `--data-dir=${temporaryDir('store')}`, '--sync-block-duration=1s', `--ignore-deletion-marks-delay=${IGNORE_S}s`], { timeoutMs: 120_000 });
    querier = await startService('query', ['--query.replica-label=replica', `--endpoint=${store.grpc}`]);
  }, 300_000);

  afterAll(async () => {
    await watch?.stop();
    await Promise.allSettled([compactor?.stop(), querier?.stop(), store?.stop(), ...(replicas ?? []).flatMap(({ sidecar, prometheus }) => [sidecar.stop(), prometheus.stop()])]);
    await bucket?.close();
    await s3?.stop();
  }, 60_000);

  interface Seen {
    readonly meta: ThanosMeta;
    /** Its deletion mark, if any. */
    readonly mark: { readonly deletion_time: number; readonly details: string } | undefined;
  }
  /** Blocks of a replica that have a meta.json, by time. */
  const blocksOf = async (replica: string): Promise<readonly Seen[]> => {
    const names = new Set<string>();
    for await (const name of bucket.iter('', { recursive: true })) names.add(name);
    const seen: Seen[] = [];
    for (const name of names) {
      const id = name.split('/')[0]!;
      if (name !== `${id}/meta.json`) continue;
      try {
        const meta = parseThanosMeta(await bucket.get(name), id);
        const marker = `${id}/deletion-mark.json`;
        if (getLabel(meta.thanos.labels, 'replica') === replica) seen.push({ meta, mark: names.has(marker) ? (JSON.parse(Buffer.from(await bucket.get(marker)).toString()) as Seen['mark']) : undefined });
      } catch (error) {
        // Deleted since it was listed.
        if (await bucket.exists(name)) throw error;
      }
    }
    return seen.sort((x, y) => x.meta.minTime - y.meta.minTime || (x.meta.ulid < y.meta.ulid ? -1 : 1));
  };
  const unmarked = (seen: readonly Seen[]): readonly ThanosMeta[] => seen.filter(({ mark }) => mark === undefined).map(({ meta }) => meta);
  const metric = async (service: Service, name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await (await fetch(`${service.url}/metrics`)).text())?.[1]);
  const fetchBlock = async (id: string): Promise<string> => {
    const dir = temporaryDir('larger-block');
    await downloadBlock(bucket, id, join(dir, id));
    return dir;
  };

  test('the sidecars ship; the bucket answers what each Prometheus has', async () => {
    for (const { name, blocks, sidecar } of replicas) {
      expect(blocks).toHaveLength(6);
      await waitFor(`the blocks of ${name}`, async () => (await blocksOf(name)).length === 6, { process: sidecar.process, timeoutMs: 60_000 });
    }
    await waitFor('the blocks in the store', async () => (await metric(store, 'thanos_bucket_store_blocks_loaded')) === 12, { process: store.process, timeoutMs: 60_000 });
    const truth: string[] = [];
    for (const { name, prometheus } of replicas) {
      const own = await instant(prometheus.url, '{__name__=~".+"}[13h]', END_MS / 1000);
      expect(own).toHaveLength(HISTORY.length);
      expect(own[0]!.values!).toHaveLength(12 * HOUR_MS / STEP_MS);
      truth.push(...canonical(own, { cluster: 'peers', replica: name }));
    }
    await waitFor('the first answer', async () => (await instant(querier.url, SELECTOR, END_MS / 1000, { dedup: 'false' })).length > 0, { process: querier.process });
    const { result, warnings } = await instantAnswer(querier.url, SELECTOR, END_MS / 1000, { dedup: 'false' });
    expect(warnings).toEqual([]);
    const found = canonical(result);
    expect(found.map((line) => line.slice(0, 300))).toEqual(truth.toSorted().map((line) => line.slice(0, 300)));
    expect(found.join('\n') === truth.toSorted().join('\n')).toBe(true);
    const wanted = truth.toSorted().join('\n');
    watch = new Watch(querier.url, SELECTOR, (answer) => canonical(answer).join('\n') === wanted);
  }, TIMEOUT_MS);

  test('four blocks of two hours become one of eight; the two after them are left alone; the sources are marked', async () => {
    compactor = await startService('compact', [
      `--objstore.config=${objstore}`, `--data-dir=${temporaryDir('compact')}`, '--wait', '--wait-interval=1s', '--consistency-delay=0s', `--delete-delay=${DELETE_S}s`,
      '--compact.cleanup-interval=1s', '--compact.progress-interval=1s', '--block-viewer.global.sync-block-interval=1s', '--downsampling.disable', '--hash-func=SHA256',
    ]);
    for (const { name, blocks, times } of replicas) {
      const [larger, ...newest] = await waitFor(`the larger block of ${name}`, async () => {
        const metas = unmarked(await blocksOf(name));
        return metas.length === 3 && metas;
      }, { process: compactor.process, timeoutMs: 90_000 });
      // Blocks of promtool begin with their first sample and end with the last.
      expect([larger!.minTime, larger!.maxTime]).toEqual([times[0], times.findLast((t) => t < WINDOW_END_MS)! + 1]);
      expect(larger).toMatchObject({
        compaction: { level: 2, sources: blocks.slice(0, 4).sort() },
        stats: { numSamples: HISTORY.length * 8 * HOUR_MS / STEP_MS, numSeries: HISTORY.length },
        thanos: { source: 'compactor', resolutionMs: 0, labels: ['cluster', 'peers', 'replica', name] },
      });
      expect(larger!.thanos.files.find(({ relPath }) => relPath === 'index')?.hash?.func).toBe('SHA256');
      expect(newest.map(({ ulid, compaction }) => [ulid, compaction.level])).toEqual(blocks.slice(4).map((id) => [id, 1]));
    }
  }, TIMEOUT_MS);

  test('promtool takes the larger blocks, and finds the samples of the small ones in them', async () => {
    for (const { name, data, blocks } of replicas) {
      const [larger] = unmarked(await blocksOf(name));
      const dir = await fetchBlock(larger!.ulid);
      const list = spawnSync(needPeer('promtool'), ['tsdb', 'list', dir], { encoding: 'utf8' });
      expect({ status: list.status, stderr: list.stderr, line: list.stdout.split('\n').find((line) => line.startsWith(larger!.ulid))?.split(/\s+/).slice(4, 7) }).toEqual({
        status: 0, stderr: '', line: [String(larger!.stats.numSamples), String(larger!.stats.numChunks), String(larger!.stats.numSeries)],
      });
      const analyze = spawnSync(needPeer('promtool'), ['tsdb', 'analyze', '--extended', dir, larger!.ulid], { encoding: 'utf8' });
      expect({ status: analyze.status, stderr: analyze.stderr }).toEqual({ status: 0, stderr: '' });
      expect(analyze.stdout).toContain(`Series: ${HISTORY.length}\n`);
      expect(dump(dir)).toEqual(dump(folderOf(data, blocks.slice(0, 4))));
    }
  }, TIMEOUT_MS);

  test('the small blocks are deleted, not before their time, and the store lets go of them', async () => {
    const gone = new Map<string, number>();
    const marks = new Map<string, number>();
    await waitFor('the end of the small blocks', async () => {
      const seen = (await Promise.all(replicas.map(({ name }) => blocksOf(name)))).flat();
      const nowMs = Date.now();
      for (const { meta, mark } of seen) if (mark !== undefined) marks.set(meta.ulid, mark.deletion_time * 1000);
      for (const id of marks.keys()) if (!gone.has(id) && !seen.some(({ meta }) => meta.ulid === id)) gone.set(id, nowMs);
      return seen.length === 6;
    }, { process: compactor.process, timeoutMs: 90_000 });
    // The first may have been marked long before the last.
    expect(marks.size).toBeGreaterThanOrEqual(4);
    for (const [id, markedMs] of marks) expect(gone.get(id)! - markedMs).toBeGreaterThan(DELETE_S * 1000);
    // Of a block that goes, meta.json is the first object to go and the mark the last.
    const small = replicas.flatMap(({ blocks }) => blocks.slice(0, 4));
    await waitFor('the last object of the small blocks', async () => {
      for await (const name of bucket.iter('', { recursive: true })) if (small.some((id) => name.startsWith(id))) return false;
      return true;
    }, { process: compactor.process, timeoutMs: 60_000 });
    await waitFor('what is left in the store', async () => (await metric(store, 'thanos_bucket_store_blocks_loaded')) === 6, { process: store.process, timeoutMs: 60_000 });
    // The sidecars ship nothing twice.
    for (const { name, blocks, data } of replicas) {
      expect((JSON.parse(readFileSync(join(data, 'thanos.shipper.json'), 'utf8')) as { uploaded: string[] }).uploaded.toSorted()).toEqual([...blocks].sort());
      expect(await blocksOf(name)).toHaveLength(3);
    }
    await watch.settle();
    expect(watch.problems).toEqual([]);
    await waitFor('the count of what was deleted', async () => (await metric(compactor, 'thanos_compact_blocks_cleaned_total')) === 8, { process: compactor.process });
  }, TIMEOUT_MS);

  test('a damaged block holds up its own group only, by name; nothing of it is marked', async () => {
    const ship = async (replica: string, damages: boolean): Promise<readonly string[]> => {
      const dir = temporaryDir(`ship-${replica}`);
      const blocks = writeBlocks(dir, HISTORY.slice(0, 3), scrapeTimes(WINDOW_MS, END_MS, 5));
      if (damages) {
        const path = join(dir, blocks[1]!, 'chunks', '000001');
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1]! ^= 0x10;
        writeFileSync(path, bytes);
      }
      for (const id of blocks) await shipBlock(bucket, join(dir, id), ['cluster', 'peers', 'replica', replica]);
      return blocks;
    };
    const damaged = await ship('damaged', true);
    await ship('whole', false);
    await waitFor('the group beside it', async () => unmarked(await blocksOf('whole')).length === 3, { process: compactor.process, timeoutMs: 60_000 });
    const problem = await waitFor('the problem', async () => {
      const { data } = await getApi<{ groups: { labels: string; problem?: { code: string; message: string; kind: string } }[] }>(compactor.url, 'compact');
      return data.groups.find(({ labels }) => labels === formatLabels(['cluster', 'peers', 'replica', 'damaged']))?.problem;
    }, { process: compactor.process, timeoutMs: 60_000 });
    expect(problem).toMatchObject({ code: 'ERR_BLOCK_UNHEALTHY', kind: 'other' });
    expect(problem.message).toContain(damaged[1]!);
    expect(await (await fetch(compactor.url)).text()).toContain(damaged[1]!);
    expect(compactor.process.output()).toMatch(new RegExp(`group is blocked; others go on.*${damaged[1]!}`));
    expect([await metric(compactor, 'gauntlet_compact_blocked_groups'), await metric(compactor, 'thanos_compact_halted')]).toEqual([1, 0]);
    // It was tried, and left as it was.
    expect((await blocksOf('damaged')).map(({ meta, mark }) => [meta.ulid, mark])).toEqual(damaged.map((id) => [id, undefined]));
    expect(watch.problems).toEqual([]);
  }, TIMEOUT_MS);

  test('an upload that has begun is left alone and shown', async () => {
    const id = createUlid(WINDOW_MS, Math.random);
    await bucket.upload(`${id}/chunks/000001`, new Uint8Array(64));
    await waitFor('the upload on the page', async () => {
      const { data } = await getApi<{ partialBlocks: { ulid: string }[] }>(compactor.url, 'compact');
      return data.partialBlocks.some(({ ulid }) => ulid === id);
    }, { process: compactor.process });
    const loops = await metric(compactor, 'thanos_compact_block_cleanup_loops_total');
    await waitFor('two more rounds of cleaning', async () => (await metric(compactor, 'thanos_compact_block_cleanup_loops_total')) > loops + 1, { process: compactor.process });
    expect(await bucket.exists(`${id}/chunks/000001`)).toBe(true);
    expect(watch.problems).toEqual([]);
  }, TIMEOUT_MS);

  test('blocks that overlap are merged: their samples together, each once', async () => {
    const { name, data, times, blocks } = replicas[0]!;
    const [before] = unmarked(await blocksOf(name));
    // Some hours again under other names: every second sample, samples in between, and a series of its own.
    const [fromMs, toMs] = [WINDOW_MS + 2 * HOUR_MS, WINDOW_MS + 6 * HOUR_MS];
    const again = times.filter((t, i) => t >= fromMs && t < toMs && i % 2 === 0);
    const own = again.map((t) => t + 7_000);
    const late = temporaryDir('late');
    const lateBlocks = [
      ...writeHistory(join(late, 'again'), HISTORY, again).map((id) => join('again', id)),
      ...writeHistory(join(late, 'own'), [HISTORY[0]!, { name: 'late_total', labels: [], valueAt: (t) => t % 977 }], own).map((id) => join('own', id)),
    ];
    expect(lateBlocks).toHaveLength(4);
    await watch.stop();
    process.stderr.write(`compaction: ${watch.good} answers while blocks were compacted and deleted, all whole\n`);
    // Where chunks overlap, a reader goes on with whichever comes next, as in Thanos: until they are merged, some hours may have the
    // samples of the sparser block. But all series are there, without holes, and no sample that was not written.
    const holeMax = 2.2 * STEP_MS;
    watch = new Watch(querier.url, SELECTOR, (answer) =>
      answer.length >= NAMES.length * HISTORY.length && answer.every(({ values }) => values!.every(([t], i) => i === 0 || (t > values![i - 1]![0] && t - values![i - 1]![0] < holeMax / 1000))));
    for (const id of lateBlocks) await shipBlock(bucket, join(late, id), ['cluster', 'peers', 'replica', name]);
    const merged = await waitFor('the merged block', async () => {
      const metas = unmarked(await blocksOf(name));
      return metas.length === 3 && metas[0]!.compaction.sources.length === 8 && metas[0]!;
    }, { process: compactor.process, timeoutMs: 90_000 });
    // One level, or more when the compactor looked while only some of the late blocks were there.
    expect(merged.compaction.level).toBeGreaterThan(before!.compaction.level);
    expect(merged.compaction.sources).toEqual([...before!.compaction.sources, ...lateBlocks.map((path) => path.split('/')[1]!)].sort());
    const union = new Set([...dump(folderOf(data, blocks.slice(0, 4))), ...['again', 'own'].flatMap((part) => dump(join(late, part)))]);
    expect(dump(await fetchBlock(merged.ulid))).toEqual([...union].sort());
    expect(union.size).toBe(merged.stats.numSamples);
    expect(await metric(compactor, 'thanos_compact_group_vertical_compactions_total')).toBeGreaterThan(0);

    // And through the store.
    await waitFor('the late series', async () => {
      const found = await instant(querier.url, `late_total{replica="${name}"}[13h]`, END_MS / 1000, { dedup: 'false' });
      const whole = await instant(querier.url, `requests_total{method="get",replica="${name}"}[13h]`, END_MS / 1000, { dedup: 'false' });
      return found[0]?.values!.length === own.length && whole[0]!.values!.length === times.length + own.length;
    }, { process: querier.process, timeoutMs: 60_000 });
    await watch.settle();
    expect(watch.problems).toEqual([]);
  }, TIMEOUT_MS);
});
