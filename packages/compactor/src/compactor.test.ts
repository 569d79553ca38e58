/** Whole runs of the compactor over recorded blocks: what a run leaves in the bucket, what cannot be done, and what the process says. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BlockStats } from '@gauntlet/tsdb';
import { formatMarker, type MarkerKind, readMarker } from '@gauntlet/block';
import { BucketLedger, createLedgerBucket, createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createMetrics, createNopLogger, type Logger, WorkerTaskError } from '@gauntlet/service-kit';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { CompactRunner } from './compact-runner.ts';
import { checkConfig } from './compactor.ts';
import { createInlineRunner } from './compact-runner.ts';
import { run } from './main.ts';
import { BLOCKS, configOf, createTestCompactor, createTestDir, putRecorded, readSamples, removeTestDirs, REPLICA_A, seeBlocks } from './testing/compactor-kit.ts';

afterEach(removeTestDirs);
const signal = new AbortController().signal;

/** A bucket with recorded blocks. */
async function bucketOf(ids: readonly string[]): Promise<MemoryBucket> {
  const bucket = createMemoryBucket();
  for (const id of ids) await putRecorded(bucket, id);
  return bucket;
}

interface RecordedBlock {
  readonly ulid: string;
  readonly partial?: boolean;
  readonly marks: readonly string[];
  readonly minTime: number;
  readonly maxTime: number;
  readonly level: number;
  readonly sources: readonly string[];
  readonly parents?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stats: BlockStats;
}

const SCENARIOS = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/scenarios.json'), 'utf8')) as Readonly<
  Record<string, { readonly flags: readonly string[]; readonly before: readonly RecordedBlock[]; readonly after: readonly RecordedBlock[] }>
>;
const KINDS: Readonly<Record<string, MarkerKind>> = { 'deletion-mark.json': 'deletion', 'no-compact-mark.json': 'no-compact', 'no-downsample-mark.json': 'no-downsample' };

/** Runs a recorded scenario with real compactions. @returns what is in the bucket, in the words of the recording, new blocks without their ids */
async function replay(name: string): Promise<{ readonly got: unknown[]; readonly want: unknown[]; readonly samples: readonly [before: Set<string>, after: Set<string>] }> {
  const { before, after, flags } = SCENARIOS[name]!;
  const bucket = createMemoryBucket();
  for (const { ulid, partial, marks } of before) {
    // The one copy under another name that a scenario has.
    if (ulid === '01ARZ3NDEKTSV4RRFFQ69G5FAV') await putRecorded(bucket, REPLICA_A[1]!, ulid);
    else await putRecorded(bucket, ulid);
    if (partial === true) await bucket.delete(`${ulid}/meta.json`);
    const timeSeconds = Math.floor(Date.now() / 1000);
    for (const mark of marks) await bucket.upload(`${ulid}/${mark}`, formatMarker({ id: ulid, timeSeconds, details: '', reason: KINDS[mark] === 'deletion' ? '' : 'manual' }, KINDS[mark]!));
  }
  let nowMs = Date.now();
  const samples = await readSamples(bucket);
  // Time passes between steps, so that a mark with a delay of 0 is due.
  const compactor = await createTestCompactor(bucket, { flags, clock: () => (nowMs += 100) });
  expect((await compactor.iterate(signal)).errors).toEqual([]);
  const old = new Set(before.map(({ ulid }) => ulid));
  const sorted = (rows: readonly object[]): unknown[] => rows.map((row) => JSON.stringify(row, Object.keys(row).sort())).sort();
  const describeRecorded = (block: RecordedBlock): object => (block.partial === true
    ? { id: block.ulid, marks: block.marks.join() }
    : {
        id: old.has(block.ulid) ? block.ulid : 'new', range: `${block.minTime}-${block.maxTime}`, level: block.level, sources: block.sources.join(), parents: (block.parents ?? []).join(),
        labels: JSON.stringify(block.labels), samples: [block.stats.numSamples, block.stats.numFloatSamples, block.stats.numHistogramSamples, block.stats.numSeries, block.stats.numChunks].join(), marks: block.marks.join(),
      });
  const found: object[] = [];
  for (const [ulid, { meta, marks }] of await seeBlocks(bucket)) {
    const labels: Record<string, string> = {};
    for (let i = 0; i < meta.thanos.labels.length; i += 2) labels[meta.thanos.labels[i]!] = meta.thanos.labels[i + 1]!;
    const { level, sources, parents } = meta.compaction;
    found.push(describeRecorded({ ulid, marks, minTime: meta.minTime, maxTime: meta.maxTime, level, sources, parents: (parents ?? []).map((parent) => parent.ulid), labels, stats: meta.stats }));
  }
  for (const { ulid, partial, marks } of before) if (partial === true) found.push({ id: ulid, marks: marks.join() });
  return { got: sorted(found), want: sorted(after.map(describeRecorded)), samples: [samples, await readSamples(bucket)] };
}

