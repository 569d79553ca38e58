/** Retention by resolution, and what it must not take. */
import type { ThanosMeta } from '@gauntlet/block';
import { createMetrics } from '@gauntlet/service-kit';
import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createCompactorMetrics } from './compactor-metrics.ts';
import { applyRetention, planRetention } from './retention.ts';
import type { RetentionPolicy } from './retention.ts';
import { BucketWorld, HOUR_MS, START_MS, blockId, blockMeta, putBlock } from './testing/bucket-world.ts';

const DAY_MS = 24 * HOUR_MS;
const FIVE_MIN_MS = 300_000;
const policyOf = (rawDays: number, fiveMinDays: number, oneHourDays: number, isDownsamplingOff = false): RetentionPolicy =>
  ({ rawMs: rawDays * DAY_MS, fiveMinMs: fiveMinDays * DAY_MS, oneHourMs: oneHourDays * DAY_MS, isDownsamplingOff });
/** Block n of a resolution (0, 5 or 60 minutes) that ended `daysAgo`, of sources. */
const aged = (n: number, minutes: number, daysAgo: number, sources: readonly number[] = [n]): ThanosMeta => blockMeta(
  n, { minTime: START_MS - (daysAgo + 2) * DAY_MS, maxTime: START_MS - daysAgo * DAY_MS, compaction: { level: 3, sources: sources.map(blockId) } }, { resolutionMs: minutes * 60_000 },
);
const plan = (policy: RetentionPolicy, metas: readonly ThanosMeta[], marked: readonly number[] = []): { expired: number[]; kept: number[] } => {
  const deletionMarks = new Map(marked.map((n) => [blockId(n), { id: blockId(n), timeSeconds: 1, details: '', reason: '' }]));
  const { expired, kept } = planRetention({ metas, deletionMarks }, policy, START_MS);
  return { expired: expired.map((e) => Number(e.meta.ulid.slice(-4))), kept: kept.map((m) => Number(m.ulid.slice(-4))) };
};

describe('what is past its retention', () => {
  test.each([
    ['no retention: for ever', policyOf(0, 0, 0), [aged(1, 0, 999)], [], []],
    ['by age alone when downsampling is off', policyOf(30, 0, 0, true), [aged(1, 0, 31), aged(2, 0, 29)], [1], []],
    ['each resolution by its own', policyOf(30, 60, 90, true), [aged(1, 0, 31), aged(2, 5, 59), aged(3, 5, 61), aged(4, 60, 89), aged(5, 60, 91)], [1, 3, 5], []],
    ['raw with all its sources in 5m', policyOf(30, 90, 0), [aged(1, 0, 31, [1, 2]), aged(3, 5, 31, [1, 2, 4])], [1], []],
    ['raw whose sources are in two 5m blocks', policyOf(30, 90, 0), [aged(1, 0, 31, [1, 2]), aged(3, 5, 31, [1]), aged(4, 5, 31, [2])], [1], []],
    ['raw that was never downsampled stays', policyOf(30, 90, 0), [aged(1, 0, 31)], [], [1]],
    ['raw of which a part was downsampled stays', policyOf(30, 90, 0), [aged(1, 0, 31, [1, 2]), aged(3, 5, 31, [1])], [], [1]],
    ['raw, 5m expired as well: 1h is what counts', policyOf(30, 60, 0), [aged(1, 0, 61), aged(2, 5, 61, [1]), aged(3, 60, 61, [1])], [1, 2], []],
    ['raw, 5m expired as well, no 1h: both stay', policyOf(30, 60, 0), [aged(1, 0, 61), aged(2, 5, 61, [1])], [], [1, 2]],
    ['1h alone is not enough while 5m is promised', policyOf(30, 60, 0), [aged(1, 0, 31), aged(3, 60, 31, [1])], [], [1]],
    ['past every retention nothing is needed', policyOf(30, 60, 90), [aged(1, 0, 91), aged(2, 5, 91)], [1, 2], []],
    ['1h is the last: its age decides', policyOf(30, 60, 90), [aged(1, 60, 91)], [1], []],
    ['coarser data kept shorter promises nothing', policyOf(60, 30, 30), [aged(1, 0, 61)], [1], []],
    ['an unknown resolution is not touched', policyOf(1, 1, 1, true), [aged(1, 7, 99)], [], []],
    ['a block without sources cannot be proven covered', policyOf(30, 0, 0), [aged(1, 0, 31, []), aged(2, 5, 31, [1])], [], [1]],
  ])('%s', (_name, policy, metas, expired, kept) => {
    expect(plan(policy, metas)).toEqual({ expired, kept });
  });
  test('other labels cover nothing', () => {
    const other = { ...aged(2, 5, 31, [1]), thanos: { ...aged(2, 5, 31).thanos, labels: ['cluster', 'us'] } };
    expect(plan(policyOf(30, 90, 0), [aged(1, 0, 31), other])).toEqual({ expired: [], kept: [1] });
  });
  test('a marked block covers nothing and is not marked again', () => {
    expect(plan(policyOf(30, 90, 0), [aged(1, 0, 31), aged(2, 5, 31, [1])], [2])).toEqual({ expired: [], kept: [1] });
    expect(plan(policyOf(30, 90, 0), [aged(1, 0, 31), aged(2, 5, 31, [1])], [1])).toEqual({ expired: [], kept: [] });
  });
  test('the second counts, not the millisecond', () => {
    const at = (maxTime: number): ThanosMeta => ({ ...aged(1, 0, 0), maxTime });
    const off = policyOf(30, 0, 0, true);
    expect(plan(off, [at(START_MS - 30 * DAY_MS)]).expired).toEqual([]);
    expect(plan(off, [at(START_MS - 30 * DAY_MS - 1)]).expired).toEqual([1]);
    expect(plan(off, [at(START_MS - 30 * DAY_MS + 1)]).expired).toEqual([]);
  });

  test('no time within the policy is ever left without data, however the downsampling went', () => {
    const block = fc.record({ resolution: fc.constantFrom(0, 5, 60), daysAgo: fc.integer({ min: 0, max: 40 }), sources: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), isMarked: fc.boolean() });
    const days = fc.constantFrom(0, 5, 10, 20, 30);
    fc.assert(fc.property(fc.array(block, { maxLength: 10 }), days, days, days, (blocks, raw, fiveMin, oneHour) => {
      const policy = policyOf(raw, fiveMin, oneHour);
      const metas = blocks.map((b, n) => aged(n + 100, b.resolution, b.daysAgo, b.sources));
      const marked = blocks.flatMap((b, n) => (b.isMarked ? [n + 100] : []));
      const { expired } = plan(policy, metas, marked);
      const gone = new Set([...marked, ...expired].map(blockId));
      const left = metas.filter((m) => !gone.has(m.ulid));
      const promises = [[0, raw], [FIVE_MIN_MS, fiveMin], [3_600_000, oneHour]] as const;
      for (const n of expired) {
        const meta = metas[n - 100]!;
        const ageDays = (START_MS - meta.maxTime) / DAY_MS;
        expect(marked).not.toContain(n);
        if (!promises.some(([resolution, keep]) => resolution > meta.thanos.resolutionMs && (keep === 0 || ageDays <= keep))) continue;
        for (const source of meta.compaction.sources) {
          expect(left.some((m) => m.thanos.resolutionMs > meta.thanos.resolutionMs && m.compaction.sources.includes(source))).toBe(true);
        }
      }
    }), { numRuns: 500 });
  });
});

