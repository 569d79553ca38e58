import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { startSampleService } from '@gauntlet/demo';
import { createMatcher, getLabel, labelsFromMap } from '@gauntlet/model';
import { createMetrics, createNopLogger } from '@gauntlet/service-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ReplicaSettings } from './replica-protocol.ts';
import { type Replica, replicaLabels, startReplica } from './replica.ts';

let dir = '';
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-replica-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const settings = (): ReplicaSettings => ({
  name: 'a', dir: join(dir, 'replica-a'), bucketDir: join(dir, 'bucket'), scrapeIntervalMs: 100, scrapeFile: undefined, localRetentionMs: 0, keepUploadedMs: 0,
  blockRangeMs: 7_200_000, shipIntervalMs: 60_000, historyOffsetMs: 0, ackLogPath: join(dir, 'ack.log'), logLevel: 'error', logFormat: 'logfmt',
});
const deps = () => ({ log: createNopLogger(), metrics: createMetrics(), clock: Date.now, random: Math.random });

async function samples({ db }: Replica, name: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint: 0, maxt: Date.now() + 60_000 })) {
    for (let i = 0; i < batch.labels.length; i++) counts.set(getLabel(batch.labels[i]!, 'instance'), batch.offsets[i + 1]! - batch.offsets[i]!);
  }
  return counts;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return;
    await sleepFor(25);
  }
  throw new Error('nothing after 10 s');
}

test('a replica scrapes what it is told, keeps it over a restart and serves its own metrics', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const jobs = [{ jobName: 'shop', targets: shop.paths.map((metricsPath, i) => ({ address: shop.address, metricsPath, instance: `shop-${i}` })) }];
  try {
    const first = await startReplica(settings(), deps());
    first.setTargets(jobs);
    await until(async () => ((await samples(first, 'up')).get('shop-2') ?? 0) >= 2);
    expect(await (await fetch(`http://${first.metricsAddress}/metrics`)).text()).toMatch(/^prometheus_tsdb_head_series [1-9]\d\d/m);
    expect((await fetch(`http://${first.metricsAddress}/`)).status).toBe(404);
    await first.stop();

    // What was acknowledged before the stop is what the database opens with.
    const acknowledged = readFileSync(join(dir, 'ack.log'), 'utf8').trim().split('\n').flatMap((line) => JSON.parse(line) as [string[], number, string][]);
    const ups = acknowledged.filter(([labels]) => getLabel(labels, '__name__') === 'up' && getLabel(labels, 'instance') === 'shop-2');
    const second = await startReplica(settings(), deps());
    expect((await samples(second, 'up')).get('shop-2')).toBe(ups.length);
    await second.stop();
  } finally {
    await shop.stop();
  }
}, 20_000);

test('blocks that are in the bucket and old leave the replica, others stay', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const bucketDir = join(dir, 'bucket-old');
  const isBlock = (name: string): boolean => existsSync(join(bucketDir, name, 'meta.json'));
  const replica = await startReplica(
    { ...settings(), dir: join(dir, 'replica-old'), bucketDir, ackLogPath: undefined, scrapeIntervalMs: 50, blockRangeMs: 400, shipIntervalMs: 50, localRetentionMs: 1 },
    deps(),
  );
  try {
    replica.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => readdirSync(bucketDir).filter(isBlock).length >= 4 && replica.db.blocks().length <= 2);
    // What is left here but the newest has yet to be uploaded; what went is in the bucket.
    const shipped = new Set(readdirSync(bucketDir).filter(isBlock));
    expect(replica.db.blocks().slice(0, -1).filter(({ meta }) => shipped.has(meta.ulid)).length).toBeLessThanOrEqual(1);
    expect(replica.db.damagedBlocks()).toEqual([]);
  } finally {
    await replica.stop();
    await shop.stop();
  }
}, 20_000);

test('a block that was uploaded and is not in the bucket any more, since it was compacted, is neither kept nor uploaded again', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const bucketDir = join(dir, 'bucket-compacted');
  const own = { ...settings(), dir: join(dir, 'replica-compacted'), bucketDir, ackLogPath: undefined, scrapeIntervalMs: 50, blockRangeMs: 400, shipIntervalMs: 50, localRetentionMs: 86_400_000 };
  const inBucket = (): string[] => readdirSync(bucketDir).filter((name) => existsSync(join(bucketDir, name, 'meta.json')));
  try {
    const first = await startReplica(own, deps());
    first.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => inBucket().length >= 3);
    await first.stop();
    const compacted = inBucket();
    for (const name of compacted) rmSync(join(bucketDir, name), { recursive: true });
    // Still with the long retention: a round passes, and nothing comes back.
    const second = await startReplica(own, deps());
    second.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => inBucket().length >= 1);
    expect(inBucket().filter((name) => compacted.includes(name))).toEqual([]);
    const kept = second.db.blocks().map(({ meta }) => meta.ulid);
    expect(kept).toEqual(expect.arrayContaining(compacted));
    await second.stop();
    const third = await startReplica({ ...own, localRetentionMs: 1 }, deps());
    await until(async () => !third.db.blocks().some(({ meta }) => compacted.includes(meta.ulid)));
    expect(inBucket().filter((name) => compacted.includes(name))).toEqual([]);
    await third.stop();
  } finally {
    await shop.stop();
  }
}, 20_000);

test('a scrape file with a mistake is refused with its place', async () => {
  await expect(startReplica({ ...settings(), scrapeFile: { text: 'scrape_configs:\n- job_nam: x\n', source: 'own.yml' } }, deps())).rejects.toThrow('own.yml:2:3');
});

test('labels of the scrape file join the external labels, the replica label stays ours', () => {
  expect(replicaLabels('b', labelsFromMap({ cluster: 'berlin', replica: 'x', team: 't' }))).toEqual(labelsFromMap({ cluster: 'berlin', replica: 'b', team: 't' }));
});
