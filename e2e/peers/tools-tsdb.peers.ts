/**
 * `gauntlet tools tsdb` beside the promtool of this machine: each makes blocks of the same text, each reads what the other made, and they print the
 * same. promtool 2.42 leaves room for what it did not have yet: names outside of ASCII in quotes, native histograms, today's extended analysis.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { blocksIn, writeHistory } from '../harness/blocks.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { needPeer } from '../harness/peers.ts';
import { temporaryDir } from '../harness/process.ts';

const BIN = join(import.meta.dirname, '..', '..', 'bin', 'gauntlet');
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 2, 2);

const run = (command: string, argv: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(command, argv, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}: ${stderr}`);
  return stdout;
};
const promtool = (...argv: string[]): string => run(needPeer('promtool'), ['tsdb', ...argv]);
const gauntlet = (...argv: string[]): string => run(process.execPath, [BIN, 'tools', 'tsdb', ...argv]);
/** promtool has no order among equal counts; 2.42 has another word for the number of series. */
const sorted = (text: string): string[] => text.replace(/^(Total )?Series: /m, 'Series: ').split(/\n(?=\n)/).map((section) => section.trim().split('\n').sort().join('\n'));

const SERIES = [
  ...['get', 'post', 'put'].flatMap((method, i) => [
    { name: 'requests_total', labels: [['method', method]] as const, valueAt: (t: number) => Math.floor((t % (5 * HOUR_MS)) / 1000) * (i + 1) },
    { name: 'latency_seconds', labels: [['method', method]] as const, valueAt: (t: number) => Math.sin(t / 1e6 + i) / 3 },
  ]),
  { name: 'up', labels: [['job', 'shop'], ['zone', 'eu']] as const, valueAt: () => 1 },
  { name: 'limit', labels: [['job', 'sh"op\\ö']] as const, valueAt: () => -1.5e-300 },
];
const TIMES = Array.from({ length: 900 }, (_, i) => START_MS + 7_777 + i * 30_000 + (i % 7) * 13);

describeWithPeers('tools tsdb and promtool', ['promtool'], () => {
  const theirs = temporaryDir('tsdb-theirs');
  const ours = temporaryDir('tsdb-ours');

  beforeAll(() => {
    writeHistory(theirs, SERIES, TIMES);
    // promtool wants a log to be there.
    mkdirSync(join(theirs, 'wal'));
    mkdirSync(join(ours, 'wal'));
    const text = join(temporaryDir('tsdb-text'), 'history.om');
    writeFileSync(text, gauntlet('dump-openmetrics', theirs));
    gauntlet('create-blocks-from', 'openmetrics', '--quiet', text, ours);
  });

  test('make as many blocks, and read the same from both', () => {
    expect(blocksIn(ours)).toHaveLength(blocksIn(theirs).length);
    const wanted = promtool('dump', theirs);
    expect(wanted.split('\n')).toHaveLength(SERIES.length * TIMES.length + 1);
    expect(gauntlet('dump', theirs)).toBe(wanted);
    expect(promtool('dump', ours)).toBe(wanted);
    expect(gauntlet('dump', ours)).toBe(wanted);
  });

  test('list the same', () => {
    for (const dir of [ours, theirs]) for (const argv of [[dir], ['--human-readable', dir]]) expect(gauntlet('list', ...argv)).toBe(promtool('list', ...argv));
  });

  test('analyze alike', () => {
    for (const dir of [ours, theirs]) {
      for (const block of blocksIn(dir)) expect(sorted(gauntlet('analyze', '--limit=1000', dir, block))).toEqual(sorted(promtool('analyze', '--limit=1000', dir, block)));
    }
  });

  test('find nothing wrong', () => {
    for (const dir of [ours, theirs]) expect(gauntlet('verify', dir)).toContain(`${blocksIn(dir).length} blocks verified; nothing is wrong\n`);
  });
});
