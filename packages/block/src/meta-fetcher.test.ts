/** Loading views of a bucket, and every filter. */
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Labels } from '@gauntlet/model';
import { BucketLedger, createFilesystemBucket, createLedgerBucket, createMemoryBucket } from '@gauntlet/objstore';
import type { Bucket, MemoryBucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import { createUlid } from '@gauntlet/tsdb';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createConsistencyDelayFilter } from './filters/consistency-delay.ts';
import { createDeduplicateFilter } from './filters/deduplicate.ts';
import { createLabelShardFilter, parseSelector } from './filters/label-shard.ts';
import { createDeletionMarkFilter, createMarkGatherer } from './filters/marks.ts';
import { createReplicaLabelRemover } from './filters/replica-labels.ts';
import { createTimePartitionFilter } from './filters/time-partition.ts';
import { markBlock, markerKey, unmarkBlock } from './markers.ts';
import { createMetaFetcher } from './meta-fetcher.ts';
import type { BlockMetas, MetaFilter, SyncState } from './meta-filter.ts';
import { DISCOVERY_STRATEGIES, createMetaLoader } from './meta-loader.ts';
import { goldenFolder } from './testing/golden.ts';
import { testBlockId } from './testing/tsdb-folder.ts';
import { createThanosSection, formatThanosMeta } from './thanos-meta.ts';
import type { ThanosMeta, ThanosSection } from './thanos-meta.ts';

const log = createNopLogger();

function metaOf(n: number, section: Partial<ThanosSection> = {}, more: Partial<ThanosMeta> = {}): ThanosMeta {
  const ulid = testBlockId(n);
  return {
    ulid, minTime: n * 100, maxTime: (n + 1) * 100, stats: { numSamples: 1, numSeries: 1, numChunks: 1 }, compaction: { level: 1, sources: [ulid] }, version: 1,
    thanos: createThanosSection({ labels: ['replica', 'a'], source: 'sidecar', ...section }), ...more,
  };
}

const put = (bucket: Bucket, meta: ThanosMeta): Promise<string> => bucket.upload(`${meta.ulid}/meta.json`, formatThanosMeta(meta));

async function applyTo(filter: MetaFilter, metas: readonly ThanosMeta[]): Promise<{ left: ThanosMeta[]; states: SyncState[]; modified: number }> {
  const map: BlockMetas = new Map(metas.map((m) => [m.ulid, m]));
  const states: SyncState[] = [];
  let modified = 0;
  await filter.apply(map, { add: (s) => void states.push(s), addModified: () => void modified++ });
  return { left: [...map.values()], states, modified };
}
const ids = (metas: Iterable<ThanosMeta>): string[] => [...metas].map((m) => m.ulid).sort();

