import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BlockMetas, META_FILE, parseThanosMeta } from '@gauntlet/block';
import { labelsFromMap, labelsFromPairs } from '@gauntlet/model';
import { createFilesystemBucket } from '@gauntlet/objstore';
import { parseFlags } from '@gauntlet/service-kit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { historyFlags } from '../flags.ts';
import { HISTORY_BLOCK_MS, planHistory } from './plan-history.ts';
import { runHistory } from './run-history.ts';
import { generatedLabels } from './upload-history.ts';

const NOW = Date.UTC(2026, 10, 21, 10, 11, 12, 345);
const LABELS = generatedLabels(labelsFromMap({ cluster: 'demo', replica: 'a' }));
const DAY_MS = 86_400_000;

const metasOf = (blocks: readonly { ulid: string; minTime: number; maxTime: number }[], labels = LABELS): BlockMetas =>
  new Map(blocks.map((block) => [block.ulid, { ...block, thanos: { labels } }])) as unknown as BlockMetas;

describe('the plan', () => {
  const plan = planHistory(new Map(), { labels: LABELS, lengthMs: DAY_MS, nowMs: NOW });

  test('an empty bucket gets the whole length up to now, newest first, without gap or overlap', () => {
    const ascending = plan.toReversed();
    expect([ascending[0]!.minTime, ascending.at(-1)!.maxTime]).toEqual([NOW - DAY_MS, NOW]);
    for (let i = 1; i < ascending.length; i++) {
      expect(ascending[i]!.minTime).toBe(ascending[i - 1]!.maxTime);
      expect(ascending[i]!.minTime % HISTORY_BLOCK_MS).toBe(0);
    }
    expect(new Set(plan.map(({ ulid }) => ulid)).size).toBe(plan.length);
  });

  test.each([0, 1, 5, 12])('cut short after %i blocks, a later run makes the rest under the same names', (done) => {
    if (done === 0) expect(planHistory(new Map(), { labels: LABELS, lengthMs: DAY_MS, nowMs: NOW })).toEqual(plan);
    else expect(planHistory(metasOf(plan.slice(0, done)), { labels: LABELS, lengthMs: DAY_MS, nowMs: NOW + 7 * 3_600_000 })).toEqual(plan.slice(done));
  });

  test('what was compacted is covered', () => {
    const compacted = [{ ulid: '01M7YSC23K01P47ME42Q7YW0CH', minTime: NOW - DAY_MS, maxTime: NOW }];
    expect(planHistory(metasOf(compacted), { labels: LABELS, lengthMs: DAY_MS, nowMs: NOW + DAY_MS })).toEqual([]);
  });

  test('blocks of others say nothing', () => {
    const others = metasOf(plan, labelsFromMap({ cluster: 'demo', replica: 'a' }));
    expect(planHistory(others, { labels: LABELS, lengthMs: DAY_MS, nowMs: NOW })).toEqual(plan);
    expect(planHistory(new Map(), { labels: generatedLabels(labelsFromMap({ cluster: 'demo', replica: 'b' })), lengthMs: DAY_MS, nowMs: NOW })[0]!.ulid).not.toBe(plan[0]!.ulid);
  });
});

describe('a run', () => {
  let dir = '';
  beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-demo-history-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const run = async (argv: readonly string[], nowMs = NOW): Promise<{ readonly made: number; readonly said: readonly string[] }> => {
    const said: string[] = [];
    const outcome = parseFlags({ name: 'demo history', help: '', flags: historyFlags }, [`--objstore.config=type: FILESYSTEM\nconfig: {directory: ${join(dir, 'bucket')}}`, '--log.level=error', ...argv]);
    if (outcome.kind !== 'run') throw new Error(outcome.stderr);
    const made = await runHistory(outcome.values, { say: (line) => void said.push(line), clock: () => nowMs, signal: new AbortController().signal });
    return { made, said };
  };
  const ARGS = ['--length=5h', '--step=1m', '--label=cluster="demo"', '--target-label=service="shop"'];

  test('fills the bucket for both replicas; a second one finds everything there', async () => {
    const { made, said } = await run(ARGS);
    expect(made).toBe(8);
    expect(said).toEqual(['history of replica a: 4 blocks generated (not measured)', 'history of replica b: 4 blocks generated (not measured)']);
    const bucket = await createFilesystemBucket({ directory: join(dir, 'bucket'), isDurable: false });
    const names = readdirSync(join(dir, 'bucket')).filter((name) => !name.startsWith('.'));
    expect(names).toHaveLength(8);
    const replicas: string[] = [];
    for (const name of names) {
      const meta = parseThanosMeta(await bucket.get(`${name}/${META_FILE}`), name);
      expect(meta.thanos.source).toBe('gauntlet-backfill');
      const replica = meta.thanos.labels[meta.thanos.labels.indexOf('replica') + 1]!;
      replicas.push(replica);
      expect(meta.thanos.labels).toEqual(labelsFromPairs([['cluster', 'demo'], ['origin', 'generated'], ['replica', replica]]));
    }
    expect(replicas.sort()).toEqual(['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b']);
    await bucket.close();
    expect(await run(ARGS, NOW + 3 * 3_600_000)).toEqual({ made: 0, said: ['history of replica a: there already', 'history of replica b: there already'] });
  }, 20_000);

  test.each([
    [['--replica=a', '--replica=a'], "wanted --replica with different names, got 'a,a'"],
    [['--length=0s'], 'wanted a --length and a --step above 0, got 0 ms and 15000 ms'],
  ])('%j is refused', (argv, text) => expect(run(argv)).rejects.toThrow(text));
});
