/** `tools tsdb list`, `dump`, `dump-openmetrics` and `analyze` print what promtool 3.14 prints for the same blocks; refusals. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { failureOf, runTsdb } from './testing/tsdb-run.ts';

const here = import.meta.dirname;
const blocks = join(here, '../../tsdb/testdata/tsdb');
const expected = join(here, '../testdata/tsdb');
const golden = join(process.env['GAUNTLET_SHARED'] ?? join(here, '../../../../shared'), 'golden/tsdb');
const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-promtool-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const filesIn = (dir: string): string[] => readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
const wanted = (set: string, file: string): string => readFileSync(join(expected, set, file), 'utf8');
const printed = async (...argv: string[]): Promise<string> => {
  const { code, out, log } = await runTsdb(argv, { tmpDir: root });
  if (code !== 0) throw new Error(JSON.stringify(log));
  return out;
};

describe.each(['head-floats', 'out-of-order', 'openmetrics-import', 'tombstones'])('%s', (set) => {
  const dir = join(blocks, set);

  test('list', async () => {
    expect(await printed('list', dir)).toBe(wanted(set, 'list.txt'));
    expect(await printed('list', '-r', dir)).toBe(wanted(set, 'list-readable.txt'));
  });

  // promtool has no order among equal counts.
  const sorted = (text: string): string[] => text.split(/\n(?=\n)/).flatMap((section) => section.split('\n').sort());
  test('analyze', async () => {
    expect(sorted(await printed('analyze', '--extended', '--limit=1000', dir))).toEqual(sorted(wanted(set, 'analyze.txt')));
    expect(sorted(await printed('analyze', '--limit=1000', '--match={__name__=~"[a-l].*"}', dir))).toEqual(sorted(wanted(set, 'analyze-match.txt')));
  });
});

describe.each(['head-floats', 'out-of-order'])('%s', (set) => {
  const dir = join(blocks, set);
  test('dump', async () => {
    expect(await printed('dump', dir)).toBe(wanted(set, 'dump.txt'));
    expect(await printed('dump', '--format=seriesjson', dir)).toBe(wanted(set, 'series.json.txt'));
    expect(await printed('dump-openmetrics', dir)).toBe(wanted(set, 'dump.om'));
  });
});

const digests = JSON.parse(readFileSync(join(expected, 'digests.json'), 'utf8')) as Record<string, Record<string, string>>;
const isGoldenThere = ((): boolean => {
  try {
    return readdirSync(golden).length > 0;
  } catch {
    return false;
  }
})();
(isGoldenThere ? test.each : test.skip.each)(Object.entries(digests))('recorded set %s (skipped without the folder)', async (set, commands) => {
  for (const [command, digest] of Object.entries(commands)) {
    const out = await printed(...command.split(' '), join(golden, set));
    expect([command, createHash('sha256').update(out).digest('hex')]).toEqual([command, digest]);
  }
});

describe('dump', () => {
  const dir = join(blocks, 'out-of-order');
  const lines = wanted('out-of-order', 'dump.txt').split('\n').slice(0, -1);

  test('of a time range, both ends inclusive', async () => {
    const times = lines.map((line) => Number(line.split(' ').at(-1))).sort((a, b) => a - b);
    const [from, to] = [times[20]!, times[90]!];
    const within = lines.filter((line) => Number(line.split(' ').at(-1)) >= from && Number(line.split(' ').at(-1)) <= to);
    expect((await printed('dump', `--min-time=${from}`, `--max-time=${to}`, dir)).split('\n').slice(0, -1)).toEqual(within);
  });

  test('of several selectors: every series once, in order', async () => {
    const names = [...new Set(lines.map((line) => /__name__="([^"]+)"/.exec(line)![1]!))];
    expect(names.length).toBeGreaterThan(2);
    const [first, second] = [names.at(-1)!, names[0]!];
    const out = await printed('dump', `--match=${first}`, `--match={__name__="${second}"}`, `--match={__name__=~"${first}|${second}"}`, dir);
    expect(out.split('\n').slice(0, -1)).toEqual(lines.filter((line) => line.includes(`"${first}"`) || line.includes(`"${second}"`)));
  });

  test('of one block', async () => {
    const [block] = readdirSync(dir).filter((name) => /^[0-9A-Z]{26}$/.test(name));
    expect((await printed('dump', join(dir, block!))).split('\n').slice(0, -1).every((line) => lines.includes(line))).toBe(true);
  });

  test('with its log, which may be torn, and without changing anything', async () => {
    const log = join(here, '../../tsdb/testdata/wal/snappy/storage/wal');
    const database = join(root, 'with-log');
    cpSync(log, join(database, 'wal'), { recursive: true });
    const segment = join(database, 'wal', readdirSync(join(database, 'wal')).filter((name) => /^\d{8}$/.test(name)).sort().at(-1)!);
    const whole = await printed('dump', database);
    const bytes = readFileSync(segment);
    const keptBytes = Math.floor(bytes.length / 2) + 1;
    writeFileSync(segment, bytes.subarray(0, keptBytes));
    mkdirSync(join(database, '01M7YE52MFGPV23G9EMV9RTNEY.tmp-for-creation'));
    const before = filesIn(database);
    const torn = await runTsdb(['dump', database], { tmpDir: root });
    expect(torn.code).toBe(0);
    // Deletions may be lost too, so that there are lines in it that the whole has not.
    const tornLines = new Set(torn.out.split('\n'));
    expect(whole.split('\n').some((line) => !tornLines.has(line))).toBe(true);
    expect(tornLines.size).toBeGreaterThan(100);
    expect(torn.log.filter(({ level }) => level === 'warn')).toEqual([expect.objectContaining({ msg: 'not all of the write-ahead log is dumped', reason: expect.stringMatching(/^segment \d+, offset \d+: .*a write that was cut off/) })]);
    expect(filesIn(database)).toEqual(before);
    expect(readFileSync(segment).length).toBe(keptBytes);
    expect(readdirSync(root).filter((name) => name.includes('sandbox'))).toEqual([]);
  });
});

describe('what is refused', () => {
  test.each<{ name: string; argv: string[]; error: string }>([
    { name: 'no folder', argv: ['list', join(root, 'none')], error: `look for blocks in ${join(root, 'none')}: there is no such folder` },
    { name: 'a file', argv: ['dump', join(expected, 'digests.json')], error: `look for blocks in ${join(expected, 'digests.json')}: it is no folder` },
    { name: 'no block', argv: ['analyze', join(expected)], error: `look for the last block in ${expected}: there is none` },
    { name: 'another block', argv: ['analyze', join(blocks, 'head-floats'), 'X'], error: `look for block X in ${join(blocks, 'head-floats')}: there are 01M7YDXPPRGYAC9KJFFSZP7AVG` },
    { name: 'a selector', argv: ['dump', '--match=a{', '.'], error: 'flag --match: a{: 1:3: parse error: unexpected end of input inside braces' },
    { name: 'a selector of analyze', argv: ['analyze', '--match={', '.'], error: 'flag --match: {: 1:2: parse error: unexpected end of input inside braces' },
  ])('$name', async ({ argv, error }) => expect(failureOf(await runTsdb(argv, { tmpDir: root }))).toBe(error));

  test('blocks that cannot be read are named, the others listed', async () => {
    const database = join(root, 'damaged');
    cpSync(join(blocks, 'out-of-order'), database, { recursive: true });
    writeFileSync(join(database, '01M7YE52MFGPV23G9EMV9RTNEY', 'meta.json'), '{');
    const listed = await runTsdb(['list', database]);
    expect(listed.out).toBe(wanted('out-of-order', 'list.txt').split('\n').filter((line) => !line.startsWith('01M7YE52MFGPV23G9EMV9RTNEY')).join('\n'));
    expect(failureOf(listed)).toContain('read blocks: 1 of them cannot be read, first 01M7YE52MFGPV23G9EMV9RTNEY: ');
    expect(failureOf(await runTsdb(['dump', database], { tmpDir: root }))).toContain('first 01M7YE52MFGPV23G9EMV9RTNEY');
    writeFileSync(join(database, '01M7YE52R52J657BX634MGZV5Q', 'index'), 'x');
    rmSync(join(database, '01M7YE52MFGPV23G9EMV9RTNEY'), { recursive: true });
    expect(failureOf(await runTsdb(['dump', database], { tmpDir: root }))).toContain('open block 01M7YE52R52J657BX634MGZV5Q of');
  });
});
