/** Results of rules in a local database that takes late samples: what it refuses has Prometheus' reason. */
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createDb } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { createRuleAppender } from './rule-database.ts';

test('samples and stale markers before the out-of-order window are refused one by one', async () => {
  const db = createDb({ fs: createMemoryFileSystem(), dir: 'data', kernels: createKernels(), clock: Date, random: Math.random }, { outOfOrderWindowMs: 1000 });
  const appender = createRuleAppender(db);
  const labels = ['__name__', 'r'];
  const at = (timestampMs: number, stale = false): Parameters<typeof appender.append>[0][number] => ({ labels, timestampMs, value: timestampMs, stale });
  expect((await appender.append([at(100_000)])).refused).toEqual([]);
  const { refused } = await appender.append([at(99_000), at(98_999), at(98_998, true), at(100_001)]);
  expect(refused.map(({ sample, reason }) => [sample.timestampMs, reason])).toEqual([
    [98_999, 'too old sample'],
    [98_998, 'too old sample'],
  ]);
  expect(db.stats().headOutOfOrderSeries).toBe(1);
  db.close();
});

test('series beyond the limit of the database are refused by that name', async () => {
  const db = createDb({ fs: createMemoryFileSystem(), dir: 'data', kernels: createKernels(), clock: Date, random: Math.random }, { seriesMax: 1 });
  const samples = ['a', 'b', 'c'].map((name) => ({ labels: ['__name__', name], timestampMs: 1000, value: 1, stale: name === 'c' }));
  expect((await createRuleAppender(db).append(samples)).refused.map(({ reason }) => reason)).toEqual(['too many series', 'too many series']);
  db.close();
});
