import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { META_FILE, parseThanosMeta } from '@gauntlet/block';
import { historySeries, writeHistoryBlock } from '@gauntlet/demo';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, getLabel, labelsFromMap } from '@gauntlet/model';
import { createFilesystemBucket, createMemoryBucket } from '@gauntlet/objstore';
import { createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type BackfillPlan, createBackfillPlan, HISTORY_BLOCK_MS, HISTORY_MS, plannedBlocks, readBackfillPlan, writeBackfillPlan } from './backfill-plan.ts';
import { runBackfill } from './run-backfill.ts';

const NOW = Date.UTC(2026, 10, 21, 10, 11, 12, 345);
const kernels = createKernels();
const log = createNopLogger();

describe('the plan', () => {
  const plan = createBackfillPlan(NOW, () => 0.5);

  test('covers two days up to now without gap or overlap, in blocks aligned to two hours', () => {
    const blocks = plannedBlocks(plan, 'a').toReversed();
    expect(blocks[0]!.minTime).toBe(NOW - HISTORY_MS);
    expect(blocks.at(-1)!.maxTime).toBe(NOW);
    for (let i = 1; i < blocks.length; i++) {
      expect(blocks[i]!.minTime).toBe(blocks[i - 1]!.maxTime);
      expect(blocks[i]!.minTime % HISTORY_BLOCK_MS).toBe(0);
    }
  });

  test('gives the same names every time, and others to every replica and installation', () => {
    const names = (of: BackfillPlan, replica: string): string[] => plannedBlocks(of, replica).map(({ ulid }) => ulid);
    expect(names(plan, 'a')).toEqual(names(plan, 'a'));
    const all = [...names(plan, 'a'), ...names(plan, 'b'), ...names(createBackfillPlan(NOW, () => 0.25), 'a')];
    expect(new Set(all).size).toBe(all.length);
  });

  test('is read back as written; a damaged file is refused', () => {
    const fs = createMemoryFileSystem();
    expect(readBackfillPlan(fs, 'plan.json')).toBeUndefined();
    writeBackfillPlan(fs, 'plan.json', plan);
    expect(readBackfillPlan(fs, 'plan.json')).toEqual(plan);
    for (const text of ['{', 'null', '{"version":2}', '{"version":1,"seed":"x"}', JSON.stringify({ ...plan, stepMs: 0 })]) {
      const handle = fs.open('plan.json', 'create');
      handle.append(new TextEncoder().encode(text));
      handle.close();
      expect(() => readBackfillPlan(fs, 'plan.json')).toThrow(expect.objectContaining({ code: 'ERR_BACKFILL', message: expect.stringContaining('read plan.json: ') }));
    }
  });
});

describe('a block of history', () => {
  test('holds every series at every step, with the values of the shop at that time', async () => {
    const fs = createMemoryFileSystem();
    const series = historySeries();
    const block = { ulid: '01M7YSC23K01P47ME42Q7YW0CH', minTime: NOW - 600_000, maxTime: NOW };
    const meta = writeHistoryBlock({ fs, kernels }, series, { dir: 'out', block, stepMs: 15_000, offsetMs: 2_250 })!;
    expect(meta.stats).toMatchObject({ numSeries: series.length, numSamples: series.length * 40, numChunks: series.length });
    const opened = openBlock(fs, `out/${block.ulid}`);
    const matchers = [createMatcher('=', '__name__', 'http_requests_total'), createMatcher('=', 'status', '200'), createMatcher('=', 'endpoint', '/cart'), createMatcher('=', 'instance', 'shop-1')];
    let seen = 0;
    for await (const batch of createBlockQueryable([opened], kernels).select({ matchers, mint: block.minTime, maxt: block.maxTime })) {
      for (let i = 0; i < batch.labels.length; i++) {
        const expected = series.find(({ labels }) => getLabel(labels, '__name__') === 'http_requests_total' && JSON.stringify(labels) === JSON.stringify(batch.labels[i]))!;
        for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
          expect(batch.timestampsMs[s]! % 15_000).toBe(2_250);
          expect(batch.values[s]).toBe(expected.valueAt(batch.timestampsMs[s]!));
          seen++;
        }
      }
    }
    expect(seen).toBe(40);
    opened.close();
  });

  test('without a step in its range is none', () => {
    const fs = createMemoryFileSystem();
    const block = { ulid: '01M7YSC23K01P47ME42Q7YW0CH', minTime: 15_001, maxTime: 15_010 };
    expect(writeHistoryBlock({ fs, kernels }, historySeries(), { dir: 'out', block, stepMs: 15_000, offsetMs: 0 })).toBeUndefined();
  });
});