describe.each(DISCOVERY_STRATEGIES)('loading, %s', (strategy) => {
  let dir: string;
  let bucket: MemoryBucket;
  let ledger: BucketLedger;
  let nowMs: number;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'gauntlet-loader-'));
    nowMs = 1000;
    bucket = createMemoryBucket({ clock: () => nowMs });
    ledger = new BucketLedger();
  });
  afterEach(() => { rmSync(dir, { recursive: true }); });
  const loader = (b: Bucket = bucket, metrics = createMetrics()) => createMetaLoader({ bucket: createLedgerBucket(b, ledger), log, metrics }, { strategy, cacheDir: dir });

  test('complete, partial and foreign directories are told apart', async () => {
    await put(bucket, metaOf(1));
    await bucket.upload(`${testBlockId(1)}/index`, Buffer.from('x'));
    await bucket.upload(`${testBlockId(2)}/index`, Buffer.from('x'));
    await bucket.upload(`${testBlockId(3)}/meta.json`, Buffer.from('{"ulid":'));
    await bucket.upload('not-a-block/meta.json', Buffer.from('x'));
    await bucket.upload('debug/metas/x', Buffer.from('x'));
    const view = await loader().load();
    expect([...view.metas.keys()]).toEqual([testBlockId(1)]);
    expect(Object.fromEntries([...view.partial].map(([id, e]) => [id, e.code]))).toEqual({ [testBlockId(2)]: 'ERR_META_NOT_FOUND', [testBlockId(3)]: 'ERR_META_CORRUPT' });
    expect(view.failures).toEqual([]);
  });
  test('a meta is read once: from memory, and after a restart from disk', async () => {
    for (const n of [1, 2, 3]) await put(bucket, metaOf(n));
    const first = loader();
    await first.load();
    expect([ledger.count('get'), first.cachedCount]).toEqual([3, 3]);
    await first.load();
    await loader().load();
    expect(ledger.count('get')).toBe(3);
    expect(ledger.count('exists')).toBe(strategy === 'concurrent' ? 9 : 0);
    expect(readFileSync(join(dir, 'meta-syncer', testBlockId(1), 'meta.json'), 'utf8')).toBe(Buffer.from(await bucket.get(`${testBlockId(1)}/meta.json`)).toString());
  });
  test('blocks that are gone leave the disk; a damaged file there is read again', async () => {
    for (const n of [1, 2]) await put(bucket, metaOf(n));
    await loader().load();
    await bucket.delete(`${testBlockId(1)}/meta.json`);
    writeFileSync(join(dir, 'meta-syncer', testBlockId(2), 'meta.json'), 'damaged');
    expect([...(await loader().load()).metas.keys()]).toEqual([testBlockId(2)]);
    expect(readdirSync(join(dir, 'meta-syncer'))).toEqual([testBlockId(2)]);
    expect(ledger.count('get')).toBe(3);
  });
  test('a replaced meta is noticed by the recursive strategy', async () => {
    const metrics = createMetrics();
    const one = loader(bucket, metrics);
    await put(bucket, metaOf(1));
    await one.load();
    nowMs = 2000;
    await put(bucket, metaOf(1, { source: 'bucket.rewrite' }));
    expect((await one.load()).metas.get(testBlockId(1))!.thanos.source).toBe(strategy === 'recursive' ? 'bucket.rewrite' : 'sidecar');
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain(`thanos_blocks_meta_base_cache_busts_total ${strategy === 'recursive' ? 1 : 0}\n`);
  });
  test('a meta that cannot be read makes the view incomplete, and nothing is forgotten', async () => {
    for (const n of [1, 2]) await put(bucket, metaOf(n));
    const one = loader({ ...bucket, get: (key, o) => (key.startsWith(testBlockId(2)) ? Promise.reject(new Error('broken')) : bucket.get(key, o)) });
    const view = await one.load();
    expect([ids(view.metas.values()), view.failures.length, view.partial.size, one.cachedCount]).toEqual([[testBlockId(1)], 1, 0, 0]);
    expect(existsSync(join(dir, 'meta-syncer', testBlockId(1)))).toBe(true);
    await bucket.upload(`${testBlockId(3)}/meta.json`, Buffer.from('{"version":3}'));
    expect((await loader().load()).failures).toMatchObject([{ code: 'ERR_META_VERSION' }]);
  });
  test('concurrent loads share one; a failed listing throws', async () => {
    await put(bucket, metaOf(1));
    const one = loader();
    const [a, b] = await Promise.all([one.load(), one.load()]);
    expect([a === b, ledger.count('iter')]).toEqual([true, 1]);
    // eslint-disable-next-line require-yield
    const broken = async function* (): AsyncGenerator<never> { throw new Error('no listing'); };
    await expect(loader({ ...bucket, iter: broken, iterEntries: broken }).load()).rejects.toThrow('no listing');
    await expect(loader().load(AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
  (goldenFolder() === undefined ? test.skip : test)('the recorded bucket with marks (skipped where it is absent)', async () => {
    const golden = await createFilesystemBucket({ directory: copyFolder(join(goldenFolder()!, 'bucket/marked'), join(dir, 'copy')) });
    const view = await loader(golden).load();
    expect([view.metas.size, [...view.partial.values()].map((e) => e.code).sort(), view.failures.length]).toEqual([6, ['ERR_META_CORRUPT', 'ERR_META_NOT_FOUND'], 0]);
    const marks = createDeletionMarkFilter({ bucket: golden, log, clock: () => Date.parse('2030-01-01') }, 0);
    expect((await applyTo(marks, [...view.metas.values()])).states).toEqual(['marked-for-deletion', 'marked-for-deletion', 'marked-for-deletion']);
  });
});

function copyFolder(from: string, to: string): string {
  cpSync(from, to, { recursive: true });
  chmodSync(to, 0o755);
  for (const dirent of readdirSync(to, { withFileTypes: true, recursive: true })) if (dirent.isDirectory()) chmodSync(join(dirent.parentPath ?? dirent.path, dirent.name), 0o755);
  return to;
}

describe('fetching', () => {
  test('metrics have the names and states of Thanos and change together', async () => {
    const bucket = createMemoryBucket();
    const metrics = createMetrics();
    for (const n of [1, 2, 3]) await put(bucket, metaOf(n));
    await bucket.upload(`${testBlockId(4)}/index`, Buffer.from('x'));
    await bucket.upload(`${testBlockId(5)}/meta.json`, Buffer.from('x'));
    let nowMs = 0;
    const loader = createMetaLoader({ bucket, log, metrics });
    const fetcher = createMetaFetcher({ loader, log, metrics, clock: () => (nowMs += 500) }, [createTimePartitionFilter(() => ({ mint: 250, maxt: Infinity })), createReplicaLabelRemover(['replica'], log)]);
    const before = (await renderMetrics(metrics.registry, undefined)).body;
    expect(before).toContain('thanos_blocks_meta_synced{state="loaded"} 0\n');
    const got = await fetcher.fetch();
    expect([ids(got.metas.values()), got.isComplete, got.partial.size]).toEqual([[testBlockId(2), testBlockId(3)], true, 2]);
    const { body } = await renderMetrics(metrics.registry, undefined);
    for (const line of [
      'base_syncs_total 1', 'syncs_total 1', 'sync_failures_total 0', 'sync_duration_seconds_count 1', 'synced{state="loaded"} 2', 'synced{state="time-excluded"} 1', 'synced{state="no-meta-json"} 1',
      'synced{state="corrupted-meta-json"} 1', 'synced{state="failed"} 0', 'synced{state="duplicate"} 0', 'modified{modified="replica-label-removed"} 2',
    ]) expect(body).toContain(`thanos_blocks_meta_${line}\n`);
  });
  test('an incomplete view and a failing filter are failures of different kinds', async () => {
    const inner = createMemoryBucket();
    await put(inner, metaOf(1));
    const metrics = createMetrics();
    const broken = { ...inner, get: () => Promise.reject(new Error('broken')) };
    const deps = { log, metrics, clock: () => 0 };
    const incomplete = await createMetaFetcher({ ...deps, loader: createMetaLoader({ bucket: broken, log, metrics }) }, []).fetch();
    expect([incomplete.isComplete, incomplete.failures.length]).toEqual([false, 1]);
    const failing: MetaFilter = { apply: () => Promise.reject(new Error('filter broke')) };
    await expect(createMetaFetcher({ ...deps, loader: createMetaLoader({ bucket: inner, log, metrics }) }, [failing]).fetch()).rejects.toThrow('filter broke');
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain('thanos_blocks_meta_sync_failures_total 2\n');
  });
});

describe('filters', () => {
  test('time partition: both ends touch', async () => {
    const metas = [1, 2, 3, 4].map((n) => metaOf(n));
    const { left, states } = await applyTo(createTimePartitionFilter(() => ({ mint: 200, maxt: 300 })), metas);
    expect([ids(left), states]).toEqual([[1, 2, 3].map(testBlockId), ['time-excluded']]);
  });

  test('consistency delay: by upload time, else by ULID; compaction and repair are exempt', async () => {
    const nowMs = Date.parse('2026-06-01T00:00:00Z');
    const at = (ms: number): string => new Date(nowMs - ms).toISOString();
    const young = createUlid(nowMs - 1000, () => 0);
    const metas = [
      metaOf(1, { uploadTime: at(60_000) }), metaOf(2, { uploadTime: at(59_999) }), metaOf(3, { uploadTime: at(0), source: 'compactor' }), metaOf(4, { uploadTime: at(0), source: 'bucket.repair' }),
      metaOf(5, { uploadTime: at(0), source: 'receive' }), metaOf(6, {}, { ulid: young }), metaOf(7, {}, { ulid: createUlid(nowMs - 60_000, () => 0) }),
    ];
    const metrics = createMetrics();
    const { left, states } = await applyTo(createConsistencyDelayFilter(60_000, () => nowMs, metrics), metas);
    expect(ids(left)).toEqual(ids([metas[0]!, metas[2]!, metas[3]!, metas[6]!]));
    expect(states).toEqual(['too-fresh', 'too-fresh', 'too-fresh']);
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain('thanos_consistency_delay_seconds 60\n');
  });

  describe('deletion marks', () => {
    test('marked blocks are seen until the delay is over; removed marks are forgotten', async () => {
      const bucket = createMemoryBucket();
      let nowMs = 1_000_000;
      const deps = { bucket, log, clock: () => nowMs };
      const metas = [metaOf(1), metaOf(2)];
      await markBlock(deps, testBlockId(1), 'deletion', '');
      const filter = createDeletionMarkFilter(deps, 10_000);
      nowMs += 10_000;
      expect((await applyTo(filter, metas)).left).toHaveLength(2);
      expect([...filter.marks().keys()]).toEqual([testBlockId(1)]);
      nowMs += 1;
      expect(await applyTo(filter, metas)).toMatchObject({ left: [metas[1]], states: ['marked-for-deletion'] });
      await unmarkBlock(bucket, testBlockId(1), 'deletion');
      expect((await applyTo(filter, metas)).left).toHaveLength(2);
      expect(filter.marks().size).toBe(0);
    });
    test('a mark that is cut off keeps what it was; one that cannot be read fails the fetch', async () => {
      const bucket = createMemoryBucket();
      let nowMs = 1_000_000;
      const deps = { bucket, log, clock: () => nowMs };
      await markBlock(deps, testBlockId(1), 'deletion', '');
      const filter = createDeletionMarkFilter(deps, 0);
      nowMs += 60_000;
      await applyTo(filter, [metaOf(1)]);
      await bucket.upload(markerKey(testBlockId(1), 'deletion'), Buffer.from('{"id"'));
      await bucket.upload(markerKey(testBlockId(2), 'deletion'), Buffer.from(''));
      expect(ids((await applyTo(filter, [metaOf(1), metaOf(2)])).left)).toEqual([testBlockId(2)]);
      await bucket.upload(markerKey(testBlockId(1), 'deletion'), Buffer.from('{"version":7}'));
      await expect(applyTo(filter, [metaOf(1)])).rejects.toMatchObject({ code: 'ERR_MARKER_VERSION' });
      expect([...filter.marks().keys()]).toEqual([testBlockId(1)]);
    });
    test('no-compact and no-downsample marks are gathered', async () => {
      const bucket = createMemoryBucket();
      const deps = { bucket, log, clock: () => 5000 };
      await markBlock(deps, testBlockId(1), 'no-compact', 'why', 'index-size-exceeding');
      await markBlock(deps, testBlockId(2), 'no-downsample', '');
      const gatherer = createMarkGatherer(deps, 'no-compact');
      expect(await applyTo(gatherer, [metaOf(1), metaOf(2)])).toMatchObject({ states: ['marked-for-no-compact'], left: { length: 2 } });
      expect([...gatherer.marks().values()]).toEqual([{ id: testBlockId(1), timeSeconds: 5, details: 'why', reason: 'index-size-exceeding' }]);
      expect((await applyTo(createMarkGatherer(deps, 'no-downsample'), [metaOf(1), metaOf(2)])).states).toEqual(['marked-for-no-downsample']);
    });
  });

  describe('deduplication', () => {
    const block = (n: number, sources: number[], section: Partial<ThanosSection> = {}): ThanosMeta => metaOf(n, section, { compaction: { level: 1, sources: sources.map(testBlockId) } });
    test.each([
      ['nothing in common', [block(1, [1]), block(2, [2])], []],
      ['a compacted block and its sources', [block(1, [1]), block(2, [2]), block(3, [1, 2])], [1, 2]],
      ['compacted twice', [block(1, [1]), block(3, [1, 2]), block(4, [1, 2, 3, 4])], [1, 3]],
      ['the same sources: the first id stays', [block(5, [1, 2]), block(6, [2, 1])], [6]],
      ['overlapping sources, none covers the other', [block(5, [1, 2]), block(6, [2, 3])], []],
      ['two blocks together cover a third, neither alone', [block(5, [1, 2, 8]), block(6, [3, 4, 9]), block(7, [2, 3])], []],
      ['another resolution', [block(1, [1]), block(2, [1], { resolutionMs: 300_000 })], []],
      ['other labels', [block(1, [1]), block(2, [1], { labels: ['replica', 'b'] })], []],
    ])('%s', async (_name, metas, wanted) => {
      const filter = createDeduplicateFilter();
      const { left, states } = await applyTo(filter, metas);
      expect([...filter.duplicates()].sort()).toEqual(wanted.map(testBlockId));
      expect(ids(left)).toEqual(ids(metas).filter((id) => !wanted.map(testBlockId).includes(id)));
      expect(states).toEqual(wanted.map(() => 'duplicate'));
    });
    test('agrees with the definition for any blocks: what is left out is covered by one that stays, what stays by none', async () => {
      const sources = fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 5 });
      await fc.assert(fc.asyncProperty(fc.array(sources, { maxLength: 10 }), async (all) => {
        const metas = all.map((s, i) => block(100 + i, s));
        const filter = createDeduplicateFilter();
        const { left } = await applyTo(filter, metas);
        const covers = (a: ThanosMeta, b: ThanosMeta): boolean => b.compaction.sources.every((s) => a.compaction.sources.includes(s));
        for (const id of filter.duplicates()) expect(left.some((l) => covers(l, metas.find((m) => m.ulid === id)!))).toBe(true);
        for (const a of left) for (const b of left) if (a !== b) expect(covers(a, b)).toBe(false);
      }));
    });
  });

  describe('selector', () => {
    const metas = (['a', 'b', 'c'] as const).map((r, i) => metaOf(i + 1, { labels: ['cluster', 'eu', 'replica', r] }));
    const left = async (yaml: string, ignored: string[] = [], from: ThanosMeta[] = metas): Promise<string[]> => ids((await applyTo(createLabelShardFilter(parseSelector(yaml, 'selector.yml'), ignored), from)).left);
    test('keep, drop, by label and by block id', async () => {
      expect(await left('- action: keep\n  source_labels: [replica]\n  regex: a|b\n')).toEqual([1, 2].map(testBlockId));
      expect(await left('- action: drop\n  source_labels: [replica]\n  regex: a|b\n')).toEqual([3].map(testBlockId));
      expect(await left(`- action: keep\n  source_labels: [__block_id]\n  regex: ${testBlockId(2)}\n`)).toEqual([2].map(testBlockId));
      expect(await left('')).toHaveLength(3);
    });
    test('hashmod shares blocks out: every block in exactly one shard', async () => {
      const many = Array.from({ length: 40 }, (_, i) => metaOf(i));
      const shards = await Promise.all([0, 1, 2].map((n) => left(`- action: hashmod\n  source_labels: [__block_id]\n  target_label: shard\n  modulus: 3\n- action: keep\n  source_labels: [shard]\n  regex: ${n}\n`, [], many)));
      expect(shards.flat().sort()).toEqual(ids(many));
      for (const shard of shards) expect(shard.length).toBeGreaterThan(0);
    });
    test('labels of deduplication are not seen', async () => {
      expect(await left('- action: drop\n  source_labels: [replica]\n  regex: a\n', ['replica'])).toHaveLength(3);
    });
    test.each([
      ['an action that changes labels', '- action: labeldrop\n  regex: x\n', 'ERR_SELECTOR', 'selector.yml: rule 1: unsupported relabel action: labeldrop'],
      ['the default action', '- source_labels: [a]\n  target_label: b\n', 'ERR_SELECTOR', 'unsupported relabel action: replace'],
      ['a bad pattern', '- action: keep\n  source_labels: [a]\n  regex: "("\n', 'ERR_SELECTOR', 'missing closing )'],
      ['an unknown key', '- action: keep\n  source_label: [a]\n', 'ERR_CONFIG', "selector.yml:2:3: unknown key 'source_label'"],
    ])('refused: %s', (_name, yaml, code, message) => {
      expect(() => parseSelector(yaml, 'selector.yml')).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
    });
  });

  test('replica labels go; a block always keeps a label', async () => {
    const metas = [metaOf(1, { labels: ['cluster', 'eu', 'replica', 'a', 'rr', 'x'] }), metaOf(2, { labels: ['replica', 'b'] }), metaOf(3, { labels: ['cluster', 'us'] })];
    const { left, modified } = await applyTo(createReplicaLabelRemover(['replica', 'rr'], log), metas);
    expect(left.map((m): Labels => m.thanos.labels)).toEqual([['cluster', 'eu'], ['replica', 'deduped'], ['cluster', 'us']]);
    expect(modified).toBe(3);
    expect(metas[0]!.thanos.labels).toHaveLength(6);
    expect((await applyTo(createReplicaLabelRemover([], log), metas)).left).toEqual(metas);
  });
});