describe('recorded runs of Thanos, with real compactions', () => {
  test.each(['compaction', 'no-compact-mark', 'delete-delay-zero', 'min-max-time', 'relabel-drop', 'consistency-delay', 'partial-upload', 'retention-raw'])('%s', async (name) => {
    const { got, want, samples } = await replay(name);
    expect(got).toEqual(want);
    expect(samples[1]).toEqual(samples[0]);
  });

  test('overlapping blocks are merged where Thanos halts', async () => {
    const { got, samples } = await replay('overlap-without-vertical-halts');
    expect(got.map((row) => JSON.parse(row as string) as { id: string; level: number; marks: string; samples: string })).toEqual(expect.arrayContaining([
      expect.objectContaining({ id: 'new', level: 2, marks: '', samples: '1082,995,87,14,14', sources: `01ARZ3NDEKTSV4RRFFQ69G5FAV,${REPLICA_A[1]}` }),
      expect.objectContaining({ id: REPLICA_A[1], marks: 'deletion-mark.json' }),
      expect.objectContaining({ id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', marks: 'deletion-mark.json' }),
    ]));
    expect(got).toHaveLength(5);
    expect(samples[1]).toEqual(samples[0]);
  });

  test('a block that was marked for deletion a moment ago is not compacted; Thanos does', async () => {
    const { got, want, samples } = await replay('deletion-mark-fresh');
    expect(got).not.toEqual(want);
    expect(got.filter((row) => (row as string).includes('"new"')).map((row) => (JSON.parse(row as string) as { parents: string }).parents)).toEqual([REPLICA_A.slice(2, 4).join()]);
    expect(samples[1]).toEqual(samples[0]);
  });

  test.each(['vertical', 'vertical-no-compact-mark'])('%s is refused by name', async (name) => {
    await expect(createTestCompactor(createMemoryBucket(), { flags: SCENARIOS[name]!.flags })).rejects.toMatchObject({ code: 'ERR_COMPACTOR_CONFIG', message: expect.stringContaining('--deduplication.replica-label') });
  });
});

describe('a block made', () => {
  test('says what Thanos blocks say, and is named by what went into it', async () => {
    const bucket = await bucketOf(REPLICA_A);
    const report = await (await createTestCompactor(bucket, { flags: ['--hash-func=SHA256'] })).iterate(signal);
    expect(report).toEqual({ compacted: 1, errors: [] });
    const [id, block] = [...(await seeBlocks(bucket))].find(([ulid]) => !REPLICA_A.includes(ulid))!;
    expect(block.meta.thanos).toMatchObject({ labels: ['cluster', 'eu', 'replica', 'a'], resolutionMs: 0, source: 'compactor', segmentFiles: ['000001'], hasVersion: false, rewrites: undefined, extensions: undefined });
    expect(block.meta.thanos.seriesMaxBytes).toBeGreaterThan(0);
    expect(block.meta.thanos.chunkMaxBytes).toBeGreaterThan(0);
    expect(block.meta.thanos.files.map((file) => [file.relPath, file.hash?.func])).toEqual([['chunks/000001', 'SHA256'], ['index', 'SHA256'], ['meta.json', undefined]]);
    expect(bucket.keys().filter((key) => key.startsWith(id))).toEqual([`${id}/chunks/000001`, `${id}/index`, `${id}/meta.json`]);

    const again = await bucketOf(REPLICA_A);
    await (await createTestCompactor(again)).iterate(signal);
    expect([...(await seeBlocks(again)).keys()]).toContain(id);
  });

  test('sources are marked after it, with what Thanos writes', async () => {
    const ledger = new BucketLedger();
    const bucket = await bucketOf(REPLICA_A);
    await (await createTestCompactor(createLedgerBucket(bucket, ledger))).iterate(signal);
    const uploads = ledger.entries().filter(({ operation }) => operation === 'upload').map(({ key }) => key.slice(27));
    expect(uploads).toEqual(['chunks/000001', 'index', 'meta.json', ...REPLICA_A.slice(0, 4).map(() => 'deletion-mark.json')]);
    expect(await readMarker(bucket, REPLICA_A[0]!, 'deletion')).toMatchObject({ id: REPLICA_A[0], details: 'source of compacted block' });
  });

  test('a second run finds nothing to do, and sends few requests', async () => {
    const ledger = new BucketLedger();
    const bucket = createLedgerBucket(await bucketOf(REPLICA_A), ledger);
    const compactor = await createTestCompactor(bucket, { flags: ['--block-discovery-strategy=recursive'] });
    await compactor.iterate(signal);
    const before = ledger.entries().length;
    expect(await compactor.iterate(signal)).toEqual({ compacted: 0, errors: [] });
    // One listing, and the three kinds of marks of the blocks that are seen.
    const requests = ledger.entries().slice(before);
    expect(requests.filter(({ operation }) => operation === 'iter')).toHaveLength(1);
    expect(new Set(requests.map(({ operation, key }) => `${operation} ${key.slice(27)}`))).toEqual(new Set(['iter ', 'get deletion-mark.json', 'get no-compact-mark.json', 'get no-downsample-mark.json']));
  });
});

describe('a group that cannot be compacted', () => {
  const OTHER = ['01M7YH8TPN52428E1R8WGB0VE4', '01M7YH8TQJ7CZSDTY1WH20F7D8', '01M7YH8TRGNMY7YHXYP97BTBT2', '01M7YH8TSGCTGBTVFJPFKXD33K', '01M7YH8TTDZ5B81WJPY0JCQHNR', '01M7YH8TV3SD5Z5Z0MFC4R83FK'];
  const damage: readonly (readonly [string, (bytes: Buffer) => Buffer, string, RegExp])[] = [
    ['a flipped bit in a chunk', (bytes) => (bytes.writeUInt8(bytes.readUInt8(400) ^ 1, 400), bytes), 'chunks/000001', /01M7YH8MSNZ1C3DXT5Z2G9RFCR/],
    ['a flipped bit in the index', (bytes) => (bytes.writeUInt8(bytes.readUInt8(300) ^ 1, 300), bytes), 'index', /01M7YH8MSNZ1C3DXT5Z2G9RFCR/],
    ['an index cut off', (bytes) => bytes.subarray(0, bytes.length - 200), 'index', /01M7YH8MSNZ1C3DXT5Z2G9RFCR/],
  ];
  test.each(damage)('%s: the group is blocked and named, others go on, nothing is marked', async (_name, change, file, message) => {
    const bucket = await bucketOf([...REPLICA_A, ...OTHER]);
    const key = `${REPLICA_A[1]}/${file}`;
    await bucket.upload(key, change(Buffer.from(await bucket.get(key))));
    const metrics = createMetrics();
    const compactor = await createTestCompactor(bucket, { metrics });
    const { compacted, errors } = await compactor.iterate(signal);
    expect(compacted).toBe(1);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_BLOCK_UNHEALTHY', kind: 'other', message: expect.stringMatching(message) })]);
    const blocks = await seeBlocks(bucket);
    expect(REPLICA_A.filter((id) => blocks.get(id)!.marks.length > 0)).toEqual([]);
    expect(OTHER.filter((id) => blocks.get(id)!.marks.length > 0)).toEqual(OTHER.slice(0, 4));
    expect(compactor.status.overview().groups.map(({ labels, problem, planned }) => [labels, problem?.code, planned.length])).toEqual(expect.arrayContaining([
      ['{cluster="eu", replica="a"}', 'ERR_BLOCK_UNHEALTHY', 4], ['{cluster="eu", replica="b"}', undefined, 0],
    ]));
    expect(metricOf(metrics, 'gauntlet_compact_blocked_groups')).toBe(1);
    expect(metricOf(metrics, 'thanos_compact_halted')).toBe(0);

    // Repaired by hand: the next run compacts it, and nothing is blocked any more.
    await bucket.upload(key, readFileSync(join(BLOCKS, key)));
    expect(await compactor.iterate(signal)).toMatchObject({ compacted: 1, errors: [] });
    expect(metricOf(metrics, 'gauntlet_compact_blocked_groups')).toBe(0);
  });

  test('a plan that fails again is left alone for a while, longer each time: every try may fetch all its blocks', async () => {
    let nowMs = Date.UTC(2027, 0, 1);
    const bucket = await bucketOf(REPLICA_A);
    await bucket.upload(`${REPLICA_A[1]}/index`, Buffer.alloc(1691));
    const ledger = new BucketLedger();
    const metrics = createMetrics();
    const compactor = await createTestCompactor(createLedgerBucket(bucket, ledger), { clock: () => nowMs, metrics });
    const fetches: number[] = [];
    for (let minute = 0; minute <= 240; minute += 5) {
      const before = ledger.entries().length;
      expect((await compactor.iterate(signal)).errors).toEqual([expect.objectContaining({ code: 'ERR_BLOCK_UNHEALTHY' })]);
      expect(metricOf(metrics, 'gauntlet_compact_blocked_groups')).toBe(1);
      if (ledger.entries().slice(before).some(({ key }) => key === `${REPLICA_A[0]}/index`)) fetches.push(minute);
      nowMs += 5 * 60_000;
    }
    expect(fetches).toEqual([0, 5, 10, 20, 40, 80, 140, 200]);
    expect(compactor.status.overview().groups[0]!.problem!.sinceMs).toBe(Date.UTC(2027, 0, 1));
    // A group whose plan has become another one is tried at once.
    await bucket.upload(`${REPLICA_A[1]}/no-compact-mark.json`, formatMarker({ id: REPLICA_A[1]!, timeSeconds: 0, details: '', reason: 'manual' }, 'no-compact'));
    expect(await compactor.iterate(signal)).toEqual({ compacted: 1, errors: [] });
    expect(metricOf(metrics, 'gauntlet_compact_blocked_groups')).toBe(0);
  });

  test('an output that does not hold what its inputs hold is refused, and never uploaded', async () => {
    const bucket = await bucketOf(REPLICA_A);
    const before = bucket.keys();
    const inline = createInlineRunner();
    const wrong: CompactRunner = {
      ...inline,
      run: (task, ...rest) => {
        // The block of one input is exchanged behind the back of planning: other samples, same name.
        const target = join(task.dir, task.inputs[0]!);
        rmSync(join(target, 'index'));
        writeFileSync(join(target, 'index'), readFileSync(join(BLOCKS, OTHER[0]!, 'index')));
        return inline.run(task, ...rest);
      },
    };
    const { errors } = await (await createTestCompactor(bucket, { runner: wrong })).iterate(signal);
    expect(errors).toHaveLength(1);
    expect(bucket.keys()).toEqual(before);
  });

  test.each([
    ['ENOSPC', 'ERR_NO_SPACE'], ['ERR_COMPACT_MISMATCH', 'ERR_OUTPUT_MISMATCH'], ['ERR_CHUNK_CORRUPT', 'ERR_BLOCK_UNHEALTHY'], ['ERR_INDEX_SERIES', 'ERR_BLOCK_UNHEALTHY'], ['ERR_CHUNK_ENCODING', 'ERR_COMPACTION'],
    [undefined, 'ERR_COMPACTION'],
  ])('what a thread throws keeps its meaning: %s is %s', async (code, meaning) => {
    const task = { name: 'TsdbError', message: 'so it is', code, stack: undefined, fields: {} };
    const runner: CompactRunner = { run: () => Promise.reject(new WorkerTaskError(task)), close: () => Promise.resolve() };
    const { errors } = await (await createTestCompactor(await bucketOf(REPLICA_A), { runner })).iterate(signal);
    expect(errors).toEqual([expect.objectContaining({ code: meaning, kind: 'other', message: 'compact group 0@16129748038303570002: so it is', blocks: REPLICA_A.slice(0, 4) })]);
  });

  test('too little disk: said before anything is fetched', async () => {
    const ledger = new BucketLedger();
    const bucket = createLedgerBucket(await bucketOf(REPLICA_A), ledger);
    const { errors } = await (await createTestCompactor(bucket, { freeDiskBytes: () => Promise.resolve(1000) })).iterate(signal);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_NO_SPACE', message: expect.stringMatching(/4 blocks and their output need .* free are 1000 B; give --data-dir more room/) })]);
    expect(ledger.entries().filter(({ key }) => key.endsWith('/index'))).toEqual([]);
  });

  test('two blocks apart in time that claim one source halt the group', async () => {
    const bucket = await bucketOf(REPLICA_A);
    for (const id of REPLICA_A.slice(1, 3)) {
      const key = `${id}/meta.json`;
      await bucket.upload(key, Buffer.from(Buffer.from(await bucket.get(key)).toString().replace(/"sources": \[/, '"sources": ["01ARZ3NDEKTSV4RRFFQ69G5FAV", ')));
    }
    const before = bucket.keys();
    const metrics = createMetrics();
    const compactor = await createTestCompactor(bucket, { metrics });
    const { errors } = await compactor.iterate(signal);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SOURCES_OVERLAP', kind: 'halt', message: expect.stringContaining(`blocks ${REPLICA_A[1]} and ${REPLICA_A[2]} do not overlap, but both say that block 01ARZ3NDEKTSV4RRFFQ69G5FAV went into them`) })]);
    expect(bucket.keys()).toEqual(before);
    expect(metricOf(metrics, 'thanos_compact_halted')).toBe(1);
    await putRecorded(bucket, REPLICA_A[1]!);
    expect((await createTestCompactor(bucket, { metrics })).status.problems.size).toBe(0);
  });

  test('a bucket that does not answer is a retry, counted once', async () => {
    const metrics = createMetrics();
    const compactor = await createTestCompactor(createFaultBucket(await bucketOf(REPLICA_A), 1, 'before'), { metrics });
    const { errors } = await compactor.iterate(signal);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SYNC', kind: 'retry' })]);
    expect(metricOf(metrics, 'thanos_compact_retries_total')).toBe(1);
    expect(compactor.status.overview().problems).toEqual([expect.objectContaining({ kind: 'retry', code: 'ERR_SYNC' })]);
  });
});

/** A metric without labels: declaring it again gives the one that is there. */
function metricOf(metrics: ReturnType<typeof createMetrics>, name: string): number {
  return (name.endsWith('_total') ? metrics.counter({ name, help: '' }) : metrics.gauge({ name, help: '' })).value();
}

describe('local files', () => {
  test('what a killed run has fetched is used again; what is damaged is fetched anew', async () => {
    const bucket = await bucketOf(REPLICA_A);
    const dataDir = createTestDir();
    // Fails at its first upload: the blocks have been fetched.
    const failing = { ...bucket, upload: (key: string) => Promise.reject(new Error(`no room for ${key}`)) };
    expect((await (await createTestCompactor(failing, { dataDir })).iterate(signal)).errors).toHaveLength(1);
    const [group] = (await createTestCompactor(bucket, { dataDir })).status.overview().groups;
    expect(group).toBeUndefined();

    const ledger = new BucketLedger();
    const fetched = (): string[] => ledger.entries().filter(({ operation, key }) => operation !== 'upload' && key.endsWith('/index')).map(({ key }) => key);
    const broken = join(dataDir, 'compact', '0@16129748038303570002', REPLICA_A[2]!, 'chunks/000001');
    const bytes = readFileSync(broken);
    bytes.writeUInt8(bytes.readUInt8(600) ^ 4, 600);
    writeFileSync(broken, bytes);
    expect(await (await createTestCompactor(createLedgerBucket(bucket, ledger), { dataDir })).iterate(signal)).toEqual({ compacted: 1, errors: [] });
    // First tried with what was there; then all four were fetched again, each once.
    expect(fetched().sort()).toEqual(REPLICA_A.slice(0, 4).map((id) => `${id}/index`));
  });

  test('nothing is left after a run, neither its own nor of one that was killed', async () => {
    const dataDir = createTestDir();
    const bucket = await bucketOf(REPLICA_A);
    const unmarked = { ...bucket, upload: (...args: Parameters<typeof bucket.upload>) => (args[0].endsWith('-mark.json') ? Promise.reject(new Error('away')) : bucket.upload(...args)) };
    await (await createTestCompactor(unmarked, { dataDir })).iterate(signal);
    expect(readdirSync(join(dataDir, 'compact'))).toHaveLength(1);
    mkdirSync(join(dataDir, 'compact', 'of a group that is gone', '01ARZ3NDEKTSV4RRFFQ69G5FAV'), { recursive: true });
    await (await createTestCompactor(bucket, { dataDir })).iterate(signal);
    expect(readdirSync(join(dataDir, 'compact'))).toEqual([]);
  });
});

describe('flags', () => {
  const log = createNopLogger();
  test.each([
    [['--deduplication.replica-label=replica'], '--deduplication.replica-label: merging replicas in the bucket is not there yet'],
    [['--deduplication.func=penalty'], "--deduplication.func: got 'penalty': merging replicas in the bucket is not there yet"],
    [['--downsample.concurrency=2'], '--downsample.concurrency: got 2: downsampling is not there yet'],
    [['--retention.resolution-raw=30d'], '--retention.resolution-raw: got 30d without --downsampling.disable: downsampling is not there yet, so raw samples would be deleted with no 5m copy'],
    [['--min-time=-1d', '--max-time=-2d'], "--min-time: '-1d' can't be greater than --max-time '-2d'"],
    [['--wait', '--wait-interval=0s'], '--wait-interval: got 0s, wanted more than 0'],
    [['--delete-delay=-1s'], '--delete-delay: got -1s, wanted 0 or more'],
  ])('%j is refused', (argv, message) => {
    expect(() => checkConfig(configOf(argv), log, 0)).toThrow(message);
  });
  test.each([[['--downsampling.disable', '--retention.resolution-raw=30d']], [['--retention.resolution-5m=1y']], [['--deduplication.func=']], [['--no-wait', '--compact.enable-vertical-compaction']]])('%j is taken', (argv) => {
    checkConfig(configOf(argv), log, 0);
  });
  test('without --downsampling.disable a warning says that blocks stay raw', () => {
    const warnings: string[] = [];
    const warning: Logger = { ...log, warn: (message) => void warnings.push(message) };
    checkConfig(configOf([]), warning, 0);
    checkConfig(configOf(['--downsampling.disable']), warning, 0);
    expect(warnings).toEqual([expect.stringContaining('blocks stay raw')]);
  });
});

describe('the process', () => {
  const config = (argv: readonly string[]): ReturnType<typeof configOf> => configOf(['--downsampling.disable', `--data-dir=${createTestDir()}`, ...argv]);
  const deps = (bucket: MemoryBucket): Parameters<typeof run>[1] => ({ bucket, log: createNopLogger(), metrics: createMetrics(), clock: Date.now, runner: createInlineRunner() });

  test('without --wait it ends when everything is done', async () => {
    const bucket = await bucketOf(REPLICA_A);
    await run(config([]), deps(bucket));
    expect((await seeBlocks(bucket)).size).toBe(10);
  });
  test('without --wait it ends with an error if a group is blocked, after all else', async () => {
    const bucket = await bucketOf(REPLICA_A);
    await bucket.upload(`${REPLICA_A[0]}/index`, Buffer.alloc(10));
    await expect(run(config([]), deps(bucket))).rejects.toMatchObject({ code: 'ERR_COMPACTION', message: expect.stringMatching(/^compaction: 1 step could not be done, everything else was: compact group 0@/) });
  });
  test('a data directory that another compactor works in is refused; once that has ended it is free', async () => {
    const bucket = await bucketOf(REPLICA_A);
    const shared = config(['--wait']);
    const stop = new AbortController();
    const metrics = createMetrics();
    const first = run(shared, { ...deps(bucket), metrics }, stop.signal);
    while (metricOf(metrics, 'thanos_compact_iterations_total') === 0) await new Promise(setImmediate);
    await expect(run(shared, deps(bucket))).rejects.toMatchObject({ code: 'ERR_COMPACTOR_CONFIG', message: expect.stringMatching(/^--data-dir: .* is in use by another compactor/) });
    stop.abort();
    await first;
    await run({ ...shared, wait: false }, deps(bucket));
  });
  test('with --wait it goes on until it is stopped, also past a bucket that fails for a while', async () => {
    const bucket = await bucketOf(REPLICA_A);
    const stop = new AbortController();
    let looks = 0;
    const watched: MemoryBucket = {
      ...bucket,
      iter: (dir, options) => {
        if (dir === '' && ++looks === 2) throw new Error('the bucket is away');
        return bucket.iter(dir, options);
      },
      upload: async (key, body, options) => {
        const etag = await bucket.upload(key, body, options);
        if (key === `${REPLICA_A[3]}/deletion-mark.json`) setImmediate(() => stop.abort());
        return etag;
      },
    };
    await run(config(['--wait', '--wait-interval=1ms', '--compact.cleanup-interval=1ms', '--compact.progress-interval=1ms']), deps(watched), stop.signal);
    expect((await seeBlocks(bucket)).size).toBe(10);
  });
});