describe('a run', () => {
  let dir = '';
  beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-backfill-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const plan = { ...createBackfillPlan(NOW, () => 0.5), startMs: NOW - 4 * 3_600_000, stepMs: 60_000 };
  const labels = labelsFromMap({ cluster: 'local', replica: 'a' });

  test('stopped anywhere and begun again, it ends with the same blocks, each once', async () => {
    const fs = createNodeFileSystem();
    const bucket = await createFilesystemBucket({ directory: join(dir, 'bucket'), isDurable: false });
    const progress: string[] = [];
    const run = (signal: AbortSignal, onProgress: (done: number, of: number) => void): Promise<void> =>
      runBackfill({ fs, kernels, bucket, log, clock: () => NOW, onProgress }, plan, { replica: 'a', replicaDir: join(dir, 'replica-a'), externalLabels: labels, offsetMs: 0, signal });
    const stopped = new AbortController();
    await expect(run(stopped.signal, () => stopped.abort())).rejects.toMatchObject({ name: 'AbortError' });
    // What a killed run leaves behind: a block without meta.json in the bucket, another half-written in the staging folder.
    await bucket.upload(`${plannedBlocks(plan, 'a')[1]!.ulid}/index`, new Uint8Array(10));
    fs.mkdir(join(dir, 'replica-a', 'backfill.tmp', `${plannedBlocks(plan, 'a')[2]!.ulid}.tmp-for-creation`));
    await run(new AbortController().signal, (done, of) => void progress.push(`${done}/${of}`));
    expect(progress).toEqual(['1/3', '2/3', '3/3']);

    const names = readdirSync(join(dir, 'bucket')).filter((name) => !name.startsWith('.')).sort();
    expect(names).toEqual(plannedBlocks(plan, 'a').map(({ ulid }) => ulid).sort());
    expect(readdirSync(join(dir, 'replica-a'))).toEqual([]);
    for (const name of names) {
      const meta = parseThanosMeta(await bucket.get(`${name}/${META_FILE}`), name);
      expect(meta.thanos).toMatchObject({ labels: labelsFromMap({ cluster: 'local', replica: 'a', origin: 'generated' }), source: 'gauntlet-backfill' });
      expect(meta.thanos.files.length).toBe(3);
    }
  });

  test('after a compaction that deleted its blocks it makes none of them again', async () => {
    const bucket = createMemoryBucket();
    const planned = plannedBlocks(plan, 'a');
    const made: string[] = [];
    const run = (): Promise<void> => {
      const watched: typeof bucket = {
        ...bucket,
        upload: (name, body, options) => {
          made.push(name.slice(0, name.indexOf('/')));
          return bucket.upload(name, body, options);
        },
      };
      return runBackfill({ fs: createNodeFileSystem(), kernels, bucket: watched, log, clock: () => NOW, onProgress: () => {} }, plan, { replica: 'a', replicaDir: join(dir, 'replica-c'), externalLabels: labels, offsetMs: 0, signal: new AbortController().signal });
    };
    // Two of three were compacted and deleted; the third was not made before.
    const sources = planned.slice(1).map(({ ulid }) => ulid);
    const ulid = '01M7YSC23K01P47ME42Q7YW0CH';
    const meta = {
      ulid, minTime: planned.at(-1)!.minTime, maxTime: planned[1]!.maxTime, stats: { numSamples: 2, numSeries: 1, numChunks: 1 }, compaction: { level: 2, sources }, version: 1,
      thanos: { version: 1, labels: { cluster: 'local', origin: 'generated', replica: 'a' }, downsample: { resolution: 0 }, source: 'compactor' },
    };
    await bucket.upload(`${ulid}/${META_FILE}`, new TextEncoder().encode(JSON.stringify(meta)));
    await run();
    expect(new Set(made)).toEqual(new Set([planned[0]!.ulid]));
  });

  test('an error of the bucket ends it', async () => {
    const bucket = createMemoryBucket();
    const broken = { ...bucket, exists: () => Promise.reject(new Error('out of reach')) };
    await expect(
      runBackfill({ fs: createNodeFileSystem(), kernels, bucket: broken, log, clock: () => NOW, onProgress: () => {} }, plan, { replica: 'b', replicaDir: join(dir, 'replica-b'), externalLabels: labels, offsetMs: 0, signal: new AbortController().signal }),
    ).rejects.toThrow('out of reach');
  });
});