describe('marking', () => {
  let world: BucketWorld;
  beforeEach(() => { world = new BucketWorld(); });
  const apply = async (policy: RetentionPolicy, more: { metrics?: ReturnType<typeof createMetrics>; reported?: Set<string> } = {}): Promise<readonly string[]> =>
    applyRetention({ ...world.careDeps(world.bucket, more.metrics), ...(more.reported === undefined ? {} : { reported: more.reported }) }, await world.view(), policy, world.signal);

  test('what is expired is marked, once', async () => {
    await putBlock(world.bucket, aged(1, 0, 31));
    await putBlock(world.bucket, aged(2, 0, 29));
    const metrics = createMetrics();
    expect(await apply(policyOf(30, 0, 0, true), { metrics })).toEqual([blockId(1)]);
    expect(JSON.parse(Buffer.from(await world.bucket.get(`${blockId(1)}/deletion-mark.json`)).toString())).toMatchObject({ details: 'block exceeding retention of 30d' });
    expect(await apply(policyOf(30, 0, 0, true), { metrics })).toEqual([]);
    expect(createCompactorMetrics(metrics).marked('deletion', '').value()).toBe(1);
  });
  test('the last copy stays, is counted and logged once', async () => {
    await putBlock(world.bucket, aged(1, 0, 31));
    const metrics = createMetrics();
    const reported = new Set<string>();
    for (let i = 0; i < 3; i++) expect(await apply(policyOf(30, 90, 0), { metrics, reported })).toEqual([]);
    expect(createCompactorMetrics(metrics).retentionKeptBlocks.value()).toBe(1);
    expect(world.warnings).toHaveLength(1);
    await putBlock(world.bucket, aged(2, 5, 31, [1]));
    expect(await apply(policyOf(30, 90, 0), { metrics, reported })).toEqual([blockId(1)]);
    expect(createCompactorMetrics(metrics).retentionKeptBlocks.value()).toBe(0);
  });
  test('a covering block that is not whole, or was marked since, covers nothing', async () => {
    await putBlock(world.bucket, aged(1, 0, 31));
    await putBlock(world.bucket, aged(2, 5, 31, [1]));
    await world.bucket.delete(`${blockId(2)}/index`);
    expect(await apply(policyOf(30, 90, 0))).toEqual([]);
    await world.bucket.upload(`${blockId(2)}/index`, Buffer.from('i'));
    const view = await world.view();
    await world.mark(blockId(2));
    expect(await applyRetention(world.careDeps(), view, policyOf(30, 90, 0), world.signal)).toEqual([]);
    expect(world.warnings).toHaveLength(2);
  });
  test('a bucket that fails is an error that can be tried again', async () => {
    await putBlock(world.bucket, aged(1, 0, 31));
    const broken = { ...world.bucket, exists: () => Promise.reject(new Error('away')) };
    await expect(applyRetention(world.careDeps(broken), await world.view(), policyOf(30, 0, 0, true), world.signal)).rejects.toMatchObject({
      code: 'ERR_MARK_BLOCK', kind: 'retry', message: `mark block ${blockId(1)} past its retention for deletion: away`,
    });
  });
});
